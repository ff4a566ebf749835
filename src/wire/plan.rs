//! A plan from data, and how the host runs it.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use super::fields::Fields;
use super::metadata::metadata;
use super::options::{FIELDS as OPTIONS, fields_over};
use super::request::{id, request_of_list};
use super::{Case, Value, of_length};
use crate::error::Invalid;
use crate::types::{
    ExecutionMetadata, ExecutionOptions, ExecutionPlan, ExecutionRequest, ExecutionStrategy, PlanOptions,
};

/// Decodes a plan; absent ids are fresh ones.
pub(crate) fn plan(value: &Value, case: Case) -> Result<ExecutionPlan, Invalid> {
    let fields = Fields::open(value, "", "plan", case, &["id", "description", "strategy", "commands", "metadata"])?;
    let Some(given) = fields.get("strategy") else {
        return Err(Invalid::new("strategy", "it is missing: give an object with a `type`"));
    };
    Ok(ExecutionPlan {
        id: fields.text("id")?.map(|text| id("id", &text)).transpose()?.unwrap_or_else(Uuid::new_v4),
        description: fields.required_text("description")?,
        strategy: strategy(given, case)?,
        commands: commands(&fields)?,
        metadata: fields.get("metadata").map_or_else(|| Ok(ExecutionMetadata::default()), |it| metadata(it, case))?,
    })
}

fn commands(plan: &Fields<'_>) -> Result<Vec<ExecutionRequest>, Invalid> {
    let items = match plan.get("commands") {
        None => return Err(Invalid::new("commands", "it is missing: give an array of requests")),
        Some(Value::List(items)) => items,
        Some(other) => return plan.wrong("commands", other, "an array of requests"),
    };
    let command = |(index, item): (usize, &Value)| request_of_list(item, plan.case(), &format!("commands[{index}]"));
    items.iter().enumerate().map(command).collect()
}

fn strategy(value: &Value, case: Case) -> Result<ExecutionStrategy, Invalid> {
    const PATH: &str = "strategy";
    let kind = Fields::open_any(value, PATH, PATH, case)?.required_text("type")?;
    let open = |known: &[&str]| Fields::open(value, PATH, PATH, case, known);
    Ok(match kind.as_str() {
        "serial" => {
            let stop_on_error = open(&["type", "stop_on_error"])?.flag("stop_on_error")?.unwrap_or(true);
            ExecutionStrategy::Serial { stop_on_error }
        }
        "parallel" => {
            let max_concurrency = open(&["type", "max_concurrency"])?.size("max_concurrency")?;
            ExecutionStrategy::Parallel { max_concurrency }
        }
        "dependency_graph" => {
            let fields = open(&["type", "dependencies"])?;
            let Some(given) = fields.get("dependencies") else {
                let problem = "it is missing: give an object such as { \"1\": [0] }, by the indexes of `commands`";
                return Err(Invalid::new("strategy.dependencies", problem));
            };
            ExecutionStrategy::DependencyGraph { dependencies: dependencies(given, case)? }
        }
        other => {
            let problem = format!(
                "it is {}, which is no strategy: give \"serial\", \"parallel\" or \"dependency_graph\"",
                of_length(other)
            );
            return Err(Invalid::new("strategy.type", problem));
        }
    })
}

fn dependencies(value: &Value, case: Case) -> Result<HashMap<usize, Vec<usize>>, Invalid> {
    const PATH: &str = "strategy.dependencies";
    let fields = Fields::open_any(value, PATH, PATH, case)?;
    let mut all = HashMap::new();
    for (key, list) in fields.entries().iter().filter(|(_, list)| !list.is_absent()) {
        let index = index_of(key).ok_or_else(|| {
            let problem =
                format!("{key:?} is not the index of a step: give whole numbers, 0 for the first of `commands`");
            Invalid::new(fields.at(key), problem)
        })?;
        let field = format!("{PATH}[{index}]");
        let Value::List(items) = list else {
            return Err(Invalid::new(field, format!("it is {}: give an array of indexes", list.describe())));
        };
        let item = |(at, item): (usize, &Value)| match item {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and in range")]
            Value::Number(number) if number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(number) => {
                Ok(*number as usize)
            }
            other => {
                let problem = format!("it is {}: give the index of a step, a whole number from 0", other.describe());
                Err(Invalid::new(format!("{field}[{at}]"), problem))
            }
        };
        all.insert(index, items.iter().enumerate().map(item).collect::<Result<_, _>>()?);
    }
    Ok(all)
}

