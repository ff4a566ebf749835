//! Which rows a listing has, from data.

use super::fields::Fields;
use super::{Case, Value};
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
    let fields = Fields::open(value, "filter", "filter", case, &["status", "label", "limit"])?;
    Ok(ExecutionFilter {
        status: fields.choice("status", STATUS)?,
        label: fields.text("label")?,
        limit: fields.size("limit")?,
    })
}
