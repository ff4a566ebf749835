//! A command that is run again.

use std::path::Path;

use execution_engine::types::Stream;

use crate::common::*;
use crate::steps::*;

fn runs(counter: &Path) -> usize {
    read_notes(counter).len()
}

#[tokio::test]
async fn a_flaky_command_completes_at_its_third_attempt() {
    let (engine, dir) = (Listened::new(), scratch());
    let counter = dir.path().join("runs");
    let request = flaky(&counter, 2, 7);
    let id = request.id;
    let result = soon("the end", engine.run_with(request, retrying(attempts(5)))).await.unwrap();
    assert_completed(&result);
    assert_eq!((result.attempt, runs(&counter)), (3, 3));
    assert_eq!(result.stdout, "attempt 3\n", "the result is that of the last attempt");

    let reported: Vec<_> = result.retries.iter().map(|it| (it.attempt, it.status, it.exit_code, it.reason)).collect();
    let failed = |attempt| (attempt, ExecutionStatus::Failed, Some(7), Some(Reason::Exit));
    assert_eq!(reported, [failed(1), failed(2)]);
    assert!(result.retries[0].started_at < result.retries[1].started_at);
    assert!(result.retries[1].started_at < result.started_at);

    let mut kinds = Vec::new();
    for event in engine.recorder.of(id) {
        match event {
            ExecutionEvent::Started { .. } => kinds.push("started".to_owned()),
            ExecutionEvent::Stdout { line, .. } => kinds.push(line.to_string()),
            ExecutionEvent::Retry { attempt, attempts, result, .. } => {
                assert_eq!((attempts, result.attempt), (5, attempt));
                assert_eq!(result.stdout, format!("attempt {attempt}\n"), "each keeps its output");
                kinds.push(format!("retry {attempt}"));
            }
            ExecutionEvent::Completed { .. } => kinds.push("completed".to_owned()),
            ExecutionEvent::Exited { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    let expected = "started, attempt 1, retry 1, started, attempt 2, retry 2, started, attempt 3, completed";
    assert_eq!(kinds.join(", "), expected);
    assert_eq!(engine.recorder.lines(id, Stream::Stdout).len(), 3);
    let stats = engine.get_stats().await;
    assert_eq!((stats.total, stats.completed, stats.lines, stats.stdout_bytes), (1, 1, 3, 30));
    engine.finish().await;
}

#[tokio::test]
async fn the_last_failure_is_the_result() {
    let (engine, dir) = (Listened::new(), scratch());
    let counter = dir.path().join("runs");
    let result = engine.run_with(flaky(&counter, 99, 4), retrying(attempts(3))).await.unwrap();
    assert_exited(&result, 4);
    assert_eq!((result.attempt, result.retries.len(), runs(&counter)), (3, 2, 3));
    engine.finish().await;
}

#[tokio::test]
async fn only_what_was_asked_for_is_retried() {
    let (engine, dir) = (Listened::new(), scratch());
    let late = || ExecutionRequest { timeout_ms: Some(30), ..endless() };
    let killed = || shell("kill -KILL $$");
    let missing = || exec::<&str>("/no/such/program", &[]);
    let kinds: [(&str, RetryOn, &dyn Fn() -> ExecutionRequest); 5] = [
        ("exit", RetryOn::Exit, &|| shell("exit 3")),
        ("code", RetryOn::Code(3), &|| shell("exit 3")),
        ("signal", RetryOn::Signal, &killed),
        ("timeout", RetryOn::Timeout, &late),
        ("spawn", RetryOn::Spawn, &missing),
    ];
    for (name, on, request) in &kinds {
        for (other, _, different) in &kinds {
            let is_meant = name == other || ["exit", "code"].contains(name) && ["exit", "code"].contains(other);
            let options = retrying(Retry { on: vec![*on], ..attempts(2) });
            let id = engine.execute_with(different(), options).await.unwrap();
            let _ = soon("the end", engine.wait_for_completion(id)).await;
            let result = engine.get_result(id).await.unwrap();
            assert_eq!(result.attempt, 1 + u32::from(is_meant), "{other} on {name}: {result:#?}");
        }
        let _ = request;
    }
    let other_code = retrying(Retry { on: vec![RetryOn::Code(4)], ..attempts(3) });
    assert_eq!(engine.run_with(shell("exit 3"), other_code).await.unwrap().attempt, 1);
    assert!(dir.path().exists());
    engine.finish().await;
}

#[tokio::test]
async fn what_could_not_be_started_is_an_error_after_its_last_attempt() {
    let (engine, dir) = (Listened::new(), scratch());
    let path = dir.path().join("later");
    let request = program(&path);
    let id = request.id;
    let options = retrying(Retry { backoff_ms: 50, max_backoff_ms: 50, ..Retry::new(1_000) });
    engine.execute_with(request, options).await.unwrap();
    wait_until("the first attempt has failed", || !engine.recorder.of(id).is_empty()).await;
    // The program exists, complete, at once.
    std::fs::rename(executable(&dir.path().join("new"), "#!/bin/sh\necho here\n"), &path).unwrap();
    let result = soon("the end", engine.wait_for_completion(id)).await.unwrap();
    assert_completed(&result);
    assert!(result.attempt > 1 && result.retries[0].error.is_some(), "{result:#?}");

    let answer = engine.run_with(exec::<&str>("/no/such/program", &[]), retrying(attempts(2))).await;
    let error = assert_refused(answer, ErrorCode::SpawnFailed);
    assert_eq!(error.result().unwrap().attempt, 2);
    engine.finish().await;
}

/// Each attempt has the whole time of the request.
#[tokio::test]
async fn an_attempt_that_runs_out_of_time_is_ended_before_the_next_one_begins() {
    let (engine, dir) = (Listened::new(), scratch());
    let notes = dir.path().join("notes");
    let line = format!("echo $$ >> '{0}'; [ $(wc -l < '{0}') -gt 1 ] || exec sleep 1000", notes.display());
    let request = ExecutionRequest { timeout_ms: Some(3_000), ..shell(line) };
    let result = soon("the end", engine.run_with(request, retrying(attempts(3)))).await.unwrap();
    assert_completed(&result);
    assert_eq!((result.attempt, result.retries[0].status), (2, ExecutionStatus::Timeout));
    let first: u32 = read_notes(&notes)[0].parse().unwrap();
    assert!(!is_alive(first));
    engine.finish().await;
}

#[tokio::test]
async fn a_step_is_retried_with_its_own_options_or_those_of_the_plan() {
    let (engine, dir) = (Listened::new(), scratch());
    let counters = ["a", "b", "c"].map(|name| dir.path().join(name));
    let options = PlanOptions {
        options: retrying(attempts(2)),
        steps: [(1, retrying(attempts(4)))].into(),
        ..PlanOptions::default()
    };
    let steps = counters.iter().map(|counter| flaky(counter, 3, 1));
    let strategy = graph(&[(2, &[1])]);
    let result = soon("the plan", engine.run_plan_with(plan(strategy, steps), options)).await.unwrap();
    assert_eq!(counters.each_ref().map(|counter| runs(counter)), [2, 4, 2]);
    assert_eq!(statuses(&result), [StepStatus::Failed, StepStatus::Completed, StepStatus::Failed]);
    assert_eq!((result.stats.retries, result.status), (5, ExecutionStatus::Failed));
    engine.finish().await;
}

#[tokio::test]
async fn a_retry_that_cannot_be_is_refused() {
    let engine = Listened::new();
    let good = || Retry::new(2);
    let table = [
        (Retry { attempts: 0, ..good() }, "options.retry.attempts"),
        (Retry { attempts: 1_001, ..good() }, "options.retry.attempts"),
        (Retry { backoff_ms: u64::MAX, ..good() }, "options.retry.backoff_ms"),
        (Retry { max_backoff_ms: u64::MAX, ..good() }, "options.retry.max_backoff_ms"),
        (Retry { on: vec![], ..good() }, "options.retry.on"),
        (Retry { on: vec![RetryOn::Exit, RetryOn::Code(0)], ..good() }, "options.retry.on[1]"),
    ];
    for (retry, field) in table {
        assert_field_refused(engine.run_with(brief(), retrying(retry)).await, ErrorCode::InvalidRequest, field);
    }
    assert_eq!(engine.total_count(), 0);
    engine.finish().await;
}

#[tokio::test]
async fn all_attempts_are_in_one_log() {
    let dir = scratch();
    let logs = dir.path().join("logs");
    let engine = Listened::with(ExecutionConfig { log_dir: Some(logs.clone()), ..ExecutionConfig::default() });
    let request = flaky(&dir.path().join("runs"), 2, 1);
    let id = request.id;
    let result = soon("the end", engine.run_with(request, retrying(attempts(5)))).await.unwrap();
    assert_completed(&result);
    let log = std::fs::read_to_string(logs.join(format!("{id}.log"))).unwrap();
    assert_eq!(log, "attempt 1\nattempt 2\nattempt 3\n");
    engine.finish().await;
}

#[tokio::test]
async fn secrets_are_masked_in_every_attempt_and_in_the_names_of_steps() {
    let (engine, dir) = (Listened::new(), scratch());
    let secret = || ExecutionOptions { secrets: vec!["sesame".to_owned().into()], ..retrying(attempts(2)) };
    let request =
        shell(format!("echo . >> '{0}'; echo sesame; [ $(wc -l < '{0}') -gt 1 ]", dir.path().join("runs").display()));
    let id = request.id;
    let options = PlanOptions { options: secret(), ..PlanOptions::default() };
    let result = engine.run_plan_with(plan(SERIAL, [request]), options).await.unwrap();
    assert_eq!((result.results[0].attempt, result.results[0].stdout.as_str()), (2, "***\n"));
    assert!(!result.steps[0].name.contains("sesame"), "{}", result.steps[0].name);
    for event in engine.recorder.of(id).into_iter().chain(engine.recorder.of(result.plan_id)) {
        assert!(!format!("{event:?}").contains("sesame"), "{event:?}");
    }
    engine.finish().await;
}
