//! A result as JavaScript reads it. As JSON text it crosses at a third of the cost of an object that is made field by field.

use std::path::Path;
use std::sync::Arc;

use napi::JsValue;
use napi::bindgen_prelude::{BufferSlice, Env, Unknown};
use serde::Serialize;
use serde_json::Value as Json;
use uuid::Uuid;

use super::convert::{camel_json, metadata, milliseconds};
use super::error::camel_text;
use crate::platform::node::{ExternalMemory, shared_string};
use crate::types::{Encoding, ErrorInfo, ExecutionMetadata, ExecutionResult, FailedAttempt, Killed, Reason, Text};

/// Longer output crosses by itself: it needs no quotes.
const LONGEST_WITHIN: usize = 1024;

/// A shorter string is copied at less cost than the collector has with one that is not.
const SHORTEST_SHARED: usize = 64 * 1024;

/// A result that JavaScript holds, until it has read it or the collector takes it.
pub struct HeldResult(Option<(Arc<ExecutionResult>, ExternalMemory)>);

impl HeldResult {
    pub(super) fn new(env: Env, result: Arc<ExecutionResult>) -> Self {
        let bytes = usize::try_from(result.kept_bytes()).unwrap_or(usize::MAX);
        let memory = ExternalMemory::report(env, bytes);
        Self(Some((result, memory)))
    }

    /// The result, unless it was let go.
    pub(super) fn get(&self) -> napi::Result<&Arc<ExecutionResult>> {
        let gone = || napi::Error::from_reason("the result was let go");
        self.0.as_ref().map(|(result, _)| result).ok_or_else(gone)
    }

    /// JavaScript has read it: a string that shares its memory keeps what it needs.
    pub(super) fn let_go(&mut self) {
        self.0 = None;
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "as in the result itself")]
struct ResultData<'a> {
    id: Uuid,
    status: &'static str,
    success: bool,
    exit_code: Option<u32>,
    signal: Option<&'a str>,
    /// `null`: it crosses by itself.
    stdout: Option<&'a str>,
    stderr: Option<&'a str>,
    duration_ms: f64,
    queued_ms: f64,
    started_at: f64,
    completed_at: f64,
    pid: Option<u32>,
    attempt: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    retries: Vec<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    stdout_bytes: u64,
    stderr_bytes: u64,
    stdout_truncated: bool,
    stderr_truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stdout_overflow_file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stderr_overflow_file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_path: Option<String>,
    overflow_lost_bytes: u64,
    log_lost_bytes: u64,
    leaked: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    killed: Option<&'a Killed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    diagnosis: Option<Json>,
    cpu_user_ms: f64,
    cpu_system_ms: f64,
    metadata: Json,
}

/// A result as JSON text. Its dates are milliseconds.
pub(super) fn result(result: &ExecutionResult) -> String {
    let path = |file: &Option<std::path::PathBuf>| file.as_deref().map(Path::to_string_lossy).map(Into::into);
    let data = ResultData {
        id: result.id,
        status: result.status.as_str(),
        success: result.success,
        // Windows has codes above 2^31, such as 0xC0000005; no system has negative ones.
        exit_code: result.exit_code.map(i32::cast_unsigned),
        signal: result.signal.as_deref(),
        stdout: within(&result.stdout),
        stderr: within(&result.stderr),
        duration_ms: result.duration_ms,
        queued_ms: result.queued_ms,
        started_at: milliseconds(result.started_at),
        completed_at: milliseconds(result.completed_at),
        pid: result.pid,
        attempt: result.attempt,
        retries: result.retries.iter().map(failed_attempt).collect(),
        error: result.error.as_ref().map(error_info),
        reason: result.reason.map(Reason::as_str),
        stdout_bytes: result.stdout_bytes,
        stderr_bytes: result.stderr_bytes,
        stdout_truncated: result.stdout_truncated,
        stderr_truncated: result.stderr_truncated,
        stdout_overflow_file: path(&result.stdout_overflow_file),
        stderr_overflow_file: path(&result.stderr_overflow_file),
        log_path: path(&result.log_path),
        overflow_lost_bytes: result.overflow_lost_bytes,
        log_lost_bytes: result.log_lost_bytes,
        leaked: result.leaked,
        killed: result.killed.as_ref(),
        diagnosis: result.diagnosis.as_ref().map(camel_json),
        cpu_user_ms: result.cpu_user_ms,
        cpu_system_ms: result.cpu_system_ms,
        metadata: metadata(&result.metadata),
    };
    serde_json::to_string(&data).unwrap_or_default()
}

