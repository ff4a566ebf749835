//! Executions of a group wait for each other, without a slot.

use crate::common::*;

fn of(groups: &[&str]) -> ExecutionOptions {
    ExecutionOptions::new().groups(groups.iter().copied())
}

#[tokio::test]
async fn a_group_runs_as_many_as_its_limit_and_its_waiters_hold_no_slot() {
    let config = ExecutionConfig {
        max_concurrent_executions: 2,
        group_limits: [("deploy:*".to_owned(), 2)].into(),
        ..Default::default()
    };
    let engine = Listened::with(config);
    let first = engine.execute_with(endless(), of(&["database"])).await.unwrap();
    let waits = engine.execute_with(brief(), of(&["database", "deploy:a"])).await.unwrap();
    assert_eq!(engine.get_stats().await.waiting_for_groups, 1);
    assert_completed(&soon("another group", engine.run_with(brief(), of(&["deploy:b"]))).await.unwrap());
    assert_completed(&soon("no group", engine.run(brief())).await.unwrap());
    let cancelled = engine.execute_with(brief(), of(&["database"])).await.unwrap();
    engine.cancel(cancelled).await.unwrap();
    assert_never_ran(&engine.get_result(cancelled).await.unwrap());
    assert_eq!(engine.get_status(waits).await.unwrap(), ExecutionStatus::Pending);
    engine.cancel(first).await.unwrap();
    assert_completed(&soon("its turn", engine.wait_for_completion(waits)).await.unwrap());
    engine.finish().await;
}

#[tokio::test]
async fn bad_names_and_limits_are_refused() {
    let engine = Listened::new();
    for (groups, field) in
        [(vec![""], "options.groups[0]"), (vec!["a", "b\0"], "options.groups[1]"), (vec!["x"; 65], "options.groups")]
    {
        assert_field_refused(engine.execute_with(brief(), of(&groups)).await, ErrorCode::InvalidRequest, field);
    }
    let config = ExecutionConfig { group_limits: [("a".to_owned(), 0)].into(), ..Default::default() };
    assert_field_refused(ExecutionEngine::new(config), ErrorCode::InvalidConfig, "group_limits[\"a\"]");
    engine.finish().await;
}
