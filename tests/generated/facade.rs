//! The parts of `index.d.ts` that are written of what Rust declares: the fields of results, the types of events, and words.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use execution_engine::protocol::{self, DeclaredEvent, DeclaredField, ResultField};
use execution_engine::{ErrorCode, ExecutionStatus, Reason};

use super::schemas::given;
use super::settings::words;
use super::{LINE_WIDTH, assert_part, camel};

const FILE: &str = "index.d.ts";

/// Errors that are of Node.js: the facade throws them by itself.
pub(crate) const CODES_OF_THE_FACADE: [&str; 2] = ["ADDON_NOT_LOADED", "PERMISSION_DENIED"];

/// A field of results that is a value of JavaScript: its name, its type, and its documentation.
pub(crate) const ADDED_BY_THE_FACADE: (&str, &str, &str) = (
    "abortReason",
    "unknown",
    "The `reason` of the abort signal, as it was given to `abort()`, if the reason is `aborted`; absent when the standard input failed. \
     `getResult` and a later wait have it for the last 1 000 aborted executions of an engine.",
);

#[test]
fn the_words_of_the_declarations_are_those_of_rust() {
    let of = |schema: schemars::Schema| words(&serde_json::to_value(schema).unwrap());
    for (name, mut all, more) in [
        ("ExecutionStatus", of(given::<ExecutionStatus>()), &[][..]),
        ("Reason", of(given::<Reason>()), &[]),
        ("ErrorCode", of(given::<ErrorCode>()), &CODES_OF_THE_FACADE),
    ] {
        all.extend(more.iter().map(|word| (*word).to_owned()));
        let head = format!("export type {name} =");
        let wanted = union(&head, &all.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>());
        assert_part(FILE, |text| from_to(text, &head, ";\n"), &wanted);
    }
}

#[test]
fn the_declared_fields_of_a_result_are_those_of_rust() {
    let head = "export interface ExecutionResult<Output extends string | Buffer = string> {\n";
    let (name, kind, help) = ADDED_BY_THE_FACADE;
    let members = protocol::result().iter().fold(String::new(), |mut text, field| {
        text += &member(field);
        if field.field.name == "reason" {
            writeln!(text, "{}  {name}?: {kind};", comment(help, "  ")).unwrap();
        }
        text
    });
    assert_part(FILE, |text| from_to(text, head, "\n}\n"), &format!("{head}{members}}}\n"));
}

#[test]
fn the_declared_events_are_those_of_rust() {
    let events = protocol::events();
    let own: Vec<_> = events.iter().filter(|event| event.kind == "plain").map(interface).collect();
    let between = |text: &str| {
        let base = from_to(text, "interface EventBase {\n", "\n}\n").end + 1;
        let after = text.find("export interface RetryEvent").unwrap();
        base..text[..after].rfind("/**").unwrap()
    };
    assert_part(FILE, between, &own.concat());

    let head = "export type ExecutionEvent<Output extends string | Buffer = string> =";
    let wanted = union(head, &events.iter().map(type_of).collect::<Vec<_>>());
    assert_part(FILE, |text| from_to(text, head, ";\n"), &wanted);

    let head = "export interface ExecutionEvents<Output extends string | Buffer = string> {\n";
    let members = events.iter().map(|event| {
        let (help, name, kind) = (comment(event.help.trim(), "  "), event.name, type_of(event));
        format!("{help}  {name}: [{kind}];\n")
    });
    let members: String = members.collect();
    let wanted =
        format!("{head}{members}  /** Every event, whatever its type is. */\n  event: [ExecutionEvent<Output>];\n}}\n");
    assert_part(FILE, |text| from_to(text, head, "\n}\n"), &wanted);
}

fn from_to(text: &str, head: &str, end: &str) -> std::ops::Range<usize> {
    let start = text.find(head).unwrap_or_else(|| panic!("no {head}"));
    let length = text[start..].find(end).unwrap() + end.len();
    start..start + length
}

/// Returns a union in one line, or in one for each member, as the formatter writes it.
fn union(head: &str, members: &[String]) -> String {
    let line = format!("{head} {};\n", members.join(" | "));
    if line.chars().count() <= LINE_WIDTH + 1 {
        return line;
    }
    format!("{head}\n  | {};\n", members.join("\n  | "))
}

