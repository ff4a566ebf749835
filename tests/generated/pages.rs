//! The tables of results and events in the pages.

use std::fmt::Write as _;

use execution_engine::protocol;

use super::declarations::names_in_order;
use super::facade::{ADDED_BY_THE_FACADE, in_javascript, interface_of};
use super::{assert_part, camel, table_below};

#[test]
fn the_table_of_results_is_that_of_the_type() {
    let mut wanted = String::from("| Field | Type | What it is |\n| --- | --- | --- |\n");
    for protocol::ResultField { field, presence, .. } in protocol::result() {
        let null = if presence == "nullable" { " or null" } else { "" };
        let help = in_javascript(field.help.trim());
        writeln!(wanted, "| `{}` | {}{null} | {help} |", camel(field.name), kind_in_words(&field.kind)).unwrap();
        if field.name == "reason" {
            let (name, _, help) = ADDED_BY_THE_FACADE;
            writeln!(wanted, "| `{name}` | any | {help} JavaScript only. |").unwrap();
        }
    }
    assert_part("docs/types.md", |text| table_below("## ExecutionResult", text), &wanted);
}

#[test]
fn the_tables_of_events_are_those_of_the_types() {
    let events = protocol::events();
    let mut wanted = String::from("| Type | Interface | Fields besides |\n| --- | --- | --- |\n");
    for of_one_payload in events.chunk_by(|one, other| matches!(one.kind, "line" | "end") && one.kind == other.kind) {
        let names: Vec<_> = of_one_payload.iter().map(|event| format!("`{}`", event.name)).collect();
        let event = &of_one_payload[0];
        let interface = match event.kind {
            "line" => "OutputEvent".to_owned(),
            "end" => "EndEvent".to_owned(),
            _ => interface_of(event.name),
        };
        let fields = match event.kind {
            "plain" => event.fields.iter().map(|field| camel(field.name)).collect(),
            _ => names_in_order(&interface),
        };
        let fields = fields.into_iter().filter(|name| name != "type" && name != "planId");
        let fields: Vec<_> = fields.map(|name| format!("`{name}`")).collect();
        writeln!(wanted, "| {} | `{interface}` | {} |", names.join(", "), fields.join(", ")).unwrap();
    }
    assert_part("docs/types.md", |text| table_below("## ExecutionEvent", text), &wanted);

    let mut wanted = String::from("| Event | What happened |\n| --- | --- |\n");
    for event in &events {
        writeln!(wanted, "| `{}` | {} |", event.name, in_javascript(event.help.trim())).unwrap();
    }
    wanted += "| `event` | Any of them. |\n";
    assert_part("docs/api.md", |text| table_below("## Events", text), &wanted);
}

fn kind_in_words(kind: &str) -> String {
    if let Some(inner) = kind.strip_prefix("Option<").and_then(|rest| rest.strip_suffix('>')) {
        return kind_in_words(inner);
    }
    if let Some(inner) = kind.strip_prefix("Vec<").and_then(|rest| rest.strip_suffix('>')) {
        return format!("list of {}", kind_in_words(inner));
    }
    match kind {
        "Uuid" | "String" | "PathBuf" | "ExecutionStatus" => "string".to_owned(),
        "bool" => "boolean".to_owned(),
        "i32" | "u32" | "u64" | "usize" | "f64" => "number".to_owned(),
        "DateTime<Utc>" => "Date".to_owned(),
        "Text" => "string or Buffer".to_owned(),
        "Killed" => "object".to_owned(),
        described => format!("[{described}](#{})", described.to_lowercase()),
    }
}
