//! The schemas that come with the package.

use std::fs;

use execution_engine::{ExecutionConfig, ExecutionEvent, ExecutionPlan, ExecutionRequest};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::Value;

use super::{assert_is, in_project};

pub(crate) fn taken<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>()
}

/// Returns the schema of what the engine writes: every field is there.
pub(crate) fn given<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>()
}

#[test]
fn the_schemas_are_those_of_the_types() {
    let schemas = [
        ("config", taken::<ExecutionConfig>()),
        ("request", taken::<ExecutionRequest>()),
        ("plan", taken::<ExecutionPlan>()),
        ("event", given::<ExecutionEvent>()),
    ];
    for (name, schema) in schemas {
        let wanted = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
        let file = format!("schema/{name}.json");
        let found = fs::read_to_string(in_project(&file)).unwrap_or_default();
        assert_is(&file, &found, &wanted, || fs::write(in_project(&file), &wanted).unwrap());
    }
}

/// A value as the types write it has no member that the schema does not know, at any depth that it describes.
#[test]
fn the_schema_of_a_configuration_has_its_defaults() {
    let schema = taken::<ExecutionConfig>();
    let defaults = serde_json::to_value(ExecutionConfig::default()).unwrap();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap();
    assert!(properties.keys().eq(defaults.as_object().unwrap().keys()));
    for (name, property) in properties {
        assert_eq!(property["default"], defaults[name], "{name}");
        assert!(property["description"].is_string() && property["x-variable"].is_string(), "{name}");
    }
    assert_eq!(schema.get("additionalProperties"), Some(&Value::Bool(false)));
}
