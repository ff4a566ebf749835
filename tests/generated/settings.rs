//! The table of settings in `docs/configuration.md`.

use std::fs;

use execution_engine::ExecutionConfig;
use serde_json::Value;

use super::declarations::names_in_order;
use super::schemas::taken;
use super::{assert_is, camel, in_project, read};

const PAGE: &str = "docs/configuration.md";
const HEAD: &str = "| Field | Default | Range | Variable | What it does |\n| --- | --- | --- | --- | --- |\n";

#[test]
fn the_table_of_settings_is_that_of_the_type() {
    let schema = taken::<ExecutionConfig>();
    let words = Words::of(&schema);
    // The settings are in the order of `index.d.ts`, in which people read them; another test checks that none is
    // missing there.
    let place = |name: &str| names_in_order("ExecutionConfig").iter().position(|it| *it == camel(name));
    let mut settings: Vec<_> = properties(&schema).iter().collect();
    settings.sort_by_key(|(name, _)| place(name));
    let rows = settings.into_iter().map(|(name, property)| row(name, property, &words));
    let wanted = format!("{HEAD}{}", rows.collect::<String>());
    let page = read(PAGE);
    let start = page.find(HEAD.lines().next().unwrap()).expect("the table has its head");
    let end = page[start..].find("\n\n").map_or(page.len(), |length| start + length + 1);
    let whole = format!("{}{wanted}{}", &page[..start], &page[end..]);
    assert_is(PAGE, &page[start..end], &wanted, || fs::write(in_project(PAGE), whole).unwrap());
}

fn properties(schema: &schemars::Schema) -> &serde_json::Map<String, Value> {
    schema.get("properties").and_then(Value::as_object).unwrap()
}

fn row(name: &str, property: &Value, words: &Words) -> String {
    let range = range(name, property, words);
    let help = words.in_camel_case(property["description"].as_str().unwrap());
    let variable = property["x-variable"].as_str().unwrap();
    format!("| `{}` | {} | {range} | `{variable}` | {help} |\n", camel(name), default(name, &property["default"]))
}

fn default(name: &str, value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::Number(number) => amount(name, number.as_u64().unwrap()),
        Value::String(word) => format!("`'{}'`", camel(word)),
        Value::Array(items) => format!("`{}`", Value::Array(items.clone())).replace('"', "'").replace("','", "', '"),
        other => format!("`{other}`"),
    }
}

fn range(name: &str, property: &Value, words: &Words) -> String {
    if let (Some(least), Some(most)) = (property["minimum"].as_u64(), property["maximum"].as_u64()) {
        return format!("{least} to {}", amount(name, most));
    }
    if let Some((_, range)) = OF_OPTIONS.iter().find(|(option, _)| *option == name) {
        return (*range).to_owned();
    }
    if let Some(choices) = words.choices(property) {
        return choices.iter().map(|word| format!("`'{}'`", camel(word))).collect::<Vec<_>>().join(", ");
    }
    match types(property) {
        ["boolean"] => "`true`, `false`".to_owned(),
        ["array"] if name == "secrets" => "strings of 6 bytes or more".to_owned(),
        ["array"] => "globs".to_owned(),
        ["object"] => "an object: whole numbers from 1, by globs".to_owned(),
        ["string", "null"] => "an absolute path".to_owned(),
        other => panic!("{name}: what is the range of {other:?}?"),
    }
}

/// Settings that are options too.
const OF_OPTIONS: [(&str, &str); 5] = [
    ("groups", "names"),
    ("retry", "an object: see [Retry](plans.md#retry)"),
    ("limits", "an object: see [limits](run.md#limit-what-a-command-may-take)"),
    ("terminal", "`true`, `false`, or an object: `columns` and `rows`"),
    ("host_env", "an object of strings"),
];

fn types(property: &Value) -> &'static [&'static str] {
    match &property["type"] {
        Value::String(one) if one == "boolean" => &["boolean"],
        Value::String(one) if one == "array" => &["array"],
        Value::String(one) if one == "object" => &["object"],
        Value::Array(both) if both[0] == "string" => &["string", "null"],
        _ => &[],
    }
}

/// Returns a number, and the same in a larger unit of its field's.
fn amount(name: &str, number: u64) -> String {
    const UNITS: &[(&str, &[(u64, &str)])] = &[
        ("_ms", &[(86_400_000 * 365, "365 days"), (3_600_000, "h"), (60_000, "min")]),
        ("_secs", &[(86_400 * 365, "365 days"), (3_600, "h"), (60, "min")]),
        ("_bytes", &[(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")]),
    ];
    if number == (1 << 53) - 1 {
        return "2^53 − 1".to_owned();
    }
    let units = UNITS.iter().find(|(end, _)| name.ends_with(end)).map_or(&[][..], |(_, units)| units);
    let unit = units.iter().find(|(size, _)| number >= *size && number.is_multiple_of(*size));
    let also = match unit {
        None => String::new(),
        Some((_, name)) if name.starts_with(|c: char| c.is_ascii_digit()) => format!(" ({name})"),
        Some((size, name)) => format!(" ({} {name})", number / size),
    };
    format!("{}{also}", grouped(number))
}

/// Returns `10 000`; four digits stand together.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    if digits.len() < 4 {
        return digits;
    }
    let first = digits.len() % 3;
    let mut groups = vec![&digits[..first]];
    groups.extend((first..digits.len()).step_by(3).map(|at| &digits[at..at + 3]));
    groups.into_iter().filter(|group| !group.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The names that are written differently in JavaScript.
struct Words {
    /// In JavaScript.
    fields: Vec<String>,
    choices: serde_json::Map<String, Value>,
}

impl Words {
    fn of(schema: &schemars::Schema) -> Self {
        let mut choices = schema.get("$defs").and_then(Value::as_object).cloned().unwrap_or_default();
        // Words inside a setting are written in both languages as they are.
        let is_of_setting = |name: &str| properties(schema).values().any(|it| it["$ref"] == format!("#/$defs/{name}"));
        choices.retain(|name, _| is_of_setting(name));
        // A setting may refer to a field of a request.
        let fields = properties(schema).keys().map(|name| camel(name)).chain(names_in_order("ExecutionRequest"));
        Self { fields: fields.collect(), choices }
    }

    /// Returns the words of a field that has some.
    fn choices(&self, property: &Value) -> Option<Vec<String>> {
        let name = property["$ref"].as_str()?.rsplit('/').next()?;
        Some(words(&self.choices[name]))
    }

    fn in_camel_case(&self, text: &str) -> String {
        let choices: Vec<String> = self.choices.values().flat_map(words).collect();
        let parts = text.split('`').enumerate().map(|(at, part)| match at % 2 {
            1 if self.fields.contains(&camel(part)) => camel(part),
            1 if choices.iter().any(|word| word == part) => format!("'{}'", camel(part)),
            _ => part.to_owned(),
        });
        parts.collect::<Vec<_>>().join("`")
    }
}

/// Returns the words of an enum, with a description each or without.
pub(crate) fn words(schema: &Value) -> Vec<String> {
    let plain = schema["enum"].as_array().into_iter().flatten();
    let described = schema["oneOf"].as_array().into_iter().flatten();
    let described = described.flat_map(|one| one["enum"].as_array().into_iter().flatten().chain(one.get("const")));
    plain.chain(described).filter_map(Value::as_str).map(str::to_owned).collect()
}
