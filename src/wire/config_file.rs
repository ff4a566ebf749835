//! A configuration from a file. An error names the file and the line.

use std::borrow::Cow;
use std::fmt;
use std::fs;
use std::path::Path;

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::config::{layer, secrets_in};
use super::{Case, Value};
use crate::config::{ConfigLayer, FIELDS};
use crate::error::Invalid;
use crate::redact::mask_refusal;

/// A larger file is refused: no file of settings is so large.
const LARGEST_FILE: u64 = 1024 * 1024;
/// The table with the settings of the engine, in a file that has settings of other programs too.
const TABLE: &str = "execution";

/// A key and its value, with the line that it stands on.
struct FileSetting {
    key: String,
    line: usize,
    value: Value,
}

/// A refusal, and the line if it has one.
type Located = (Invalid, Option<usize>);

/// Reads a `.toml` or `.json` file.
pub(crate) fn config_file(path: &Path) -> Result<ConfigLayer, Invalid> {
    let shown = path.display().to_string();
    let text = read(path).map_err(|problem| Invalid::new("path", format!("{shown}: {problem}")))?;
    let extension = path.extension().and_then(|it| it.to_str()).unwrap_or_default().to_ascii_lowercase();
    let read = match &*extension {
        "toml" => toml_entries(&text),
        "json" => json_entries(&text),
        _ => return Err(Invalid::new("path", format!("{shown} is neither .toml nor .json: rename it"))),
    };
    read.and_then(settings).map_err(|(invalid, line)| {
        let place = line.map_or_else(|| format!("in {shown}"), |line| format!("in {shown}, line {line}"));
        let invalid = Invalid { field: invalid.field, problem: format!("{} ({place})", invalid.problem) };
        // Whatever is wrong with the file, its secrets are not shown.
        let whole = match &*extension {
            "toml" => DeTable::parse(&text).ok().map(|table| toml_value(&DeValue::Table(table.into_inner()))),
            _ => serde_json::from_str::<serde_json::Value>(&text).ok().map(Value::from),
        };
        mask_refusal(invalid, whole.iter().flat_map(secrets_in))
    })
}

fn read(path: &Path) -> Result<String, String> {
    // Checked before it is opened: opening a FIFO blocks until it has a writer.
    let found = fs::metadata(path).map_err(|error| error.to_string())?;
    if !found.is_file() {
        return Err("it is no regular file".to_owned());
    }
    if found.len() > LARGEST_FILE {
        return Err(format!("it has {} bytes: {LARGEST_FILE} are the most for settings", found.len()));
    }
    fs::read_to_string(path).map_err(|error| error.to_string())
}

/// Decodes the entries of a file, or those of its table `execution`.
fn settings(entries: Vec<FileSetting>) -> Result<ConfigLayer, Located> {
    let path = |key: &str| super::fields::join("", key);
    let lines: Vec<_> = entries.iter().map(|entry| (path(&entry.key), entry.line)).collect();
    let given = entries.into_iter().map(|entry| (entry.key, entry.value)).collect();
    layer(&Value::Map(given), Case::Snake).map_err(|invalid| {
        let is_it = |key: &str| {
            invalid.field.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with(['[', '.']))
        };
        let line = lines.iter().find(|(key, _)| is_it(key)).map(|(_, line)| *line);
        (invalid, line)
    })
}

/// Returns the refusal of a misplaced key. If a file has the table of the engine, its other tables belong to other programs, and settings
/// outside of any table are a mistake.
fn misplaced(key: &str, line: usize) -> Located {
    let known = FIELDS.iter().any(|field| field.name == key);
    let hint = if known { "move it into the table" } else { "leave it out" };
    (Invalid::new(super::fields::join("", key), format!("it stands outside of `{TABLE}`: {hint}")), Some(line))
}

fn line_at(text: &str, offset: usize) -> usize {
    memchr::memchr_iter(b'\n', &text.as_bytes()[..offset.min(text.len())]).count() + 1
}

fn toml_entries(text: &str) -> Result<Vec<FileSetting>, Located> {
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map(|span| line_at(text, span.start));
        (Invalid::new("config", format!("it is not TOML ({}): correct the file", error.message())), line)
    })?;
    let table = table.into_inner();
    let ours = table.iter().find(|(key, value)| key.get_ref() == TABLE && value.get_ref().is_table());
    let Some((_, ours)) = ours else { return Ok(toml_table(&table, text)) };
    let loose = table.iter().find(|(_, value)| !value.get_ref().is_table());
    match (loose, ours.get_ref()) {
        (Some((key, _)), _) => Err(misplaced(key.get_ref(), line_at(text, key.span().start))),
        (None, DeValue::Table(ours)) => Ok(toml_table(ours, text)),
        (None, _) => Ok(Vec::new()),
    }
}

