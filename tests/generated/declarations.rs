//! The parts of `index.d.ts` that are written by hand agree with the types.

use std::collections::BTreeSet;

use execution_engine::types::{StopOrder, StopSignal};
use execution_engine::{
    ConcurrencyMetrics, ExecutionConfig, ExecutionEvent, ExecutionPlan, ExecutionRequest, ExecutionStats,
    ExecutionSummary, InheritEnv, PlanExecutionResult,
};
use serde_json::Value;

use super::schemas::{given, taken};
use super::settings::words;
use super::{camel, read};

/// Returns the text between the braces of an interface, or after the `=` of a type.
fn declared(name: &str) -> String {
    let text = read("index.d.ts");
    let head = |keyword: &str, after: char| format!("\n{keyword} {name}{after}");
    let heads = [
        head("export interface", ' '),
        head("export interface", '<'),
        head("interface", ' '),
        head("export type", ' '),
    ];
    let start = heads.iter().find_map(|head| text.find(head).map(|at| at + 1)).unwrap_or_else(|| panic!("no {name}"));
    let end = if text[start..].starts_with("export type") { ";" } else { "\n}" };
    let length = text[start..].find(end).unwrap();
    text[start..start + length].to_owned()
}

/// Returns the members of an interface, with the type of each.
fn members(name: &str) -> Vec<(String, String)> {
    let body = declared(name);
    let lines = body.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let members = lines.filter_map(|line| line.trim().trim_end_matches([';', '{']).split_once(':'));
    let named = members.map(|(name, kind)| {
        (name.trim_start_matches("readonly ").trim_end_matches('?').to_owned(), kind.trim().to_owned())
    });
    named.filter(|(name, _)| name.chars().all(char::is_alphanumeric)).collect()
}

pub(crate) fn names_in_order(interface: &str) -> Vec<String> {
    members(interface).into_iter().map(|(name, _)| name).collect()
}

fn names(interface: &str) -> BTreeSet<String> {
    members(interface).into_iter().map(|(name, _)| name).collect()
}

fn union(name: &str) -> BTreeSet<String> {
    declared(name).split('\'').skip(1).step_by(2).map(str::to_owned).collect()
}

fn properties(schema: &Value) -> BTreeSet<String> {
    schema["properties"].as_object().into_iter().flatten().map(|(name, _)| camel(name)).collect()
}

fn schema_of(schema: &schemars::Schema) -> Value {
    serde_json::to_value(schema).unwrap()
}

/// Words that options have too, each declared once.
const DECLARED_WORDS: [&str; 8] = [
    "InheritEnv",
    "Encoding",
    "StopSignal",
    "StopOrder",
    "Leftovers",
    "LineMode",
    "OversizedOutputStrategy",
    "TruncateKeep",
];

#[test]
fn declared_words_are_those_of_rust() {
    let definitions = &schema_of(&taken::<ExecutionConfig>())["$defs"];
    for name in DECLARED_WORDS {
        assert_eq!(union(name), words(&definitions[name]).iter().map(|word| camel(word)).collect(), "{name}");
    }
}

/// Settings that are options too, in the types of JavaScript.
const OF_OPTIONS: [(&str, &str); 4] = [
    ("retry", "RetryOptions"),
    ("limits", "ResourceLimits"),
    ("terminal", "TerminalMode"),
    ("host_env", "Readonly<Record<string, string | null | undefined>>"),
];

#[test]
fn settings_of_options_have_the_same_members() {
    let definitions = &schema_of(&taken::<ExecutionConfig>())["$defs"];
    for (name, interface) in [("Retry", "RetryOptions"), ("ResourceLimits", "ResourceLimits")] {
        assert_eq!(names(interface), properties(&definitions[name]), "{interface}");
    }
}

#[test]
fn settings_have_the_same_names_and_types() {
    let schema = schema_of(&taken::<ExecutionConfig>());
    let declared = members("ExecutionConfig");
    let wanted: Vec<_> = schema["properties"].as_object().unwrap().iter().collect();
    for (name, property) in &wanted {
        let reference = property["$ref"].as_str().and_then(|path| path.rsplit('/').next());
        let of_option = OF_OPTIONS.iter().find(|(option, _)| option == name);
        let kind = match (reference, &property["type"]) {
            _ if of_option.is_some() => of_option.unwrap().1.to_owned(),
            (Some(named), _) if DECLARED_WORDS.contains(&named) => named.to_owned(),
            (Some(choice), _) => {
                let quoted =
                    words(&schema["$defs"][choice]).iter().map(|word| format!("'{}'", camel(word))).collect::<Vec<_>>();
                quoted.join(" | ")
            }
            (None, Value::Array(types)) => types[0].as_str().unwrap().replace("integer", "number"),
            (None, Value::String(kind)) if kind == "object" => "Readonly<Record<string, number>>".to_owned(),
            (None, Value::String(kind)) => kind.replace("integer", "number").replace("array", "readonly string[]"),
            _ => panic!("{name}: {property}"),
        };
        let found = declared.iter().find(|(declared, _)| *declared == camel(name));
        assert_eq!(found.map(|(_, kind)| kind.as_str()), Some(format!("{kind} | null | undefined").as_str()), "{name}");
    }
    assert_eq!(declared.len(), wanted.len(), "{declared:?}");
}

