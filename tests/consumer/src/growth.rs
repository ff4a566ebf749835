//! The code of a program that allows a later version to add fields and kinds.

use std::time::Duration;

use execution_engine::{
    CancellationToken, Command, Encoding, ErrorCode, ExecutionConfig, ExecutionEngine, ExecutionFilter,
    ExecutionOptions, ExecutionPlan, ExecutionStatus, ExecutionStrategy, InheritEnv, Leftovers, LineMode,
    OversizedOutputStrategy, PlanOptions, Reason, Retry, RetryOn, Stdin, StopOrder, StopSignal, TruncateKeep,
};

#[test]
fn each_option_has_a_setter() {
    let built = ExecutionOptions::new()
        .stdin("in")
        .idle_timeout(Duration::from_secs(1))
        .kill_grace(Duration::from_millis(20))
        .stop_signal(StopSignal::Int)
        .stop_order(StopOrder::Leader)
        .allow_detached(true)
        .merge_output(true)
        .stream_output(false)
        .lines(LineMode::Whole)
        .max_output_size_bytes(5)
        .oversized_output_strategy(OversizedOutputStrategy::StreamToFile)
        .truncate_keep(TruncateKeep::Tail)
        .drain_timeout(Duration::from_millis(7))
        .inherit_env(InheritEnv::Core)
        .env_allow(["A*"])
        .env_deny(["B*"])
        .secret("a long secret")
        .mask_env_secrets(true)
        .leftovers(Leftovers::Kill)
        .priority(3)
        .retry(
            Retry::new(3)
                .backoff(Duration::from_nanos(1))
                .max_backoff(Duration::from_secs(2))
                .on([RetryOn::Code(7)])
                .on_output(["busy"]),
        )
        .encoding(Encoding::Buffer)
        .signal(CancellationToken::new());
    let mut written = ExecutionOptions::default();
    written.stdin = Stdin::Bytes(b"in".to_vec());
    written.idle_timeout_ms = Some(1_000);
    written.kill_grace_ms = Some(20);
    written.stop_signal = Some(StopSignal::Int);
    written.stop_order = Some(StopOrder::Leader);
    written.allow_detached = Some(true);
    written.merge_output = Some(true);
    written.stream_output = Some(false);
    written.lines = Some(LineMode::Whole);
    written.max_output_size_bytes = Some(5);
    written.oversized_output_strategy = Some(OversizedOutputStrategy::StreamToFile);
    written.truncate_keep = Some(TruncateKeep::Tail);
    written.drain_timeout_ms = Some(7);
    written.inherit_env = Some(InheritEnv::Core);
    written.env_allow = vec!["A*".to_string()];
    written.env_deny = vec!["B*".to_string()];
    written.secrets = vec!["a long secret".into()];
    written.mask_env_secrets = Some(true);
    written.leftovers = Some(Leftovers::Kill);
    written.priority = 3;
    let mut retry = Retry::new(3);
    (retry.backoff_ms, retry.max_backoff_ms, retry.on) = (1, 2_000, vec![RetryOn::Code(7)]);
    retry.on_output = vec!["busy".into()];
    written.retry = Some(retry);
    written.encoding = Some(Encoding::Buffer);
    written.signal = built.signal.clone();
    assert_eq!(format!("{built:?}"), format!("{written:?}"));
}

#[test]
fn a_filter_is_data_too() {
    let filter = ExecutionFilter::new().status(ExecutionStatus::Failed).label("a").source("b").limit(5);
    let json = serde_json::json!({ "status": "failed", "label": "a", "source": "b", "since": null, "limit": 5 });
    assert_eq!(serde_json::from_value::<ExecutionFilter>(json).unwrap(), filter);
    serde_json::from_str::<ExecutionFilter>(r#"{ "labels": "a" }"#).expect_err("a slip is not ignored");
}

#[tokio::test]
async fn the_options_of_a_plan_and_of_its_steps() {
    let engine = ExecutionEngine::new(ExecutionConfig::default()).unwrap();
    let options = PlanOptions::new()
        .options(ExecutionOptions::new().stdin("all"))
        .continue_on_error(true)
        .deadline(Duration::from_secs(60))
        .step(1, ExecutionOptions::new().stdin("one"));
    let strategy = ExecutionStrategy::Serial { stop_on_error: true };
    let plan =
        ExecutionPlan::new("three", strategy, [Command::exec("cat"), Command::exec("cat"), Command::exec("false")]);
    let result = engine.run_plan_with(plan, options).await.unwrap();
    let outputs: Vec<_> = result.results.iter().map(|result| result.stdout.to_string()).collect();
    assert_eq!(outputs, ["all", "one", ""]);
}

/// A `match` of a list that may grow has another arm.
#[tokio::test]
async fn lists_that_may_grow_have_a_last_arm() {
    let engine = ExecutionEngine::new(ExecutionConfig::default()).unwrap();
    let result = engine.run(Command::shell("exit 2").into()).await.unwrap();
    let why = match result.reason {
        Some(Reason::Exit) => "exit",
        Some(Reason::Timeout) => "timeout",
        _ => "another",
    };
    assert_eq!(why, "exit");
    let error = engine.cancel(execution_engine::Uuid::new_v4()).await.unwrap_err();
    let what = match error.code() {
        ErrorCode::NotFound => "not found",
        _ => "another",
    };
    assert_eq!(what, "not found");
    // Statuses are all there will be.
    let is_over = match result.status {
        ExecutionStatus::Pending | ExecutionStatus::Running => false,
        ExecutionStatus::Completed
        | ExecutionStatus::Failed
        | ExecutionStatus::Cancelled
        | ExecutionStatus::Timeout => true,
    };
    assert!(is_over && result.status.is_terminal());
}
