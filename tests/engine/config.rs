//! A configuration that makes no sense is refused, and the field is named.

use execution_engine::OversizedOutputStrategy;

use crate::common::*;

#[test]
fn each_bad_field_is_named() {
    let default = ExecutionConfig::default;
    let cases = [
        (ExecutionConfig { default_timeout_ms: 0, ..default() }, "default_timeout_ms"),
        (ExecutionConfig { max_timeout_ms: 0, ..default() }, "max_timeout_ms"),
        (ExecutionConfig { max_timeout_ms: u64::MAX, ..default() }, "max_timeout_ms"),
        (ExecutionConfig { default_timeout_ms: 2_000, max_timeout_ms: 1_000, ..default() }, "default_timeout_ms"),
        (ExecutionConfig { max_concurrent_executions: 0, ..default() }, "max_concurrent_executions"),
        (ExecutionConfig { max_concurrent_executions: usize::MAX, ..default() }, "max_concurrent_executions"),
        (ExecutionConfig { max_queued_executions: usize::MAX, ..default() }, "max_queued_executions"),
        (ExecutionConfig { queue_timeout_ms: Some(0), ..default() }, "queue_timeout_ms"),
        (ExecutionConfig { idle_timeout_ms: Some(0), ..default() }, "idle_timeout_ms"),
        (ExecutionConfig { idle_timeout_ms: Some(u64::MAX), ..default() }, "idle_timeout_ms"),
        (ExecutionConfig { kill_grace_ms: u64::MAX, ..default() }, "kill_grace_ms"),
        (ExecutionConfig { drain_timeout_ms: u64::MAX, ..default() }, "drain_timeout_ms"),
        (ExecutionConfig { max_line_bytes: 0, ..default() }, "max_line_bytes"),
        (ExecutionConfig { max_output_size_bytes: usize::MAX, ..default() }, "max_output_size_bytes"),
        (ExecutionConfig { env_allow: vec!["[".into()], ..default() }, "env_allow[0]"),
        (ExecutionConfig { env_deny: vec!["FINE".into(), "[".into()], ..default() }, "env_deny[1]"),
    ];
    for (config, field) in cases {
        assert_field_refused(config.validate(), ErrorCode::InvalidConfig, field);
        assert_field_refused(ExecutionEngine::new(config), ErrorCode::InvalidConfig, field);
    }
}

#[test]
fn the_defaults_are_those_of_the_documentation() {
    let config = ExecutionConfig::default();
    assert_eq!((config.default_timeout_ms, config.max_timeout_ms), (300_000, 3_600_000));
    assert_eq!((config.max_concurrent_executions, config.max_queued_executions), (100, 10_000));
    assert_eq!((config.kill_grace_ms, config.drain_timeout_ms), (5_000, 500));
    assert_eq!((config.max_output_size_bytes, config.max_line_bytes), (10 * 1024 * 1024, 64 * 1024));
    assert_eq!((config.execution_retention_secs, config.max_in_memory_executions), (3_600, 1_000));
    assert_eq!(config.oversized_output_strategy, OversizedOutputStrategy::TruncateWithWarning);
    assert!(config.stream_output && config.validate().is_ok());
}

#[tokio::test]
async fn an_engine_returns_its_configuration() {
    let config = ExecutionConfig { max_concurrent_executions: 7, kill_grace_ms: 1, ..Default::default() };
    let engine = Listened::with(config.clone());
    assert_eq!(engine.config(), &config);
    engine.finish().await;
}

#[tokio::test]
async fn the_longest_timeout_lowers_the_default_one() {
    let config = ExecutionConfig { max_timeout_ms: 1_000, ..Default::default() };
    assert_eq!(ExecutionEngine::new(config).unwrap().config().default_timeout_ms, 1_000);
    let layer = ExecutionEngine::config_from_vars([("EXEC_MAX_TIMEOUT_MS", "1000")]).unwrap();
    assert_eq!(layer.resolve().unwrap().default_timeout_ms, 1_000);
    let both = [("EXEC_MAX_TIMEOUT_MS", "1000"), ("EXEC_DEFAULT_TIMEOUT_MS", "300000")];
    let both = ExecutionEngine::config_from_vars(both);
    assert_field_refused(both, ErrorCode::InvalidConfig, "EXEC_DEFAULT_TIMEOUT_MS");
}

#[test]
fn a_strategy_is_read_in_both_spellings() {
    use execution_engine::OversizedOutputStrategy::{FailExecution, StreamToFile, TruncateWithWarning};
    for (strategy, names) in [
        (TruncateWithWarning, ["truncate_with_warning", "TruncateWithWarning"]),
        (FailExecution, ["fail_execution", "FailExecution"]),
        (StreamToFile, ["stream_to_file", "StreamToFile"]),
    ] {
        for name in names {
            let json = format!(r#"{{ "oversized_output_strategy": "{name}" }}"#);
            let config: ExecutionConfig = serde_json::from_str(&json).unwrap();
            assert_eq!(config.oversized_output_strategy, strategy, "{name}");
        }
    }
}

#[tokio::test]
#[expect(deprecated, reason = "callers of the old crate have them")]
async fn calls_of_the_old_crate_still_work() {
    let engine = Listened::with(ExecutionConfig {
        execution_retention_secs: 0,
        enable_auto_cleanup: false,
        ..Default::default()
    });
    engine.start_cleanup_task();
    assert_completed(&engine.run(brief()).await.unwrap());
    assert_eq!(engine.cleanup_old_executions().await, 1);
    engine.finish().await;
}
