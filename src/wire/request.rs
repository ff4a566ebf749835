//! A request from data.

use std::collections::HashMap;
use std::path::PathBuf;

use uuid::Uuid;

use super::fields::Fields;
use super::metadata::metadata;
use super::{Case, Value, of_length};
use crate::error::Invalid;
use crate::types::{Command, ExecutionMetadata, ExecutionRequest, UNSET, output_of};

/// A request, and whether its id came with it.
#[derive(Debug)]
pub(crate) struct ParsedRequest {
    pub(crate) request: ExecutionRequest,
    pub(crate) has_id: bool,
}

pub(super) const FIELDS: &[&str] =
    &["id", "command", "env", "working_dir", "timeout_ms", "output_log_path", "metadata"];

/// Decodes a request; an absent id is a fresh one.
pub(crate) fn request(value: &Value, case: Case) -> Result<ParsedRequest, Invalid> {
    let fields = Fields::open(value, "", "request", case, FIELDS)?;
    let id = fields.text("id")?.map(|text| id("id", &text)).transpose()?;
    let Some(given) = fields.get("command") else {
        return Err(Invalid::new("command", "it is missing: give an object with a `type`"));
    };
    let request = ExecutionRequest {
        id: id.unwrap_or_else(Uuid::new_v4),
        command: command(given, case)?,
        env: env(&fields)?,
        working_dir: fields.text("working_dir")?.map(PathBuf::from),
        timeout_ms: fields.whole("timeout_ms")?,
        output_log_path: fields.text("output_log_path")?.map(PathBuf::from),
        metadata: fields.get("metadata").map_or_else(|| Ok(ExecutionMetadata::default()), |it| metadata(it, case))?,
    };
    Ok(ParsedRequest { request, has_id: id.is_some() })
}

/// Decodes a request of a list; `at` is the path of its place there.
pub(crate) fn request_of_list(value: &Value, case: Case, at: &str) -> Result<ExecutionRequest, Invalid> {
    if !matches!(value, Value::Map(_)) {
        let problem = format!("it is {}: give a request, an object with a `command`", value.describe());
        return Err(Invalid::new(at, problem));
    }
    request(value, case).map(|parsed| parsed.request).map_err(|invalid| invalid.under(at))
}

/// Reads an execution's id: a UUID in its usual form of 36 characters.
pub(crate) fn id(field: &str, text: &str) -> Result<Uuid, Invalid> {
    const USUAL_LENGTH: usize = 36;
    Uuid::try_parse(text).ok().filter(|_| text.len() == USUAL_LENGTH).ok_or_else(|| {
        let problem = format!(
            "it is {}, and not a UUID: leave it out, or give one such as crypto.randomUUID() makes",
            of_length(text)
        );
        Invalid::new(field, problem)
    })
}

fn command(value: &Value, case: Case) -> Result<Command, Invalid> {
    const PATH: &str = "command";
    let any = Fields::open_any(value, PATH, PATH, case)?;
    let kind = any.required_text("type")?;
    let open = |known: &[&str]| Fields::open(value, PATH, PATH, case, known);
    Ok(match kind.as_str() {
        "shell" => {
            let fields = open(&["type", "command", "shell", "strict"])?;
            let command = fields.required_text("command")?;
            let shell = fields.text("shell")?.unwrap_or_default();
            if fields.flag("strict")?.unwrap_or_default() {
                Command::StrictShell { command, shell }
            } else {
                Command::Shell { command, shell }
            }
        }
        "exec" => {
            let fields = open(&["type", "program", "args"])?;
            Command::Exec { program: fields.required_text("program")?, args: args(&fields)? }
        }
        "script" => {
            let fields = open(&["type", "path", "interpreter", "args"])?;
            Command::Script {
                path: fields.required_text("path")?.into(),
                interpreter: fields.text("interpreter")?,
                args: args(&fields)?,
            }
        }
        "aws_cli" => {
            let fields = open(&["type", "service", "command", "args", "profile", "region"])?;
            Command::AwsCli {
                service: fields.required_text("service")?,
                command: fields.required_text("command")?,
                args: args(&fields)?,
                profile: fields.text("profile")?,
                region: fields.text("region")?,
            }
        }
        other => {
            let problem = format!(
                "it is {}, which is no kind of command: give \"shell\", \"exec\", \"script\" or \"aws_cli\"",
                of_length(other)
            );
            return Err(Invalid::new("command.type", problem));
        }
    })
}

/// Marks a variable that is the output of another step.
const FROM: &str = "from";

/// Reads the output of another step of the same plan.
fn output(value: &Value, path: &str, case: Case) -> Result<String, Invalid> {
    let fields = Fields::open(value, path, path, case, &[FROM])?;
    match fields.get(FROM) {
        Some(Value::Text(text)) => id(&fields.path(FROM), text).map(output_of),
        Some(Value::Number(_)) => Ok(output_of(fields.whole(FROM)?.unwrap_or_default())),
        other => {
            let found = other.map_or_else(|| "missing".to_owned(), Value::describe);
            let problem = format!("it is {found}: give the index of an earlier step, or its id");
            Err(Invalid::new(fields.path(FROM), problem))
        }
    }
}

fn args(fields: &Fields<'_>) -> Result<Vec<String>, Invalid> {
    Ok(fields.texts("args")?.unwrap_or_default())
}

fn env(fields: &Fields<'_>) -> Result<HashMap<String, String>, Invalid> {
    let Some(value) = fields.get("env") else { return Ok(HashMap::new()) };
    let names = Fields::open_any(value, "env", "env", fields.case())?;
    names
        .entries()
        .iter()
        .map(|(name, value)| match value {
            Value::Text(text) => Ok((name.clone(), text.clone())),
            Value::Undefined | Value::Null => Ok((name.clone(), UNSET.to_owned())),
            Value::Map(entries) if entries.iter().any(|(key, _)| key == FROM) => {
                output(value, &names.at(name), fields.case()).map(|value| (name.clone(), value))
            }
            other => Err(Invalid::new(
                names.at(name),
                format!("it is {}: give a string, or null to remove it", other.describe()),
            )),
        })
        .collect()
}
