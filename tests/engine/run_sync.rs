//! A command is run by a thread that waits for it.

use execution_engine::types::{Stdin, TerminalSize};

use crate::common::*;

#[test]
fn a_thread_without_a_runtime_waits_for_the_end() {
    let engine = ExecutionEngine::new(ExecutionConfig::default()).unwrap();
    let input = ExecutionOptions { stdin: "at once".into(), ..Default::default() };
    assert_eq!(engine.run_sync(shell("tr a-z A-Z"), input).unwrap().stdout, "AT ONCE");
    let late = ExecutionRequest { timeout_ms: Some(100), ..endless() };
    assert_timed_out(&engine.run_sync(late, ExecutionOptions::default()).unwrap(), Reason::Timeout);
    for options in [
        ExecutionOptions { stdin: Stdin::Open, ..Default::default() },
        ExecutionOptions { terminal: Some(TerminalSize::default().into()), ..Default::default() },
    ] {
        assert_field_refused(engine.run_sync(brief(), options), ErrorCode::InvalidRequest, "options.stdin");
    }
}

#[tokio::test]
async fn it_waits_for_no_slot_and_no_group() {
    let config = ExecutionConfig { max_concurrent_executions: 2, ..Default::default() };
    let engine = Listened::with(config);
    let of_group = ExecutionOptions::new().groups(["database"]);
    let first = engine.execute_with(endless(), of_group.clone()).await.unwrap();
    assert_field_refused(engine.run_sync(brief(), of_group), ErrorCode::ConcurrencyLimitReached, "options.groups[0]");
    let second = engine.execute_with(endless(), ExecutionOptions::default()).await.unwrap();
    assert_refused(engine.run_sync(brief(), ExecutionOptions::default()), ErrorCode::ConcurrencyLimitReached);
    for id in [first, second] {
        engine.cancel(id).await.unwrap();
    }
    engine.finish().await;
}