/// Returns the index that a key is, in its one form: `01` is another name.
fn index_of(key: &str) -> Option<usize> {
    key.parse().ok().filter(|index: &usize| index.to_string() == key)
}

/// Decodes the options of a plan. Those of a step are on top of the plan's own.
pub(crate) fn plan_options(value: &Value, case: Case) -> Result<PlanOptions, Invalid> {
    const STEPS: &str = "options.steps";
    if value.is_absent() {
        return Ok(PlanOptions::default());
    }
    let known: Vec<&str> = OPTIONS.iter().copied().chain(["continue_on_error", "deadline_ms", "steps"]).collect();
    let fields = Fields::open(value, "options", "options", case, &known)?;
    let options = fields_over(ExecutionOptions::default(), &fields)?;
    let known_of_step: Vec<&str> = OPTIONS.iter().copied().chain(["when"]).collect();
    let (mut steps, mut when) = (BTreeMap::new(), BTreeMap::new());
    if let Some(given) = fields.get("steps") {
        let given = Fields::open_any(given, STEPS, STEPS, case)?;
        for (key, step) in given.entries().iter().filter(|(_, step)| !step.is_absent()) {
            let index = index_of(key).ok_or_else(|| {
                let problem =
                    format!("{key:?} is not the index of a step: give whole numbers, 0 for the first command");
                Invalid::new(given.at(key), problem)
            })?;
            let path = format!("{STEPS}[{index}]");
            let fields = Fields::open(step, &path, &path, case, &known_of_step)?;
            when.extend(fields.choice("when")?.map(|when| (index, when)));
            steps.insert(index, fields_over(options.clone(), &fields)?);
        }
    }
    Ok(PlanOptions {
        options,
        continue_on_error: fields.flag("continue_on_error")?.unwrap_or_default(),
        deadline_ms: fields.whole("deadline_ms")?,
        steps,
        when,
    })
}

#[cfg(test)]
mod tests {
    use super::super::parse_json;
    use super::*;

    const COMMAND: &str = r#"{"command": {"type": "exec", "program": "a"}}"#;

    fn refused(json: &str) -> Invalid {
        plan(&parse_json(json).unwrap(), Case::Camel).unwrap_err()
    }

