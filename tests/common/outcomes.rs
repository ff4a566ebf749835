//! The outcomes.

use std::fmt::Debug;

use super::{Arc, ErrorCode, ExecutionError, ExecutionResult, ExecutionStatus, Reason};

/// Asserts that the command exited with 0 and was not ended by the engine.
#[track_caller]
pub(crate) fn assert_completed(result: &ExecutionResult) {
    assert_ended(result, ExecutionStatus::Completed, Reason::Exit);
    assert_eq!(result.exit_code, Some(0), "{result:#?}");
    assert!(result.success && result.signal.is_none() && result.error.is_none(), "{result:#?}");
    assert_eq!(result.killed, None, "it was not ended by the engine: {result:#?}");
}

/// Asserts that the command exited with another code.
#[track_caller]
pub(crate) fn assert_exited(result: &ExecutionResult, code: i32) {
    assert_ended(result, ExecutionStatus::Failed, Reason::Exit);
    assert_eq!(result.exit_code, Some(code), "{result:#?}");
    assert!(result.error.is_none(), "a command's own failure is no error of the engine: {result:#?}");
}

/// `cancel` ended it.
#[track_caller]
pub(crate) fn assert_cancelled(result: &ExecutionResult) {
    assert_ended(result, ExecutionStatus::Cancelled, Reason::Cancelled);
}

/// Asserts that a time was up.
#[track_caller]
pub(crate) fn assert_timed_out(result: &ExecutionResult, reason: Reason) {
    assert_ended(result, ExecutionStatus::Timeout, reason);
}

#[track_caller]
pub(crate) fn assert_ended(result: &ExecutionResult, status: ExecutionStatus, reason: Reason) {
    assert_eq!((result.status, result.reason), (status, Some(reason)), "{result:#?}");
    assert_eq!(result.success, status == ExecutionStatus::Completed, "{result:#?}");
}

/// Asserts that the command never became a process.
#[track_caller]
pub(crate) fn assert_never_ran(result: &ExecutionResult) {
    assert_eq!((result.pid, result.exit_code, result.stdout_bytes), (None, None, 0), "{result:#?}");
    assert!(result.duration_ms == 0.0, "{result:#?}");
}

/// Asserts that the call was refused with this code.
#[track_caller]
pub(crate) fn assert_refused<T: Debug>(answer: Result<T, ExecutionError>, code: ErrorCode) -> ExecutionError {
    let error = answer.expect_err("it should have been refused");
    assert_eq!(error.code(), code, "{error}");
    error
}

/// Asserts that the call was refused because of this field, and that the message says so.
#[track_caller]
pub(crate) fn assert_field_refused<T: Debug>(answer: Result<T, ExecutionError>, code: ErrorCode, field: &str) {
    let error = assert_refused(answer, code);
    assert_eq!(error.field(), Some(field), "{error}");
    assert!(error.to_string().contains(field), "the message does not name the field: {error}");
}

/// Asserts that the command could not be started: with the operating system's name for the error, and words that the
/// message must have.
#[track_caller]
pub(crate) fn assert_not_spawned(answer: Result<Arc<ExecutionResult>, ExecutionError>, errno: &str, words: &[&str]) {
    let error = assert_refused(answer, ErrorCode::SpawnFailed);
    let result = error.result().expect("the error carries the result");
    assert_ended(result, ExecutionStatus::Failed, Reason::SpawnFailed);
    assert_never_ran(result);
    let info = result.error.as_ref().expect("the result says what happened");
    assert_eq!((info.code, info.errno.as_deref()), (ErrorCode::SpawnFailed, Some(errno)), "{error}");
    for word in words {
        assert!(error.to_string().contains(word), "the message does not say {word:?}: {error}");
    }
}
