//! A configuration from the variables of an environment.

use super::config::{layer, secrets_in};
use super::fields::{Fields, nearest};
use super::{Case, Value, parse_json};
use crate::config::{ConfigLayer, FIELDS, Field, Kind};
use crate::error::Invalid;
use crate::redact::mask_refusal;

const PREFIX: &str = "EXEC_";

/// Decodes `EXEC_*` variables; empty ones count as not set. Errors name the variable.
pub(crate) fn config_env(vars: &[(String, String)]) -> Result<ConfigLayer, Invalid> {
    let mut given = Vec::new();
    let mut sources = Vec::new();
    for field in FIELDS {
        let Some((variable, text)) = variable_of(field, vars)? else { continue };
        let value = decode(field.kind, text);
        given.push((field.name.to_owned(), value));
        sources.push((field.name, variable));
    }
    let by_variable = |invalid: Invalid| {
        let name = |field: &str| sources.iter().find(|(name, _)| *name == field).map(|(_, variable)| variable.clone());
        let base = invalid.field.split(['[', '.']).next().unwrap_or_default();
        let Some(variable) = name(base) else { return invalid };
        Invalid { field: invalid.field.replacen(base, &variable, 1), problem: invalid.problem }
    };
    let given = Value::Map(given);
    let layer = check_misspellings(vars).and_then(|()| layer(&given, Case::Snake).map_err(by_variable));
    layer.map_err(|invalid| mask_refusal(invalid, secrets_in(&given)))
}

/// Returns an object of strings as pairs, without absent values.
pub(crate) fn texts(value: &Value) -> Result<Vec<(String, String)>, Invalid> {
    let fields = Fields::open_any(value, "", "env", Case::Snake)?;
    let present = fields.entries().iter().filter(|(_, value)| !value.is_absent());
    let text = |(name, value): &(String, Value)| match value {
        Value::Text(text) => Ok((name.clone(), text.clone())),
        other => Err(Invalid::new(fields.at(name), format!("it is {}: give a string", other.describe()))),
    };
    present.map(text).collect()
}

/// Returns the variable that sets a field, if one does. Two that differ are refused.
fn variable_of<'a>(field: &Field, vars: &'a [(String, String)]) -> Result<Option<(String, &'a str)>, Invalid> {
    let set = |name: &str| {
        let found = vars.iter().find(|(variable, text)| variable == name && !text.is_empty());
        found.map(|(variable, text)| (variable.clone(), text.as_str()))
    };
    let (usual, other) = (set(&field.variable()), field.other_variable().and_then(set));
    match (usual, other) {
        (Some((name, text)), Some((other, theirs))) if text != theirs => {
            Err(Invalid::new(other, format!("it contradicts {name}: set one of them")))
        }
        (usual, other) => Ok(usual.or(other)),
    }
}

/// Decodes a text where such a value is wanted; a text without a meaning stays text, and is refused as that.
fn decode(kind: Kind, text: &str) -> Value {
    let text = text.trim();
    match kind {
        Kind::Flag => match text.to_ascii_lowercase().as_str() {
            "true" | "1" => Value::Bool(true),
            "false" | "0" => Value::Bool(false),
            _ => Value::Text(text.to_owned()),
        },
        Kind::Whole { .. } => text
            .parse::<f64>()
            .ok()
            .filter(|_| text.chars().all(|c| c.is_ascii_digit() || "+-.".contains(c)))
            .map_or_else(|| Value::Text(text.to_owned()), Value::Number),
        Kind::Globs | Kind::Names | Kind::Secrets => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Value::List(items.map(|item| Value::Text(item.to_owned())).collect())
        }
        Kind::Terminal if !text.starts_with('{') => decode(Kind::Flag, text),
        Kind::Limits | Kind::Retry | Kind::Resources | Kind::Terminal | Kind::Variables => match parse_json(text) {
            Ok(object @ Value::Map(_)) => object,
            _ => Value::Text(text.to_owned()),
        },
        Kind::Choice(_) | Kind::Path => Value::Text(text.to_owned()),
    }
}

