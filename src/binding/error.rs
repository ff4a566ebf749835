//! Errors of the core as JavaScript exceptions: the code as `code`, the rest as JSON in the message.
//!
//! The facade makes an `ExecutionError` of it, so that the stack shows the caller's line.

use serde_json::json;

use crate::error::ExecutionError;
use crate::types::ErrorCode;
use crate::wire::{Case, Value, of_length};

/// The error that a method throws.
pub(super) type Thrown = napi::Error<String>;

/// Converts an error of the core, with the names of fields of JavaScript.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
pub(super) fn raise(error: ExecutionError) -> Thrown {
    thrown(&error, camel_path, camel_text)
}

/// Converts an error about data that came from outside: its fields are named as the sender named them.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
pub(super) fn raise_as_is(error: ExecutionError) -> Thrown {
    thrown(&error, str::to_owned, str::to_owned)
}

fn thrown(error: &ExecutionError, path: fn(&str) -> String, text: fn(&str) -> String) -> Thrown {
    let message = match error {
        ExecutionError::InvalidConfig(invalid) => {
            format!("invalid config: {}: {}", path(&invalid.field), text(&invalid.problem))
        }
        ExecutionError::InvalidRequest(invalid) => {
            format!("invalid request: {}: {}", path(&invalid.field), text(&invalid.problem))
        }
        ExecutionError::InvalidPlan(invalid) => {
            format!("invalid plan: {}: {}", path(&invalid.field), text(&invalid.problem))
        }
        other => text(&other.to_string()),
    };
    make(
        error.code(),
        &message,
        error.field().map(path).as_deref(),
        error.execution_id().map(|id| id.to_string()).as_deref(),
        error.errno(),
    )
}

/// Returns the code and the message of an error that is not thrown but handed over.
pub(super) fn code_and_message(error: &ExecutionError) -> (&'static str, String) {
    let thrown = thrown(error, camel_path, camel_text);
    (error.code().as_str(), thrown.reason)
}

fn make(code: ErrorCode, message: &str, field: Option<&str>, id: Option<&str>, errno: Option<&str>) -> Thrown {
    let details = json!({ "message": message, "field": field, "executionId": id, "errno": errno });
    Thrown::new(code.as_str().to_owned(), details.to_string())
}

/// Converts an error of the JavaScript engine. An exception of the caller's own, from a getter for one, stays as it is.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
pub(super) fn of_napi(error: napi::Error) -> Thrown {
    Thrown::new(error.status.as_ref().to_owned(), error.reason.clone())
}

pub(super) fn not_an_id(value: &Value) -> Thrown {
    if let Value::Text(text) = value {
        let message =
            format!("no such execution: the id is {}, and not a UUID, so it was never accepted here", of_length(text));
        return make(ErrorCode::NotFound, &message, Some("id"), None, None);
    }
    let message = format!("invalid request: id: it is {}: give the string that execute() gave", value.describe());
    make(ErrorCode::InvalidRequest, &message, Some("id"), None, None)
}

pub(super) fn not_a_plan_id(value: &Value) -> Thrown {
    if let Value::Text(text) = value {
        let message =
            format!("no such plan: the id is {}, and not a UUID, so it was never accepted here", of_length(text));
        return make(ErrorCode::NotFound, &message, Some("id"), None, None);
    }
    let message = format!("invalid request: id: it is {}: give the string that executePlan() gave", value.describe());
    make(ErrorCode::InvalidRequest, &message, Some("id"), None, None)
}

/// Returns the error for a value that is nested too deeply, or contains itself.
pub(super) fn too_deep() -> Thrown {
    let message = "invalid request: metadata: it is nested too deeply, or holds itself: give plain JSON";
    make(ErrorCode::InvalidRequest, message, Some("metadata"), None, None)
}

/// Returns a path with the names of the engine as JavaScript writes them; below `env` and `metadata` the names are the
/// caller's.
fn camel_path(path: &str) -> String {
    let starts = |(at, name): (usize, &str)| {
        let begins = at == 0 || path[..at].ends_with('.');
        (begins && path[at + name.len()..].starts_with(['.', '['])).then_some(at)
    };
    let theirs = ["env", "metadata"].iter().filter_map(|name| path.match_indices(name).find_map(starts)).min();
    let (ours, theirs) = theirs.map_or((path, ""), |at| path.split_at(at));
    format!("{}{theirs}", Case::Camel.name(ours))
}

/// Returns a message with the names of the engine as JavaScript writes them.
pub(super) fn camel_text(text: &str) -> String {
    Case::Camel.text(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_change_their_case() {
        assert_eq!(camel_path("timeout_ms"), "timeoutMs");
        assert_eq!(camel_path("env_allow[0]"), "envAllow[0]");
        assert_eq!(camel_path("env.MY_var"), "env.MY_var");
        assert_eq!(camel_path("commands[1].env[\"MY var_x\"]"), "commands[1].env[\"MY var_x\"]");
        assert_eq!(camel_path("metadata.my_own"), "metadata.my_own");
        assert_eq!(camel_text("above `max_timeout_ms` and \"my_prog\""), "above `maxTimeoutMs` and \"my_prog\"");
    }
}
