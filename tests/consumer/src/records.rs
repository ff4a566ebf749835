//! The records of an engine: status, result, logs, totals, and their removal.

use std::sync::Arc;

use execution_engine::{
    Command, ErrorCode, ExecutionConfig, ExecutionEngine, ExecutionFilter, ExecutionOptions, ExecutionRequest,
    ExecutionStatus, Uuid,
};

fn engine() -> ExecutionEngine {
    ExecutionEngine::new(ExecutionConfig::default()).unwrap()
}

#[tokio::test]
async fn getters_come_with_a_future_and_without() {
    let engine = engine();
    let id = engine.execute(Command::exec("sleep").arg("60").into()).await.unwrap();
    assert_eq!(engine.get_result(id).await.unwrap_err().code(), ErrorCode::NotCompleted);
    assert_eq!(engine.result(id).unwrap_err().code(), ErrorCode::NotCompleted);
    assert!(!engine.status(id).unwrap().is_terminal());
    engine.cancel(id).await.unwrap();
    assert_eq!(engine.get_status(id).await.unwrap(), ExecutionStatus::Cancelled);
    assert_eq!(engine.status(id).unwrap(), ExecutionStatus::Cancelled);
    assert_eq!(engine.result(id).unwrap(), engine.get_result(id).await.unwrap());

    let all = ExecutionFilter::default();
    assert_eq!(engine.list(&all), engine.list_executions(&all).await);
    assert_eq!(engine.stats(), engine.get_stats().await);
    let stats = engine.stats();
    assert_eq!((stats.total, stats.completed, stats.failed, stats.cancelled, stats.timeout), (1, 0, 0, 1, 0));
    let busy = engine.get_concurrency_metrics();
    assert_eq!(
        (busy.max_concurrent, busy.currently_running, busy.currently_pending, busy.available_slots),
        (100, 0, 0, 100)
    );
    assert_eq!((engine.running_count(), engine.total_count(), engine.available_permits()), (0, 1, 100));
    assert_eq!(engine.get_result(Uuid::new_v4()).await.unwrap_err().code(), ErrorCode::NotFound);
}

/// A value that was an `Option` in 0.1 is one again in a line.
#[tokio::test]
async fn a_result_that_is_not_there_yet_is_none_with_ok() {
    let engine = engine();
    let id = engine.execute(Command::exec("sleep").arg("60").into()).await.unwrap();
    assert_eq!(engine.get_result(id).await.ok(), None);
    engine.cancel_all().await;
    assert!(engine.get_result(id).await.ok().is_some());
}

#[tokio::test]
async fn an_engine_is_shared_by_an_arc_or_by_a_clone() {
    let engine = Arc::new(engine());
    #[expect(deprecated, reason = "a program of 0.1 has it")]
    engine.start_cleanup_task();
    let shared = Arc::clone(&engine);
    let clone = ExecutionEngine::clone(&engine);
    let id = tokio::spawn(async move { shared.execute(Command::exec("true").into()).await }).await.unwrap().unwrap();
    assert!(clone.wait_for_completion(id).await.unwrap().success);
}

#[tokio::test]
async fn records_leave_by_hand_and_by_age() {
    let engine = ExecutionEngine::new(ExecutionConfig { execution_retention_secs: 0, ..Default::default() }).unwrap();
    let id = engine.run(Command::exec("true").into()).await.unwrap().id;
    #[expect(deprecated, reason = "a program of 0.1 has it")]
    let left: usize = engine.cleanup_old_executions().await;
    assert!(left <= 1, "the engine may have been faster");
    assert_eq!(engine.cleanup().await, 0);
    assert_eq!(engine.remove_execution(id).await.unwrap_err().code(), ErrorCode::NotFound);

    let engine = self::engine();
    let id = engine.run(Command::exec("true").into()).await.unwrap().id;
    engine.remove_execution(id).await.unwrap();
    assert_eq!(engine.total_count(), 0);
}

#[tokio::test]
async fn a_log_is_in_the_folder_or_where_the_request_says() {
    let folder = tempfile::tempdir().unwrap();
    let config = ExecutionConfig { log_dir: Some(folder.path().to_path_buf()), ..Default::default() };
    let engine = ExecutionEngine::new(config).unwrap();
    let id = engine.run(Command::shell("echo one; echo two").into()).await.unwrap().id;
    assert_eq!(engine.get_log_path(id).unwrap(), Some(folder.path().join(format!("{id}.log"))));
    assert_eq!(engine.read_logs(id).await.unwrap(), "one\ntwo\n");
    assert_eq!(engine.read_logs_tail(id, 4).await.unwrap(), "two\n");

    let own = folder.path().join("own.log");
    let id = engine.run(ExecutionRequest::new(Command::shell("echo mine")).output_log_path(&own)).await.unwrap().id;
    assert_eq!(engine.get_log_path(id).unwrap(), Some(own));
    assert_eq!(engine.read_logs(id).await.unwrap(), "mine\n");
}

#[tokio::test]
async fn options_of_one_execution_are_a_literal_too() {
    let options = ExecutionOptions { priority: 1, ..Default::default() };
    assert!(engine().run_with(Command::exec("true").into(), options).await.unwrap().success);
}
