//! The schema of a configuration, with what the type alone does not say.

use schemars::Schema;
use serde_json::Value as Json;

use super::{FIELDS, Kind};

/// Adds the bounds, the purpose and the variable of each setting. A JSON schema has no place for a variable, so it is `x-variable`.
pub(super) fn add_bounds(schema: &mut Schema) {
    let Some(Json::Object(properties)) = schema.get_mut("properties") else { return };
    for field in FIELDS {
        let Some(Json::Object(property)) = properties.get_mut(field.name) else { continue };
        property.remove("format");
        property.insert("description".to_owned(), field.help.trim().into());
        let variables: Vec<_> =
            field.other_variable().map(str::to_owned).into_iter().chain([field.variable()]).collect();
        property.insert("x-variable".to_owned(), variables[0].clone().into());
        if let Kind::Whole { least, most } = field.kind {
            property.insert("minimum".to_owned(), least.into());
            property.insert("maximum".to_owned(), most.into());
        }
    }
}
