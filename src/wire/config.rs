//! A configuration from data, by the table of `config`.

use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::fields::{Fields, whole_number};
use super::json::map_members;
use super::{Case, Value, camel, options};
use crate::config::{ConfigLayer, ExecutionConfig, FIELDS, Field, Kind};
use crate::error::Invalid;
use crate::redact::mask_refusal;

/// Decodes a configuration; absent fields have their defaults.
pub(crate) fn config(value: &Value, case: Case) -> Result<ExecutionConfig, Invalid> {
    let config = layer(value, case).and_then(ConfigLayer::into_config);
    config.map_err(|invalid| mask_refusal(invalid, secrets_in(value)))
}

/// Returns the secrets of a configuration that may be wrong otherwise, those of its table `execution` included.
pub(super) fn secrets_in(value: &Value) -> Vec<&[u8]> {
    let tables = members(value, "execution").chain([value]);
    let items = tables.flat_map(|table| members(table, "secrets")).flat_map(|list| match list {
        Value::List(items) => items.as_slice(),
        _ => &[],
    });
    items.filter_map(|item| if let Value::Text(text) = item { Some(text.as_bytes()) } else { None }).collect()
}

fn members<'a>(value: &'a Value, name: &'static str) -> impl Iterator<Item = &'a Value> {
    let entries = if let Value::Map(entries) = value { entries.as_slice() } else { &[] };
    entries.iter().filter(move |(key, _)| key == name).map(|(_, value)| value)
}

/// Decodes the settings that are given, and checks each by itself.
pub(super) fn layer(value: &Value, case: Case) -> Result<ConfigLayer, Invalid> {
    if value.is_absent() {
        return Ok(ConfigLayer::default());
    }
    let names: Vec<_> = FIELDS.iter().map(|field| field.name).collect();
    let fields = Fields::open(value, "", "config", case, &names)?;
    let mut given = Map::new();
    for Field { name, kind, .. } in FIELDS {
        if let Some(json) = decode(&fields, name, *kind)? {
            kind.check(&fields.path(name), &json).map_err(|invalid| named(invalid, *kind, case))?;
            given.insert((*name).to_owned(), json);
        }
    }
    // Contradictions are found among names of ours.
    ConfigLayer::new(given).map_err(|invalid| Invalid::new(case.name(&invalid.field), case.text(&invalid.problem)))
}

fn decode(fields: &Fields<'_>, name: &str, kind: Kind) -> Result<Option<Json>, Invalid> {
    Ok(match kind {
        Kind::Flag => fields.flag(name)?.map(Json::from),
        Kind::Whole { .. } => fields.whole(name)?.map(Json::from),
        Kind::Path => fields.text(name)?.map(Json::from),
        Kind::Globs | Kind::Names | Kind::Secrets => fields.texts(name)?.map(Json::from),
        Kind::Limits => limits(fields, name)?,
        Kind::Retry => json(options::retry(fields)?),
        Kind::Resources => json(options::limits(fields)?),
        Kind::Terminal => json(options::terminal(fields)?),
        // The type does not write values, so it is not used here.
        Kind::Variables => options::host_env(fields)?
            .map(|variables| variables.into_iter().map(|(name, value)| (name.to_owned(), Json::from(value))).collect()),
        Kind::Choice(words) => {
            let known: Vec<_> = words.iter().map(|word| (*word, *word)).collect();
            let pascal = match fields.get(name) {
                // The name that serde gives an enum without `rename`: older files have it.
                Some(Value::Text(text)) if fields.case() == Case::Snake => words.iter().find(|it| pascal(it) == *text),
                _ => None,
            };
            match pascal {
                Some(word) => Some(Json::from(*word)),
                None => fields.choice_of(name, &known)?.map(Json::from),
            }
        }
    })
}

fn json(value: Option<impl Serialize>) -> Option<Json> {
    value.and_then(|value| serde_json::to_value(value).ok())
}