fn member(field: &ResultField) -> String {
    let name = camel(field.field.name);
    let mark = if field.presence == "optional" { "?" } else { "" };
    let null = if field.presence == "nullable" { " | null" } else { "" };
    format!(
        "{}  {name}{mark}: {}{null};\n",
        comment(field.field.help.trim(), "  "),
        type_in_typescript(&field.field.kind)
    )
}

fn interface(event: &DeclaredEvent) -> String {
    let members = event.fields.iter().map(|DeclaredField { name, kind, help }| {
        let null = if kind.starts_with("Option<") { " | null" } else { "" };
        format!("{}  {}: {}{null};\n", comment(help.trim(), "  "), camel(name), type_in_typescript(kind))
    });
    format!(
        "{}export interface {} extends EventBase {{\n  /** The name of the event. */\n  type: '{}';\n{}}}\n\n",
        comment(event.help.trim(), ""),
        interface_of(event.name),
        event.name,
        members.collect::<String>()
    )
}

/// Returns `QueuedEvent` for `queued`.
pub(crate) fn interface_of(event: &str) -> String {
    format!("{}Event", camel(&format!("_{event}")))
}

fn type_of(event: &DeclaredEvent) -> String {
    match event.kind {
        "plain" => interface_of(event.name),
        "line" => format!("OutputEvent<'{}', Output>", event.name),
        "end" => format!("EndEvent<'{}', Output>", event.name),
        _ => format!("{}<Output>", interface_of(event.name)),
    }
}

fn type_in_typescript(kind: &str) -> String {
    if let Some(inner) = kind.strip_prefix("Option<").and_then(|rest| rest.strip_suffix('>')) {
        return type_in_typescript(inner);
    }
    if let Some(inner) = kind.strip_prefix("Vec<").and_then(|rest| rest.strip_suffix('>')) {
        return format!("{}[]", type_in_typescript(inner));
    }
    match kind {
        "Uuid" | "String" | "PathBuf" => "string".to_owned(),
        "WaitsFor" => "'stdin' | 'terminal'".to_owned(),
        "bool" => "boolean".to_owned(),
        "i32" | "u32" | "u64" | "usize" | "f64" => "number".to_owned(),
        "DateTime<Utc>" => "Date".to_owned(),
        "Text" => "Output".to_owned(),
        // The final ones.
        "ExecutionStatus" => "'completed' | 'failed' | 'cancelled' | 'timeout'".to_owned(),
        "Reason" | "ErrorInfo" | "Killed" | "Diagnosis" | "FailedAttempt" | "ExecutionMetadata" => kind.to_owned(),
        other => panic!("say here what {other} is in TypeScript"),
    }
}

/// Returns a comment of Rust in the words of JavaScript, in as many lines as it takes.
fn comment(help: &str, indent: &str) -> String {
    let help = in_javascript(help);
    let line = format!("{indent}/** {help} */\n");
    if line.chars().count() <= LINE_WIDTH + 1 {
        return line;
    }
    let mut text = format!("{indent}/**\n");
    let mut row = format!("{indent} *");
    for word in help.split(' ') {
        if row.chars().count() + 1 + word.chars().count() > LINE_WIDTH {
            writeln!(text, "{row}").unwrap();
            row = format!("{indent} *");
        }
        write!(row, " {word}").unwrap();
    }
    text + &format!("{row}\n{indent} */\n")
}

/// Returns `maxOutputSizeBytes` for `max_output_size_bytes`, except for words that are the same in both languages.
pub(crate) fn in_javascript(help: &str) -> String {
    let same: BTreeSet<_> = words(&serde_json::to_value(given::<Reason>()).unwrap()).into_iter().collect();
    let parts = help.split('`').enumerate().map(|(at, part)| match at % 2 {
        1 if part == "None" => "null".to_owned(),
        1 if same.contains(part) || part.contains(|c: char| !c.is_ascii_lowercase() && c != '_') => part.to_owned(),
        1 => camel(part),
        _ => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("`")
}