fn toml_table(table: &DeTable<'_>, text: &str) -> Vec<FileSetting> {
    let entry = |(key, value): (&Spanned<Cow<'_, str>>, &Spanned<DeValue<'_>>)| FileSetting {
        key: key.get_ref().clone().into_owned(),
        line: line_at(text, key.span().start),
        value: toml_value(value.get_ref()),
    };
    table.iter().map(entry).collect()
}

fn toml_value(value: &DeValue<'_>) -> Value {
    #[expect(clippy::cast_precision_loss, reason = "what a double cannot hold is refused as too large")]
    let whole = |digits: &str, radix| i128::from_str_radix(digits, radix).map_or(f64::INFINITY, |it| it as f64);
    match value {
        DeValue::String(text) => Value::Text(text.clone().into_owned()),
        DeValue::Integer(number) => Value::Number(whole(number.as_str(), number.radix())),
        DeValue::Float(number) => Value::Number(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(_) => Value::Other("a date"),
        DeValue::Array(items) => Value::List(items.iter().map(|item| toml_value(item.get_ref())).collect()),
        DeValue::Table(table) => {
            let entries = table.iter();
            Value::Map(entries.map(|(key, it)| (key.get_ref().to_string(), toml_value(it.get_ref()))).collect())
        }
    }
}

fn json_entries(text: &str) -> Result<Vec<FileSetting>, Located> {
    let members = json_members(text, text)?;
    let Some((_, _, ours)) = members.iter().find(|(key, _, raw)| key == TABLE && raw.get().starts_with('{')) else {
        return json_values(members);
    };
    if let Some((key, line, _)) = members.iter().find(|(_, _, raw)| !raw.get().starts_with('{')) {
        return Err(misplaced(key, *line));
    }
    json_values(json_members(ours.get(), text)?)
}

type JsonMember<'a> = (String, usize, &'a RawValue);

fn json_values(members: Vec<JsonMember<'_>>) -> Result<Vec<FileSetting>, Located> {
    let mut entries: Vec<FileSetting> = Vec::new();
    for (key, line, raw) in members {
        if entries.iter().any(|entry| entry.key == key) {
            return Err((Invalid::new(key, "it is there twice: leave one of them"), Some(line)));
        }
        let value =
            serde_json::from_str::<serde_json::Value>(raw.get()).map_err(|error| not_json(&error, Some(line)))?;
        entries.push(FileSetting { key, line, value: Value::from(value) });
    }
    Ok(entries)
}

fn not_json(error: &serde_json::Error, line: Option<usize>) -> Located {
    // A value of another type would be shown.
    let what = if error.is_data() { "it is of another type".to_owned() } else { error.to_string() };
    (Invalid::new("config", format!("it is not a JSON object ({what}): correct the file")), line)
}

