//! Excludes the time in which the machine sleeps from the times of an execution.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::ExecutionEngine;
use crate::config::ExecutionConfig;
use crate::platform::{self, clock::asleep};
use crate::types::{
    Command, ExecutionMetadata, ExecutionOptions, ExecutionPlan, ExecutionRequest, ExecutionResult, ExecutionStatus,
    ExecutionStrategy, PlanOptions, Reason, Retry,
};

/// The time of the sleep: longer than any limit here.
const NIGHT: Duration = Duration::from_millis(1_500);
const LIMIT_MS: u64 = 500;

fn shell(line: &str) -> ExecutionRequest {
    ExecutionRequest::new(Command::Shell { command: line.into(), shell: String::new() })
}

fn engine(config: ExecutionConfig) -> ExecutionEngine {
    ExecutionEngine::new(config).unwrap()
}

async fn running(engine: &ExecutionEngine, request: ExecutionRequest, options: ExecutionOptions) -> Uuid {
    let id = engine.execute_with(request, options).await.unwrap();
    while engine.get_status(id).await.unwrap() != ExecutionStatus::Running {
        tokio::task::yield_now().await;
    }
    id
}

/// Lets the machine sleep, in the middle of an execution, which has not ended then.
async fn night(engine: &ExecutionEngine, id: Uuid) {
    asleep::during(tokio::time::sleep(NIGHT)).await;
    assert!(!engine.get_status(id).await.unwrap().is_terminal(), "it ended while the machine slept");
}

/// Asserts that the duration excludes the time of the sleep, and that the times of day include it.
#[track_caller]
fn assert_slept(result: &ExecutionResult, reason: Reason) {
    assert_eq!(result.reason, Some(reason));
    let of_day = (result.completed_at - result.started_at).to_std().unwrap();
    let night = of_day.saturating_sub(Duration::from_secs_f64(result.duration_ms / 1_000.0));
    assert!(night > NIGHT / 2 && night < NIGHT * 3 / 2, "{night:?} of {of_day:?}");
}

#[test]
fn a_timeout_and_an_idle_timeout_last_through_a_night() {
    asleep::alone("engine::suspended::a_timeout_and_an_idle_timeout_last_through_a_night", async {
        let engine = engine(ExecutionConfig::default());
        let request = ExecutionRequest { timeout_ms: Some(LIMIT_MS), ..shell(platform::LONG_COMMAND) };
        let id = running(&engine, request, ExecutionOptions::default()).await;
        night(&engine, id).await;
        let result = engine.wait_for_completion(id).await.unwrap();
        assert_slept(&result, Reason::Timeout);
        // The timeout counts from the attempt to spawn, and the duration from the spawn.
        assert!(result.queued_ms + result.duration_ms >= 500.0);

        let options = ExecutionOptions { idle_timeout_ms: Some(LIMIT_MS), ..Default::default() };
        let id = running(&engine, shell(platform::LONG_COMMAND), options).await;
        night(&engine, id).await;
        let result = engine.wait_for_completion(id).await.unwrap();
        assert_slept(&result, Reason::IdleTimeout);
        assert!(result.diagnosis.as_ref().unwrap().silent_ms < 1_500.0);
        engine.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn a_grace_period_lasts_through_a_night() {
    if !platform::SIGNALS.iter().any(|(name, _)| *name == "SIGTERM") {
        // On this system no script can ignore the stop signal.
        return;
    }
    asleep::alone("engine::suspended::a_grace_period_lasts_through_a_night", async {
        let engine = engine(ExecutionConfig::default());
        let options = ExecutionOptions { kill_grace_ms: Some(LIMIT_MS), ..Default::default() };
        // The trap must be set before the signal comes.
        let ready = std::env::temp_dir().join(format!("escher-suspended-{}", std::process::id()));
        let line = format!("trap '' TERM; : > '{}'; while :; do sleep 0.05; done", ready.display());
        let id = running(&engine, shell(&line), options).await;
        while !ready.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        std::fs::remove_file(&ready).unwrap();
        let (ending, begun) = (Arc::new(engine), tokio::time::Instant::now());
        let cancel = tokio::spawn({
            let engine = Arc::clone(&ending);
            async move { engine.cancel(id).await }
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        night(&ending, id).await;
        cancel.await.unwrap().unwrap();
        assert!(begun.elapsed() >= NIGHT + Duration::from_millis(LIMIT_MS));
        assert_slept(&ending.get_result(id).await.unwrap(), Reason::Cancelled);
        ending.shutdown(Duration::ZERO).await;
    });
}

#[test]
fn a_queue_timeout_a_pause_before_a_retry_and_retention_last_through_a_night() {
    asleep::alone(
        "engine::suspended::a_queue_timeout_a_pause_before_a_retry_and_retention_last_through_a_night",
        async {
            let engine = engine(ExecutionConfig {
                max_concurrent_executions: 1,
                queue_timeout_ms: Some(LIMIT_MS),
                execution_retention_secs: 1,
                cleanup_interval_secs: 1,
                ..Default::default()
            });
            let first = running(&engine, shell(platform::LONG_COMMAND), ExecutionOptions::default()).await;
            let id = engine.execute(shell("true")).await.unwrap();
            night(&engine, id).await;
            let result = engine.wait_for_completion(id).await.unwrap();
            assert_eq!(result.reason, Some(Reason::QueueTimeout));
            assert!(result.queued_ms < 1_400.0, "{}", result.queued_ms);
            engine.cancel(first).await.unwrap();

            let retry = Retry { backoff_ms: LIMIT_MS, max_backoff_ms: LIMIT_MS, ..Retry::new(2) };
            let options = ExecutionOptions { retry: Some(retry), ..Default::default() };
            let id = engine.execute_with(shell("exit 3"), options).await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
            night(&engine, id).await;
            let result = engine.wait_for_completion(id).await.unwrap();
            assert_eq!((result.attempt, result.exit_code), (2, Some(3)));

            asleep::during(tokio::time::sleep(NIGHT)).await;
            assert!(engine.get_result(id).await.is_ok(), "a record does not get older at night");
            tokio::time::sleep(Duration::from_millis(2_500)).await;
            assert!(engine.get_result(id).await.is_err(), "it does by day");
            engine.shutdown(Duration::ZERO).await;
        },
    );
}

#[test]
fn the_deadline_of_a_plan_lasts_through_a_night() {
    asleep::alone("engine::suspended::the_deadline_of_a_plan_lasts_through_a_night", async {
        let engine = engine(ExecutionConfig::default());
        let plan = ExecutionPlan {
            id: Uuid::new_v4(),
            description: "a test".into(),
            strategy: ExecutionStrategy::Serial { stop_on_error: true },
            commands: vec![shell(platform::LONG_COMMAND)],
            metadata: ExecutionMetadata::default(),
        };
        let options = PlanOptions { deadline_ms: Some(LIMIT_MS), ..Default::default() };
        let id = engine.execute_plan_with(plan, options).await.unwrap();
        asleep::during(tokio::time::sleep(NIGHT)).await;
        assert_eq!(engine.running_count(), 1, "it ended while the machine slept");
        let result = engine.wait_for_plan(id).await.unwrap();
        assert_eq!(result.status, ExecutionStatus::Timeout);
        assert!(result.total_duration_ms < 1_500.0, "{}", result.total_duration_ms);
        engine.shutdown(Duration::ZERO).await;
    });
}
