//! Which rows a listing has, from data.

use super::fields::Fields;
use super::{Case, Value};
use chrono::{DateTime, NaiveDate, Utc};

use crate::error::Invalid;
use crate::types::{ExecutionFilter, ExecutionStatus};

const STATUS: &[(&str, ExecutionStatus)] = &[
    ("pending", ExecutionStatus::Pending),
    ("running", ExecutionStatus::Running),
    ("completed", ExecutionStatus::Completed),
    ("failed", ExecutionStatus::Failed),
    ("cancelled", ExecutionStatus::Cancelled),
    ("timeout", ExecutionStatus::Timeout),
];

/// Decodes a filter; absent fields filter nothing.
pub(crate) fn filter(value: &Value, case: Case) -> Result<ExecutionFilter, Invalid> {
    if value.is_absent() {
        return Ok(ExecutionFilter::default());
    }
    let fields = Fields::open(value, "filter", "filter", case, &["status", "label", "source", "since", "limit"])?;
    Ok(ExecutionFilter {
        status: fields.choice("status", STATUS)?,
        label: fields.text("label")?,
        source: fields.text("source")?,
        since: since(&fields)?,
        limit: fields.size("limit")?,
    })
}

/// A moment: milliseconds since 1970, or ISO 8601 text.
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
