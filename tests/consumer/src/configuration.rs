//! The configuration: as a literal, from files and variables, and what is refused.

use std::path::PathBuf;

use execution_engine::{
    Command, ConcurrencyPolicy, ErrorCode, ExecutionConfig, ExecutionEngine, ExecutionError, OversizedOutputStrategy,
};

/// Returns a configuration with the fields that 0.1 has.
fn literal() -> ExecutionConfig {
    ExecutionConfig {
        default_timeout_ms: 300_000,
        max_timeout_ms: 1_800_000,
        stream_output: true,
        log_dir: Some(PathBuf::from("/var/log/service")),
        max_concurrent_executions: 100,
        max_in_memory_executions: 2_000,
        execution_retention_secs: 7_200,
        enable_auto_cleanup: true,
        max_output_size_bytes: 52_428_800,
        truncate_large_output: true,
        oversized_output_strategy: OversizedOutputStrategy::TruncateWithWarning,
        ..Default::default()
    }
}

#[test]
fn every_field_of_0_1_is_there() {
    literal().validate().unwrap();
    ExecutionEngine::new(literal()).unwrap();
}

#[test]
fn a_table_in_toml_is_a_configuration() {
    #[derive(serde::Deserialize)]
    struct File {
        execution: ExecutionConfig,
    }
    let text =
        "[execution]\ndefault_timeout_ms = 300000\nlog_dir = \"/var/log/service\"\nmax_concurrent_executions = 50\n";
    let file: File = toml::from_str(text).unwrap();
    let expected = ExecutionConfig {
        log_dir: Some("/var/log/service".into()),
        max_concurrent_executions: 50,
        ..ExecutionConfig::default()
    };
    assert_eq!(file.execution, expected);
}

#[test]
fn json_is_a_configuration_where_null_is_the_default() {
    let text = r#"{ "max_timeout_ms": 1800000, "stream_output": null, "log_dir": null }"#;
    let config: ExecutionConfig = serde_json::from_str(text).unwrap();
    assert_eq!(config, ExecutionConfig { max_timeout_ms: 1_800_000, ..ExecutionConfig::default() });
    let back: ExecutionConfig = serde_json::from_value(serde_json::to_value(literal()).unwrap()).unwrap();
    assert_eq!(back, literal());
}

#[test]
fn both_spellings_of_a_strategy_are_read() {
    for (text, strategy) in [
        ("TruncateWithWarning", OversizedOutputStrategy::TruncateWithWarning),
        ("truncate_with_warning", OversizedOutputStrategy::TruncateWithWarning),
        ("FailExecution", OversizedOutputStrategy::FailExecution),
        ("fail_execution", OversizedOutputStrategy::FailExecution),
        ("StreamToFile", OversizedOutputStrategy::StreamToFile),
        ("stream_to_file", OversizedOutputStrategy::StreamToFile),
    ] {
        let json = format!(r#"{{ "oversized_output_strategy": "{text}" }}"#);
        let config: ExecutionConfig = serde_json::from_str(&json).unwrap();
        assert_eq!(config.oversized_output_strategy, strategy);
        let toml: ExecutionConfig = toml::from_str(&format!("oversized_output_strategy = \"{text}\"")).unwrap();
        assert_eq!(toml, config);
    }
}

#[test]
fn variables_and_files_give_what_they_name() {
    let vars =
        ExecutionEngine::config_from_vars([("EXEC_MAX_CONCURRENT", "7"), ("EXEC_STREAM_OUTPUT", "false")]).unwrap();
    let config = vars.resolve().unwrap();
    assert_eq!((config.max_concurrent_executions, config.stream_output), (7, false));
}

#[test]
fn a_maximum_alone_lowers_the_default_timeout() {
    let engine = ExecutionEngine::new(ExecutionConfig { max_timeout_ms: 10_000, ..Default::default() }).unwrap();
    assert_eq!(engine.config().default_timeout_ms, 10_000);
}

#[test]
fn a_default_above_the_maximum_is_refused() {
    let config = ExecutionConfig { default_timeout_ms: 700_000, max_timeout_ms: 600_000, ..Default::default() };
    let error = ExecutionEngine::new(config).unwrap_err();
    assert_eq!((error.code(), error.field()), (ErrorCode::InvalidConfig, Some("default_timeout_ms")));
}

#[tokio::test]
async fn a_relative_log_folder_is_refused_and_none_means_no_log() {
    let config = ExecutionConfig { log_dir: Some("logs".into()), ..Default::default() };
    assert_eq!(ExecutionEngine::new(config).unwrap_err().code(), ErrorCode::InvalidConfig);
    let engine = ExecutionEngine::new(ExecutionConfig::default()).unwrap();
    let id = engine.run(Command::exec("true").into()).await.unwrap().id;
    assert_eq!(engine.get_log_path(id).unwrap(), None);
    assert_eq!(engine.read_logs(id).await.unwrap_err().code(), ErrorCode::LogNotFound);
}

#[tokio::test]
async fn at_the_limit_a_command_waits_or_is_refused() {
    for policy in [ConcurrencyPolicy::Queue, ConcurrencyPolicy::Reject] {
        let config =
            ExecutionConfig { max_concurrent_executions: 1, concurrency_policy: policy, ..ExecutionConfig::default() };
        let engine = ExecutionEngine::new(config).unwrap();
        let first = engine.execute(Command::exec("sleep").arg("60").into()).await.unwrap();
        match engine.execute(Command::exec("true").into()).await {
            Ok(second) => {
                assert_eq!(policy, ConcurrencyPolicy::Queue);
                engine.cancel(first).await.unwrap();
                assert!(engine.wait_for_completion(second).await.unwrap().success);
            }
            Err(ExecutionError::ConcurrencyLimitReached(limit)) => {
                assert_eq!((policy, limit), (ConcurrencyPolicy::Reject, 1));
            }
            Err(other) => panic!("{other}"),
        }
        engine.cancel_all().await;
    }
}