    /// Each refusal has its path in the plan.
    #[test]
    fn each_refusal_names_the_field_and_the_step() {
        let with = |strategy: &str, commands: &str| {
            format!(r#"{{"description": "d", "strategy": {strategy}, "commands": {commands}}}"#)
        };
        let commands = |command: &str| with(r#"{"type": "serial"}"#, &format!("[{COMMAND}, {command}]"));
        let strategy = |strategy: &str| with(strategy, &format!("[{COMMAND}]"));
        let graph = |list: &str| strategy(&format!(r#"{{"type": "dependency_graph", "dependencies": {list}}}"#));
        let table = [
            (r#"{"descripton": "x"}"#.to_owned(), "descripton", "did you mean `description`?"),
            (r#"{"description": "x"}"#.to_owned(), "strategy", "it is missing"),
            ("[]".to_owned(), "plan", "give an object"),
            (strategy(r#"{"type": "seriel"}"#), "strategy.type", "\"serial\""),
            (strategy(r#"{"type": "serial", "stop_on_error": true}"#), "strategy.stop_on_error", "`stopOnError`"),
            (strategy(r#"{"type": "parallel", "maxConcurrency": -1}"#), "strategy.maxConcurrency", "a whole number"),
            (strategy(r#"{"type": "dependency_graph"}"#), "strategy.dependencies", "it is missing"),
            (graph(r#"{"01": []}"#), "strategy.dependencies.01", "not the index"),
            (graph(r#"{"x": []}"#), "strategy.dependencies.x", "not the index"),
            (graph(r#"{"0": 1}"#), "strategy.dependencies[0]", "give an array"),
            (graph(r#"{"0": [0.5]}"#), "strategy.dependencies[0][0]", "a number (with a fraction)"),
            (graph("[[]]"), "strategy.dependencies", "give an object"),
            (with(r#"{"type": "serial"}"#, "{}"), "commands", "an array of requests"),
            (commands("5"), "commands[1]", "it is a number:"),
            (commands(r#"{"command": {"type": "exec"}}"#), "commands[1].command.program", "it is missing"),
            (
                commands(r#"{"command": {"type": "exec", "program": "a"}, "env": {"A": {}}}"#),
                "commands[1].env.A",
                "it is an object: give a string",
            ),
            (
                commands(r#"{"command": {"type": "exec", "program": "a"}, "env": {"A": {"from": "x"}}}"#),
                "commands[1].env.A.from",
                "not a UUID",
            ),
            (commands(r#"{"comand": {}}"#), "commands[1].comand", "did you mean `command`?"),
            (commands(r#"{"an odd key": 1}"#), "commands[1][\"an odd key\"]", "unknown field"),
        ];
        for (json, field, hint) in table {
            let invalid = refused(&json);
            assert_eq!(invalid.field, field, "{json}: {invalid}");
            assert!(invalid.problem.contains(hint), "{json}: {}", invalid.problem);
        }
    }

    /// The data that serde writes is the data that the wire form reads.
    #[test]
    fn a_serialised_plan_comes_back() {
        let strategies = [
            ExecutionStrategy::Serial { stop_on_error: false },
            ExecutionStrategy::Parallel { max_concurrency: Some(2) },
            ExecutionStrategy::Parallel { max_concurrency: None },
            ExecutionStrategy::DependencyGraph { dependencies: [(1, vec![0])].into() },
        ];
        for strategy in strategies {
            let commands =
                ["a", "b"].map(|line| crate::types::Command::Shell { command: line.into(), shell: String::new() });
            let sent = ExecutionPlan::new("what for", strategy, commands);
            let json = serde_json::to_string(&sent).unwrap();
            assert_eq!(plan(&parse_json(&json).unwrap(), Case::Snake).unwrap(), sent);
            assert_eq!(serde_json::from_str::<ExecutionPlan>(&json).unwrap(), sent);
        }
    }

    #[test]
    fn the_options_of_a_step_are_on_top_of_the_plan_s() {
        let json = r#"{"killGraceMs": 5, "priority": 2, "continueOnError": true, "deadlineMs": 9,
            "steps": {"1": {"priority": 3, "retry": {"attempts": 2, "on": ["exit", 7]}}, "2": null}}"#;
        let options = plan_options(&parse_json(json).unwrap(), Case::Camel).unwrap();
        assert!(options.continue_on_error && options.deadline_ms == Some(9));
        assert_eq!((options.options.kill_grace_ms, options.options.priority), (Some(5), 2));
        let step = &options.steps[&1];
        assert_eq!((step.kill_grace_ms, step.priority), (Some(5), 3));
        let on = &step.retry.as_ref().unwrap().on;
        assert_eq!(on[..], [crate::types::RetryOn::Exit, crate::types::RetryOn::Code(7)]);
        assert_eq!(options.steps.len(), 1);

        let wrong = r#"{"steps": {"1": {"retry": {"attempts": 2, "on": ["exit", "sometimes"]}}}}"#;
        let invalid = plan_options(&parse_json(wrong).unwrap(), Case::Camel).unwrap_err();
        assert_eq!(invalid.field, "options.steps[1].retry.on[1]");
    }
}
