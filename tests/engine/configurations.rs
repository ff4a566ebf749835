//! Configurations as the project's first guide writes them, settings of files and variables, and how they add up.

use std::path::PathBuf;

use execution_engine::OversizedOutputStrategy;
use serde::Deserialize;

use crate::common::*;

/// Returns the configurations, each with the name that the guide gives it.
fn named() -> [(&'static str, ExecutionConfig); 5] {
    let production = ExecutionConfig {
        default_timeout_ms: 300_000,
        max_timeout_ms: 1_800_000,
        stream_output: true,
        log_dir: Some(PathBuf::from("/var/log/cloudops")),
        max_concurrent_executions: 100,
        max_in_memory_executions: 2000,
        execution_retention_secs: 7200,
        enable_auto_cleanup: true,
        max_output_size_bytes: 52_428_800,
        truncate_large_output: true,
        oversized_output_strategy: OversizedOutputStrategy::TruncateWithWarning,
        ..Default::default()
    };
    let development = ExecutionConfig {
        default_timeout_ms: 60_000,
        max_timeout_ms: 300_000,
        stream_output: true,
        log_dir: None,
        max_concurrent_executions: 10,
        max_in_memory_executions: 100,
        execution_retention_secs: 1800,
        enable_auto_cleanup: true,
        max_output_size_bytes: 10_485_760,
        truncate_large_output: true,
        oversized_output_strategy: OversizedOutputStrategy::TruncateWithWarning,
        ..Default::default()
    };
    let testing = ExecutionConfig {
        default_timeout_ms: 10_000,
        max_timeout_ms: 30_000,
        stream_output: false,
        log_dir: Some(PathBuf::from("/tmp/test-logs")),
        max_concurrent_executions: 1,
        max_in_memory_executions: 10,
        execution_retention_secs: 300,
        enable_auto_cleanup: false,
        max_output_size_bytes: 1_048_576,
        truncate_large_output: true,
        oversized_output_strategy: OversizedOutputStrategy::TruncateWithWarning,
        ..Default::default()
    };
    let high_volume = ExecutionConfig {
        max_concurrent_executions: 200,
        max_in_memory_executions: 5000,
        execution_retention_secs: 300,
        max_output_size_bytes: 5_242_880,
        ..production.clone()
    };
    let memory_constrained = ExecutionConfig {
        default_timeout_ms: 120_000,
        max_timeout_ms: 600_000,
        stream_output: false,
        max_concurrent_executions: 5,
        max_in_memory_executions: 50,
        execution_retention_secs: 600,
        max_output_size_bytes: 1_048_576,
        ..production.clone()
    };
    [
        ("production", production),
        ("development", development),
        ("testing", testing),
        ("high-volume", high_volume),
        ("memory-constrained", memory_constrained),
    ]
}

#[tokio::test]
async fn the_named_configurations_run() {
    for (name, config) in named() {
        config.validate().unwrap();
        // In the environment of this test, no user may write there.
        let engine = ExecutionEngine::new(ExecutionConfig { log_dir: None, ..config })
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_completed(&engine.run(brief()).await.unwrap());
    }
}

#[test]
fn each_field_by_itself_with_the_rest_by_default() {
    let configs = [
        ExecutionConfig { default_timeout_ms: 300_000, ..Default::default() },
        ExecutionConfig { max_timeout_ms: 1_800_000, ..Default::default() },
        ExecutionConfig { stream_output: true, ..Default::default() },
        ExecutionConfig { max_concurrent_executions: 20, ..Default::default() },
        ExecutionConfig { max_in_memory_executions: 2000, ..Default::default() },
        ExecutionConfig { execution_retention_secs: 7200, ..Default::default() },
        ExecutionConfig { enable_auto_cleanup: true, ..Default::default() },
        ExecutionConfig { max_output_size_bytes: 52_428_800, ..Default::default() },
        ExecutionConfig { truncate_large_output: true, ..Default::default() },
    ];
    for config in configs {
        config.validate().unwrap();
    }
    let contradiction = ExecutionConfig { default_timeout_ms: 700_000, max_timeout_ms: 600_000, ..Default::default() };
    assert_field_refused(ExecutionEngine::new(contradiction), ErrorCode::InvalidConfig, "default_timeout_ms");
}

/// Files as the guide reads them: with serde, no loader of ours in between.
#[test]
fn files_are_what_serde_reads() {
    #[derive(Deserialize)]
    struct ConfigFile {
        execution: ExecutionConfig,
    }
    let toml: ConfigFile = toml::from_str(&std::fs::read_to_string("tests/settings/execution.toml").unwrap()).unwrap();
    let json: ExecutionConfig =
        serde_json::from_str(&std::fs::read_to_string("tests/settings/execution.json").unwrap()).unwrap();
    assert_eq!(toml.execution, json);
    assert_eq!((json.max_concurrent_executions, json.max_timeout_ms), (50, 1_800_000));
    assert_eq!(json.log_dir, Some("/var/log/cloudops".into()));
    for name in ["execution.toml", "execution.json"] {
        let layer = ExecutionEngine::config_from_file(format!("tests/settings/{name}")).unwrap();
        let ours: ExecutionConfig = serde_json::from_value(serde_json::to_value(&layer).unwrap()).unwrap();
        assert_eq!(ours, json, "{name}");
    }
}

#[test]
fn explicit_before_environment_before_file_before_default() {
    let dir = scratch();
    let path = dir.path().join("settings.toml");
    std::fs::write(&path, "kill_grace_ms = 1\ndrain_timeout_ms = 2\nmax_line_bytes = 128\n").unwrap();
    let file = ExecutionEngine::config_from_file(&path).unwrap();
    let vars = [("EXEC_KILL_GRACE_MS", "3"), ("EXEC_DRAIN_TIMEOUT_MS", "4")];
    let vars = ExecutionEngine::config_from_vars(vars).unwrap();
    let config = ExecutionConfig { kill_grace_ms: 5, ..vars.over(file).resolve().unwrap() };
    assert_eq!((config.kill_grace_ms, config.drain_timeout_ms, config.max_line_bytes), (5, 4, 128));
    assert_eq!(config.max_timeout_ms, ExecutionConfig::default().max_timeout_ms);
}

#[test]
fn the_environment_is_that_of_the_process() {
    // The test only reads: other tests run beside this one.
    assert!(ExecutionEngine::config_from_env().unwrap().is_empty());
    let bad = ExecutionEngine::config_from_vars([("EXEC_MAX_TIMEOUT_MS", "long")]);
    assert_field_refused(bad, ErrorCode::InvalidConfig, "EXEC_MAX_TIMEOUT_MS");
    assert_field_refused(ExecutionEngine::config_from_file("no/such.toml"), ErrorCode::InvalidConfig, "path");
}
