//! Streams and futures, and what is cancelled when they are dropped.

use std::time::Duration;

use execution_engine::{
    Command, EventStream, ExecutionConfig, ExecutionEngine, ExecutionEvent, ExecutionFilter, ExecutionPlan,
    ExecutionStatus, ExecutionStrategy,
};
use tokio_stream::StreamExt as _;

fn engine() -> ExecutionEngine {
    ExecutionEngine::new(ExecutionConfig::default()).unwrap()
}

fn sleeping() -> Command {
    Command::shell("echo ready; sleep 60")
}

async fn lines(events: EventStream) -> Vec<String> {
    let lines = events.filter_map(|event| event.line().map(str::to_string));
    lines.collect().await
}

/// Waits until the only execution runs, and gives its id.
async fn running(engine: &ExecutionEngine) -> execution_engine::Uuid {
    loop {
        if let [row] = &engine.list(&ExecutionFilter::new().status(ExecutionStatus::Running))[..] {
            return row.id;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn the_events_of_an_execution_and_of_a_plan_are_a_stream() {
    let engine = engine();
    assert_eq!(lines(engine.stream(Command::shell("seq 3").into()).unwrap()).await, ["1", "2", "3"]);
    let strategy = ExecutionStrategy::Serial { stop_on_error: true };
    let plan = ExecutionPlan::new("two", strategy, [Command::shell("echo a"), Command::shell("echo b")]);
    assert_eq!(lines(engine.stream_plan(plan).unwrap()).await, ["a", "b"]);
}

#[tokio::test]
async fn a_dropped_stream_cancels_its_execution() {
    let engine = engine();
    let mut events = engine.stream(sleeping().into()).unwrap();
    let id = events.id();
    while let Some(event) = events.next().await {
        if matches!(&event, ExecutionEvent::Stdout { line, .. } if line == "ready") {
            break;
        }
    }
    drop(events);
    assert_eq!(engine.wait_for_completion(id).await.unwrap().status, ExecutionStatus::Cancelled);
}

#[tokio::test]
async fn a_dropped_future_of_run_cancels_and_one_of_execute_does_not() {
    let engine = engine();
    let run = tokio::spawn({
        let engine = engine.clone();
        async move { engine.run(sleeping().into()).await }
    });
    let id = running(&engine).await;
    run.abort();
    assert_eq!(engine.wait_for_completion(id).await.unwrap().status, ExecutionStatus::Cancelled);

    let id = engine.execute(Command::shell("sleep 0.1; echo done").into()).await.unwrap();
    let wait = tokio::time::timeout(Duration::from_millis(1), engine.wait_for_completion(id)).await;
    assert!(wait.is_err(), "the wait was given up");
    assert_eq!(engine.wait_for_completion(id).await.unwrap().stdout, "done\n");
}
