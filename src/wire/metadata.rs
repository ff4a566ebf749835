//! The metadata of an execution: any JSON.

use serde_json::{Map, Number, Value as Json};

use super::fields::Fields;
use super::{Case, Value, kind_of};
use crate::error::Invalid;
use crate::types::ExecutionMetadata;

const OURS: [&str; 4] = ["source", "conversation_id", "label", "tags"];

pub(super) fn metadata(value: &Value, case: Case) -> Result<ExecutionMetadata, Invalid> {
    let fields = Fields::open_any(value, "metadata", "metadata", case)?;
    let mut extra = Map::new();
    for (key, value) in fields.entries() {
        if !OURS.iter().any(|name| case.is(name, key)) && *value != Value::Undefined {
            extra.insert(key.clone(), json(value, &fields.at(key))?);
        }
    }
    Ok(ExecutionMetadata {
        source: fields.text("source")?,
        conversation_id: fields.text("conversation_id")?,
        label: fields.text("label")?,
        tags: fields.texts("tags")?.unwrap_or_default(),
        extra,
    })
}

fn json(value: &Value, path: &str) -> Result<Json, Invalid> {
    Ok(match value {
        Value::Undefined | Value::Null => Json::Null,
        Value::Bool(flag) => Json::Bool(*flag),
        Value::Number(value) => number(*value).map(Json::Number).ok_or_else(|| {
            Invalid::new(
                path,
                format!("it is {}, which JSON has no word for: give a finite number or null", kind_of(*value)),
            )
        })?,
        Value::Text(text) => Json::String(text.clone()),
        Value::List(items) => {
            let items = items.iter().enumerate().map(|(index, item)| json(item, &format!("{path}[{index}]")));
            Json::Array(items.collect::<Result<_, _>>()?)
        }
        Value::Map(entries) => {
            let entries = entries.iter().filter(|(_, value)| *value != Value::Undefined);
            let mut members = Map::new();
            for (key, value) in entries {
                members.insert(key.clone(), json(value, &format!("{path}.{key}"))?);
            }
            Json::Object(members)
        }
        Value::Bytes(_) | Value::Other(_) => {
            return Err(Invalid::new(path, format!("it is {}: give JSON", value.describe())));
        }
    })
}

/// Returns a number; whole numbers stay whole.
fn number(value: f64) -> Option<Number> {
    #[expect(clippy::cast_possible_truncation, reason = "whole and within 53 bits")]
    if value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0 {
        return Some(Number::from(value as i64));
    }
    Number::from_f64(value)
}
