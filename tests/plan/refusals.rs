//! A plan that cannot be is refused as a whole, before anything runs.

use crate::common::*;
use crate::steps::*;

#[tokio::test]
async fn an_invalid_plan_is_refused_with_the_field_and_nothing_runs() {
    let (engine, dir) = (Listened::new(), scratch());
    let marker = dir.path().join("ran");
    let good = || leaves(&marker);
    let twin = good();
    let known = engine.run(brief()).await.unwrap().id;
    let parallel = |most| ExecutionStrategy::Parallel { max_concurrency: Some(most) };
    let late = ExecutionRequest { timeout_ms: Some(u64::MAX), ..good() };
    let odd = ExecutionRequest { env: [("A=B".to_owned(), String::new())].into(), ..good() };
    let table = [
        (plan(SERIAL, []), "commands", "1 to 100000"),
        (plan(parallel(0), [good()]), "strategy.max_concurrency", "1 or more"),
        (plan(graph(&[(0, &[0])]), [good()]), "strategy.dependencies[0][0]", "0 → 0"),
        (plan(graph(&[(0, &[2]), (2, &[0])]), [good(), good(), good()]), "strategy.dependencies[0]", "0 → 2 → 0"),
        (plan(graph(&[(1, &[3])]), [good(), good()]), "strategy.dependencies[1][0]", "step 3"),
        (plan(graph(&[(7, &[])]), [good(), good()]), "strategy.dependencies[7]", "step 7"),
        (plan(SERIAL, [good(), twin.clone(), good(), twin]), "commands[3].id", "commands[1]"),
        (plan(SERIAL, [good(), ExecutionRequest { id: known, ..good() }]), "commands[1].id", "known already"),
        (plan(SERIAL, [good(), exec("", &["x"])]), "commands[1].command.program", "empty"),
        (plan(SERIAL, [good(), exec("a", &["b", "c\0"])]), "commands[1].command.args[1]", "NUL"),
        (plan(SERIAL, [late]), "commands[0].timeout_ms", "out of range"),
        (plan(SERIAL, [good(), odd]), "commands[1].env", "="),
    ];
    for (plan, field, words) in table {
        let error = assert_refused(engine.execute_plan(plan).await, ErrorCode::InvalidPlan);
        assert!(error.field().is_some_and(|it| it.starts_with(field)), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    assert_eq!(engine.total_count(), 1);
    assert!(!marker.exists(), "something ran");
    engine.finish().await;
}

#[tokio::test]
async fn the_host_s_own_mistakes_are_options() {
    let engine = Listened::new();
    let own = |index, options| PlanOptions { steps: [(index, options)].into(), ..PlanOptions::default() };
    let slow = || ExecutionOptions { kill_grace_ms: Some(u64::MAX), ..ExecutionOptions::default() };
    let table = [
        (PlanOptions { deadline_ms: Some(0), ..PlanOptions::default() }, "options.deadline_ms"),
        (own(2, ExecutionOptions::default()), "options.steps[2]"),
        (own(1, slow()), "options.steps[1].kill_grace_ms"),
        (own(1, retrying(Retry::new(0))), "options.steps[1].retry.attempts"),
        (PlanOptions { options: slow(), ..PlanOptions::default() }, "options.kill_grace_ms"),
    ];
    for (options, field) in table {
        let answer = engine.execute_plan_with(plan(SERIAL, [brief(), brief()]), options).await;
        assert_field_refused(answer, ErrorCode::InvalidRequest, field);
    }
    engine.finish().await;
}

#[tokio::test]
async fn an_id_is_one_plan_s() {
    let engine = Listened::new();
    let plan = plan(SERIAL, [brief()]);
    engine.run_plan(plan.clone()).await.unwrap();
    let again = ExecutionPlan { commands: vec![brief()], ..plan };
    assert_refused(engine.execute_plan(again).await, ErrorCode::DuplicateId);
    let unknown = Uuid::new_v4();
    assert_refused(engine.wait_for_plan(unknown).await, ErrorCode::NotFound);
    assert_refused(engine.cancel_plan(unknown).await, ErrorCode::NotFound);
    engine.finish().await;
}
