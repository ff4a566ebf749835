//! The options of one execution; an abort signal never comes this far.

use super::fields::Fields;
use super::{Case, Value};
use crate::error::Invalid;
use crate::types::{Encoding, ExecutionOptions, InheritEnv, Leftovers, Secret, Stdin};

const FIELDS: &[&str] = &[
    "signal",
    "stdin",
    "idle_timeout_ms",
    "kill_grace_ms",
    "merge_output",
    "inherit_env",
    "env_allow",
    "env_deny",
    "secrets",
    "mask_env_secrets",
    "leftovers",
    "priority",
    "encoding",
];

pub(super) const INHERIT_ENV: &[(&str, InheritEnv)] =
    &[("all", InheritEnv::All), ("core", InheritEnv::Core), ("none", InheritEnv::None)];

pub(super) const ENCODING: &[(&str, Encoding)] = &[("utf8", Encoding::Utf8), ("buffer", Encoding::Buffer)];

const LEFTOVERS: &[(&str, Leftovers)] = &[("leave", Leftovers::Leave), ("kill", Leftovers::Kill)];

/// Decodes options; absent ones are the engine's.
pub(crate) fn options(value: &Value, case: Case) -> Result<ExecutionOptions, Invalid> {
    if value.is_absent() {
        return Ok(ExecutionOptions::default());
    }
    let fields = Fields::open(value, "options", "options", case, FIELDS)?;
    let stdin = match fields.get("stdin") {
        None => Stdin::Empty,
        Some(Value::Text(text)) if text == "inherit" => Stdin::Inherit,
        Some(Value::Text(text)) => Stdin::Bytes(text.clone().into_bytes()),
        Some(Value::Bytes(bytes)) => Stdin::Bytes(bytes.clone()),
        Some(other) => {
            return fields.wrong("stdin", other, "a string, a Uint8Array, an async iterable of them, or \"inherit\"");
        }
    };
    Ok(ExecutionOptions {
        stdin,
        idle_timeout_ms: fields.whole("idle_timeout_ms")?,
        kill_grace_ms: fields.whole("kill_grace_ms")?,
        merge_output: fields.flag("merge_output")?.unwrap_or_default(),
        inherit_env: fields.choice("inherit_env", INHERIT_ENV)?,
        env_allow: fields.texts("env_allow")?.unwrap_or_default(),
        env_deny: fields.texts("env_deny")?.unwrap_or_default(),
        secrets: fields.texts("secrets")?.unwrap_or_default().into_iter().map(Secret::from).collect(),
        mask_env_secrets: fields.flag("mask_env_secrets")?,
        leftovers: fields.choice("leftovers", LEFTOVERS)?.unwrap_or_default(),
        priority: fields.signed("priority")?.unwrap_or_default(),
        encoding: fields.choice("encoding", ENCODING)?,
        signal: None,
        host_env: None,
    })
}
