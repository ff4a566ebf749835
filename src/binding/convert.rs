//! Converts between JavaScript values and Rust types.

use napi::bindgen_prelude::{Array, FromNapiValue, JsObjectValue, Object, Uint8Array, Unknown};
use napi::{JsValue, KeyCollectionMode, KeyConversion, KeyFilter, ValueType};
use serde::Serialize;
use serde_json::Value as Json;

use super::Result;
use super::error::{of_napi, raise_as_is, too_deep};
use crate::error::{ExecutionError, Invalid};
use crate::types::{ErrorInfo, ExecutionMetadata, ExecutionSummary, PlanExecutionResult};
use crate::wire::{self, Case, ParsedRequest, Value, camel, camel_settings, map_members};

/// The greatest depth of data: deeper data is an accident, or it contains itself.
const DEEPEST: usize = 100;

/// Copies a value out of JavaScript.
pub(super) fn read(value: Unknown<'_>) -> Result<Value> {
    read_at(value, 0)
}

/// Reads the two arguments of a call: plain data, or, with `as_text`, the JSON text of both in the place of the first.
pub(super) fn given(
    first: Unknown<'_>,
    second: Unknown<'_>,
    as_text: bool,
    refuse: fn(Invalid) -> ExecutionError,
) -> Result<[Value; 2]> {
    if !as_text {
        return Ok([read(first)?, read(second)?]);
    }
    let text: String = from(first)?;
    wire::parse_two(&text).map_err(refuse).map_err(raise_as_is)
}

fn read_at(value: Unknown<'_>, depth: usize) -> Result<Value> {
    if depth > DEEPEST {
        return Err(too_deep());
    }
    Ok(match value.get_type().map_err(of_napi)? {
        ValueType::Undefined => Value::Undefined,
        ValueType::Null => Value::Null,
        ValueType::Boolean => Value::Bool(from(value)?),
        ValueType::Number => Value::Number(from(value)?),
        ValueType::String => Value::Text(from(value)?),
        ValueType::Object => read_object(value, depth)?,
        ValueType::Function => Value::Other("a function"),
        ValueType::Symbol => Value::Other("a symbol"),
        ValueType::BigInt => Value::Other("a bigint"),
        ValueType::External | ValueType::Unknown => Value::Other("a native object"),
    })
}

fn read_object(value: Unknown<'_>, depth: usize) -> Result<Value> {
    if value.is_array().map_err(of_napi)? {
        let array: Array<'_> = from(value)?;
        let items = (0..array.len()).map(|index| {
            let item: Option<Unknown<'_>> = array.get(index).map_err(of_napi)?;
            item.map_or(Ok(Value::Undefined), |item| read_at(item, depth + 1))
        });
        return Ok(Value::List(items.collect::<Result<_>>()?));
    }
    if value.is_typedarray().map_err(of_napi)? {
        return Ok(
            Uint8Array::from_unknown(value).map_or(Value::Other("a typed array"), |bytes| Value::Bytes(bytes.to_vec()))
        );
    }
    if value.is_date().map_err(of_napi)? {
        return Ok(Value::Other("a Date"));
    }
    let object: Object<'_> = from(value)?;
    let names = object
        .get_all_property_names(KeyCollectionMode::OwnOnly, KeyFilter::Enumerable, KeyConversion::NumbersToStrings)
        .map_err(of_napi)?;
    let length = names.get_array_length().map_err(of_napi)?;
    let entries = (0..length).map(|index| {
        let name: Unknown<'_> = names.get_element(index).map_err(of_napi)?;
        if name.get_type().map_err(of_napi)? == ValueType::Symbol {
            return Ok((String::from("[symbol]"), Value::Other("a value under a symbol")));
        }
        let key: String = from(name)?;
        let value: Unknown<'_> = object.get_property(name).map_err(of_napi)?;
        Ok((key, read_at(value, depth + 1)?))
    });
    Ok(Value::Map(entries.collect::<Result<_>>()?))
}

pub(super) fn from<T: FromNapiValue>(value: Unknown<'_>) -> Result<T> {
    T::from_unknown(value).map_err(of_napi)
}

/// Returns plain data with its keys as JavaScript writes them.
pub(super) fn camel_json(data: &impl Serialize) -> Json {
    fn rename(json: Json) -> Json {
        match json {
            Json::Array(items) => items.into_iter().map(rename).collect::<Vec<_>>().into(),
            other => map_members(other, &|key, value| (camel(key), rename(value))),
        }
    }
    rename(serde_json::to_value(data).unwrap_or_default())
}

/// Returns settings with their keys, and the words of their choices, as JavaScript writes them.
pub(super) fn settings(data: &impl Serialize) -> Json {
    camel_settings(serde_json::to_value(data).unwrap_or_default())
}

/// Returns an object of strings as pairs, without absent values.
pub(super) fn texts(value: &Value) -> Result<Vec<(String, String)>> {
    wire::texts(value).map_err(ExecutionError::InvalidConfig).map_err(raise_as_is)
}

/// Returns a plan's result as JSON text, apart from the results of its steps; its dates are text.
pub(super) fn plan(plan: &PlanExecutionResult) -> String {
    let mut json = serde_json::json!({
        "planId": plan.plan_id,
        "status": plan.status,
        "success": plan.success,
        "description": plan.description,
        "steps": camel_json(&plan.steps),
        "skipped": camel_json(&plan.skipped),
        "stats": camel_json(&plan.stats),
        "totalDurationMs": plan.total_duration_ms,
        "startedAt": plan.started_at,
        "completedAt": plan.completed_at,
    });
    json["metadata"] = metadata(&plan.metadata);
    json.to_string()
}

/// Returns an error as JSON text.
pub(super) fn error_info(error: &ErrorInfo) -> String {
    let shown = ErrorInfo { message: super::error::camel_text(&error.message), ..error.clone() };
    camel_json(&shown).to_string()
}

/// Returns the rows of a listing as JSON text: absent values have no key, apart from the exit code of an execution that
/// has ended.
pub(super) fn summaries(rows: &[ExecutionSummary]) -> String {
    let row = |row: &ExecutionSummary| {
        let mut json = camel_json(row);
        if let Json::Object(fields) = &mut json {
            fields.retain(|name, value| !value.is_null() || (name == "exitCode" && row.completed_at.is_some()));
        }
        json
    };
    Json::Array(rows.iter().map(row).collect()).to_string()
}

/// Returns a request as JavaScript writes it, without an id that did not come with it.
pub(super) fn request(parsed: &ParsedRequest) -> Json {
    let mut json = serde_json::to_value(&parsed.request).unwrap_or_default();
    let Json::Object(entries) = &mut json else { return json };
    if !parsed.has_id {
        entries.remove("id");
    }
    entries.insert("metadata".to_owned(), metadata(&parsed.request.metadata));
    // Only the names of the outermost fields are fields of the engine; a command's have one word each.
    map_members(json, &|name, value| (camel(name), value))
}

pub(super) fn metadata(metadata: &ExecutionMetadata) -> Json {
    let mut json = serde_json::to_value(metadata).unwrap_or_default();
    if let Json::Object(entries) = &mut json
        && let Some(id) = metadata.conversation_id.clone()
    {
        entries.remove("conversation_id");
        entries.insert(Case::Camel.name("conversation_id"), id.into());
    }
    json
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are far below 2^53")]
pub(super) fn milliseconds(at: chrono::DateTime<chrono::Utc>) -> f64 {
    at.timestamp_micros() as f64 / 1_000.0
}