/// Returns the members of an object that is a part of `whole`, each with the line on which its value begins.
fn json_members<'a>(object: &'a str, whole: &str) -> Result<Vec<JsonMember<'a>>, Located> {
    struct Members;
    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(String, &'de RawValue)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some(member) = map.next_entry()? {
                members.push(member);
            }
            Ok(members)
        }
    }
    let mut reader = serde_json::Deserializer::from_str(object);
    let members = reader.deserialize_map(Members).and_then(|members| reader.end().map(|()| members));
    // At column 0, the error is the end of the line before.
    let line = |error: &serde_json::Error| error.line() - usize::from(error.column() == 0 && error.line() > 1);
    let members = members.map_err(|error| not_json(&error, Some(line(&error)).filter(|line| *line > 0)))?;
    // A raw value is a part of the text that it was read from.
    let place = |raw: &RawValue| line_at(whole, raw.get().as_ptr() as usize - whole.as_ptr() as usize);
    Ok(members.into_iter().map(|(key, raw)| (key, place(raw), raw)).collect())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use serde_json::json;

    use super::*;

    fn load(extension: &str, text: &str) -> Result<serde_json::Value, Invalid> {
        let mut file = tempfile::Builder::new().suffix(extension).tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        config_file(file.path()).map(|layer| serde_json::to_value(layer).unwrap())
    }

    #[test]
    fn both_forms_give_what_was_set_and_nothing_else() {
        let wanted = json!({ "max_timeout_ms": 600_000, "env_deny": ["A_*"], "truncate_keep": "tail" });
        let toml = "max_timeout_ms = 600_000\nenv_deny = [\"A_*\"]\ntruncate_keep = \"tail\"\n";
        let json = r#"{"max_timeout_ms": 600000, "env_deny": ["A_*"], "truncate_keep": "Tail"}"#;
        assert_eq!(load(".toml", toml).unwrap(), wanted);
        assert_eq!(load(".toml", &format!("[other]\na = 1\n\n[execution]\n{toml}")).unwrap(), wanted);
        assert_eq!(load(".json", json).unwrap(), wanted);
        assert_eq!(load(".json", &format!("{{\"other\": {{}}, \"execution\": {json}}}")).unwrap(), wanted);
        assert_eq!(load(".toml", "").unwrap(), json!({}));
        assert_eq!(load(".json", "{}").unwrap(), json!({}));
    }

    #[test]
    fn limits_of_groups_are_a_table() {
        let wanted = json!({ "group_limits": { "deploy:*": 2, "a_b": 1 } });
        assert_eq!(load(".toml", "[execution.group_limits]\n\"deploy:*\" = 2\na_b = 1\n").unwrap(), wanted);
        assert_eq!(load(".toml", "group_limits = { \"deploy:*\" = 2, a_b = 1 }\n").unwrap(), wanted);
        assert_eq!(load(".json", r#"{"group_limits": {"deploy:*": 2, "a_b": 1, "c": null}}"#).unwrap(), wanted);
    }

    #[test]
    fn each_error_of_a_file_names_its_line() {
        let table = [
            (".toml", "a = 1\n", "a", "unknown field", 1),
            (".toml", "\n\nmax_timeout_ms = 0\n", "max_timeout_ms", "out of range", 3),
            (".toml", "\nmax_timeout_ms = -1\n", "max_timeout_ms", "give a whole number", 2),
            (".toml", "max_timeout_ms = 1.5\n", "max_timeout_ms", "give a whole number", 1),
            (".toml", "max_timeout_ms = nan\n", "max_timeout_ms", "give a whole number", 1),
            (".toml", "max_timeout_ms = inf\n", "max_timeout_ms", "give a whole number", 1),
            (".toml", "max_timeout_ms = 9007199254740992\n", "max_timeout_ms", "give a whole number", 1),
            (".toml", "max_timeout_ms = 2024-01-01\n", "max_timeout_ms", "a date", 1),
            (".toml", "[execution]\nmax_timeout = 1\n", "max_timeout", "did you mean `max_timeout_ms`?", 2),
            (".toml", "kill_grace_ms = 1\n[execution]\n", "kill_grace_ms", "move it into the table", 1),
            (".toml", "max_timeout_ms = 1\n\ndefault_timeout_ms = 2\n", "default_timeout_ms", "is above", 3),
            (".toml", "guardian = true\nguardian = true\n", "config", "duplicate key", 2),
            (".toml", "guardian =\n", "config", "it is not TOML", 1),
            (".toml", "env_deny = [\n  \"A\",\n  7,\n]\n", "env_deny[1]", "give a string", 1),
            (".toml", "\n[group_limits]\n\"a*\" = 0\n", "group_limits[\"a*\"]", "give a whole number from 1", 2),
            (".toml", "[execution.group_limits]\na = \"1\"\n", "group_limits[\"a\"]", "give a whole number", 1),
            (".json", "{\n\"group_limits\": [1]\n}", "group_limits", "give an object", 2),
            (".toml", "\"odd key\" = 1\n", "[\"odd key\"]", "unknown field", 1),
            (".json", "{\n  \"max_timeout_ms\": \"x\"\n}", "max_timeout_ms", "give a whole number", 2),
            (".json", "{\n \"execution\": {\n  \"guardian\": 1\n }\n}", "guardian", "give true or false", 3),
            (".json", "{\n \"execution\": {},\n \"guardian\": true\n}", "guardian", "move it into the table", 3),
            (".json", "{\n \"guardian\": true,\n \"guardian\": true\n}", "guardian", "twice", 3),
            (".json", "{\n \"guardian\": tru\n}", "config", "it is not a JSON object", 2),
            (".json", "{}\n{}", "config", "it is not a JSON object", 2),
            (".json", "[]", "config", "it is not a JSON object", 1),
        ];
        for (extension, text, field, hint, line) in table {
            let invalid = load(extension, text).unwrap_err();
            assert_eq!(invalid.field, field, "{text:?}: {}", invalid.problem);
            assert!(invalid.problem.contains(hint), "{text:?}: {}", invalid.problem);
            assert!(invalid.problem.ends_with(&format!("{extension}, line {line})")), "{text:?}: {}", invalid.problem);
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("no such.toml");
        // Each system has its own message for a file that is not there.
        let not_found = fs::metadata(&missing).unwrap_err().to_string();
        // Not every system lets a device be looked at without opening it.
        let device = Some(Path::new("/dev/null")).filter(|device| device.exists());
        let others = [Some(folder.path()), device].into_iter().flatten().map(|path| (path, "no regular file"));
        for (path, hint) in others.chain([(&*missing, &*not_found)]) {
            let invalid = config_file(path).unwrap_err();
            assert_eq!(invalid.field, "path");
            let shown = path.display().to_string();
            assert!(invalid.problem.contains(&shown) && invalid.problem.contains(hint), "{}", invalid.problem);
        }
        assert!(load(".yaml", "").unwrap_err().problem.contains("neither .toml nor .json"));
        let large = "#".repeat(usize::try_from(LARGEST_FILE).unwrap() + 1);
        assert!(load(".toml", &large).unwrap_err().problem.contains("the most for settings"));
    }
}
