//! A configuration from data.

use super::fields::Fields;
use super::options::{ENCODING, INHERIT_ENV};
use super::{Case, Value};
use std::path::PathBuf;

use crate::config::{ConcurrencyPolicy, ExecutionConfig, LogFormat, OversizedOutputStrategy, TruncateKeep};
use crate::error::Invalid;
use crate::types::Secret;

const FIELDS: &[&str] = &[
    "default_timeout_ms",
    "max_timeout_ms",
    "stream_output",
    "encoding",
    "max_concurrent_executions",
    "concurrency_policy",
    "max_queued_executions",
    "queue_timeout_ms",
    "kill_grace_ms",
    "idle_timeout_ms",
    "drain_timeout_ms",
    "max_line_bytes",
    "max_output_size_bytes",
    "oversized_output_strategy",
    "truncate_keep",
    "overflow_dir",
    "max_overflow_file_bytes",
    "max_overflow_total_bytes",
    "min_free_disk_bytes",
    "log_dir",
    "log_format",
    "secrets",
    "mask_env_secrets",
    "env_secret_patterns",
    "guardian",
    "inherit_env",
    "env_allow",
    "env_deny",
    "max_in_memory_executions",
    "execution_retention_secs",
    "max_retained_output_bytes",
];

/// Decodes a configuration; absent fields have their defaults.
pub(crate) fn config(value: &Value, case: Case) -> Result<ExecutionConfig, Invalid> {
    let default = ExecutionConfig::default();
    if value.is_absent() {
        return Ok(default);
    }
    let fields = Fields::open(value, "", "config", case, FIELDS)?;
    let policies = [("queue", ConcurrencyPolicy::Queue), ("reject", ConcurrencyPolicy::Reject)];
    let strategies = [
        ("truncate_with_warning", OversizedOutputStrategy::TruncateWithWarning),
        ("fail_execution", OversizedOutputStrategy::FailExecution),
        ("stream_to_file", OversizedOutputStrategy::StreamToFile),
    ];
    let formats = [("raw", LogFormat::Raw), ("jsonl", LogFormat::Jsonl)];
    let keeps = [("head", TruncateKeep::Head), ("tail", TruncateKeep::Tail), ("both", TruncateKeep::Both)];
    Ok(ExecutionConfig {
        default_timeout_ms: fields.whole("default_timeout_ms")?.unwrap_or(default.default_timeout_ms),
        max_timeout_ms: fields.whole("max_timeout_ms")?.unwrap_or(default.max_timeout_ms),
        stream_output: fields.flag("stream_output")?.unwrap_or(default.stream_output),
        encoding: fields.choice("encoding", ENCODING)?.unwrap_or_default(),
        max_concurrent_executions: fields
            .size("max_concurrent_executions")?
            .unwrap_or(default.max_concurrent_executions),
        concurrency_policy: fields.choice("concurrency_policy", &policies)?.unwrap_or_default(),
        max_queued_executions: fields.size("max_queued_executions")?.unwrap_or(default.max_queued_executions),
        queue_timeout_ms: fields.whole("queue_timeout_ms")?,
        kill_grace_ms: fields.whole("kill_grace_ms")?.unwrap_or(default.kill_grace_ms),
        idle_timeout_ms: fields.whole("idle_timeout_ms")?,
        drain_timeout_ms: fields.whole("drain_timeout_ms")?.unwrap_or(default.drain_timeout_ms),
        max_line_bytes: fields.size("max_line_bytes")?.unwrap_or(default.max_line_bytes),
        max_output_size_bytes: fields.size("max_output_size_bytes")?.unwrap_or(default.max_output_size_bytes),
        oversized_output_strategy: fields.choice("oversized_output_strategy", &strategies)?.unwrap_or_default(),
        truncate_keep: fields.choice("truncate_keep", &keeps)?.unwrap_or_default(),
        overflow_dir: fields.text("overflow_dir")?.map(PathBuf::from),
        max_overflow_file_bytes: fields.whole("max_overflow_file_bytes")?.unwrap_or(default.max_overflow_file_bytes),
        max_overflow_total_bytes: fields.whole("max_overflow_total_bytes")?.unwrap_or(default.max_overflow_total_bytes),
        min_free_disk_bytes: fields.whole("min_free_disk_bytes")?.unwrap_or(default.min_free_disk_bytes),
        log_dir: fields.text("log_dir")?.map(PathBuf::from),
        log_format: fields.choice("log_format", &formats)?.unwrap_or_default(),
        secrets: fields.texts("secrets")?.unwrap_or_default().into_iter().map(Secret::from).collect(),
        mask_env_secrets: fields.flag("mask_env_secrets")?.unwrap_or_default(),
        env_secret_patterns: fields.texts("env_secret_patterns")?.unwrap_or(default.env_secret_patterns),
        guardian: fields.flag("guardian")?.unwrap_or(default.guardian),
        inherit_env: fields.choice("inherit_env", INHERIT_ENV)?.unwrap_or_default(),
        env_allow: fields.texts("env_allow")?.unwrap_or_default(),
        env_deny: fields.texts("env_deny")?.unwrap_or_default(),
        max_in_memory_executions: fields.size("max_in_memory_executions")?.unwrap_or(default.max_in_memory_executions),
        execution_retention_secs: fields.whole("execution_retention_secs")?.unwrap_or(default.execution_retention_secs),
        max_retained_output_bytes: fields
            .whole("max_retained_output_bytes")?
            .unwrap_or(default.max_retained_output_bytes),
    })
}
