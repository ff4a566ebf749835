//! Reads from data which rows a listing has, and which part of an output is read.

use super::fields::{Fields, whole_number};
use super::{Case, Value};
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};

use crate::config::MOST_MS;
use crate::error::Invalid;
use crate::types::{ExecutionFilter, Stream};

/// Decodes a filter; absent fields filter nothing.
pub(crate) fn filter(value: &Value, case: Case) -> Result<ExecutionFilter, Invalid> {
    if value.is_absent() {
        return Ok(ExecutionFilter::default());
    }
    let fields = Fields::open(value, "filter", "filter", case, &["status", "label", "source", "since", "limit"])?;
    Ok(ExecutionFilter {
        status: fields.choice("status")?,
        label: fields.text("label")?,
        source: fields.text("source")?,
        since: since(&fields)?,
        limit: fields.size("limit")?,
    })
}

/// Decodes which part of an output is read: the stream, standard output if none is named, and how many bytes of its end.
pub(crate) fn output_part(value: &Value, case: Case) -> Result<(Stream, Option<u64>), Invalid> {
    if value.is_absent() {
        return Ok((Stream::Stdout, None));
    }
    let fields = Fields::open(value, "", "options", case, &["stream", "tail_bytes"])?;
    Ok((fields.choice("stream")?.unwrap_or(Stream::Stdout), fields.whole("tail_bytes")?))
}

/// Decodes how the environment of a login shell is read: the shell, and the time for it.
pub(crate) fn login_shell(value: &Value, case: Case) -> Result<(Option<PathBuf>, Option<Duration>), Invalid> {
    if value.is_absent() {
        return Ok((None, None));
    }
    let fields = Fields::open(value, "", "options", case, &["shell", "timeout_ms"])?;
    Ok((fields.text("shell")?.map(PathBuf::from), fields.whole("timeout_ms")?.map(Duration::from_millis)))
}

/// Decodes the time that a running execution gets from now on.
pub(crate) fn time_left(value: &Value) -> Result<Duration, Invalid> {
    if let Ok(ms) = whole_number("ms", value)
        && (1..=MOST_MS).contains(&ms)
    {
        return Ok(Duration::from_millis(ms));
    }
    let problem = format!("it is {}: give milliseconds from 1 to {MOST_MS} (365 days)", value.describe());
    Err(Invalid::new("ms", problem))
}

/// Reads a moment: milliseconds since 1970, or ISO 8601 text.
fn since(fields: &Fields<'_>) -> Result<Option<DateTime<Utc>>, Invalid> {
    let Some(value) = fields.get("since") else { return Ok(None) };
    let moment = match value {
        #[expect(clippy::cast_possible_truncation, reason = "what a date cannot hold is none, and refused")]
        Value::Number(ms) if ms.is_finite() => DateTime::from_timestamp_millis(ms.round() as i64),
        Value::Text(text) => {
            let day = || {
                NaiveDate::parse_from_str(text, "%Y-%m-%d")
                    .ok()
                    .map(|day| day.and_time(chrono::NaiveTime::MIN).and_utc())
            };
            DateTime::parse_from_rfc3339(text).ok().map(|moment| moment.to_utc()).or_else(day)
        }
        _ => None,
    };
    moment.map_or_else(
        || fields.wrong("since", value, "a Date, an ISO 8601 string or milliseconds since 1970"),
        |it| Ok(Some(it)),
    )
}