#[test]
fn requests_and_commands_have_the_same_fields() {
    let schema = schema_of(&taken::<ExecutionRequest>());
    assert_eq!(names("ExecutionRequest"), properties(&schema));
    assert_eq!(names("ExecutionMetadata"), properties(&schema["$defs"]["ExecutionMetadata"]));
    let commands = schema["$defs"]["Command"]["oneOf"].as_array().unwrap();
    let interfaces = ["ShellCommand", "ExecCommand", "ScriptCommand", "AwsCliCommand"];
    assert_eq!(commands.len(), interfaces.len());
    for (command, interface) in commands.iter().zip(interfaces) {
        assert_eq!(names(interface), properties(command), "{interface}");
    }
}

#[test]
fn plans_have_the_same_fields() {
    let schema = schema_of(&taken::<ExecutionPlan>());
    assert_eq!(names("ExecutionPlan"), properties(&schema));
    let result = schema_of(&given::<PlanExecutionResult>());
    assert_eq!(names("PlanExecutionResult"), properties(&result));
    for name in ["PlanStats", "SkippedStep"] {
        assert_eq!(names(name), properties(&result["$defs"][name]), "{name}");
    }
}

#[test]
fn results_and_events_have_the_same_fields() {
    let schema = schema_of(&given::<ExecutionEvent>());
    let definitions = &schema["$defs"];
    for (interface, type_name) in
        [("ExecutionResult", "ExecutionResult"), ("ErrorInfo", "ErrorInfo"), ("Diagnosis", "Diagnosis")]
    {
        let mut wanted = properties(&definitions[type_name]);
        if interface == "ExecutionResult" {
            // A value of JavaScript, which the facade adds.
            wanted.insert("abortReason".to_owned());
        }
        assert_eq!(names(interface), wanted, "{interface}");
    }
    let base = names("EventBase");
    // The facade adds them to the events of a step; in Rust a handler is registered for one plan.
    let of_steps = BTreeSet::from(["planId".to_owned(), "step".to_owned()]);
    for event in schema["oneOf"].as_array().unwrap() {
        let kind = event["properties"]["type"]["const"].as_str().unwrap();
        let interface = match kind {
            "stdout" | "stderr" => "OutputEvent".to_owned(),
            "completed" | "failed" | "cancelled" | "timeout" => "EndEvent".to_owned(),
            other => {
                let name = camel(&format!("_{other}"));
                format!("{name}Event")
            }
        };
        let shared = event["$ref"].as_str().and_then(|path| path.rsplit('/').next());
        let mut wanted = properties(event);
        wanted.extend(shared.map(|name| properties(&definitions[name])).unwrap_or_default());
        if kind == "progress" {
            // The event is about a plan, whose id is in the place of an execution's in the others.
            wanted.insert("executionId".to_owned());
            let found: BTreeSet<_> = base.union(&names(&interface)).filter(|name| *name != "step").cloned().collect();
            assert_eq!(found, wanted, "{kind}");
            continue;
        }
        wanted.extend(of_steps.iter().cloned());
        let found: BTreeSet<_> = base.union(&names(&interface)).cloned().collect();
        assert_eq!(found, wanted, "{kind}");
    }
}

#[test]
fn listings_and_totals_have_the_same_fields() {
    assert_eq!(names("ExecutionSummary"), properties(&schema_of(&given::<ExecutionSummary>())));
    let stats = schema_of(&given::<ExecutionStats>());
    assert_eq!(names("ExecutionStats"), properties(&stats));
    assert_eq!(names("Percentiles"), properties(&stats["$defs"]["Percentiles"]));
    assert_eq!(names("ConcurrencyMetrics"), properties(&schema_of(&given::<ConcurrencyMetrics>())));
}

#[test]
fn the_words_are_the_same() {
    let of = |schema: schemars::Schema| words(&schema_of(&schema)).into_iter().collect::<BTreeSet<_>>();
    assert_eq!(union("InheritEnv"), of(given::<InheritEnv>()));
    assert_eq!(union("StopSignal"), of(given::<StopSignal>()));
    assert_eq!(union("StopOrder"), of(given::<StopOrder>()));
}