/// Returns the error inside a setting whose members have names of the engine, as the sender writes them.
fn named(invalid: Invalid, kind: Kind, case: Case) -> Invalid {
    match kind {
        Kind::Retry | Kind::Resources | Kind::Terminal => {
            Invalid::new(case.name(&invalid.field), case.text(&invalid.problem))
        }
        _ => invalid,
    }
}

/// Reads whole numbers by names that are the sender's own.
fn limits(fields: &Fields<'_>, name: &str) -> Result<Option<Json>, Invalid> {
    let entries = match fields.get(name) {
        None => return Ok(None),
        Some(Value::Map(entries)) => entries,
        Some(other) => {
            return fields.wrong(name, other, "an object such as {\"deploy:*\": 2}, as JSON text in a variable");
        }
    };
    let present = entries.iter().filter(|(_, limit)| !limit.is_absent());
    let mut limits = Map::new();
    for (glob, limit) in present {
        let path = format!("{}[{glob:?}]", fields.path(name));
        limits.insert(glob.clone(), whole_number(&path, limit)?.into());
    }
    Ok(Some(limits.into()))
}

/// Returns `StreamToFile` for `stream_to_file`.
fn pascal(snake: &str) -> String {
    camel(&format!("_{snake}"))
}

/// Returns settings as JavaScript writes them.
pub(crate) fn camel_settings(settings: Json) -> Json {
    let kind_of = |name: &str| FIELDS.iter().find(|field| field.name == name).map(|field| field.kind);
    map_members(settings, &|name, value| {
        let value = match (kind_of(name), value) {
            (Some(Kind::Choice(_)), Json::String(word)) => camel(&word).into(),
            (Some(Kind::Retry | Kind::Resources), members) => map_members(members, &|name, value| (camel(name), value)),
            (_, other) => other,
        };
        (camel(name), value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::parse_json;

    /// Each word of the table is one of the type's, and the type has no others.
    #[test]
    fn the_words_of_the_table_are_those_of_the_types() {
        for Field { name, kind, .. } in FIELDS {
            let Kind::Choice(words) = kind else { continue };
            for word in *words {
                for written in [(*word).to_owned(), pascal(word)] {
                    let json = format!("{{\"{name}\": \"{written}\"}}");
                    let config = layer(&parse_json(&json).unwrap(), Case::Snake).unwrap().into_config().unwrap();
                    assert_eq!(serde_json::to_value(&config).unwrap()[name], *word, "{json}");
                }
            }
            let unknown = serde_json::json!({ *name: "no such word" });
            let message = serde_json::from_value::<ExecutionConfig>(unknown).unwrap_err().to_string();
            // The other spelling of a word is an alias.
            let is_alias = |written: &str| words.iter().any(|word| *word != written && pascal(word) == written);
            let known = message.split('`').skip(3).step_by(2).filter(|written| !is_alias(written));
            assert_eq!(known.count(), words.len(), "{name}: {message}");
        }
    }

    #[test]
    fn the_table_has_every_field_and_a_bound_for_every_number() {
        let defaults = serde_json::to_value(ExecutionConfig::default()).unwrap();
        assert_eq!(defaults.as_object().unwrap().len(), FIELDS.len());
        for Field { name, kind, .. } in FIELDS {
            let default = &defaults[name];
            let fits = match kind {
                Kind::Flag | Kind::Terminal => default.is_boolean(),
                Kind::Whole { .. } => default.is_u64() || default.is_null(),
                Kind::Choice(_) => default.is_string(),
                Kind::Globs | Kind::Names | Kind::Secrets => default.is_array(),
                Kind::Limits | Kind::Resources => default.is_object(),
                Kind::Path => default.is_null() || default.is_string(),
                Kind::Retry | Kind::Variables => default.is_null(),
            };
            assert!(fits, "{name} is {kind:?} and its default is {default}");
        }
    }
}