/// Refuses misspelled names: other programs have variables of that prefix too, but one that is nearly a name of the
/// engine was meant to be one.
fn check_misspellings(vars: &[(String, String)]) -> Result<(), Invalid> {
    let others = FIELDS.iter().filter_map(|field| field.other_variable().map(str::to_owned));
    let known: Vec<String> = FIELDS.iter().map(Field::variable).chain(others).collect();
    let names: Vec<String> = known.iter().map(|name| name[PREFIX.len()..].to_owned()).collect();
    for (variable, _) in vars {
        let Some(name) = variable.strip_prefix(PREFIX) else { continue };
        if known.contains(variable) {
            continue;
        }
        if let Some(near) = nearest(name, &names) {
            return Err(Invalid::new(variable, format!("unknown variable: did you mean `{PREFIX}{near}`?")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(vars: &[(&str, &str)]) -> Result<ConfigLayer, Invalid> {
        let vars: Vec<_> = vars.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        config_env(&vars)
    }

    #[test]
    fn each_field_has_its_variable() {
        let directory = std::env::temp_dir();
        for field in FIELDS {
            let text = match field.kind {
                Kind::Flag => "false",
                Kind::Whole { .. } => "64",
                Kind::Choice(words) => words[0],
                Kind::Globs | Kind::Names => "A,B",
                Kind::Limits => r#"{"deploy:*": 2}"#,
                Kind::Retry => r#"{"attempts": 3, "on": ["exit", 7], "on_output": ["a", {"regex": "b+"}]}"#,
                Kind::Resources => r#"{"open_files": 64}"#,
                Kind::Terminal => "true",
                Kind::Variables => r#"{"LANG": "C"}"#,
                Kind::Secrets => "secret-one,secret-two",
                Kind::Path => directory.to_str().expect("a path that is text"),
            };
            let layer = read(&[(&field.variable(), text)]).unwrap();
            let json = serde_json::to_value(&layer).unwrap();
            let given: Vec<_> = json.as_object().unwrap().keys().collect();
            assert_eq!(given, [field.name]);
        }
    }

    /// Variables, the one that the error names, and its message.
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str);

    #[test]
    fn what_is_wrong_is_named_by_its_variable() {
        let table: [Case<'_>; 11] = [
            (&[("EXEC_GROUP_LIMITS", "deploy=2")], "EXEC_GROUP_LIMITS", "as JSON text"),
            (&[("EXEC_GROUP_LIMITS", r#"{"a": 0}"#)], "EXEC_GROUP_LIMITS[\"a\"]", "give a whole number from 1"),
            (&[("EXEC_GROUP_LIMITS", r#"{"[": 1}"#)], "EXEC_GROUP_LIMITS[\"[\"]", "is not a glob"),
            (&[("EXEC_DEFAULT_TIMEOUT_MS", "soon")], "EXEC_DEFAULT_TIMEOUT_MS", "give a whole number"),
            (&[("EXEC_DEFAULT_TIMEOUT_MS", "0")], "EXEC_DEFAULT_TIMEOUT_MS", "out of range"),
            (&[("EXEC_MAX_CONCURRENT", "1.5")], "EXEC_MAX_CONCURRENT", "give a whole number"),
            (&[("EXEC_STREAM_OUTPUT", "yes")], "EXEC_STREAM_OUTPUT", "give true or false"),
            (&[("EXEC_ENV_DENY", "A,[")], "EXEC_ENV_DENY[1]", ""),
            (&[("EXEC_MAX_TIMEOUT", "1")], "EXEC_MAX_TIMEOUT", "did you mean `EXEC_MAX_TIMEOUT_MS`?"),
            (
                &[("EXEC_MAX_CONCURRENT", "1"), ("EXEC_MAX_CONCURRENT_EXECUTIONS", "2")],
                "EXEC_MAX_CONCURRENT",
                "contradicts",
            ),
            (&[("EXEC_DEFAULT_TIMEOUT_MS", "2"), ("EXEC_MAX_TIMEOUT_MS", "1")], "EXEC_DEFAULT_TIMEOUT_MS", "above"),
        ];
        for (vars, field, hint) in table {
            let invalid = read(vars).unwrap_err();
            assert_eq!(invalid.field, field, "{vars:?}");
            assert!(invalid.problem.contains(hint), "{vars:?}: {}", invalid.problem);
        }
    }

    #[test]
    fn what_is_empty_or_of_others_is_not_ours() {
        assert!(
            read(&[("EXEC_LOG_LEVEL", ""), ("EXEC_MAX_TIMEOUT_MS", ""), ("PATH", "x"), ("EXEC_SHELL", "y")])
                .unwrap()
                .is_empty()
        );
    }
}