/// A result that contains an exit and nothing else, as most do: JavaScript makes it of these at a third of what JSON costs.
pub(super) struct Exited<'a> {
    /// Exit code, duration, time in the queue, start and end in ms, process id, bytes of stdout and of stderr, processor time in user
    /// and in kernel mode in ms.
    pub(super) numbers: [f64; 10],
    pub(super) stdout: &'a str,
    pub(super) stderr: &'a str,
    /// As JSON; nothing if there is none.
    pub(super) metadata: String,
}

impl<'a> Exited<'a> {
    pub(super) fn of(result: &'a ExecutionResult) -> Option<Self> {
        // Every field has its place here: one that is new may need one in what JavaScript makes.
        let ExecutionResult {
            id: _,
            status: _,
            success: _,
            exit_code: Some(exit_code),
            signal: None,
            stdout,
            stderr,
            duration_ms,
            queued_ms,
            started_at,
            completed_at,
            pid: Some(pid),
            attempt: 1,
            retries: _,
            error: None,
            reason: Some(Reason::Exit),
            stdout_bytes,
            stderr_bytes,
            stdout_truncated: false,
            stderr_truncated: false,
            stdout_overflow_file: None,
            stderr_overflow_file: None,
            overflow_lost_bytes: 0,
            log_path: None,
            log_lost_bytes: 0,
            leaked: false,
            killed: None,
            diagnosis: None,
            cpu_user_ms,
            cpu_system_ms,
            metadata: given,
        } = result
        else {
            return None;
        };
        let metadata = if *given == ExecutionMetadata::default() { String::new() } else { metadata(given).to_string() };
        if metadata.len() > LONGEST_WITHIN {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "no stream has 2^53 bytes")]
        let numbers = [
            f64::from(exit_code.cast_unsigned()),
            *duration_ms,
            *queued_ms,
            milliseconds(*started_at),
            milliseconds(*completed_at),
            f64::from(*pid),
            *stdout_bytes as f64,
            *stderr_bytes as f64,
            *cpu_user_ms,
            *cpu_system_ms,
        ];
        Some(Self { numbers, stdout: within(stdout)?, stderr: within(stderr)?, metadata })
    }
}

fn within(text: &Text) -> Option<&str> {
    (text.encoding() == Encoding::Utf8 && text.raw().len() <= LONGEST_WITHIN).then(|| text.as_str())
}

/// A Buffer of its own, or a string; long ASCII is in memory once, for JavaScript and for the record.
pub(super) fn output<'env>(env: &'env Env, result: &Arc<ExecutionResult>, stderr: bool) -> napi::Result<Unknown<'env>> {
    let of: fn(&ExecutionResult) -> &Text = if stderr { |result| &result.stderr } else { |result| &result.stdout };
    let text = of(result);
    if text.encoding() == Encoding::Buffer {
        return Ok(BufferSlice::copy_from(env, text.raw())?.to_unknown());
    }
    // Plain ASCII needs no decoding.
    let is_ascii = text.raw().is_ascii();
    let string = if is_ascii && text.raw().len() >= SHORTEST_SHARED {
        shared_string(env, Arc::clone(result), |result| of(result).raw())?
    } else if is_ascii {
        env.create_string_latin1(text.raw())?
    } else {
        env.create_string(text.decode().as_ref())?
    };
    Ok(string.to_unknown())
}

/// An error as JavaScript words it.
fn error_info(error: &ErrorInfo) -> ErrorInfo {
    ErrorInfo { message: camel_text(&error.message), ..error.clone() }
}

/// An attempt as JSON; its date is text.
fn failed_attempt(attempt: &FailedAttempt) -> Json {
    let mut json = camel_json(attempt);
    if let (Some(error), Some(message)) = (&attempt.error, json.pointer_mut("/error/message")) {
        *message = camel_text(&error.message).into();
    }
    json
}
