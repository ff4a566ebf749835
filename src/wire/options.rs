//! The options of one execution; an abort signal never comes this far.

use super::fields::{Fields, whole_i32};
use super::{Case, Value, regexp};
use crate::error::Invalid;
use crate::types::{
    EnvSnapshot, ExecutionOptions, OutputPattern, ResourceLimits, Retry, RetryOn, Secret, Stdin, TerminalMode,
    TerminalSize,
};

pub(super) const FIELDS: &[&str] = &[
    "signal",
    "stdin",
    "input",
    "terminal",
    "idle_timeout_ms",
    "kill_grace_ms",
    "stop_signal",
    "stop_order",
    "allow_detached",
    "merge_output",
    "stream_output",
    "lines",
    "max_output_size_bytes",
    "oversized_output_strategy",
    "truncate_keep",
    "drain_timeout_ms",
    "inherit_env",
    "env_allow",
    "env_deny",
    "secrets",
    "mask_env_secrets",
    "leftovers",
    "priority",
    "groups",
    "retry",
    "encoding",
    "host_env",
    "limits",
];

/// The types of input from JavaScript. Streams come another way.
const STDIN: &str = "a string, bytes (Buffer, typed array, DataView, ArrayBuffer), an iterable or async iterable of these, a Readable, a \
                     ReadableStream, a Blob, \"open\", or \"inherit\"";
const INPUT: &str = "a string, bytes (Buffer, typed array, DataView, ArrayBuffer), an iterable or async iterable of these, a Readable, a ReadableStream, or a Blob";

const SIZE: &[&str] = &["columns", "rows"];

const RETRY: &[&str] = &["attempts", "backoff_ms", "max_backoff_ms", "on", "on_output"];

/// Decodes options; absent ones are the engine's.
pub(crate) fn options(value: &Value, case: Case) -> Result<ExecutionOptions, Invalid> {
    options_over(ExecutionOptions::default(), value, "options", case)
}

/// Decodes options on top of others.
pub(super) fn options_over(
    base: ExecutionOptions,
    value: &Value,
    path: &str,
    case: Case,
) -> Result<ExecutionOptions, Invalid> {
    if value.is_absent() {
        return Ok(base);
    }
    fields_over(base, &Fields::open(value, path, path, case, FIELDS)?)
}

/// Reads the options among the fields of an object, on top of others.
pub(super) fn fields_over(base: ExecutionOptions, fields: &Fields<'_>) -> Result<ExecutionOptions, Invalid> {
    let stdin = match fields.get("stdin") {
        None => match fields.get("input") {
            None => base.stdin,
            Some(Value::Text(text)) => Stdin::Bytes(text.clone().into_bytes()),
            Some(Value::Bytes(bytes)) => Stdin::Bytes(bytes.clone()),
            Some(other) => return fields.wrong("input", other, INPUT),
        },
        Some(_) if fields.get("input").is_some() => {
            return Err(Invalid::new(fields.path("input"), "`stdin` is given too: give one of them"));
        }
        Some(Value::Text(text)) if text == "inherit" => Stdin::Inherit,
        Some(Value::Text(text)) if text == "open" => Stdin::Open,
        Some(Value::Text(text)) => Stdin::Bytes(text.clone().into_bytes()),
        Some(Value::Bytes(bytes)) => Stdin::Bytes(bytes.clone()),
        Some(other) => {
            return fields.wrong("stdin", other, STDIN);
        }
    };
    Ok(ExecutionOptions {
        stdin,
        terminal: terminal(fields)?.or(base.terminal),
        idle_timeout_ms: fields.whole("idle_timeout_ms")?.or(base.idle_timeout_ms),
        kill_grace_ms: fields.whole("kill_grace_ms")?.or(base.kill_grace_ms),
        stop_signal: fields.choice("stop_signal")?.or(base.stop_signal),
        stop_order: fields.choice("stop_order")?.or(base.stop_order),
        allow_detached: fields.flag("allow_detached")?.or(base.allow_detached),
        merge_output: fields.flag("merge_output")?.or(base.merge_output),
        stream_output: fields.flag("stream_output")?.or(base.stream_output),
        lines: fields.choice("lines")?.or(base.lines),
        max_output_size_bytes: fields.size("max_output_size_bytes")?.or(base.max_output_size_bytes),
        oversized_output_strategy: fields.choice("oversized_output_strategy")?.or(base.oversized_output_strategy),
        truncate_keep: fields.choice("truncate_keep")?.or(base.truncate_keep),
        drain_timeout_ms: fields.whole("drain_timeout_ms")?.or(base.drain_timeout_ms),
        inherit_env: fields.choice("inherit_env")?.or(base.inherit_env),
        env_allow: fields.texts("env_allow")?.unwrap_or(base.env_allow),
        env_deny: fields.texts("env_deny")?.unwrap_or(base.env_deny),
        secrets: fields
            .texts("secrets")?
            .map_or(base.secrets, |secrets| secrets.into_iter().map(Secret::from).collect()),
        mask_env_secrets: fields.flag("mask_env_secrets")?.or(base.mask_env_secrets),
        leftovers: fields.choice("leftovers")?.or(base.leftovers),
        priority: fields.signed("priority")?.unwrap_or(base.priority),
        groups: fields.texts("groups")?.or(base.groups),
        encoding: fields.choice("encoding")?.or(base.encoding),
        retry: retry(fields)?.or(base.retry),
        signal: base.signal,
        limits: limits(fields)?.or(base.limits),
        host_env: host_env(fields)?.map(EnvSnapshot::from_iter).or(base.host_env),
    })
}

/// Whether there is a terminal, in options or a configuration.
pub(super) fn terminal(options: &Fields<'_>) -> Result<Option<TerminalMode>, Invalid> {
    match options.get("terminal") {
        None => Ok(None),
        Some(Value::Bool(is_wanted)) => Ok(Some((*is_wanted).into())),
        Some(value @ Value::Map(_)) => {
            let path = options.path("terminal");
            let fields = Fields::open(value, &path, &path, options.case(), SIZE)?;
            terminal_size(&fields, TerminalSize::default()).map(|size| Some(size.into()))
        }
        Some(other) => options.wrong("terminal", other, "true, false, or an object with `columns` and `rows`"),
    }
}

/// Reads the size of a terminal; an absent value stays as before.
fn terminal_size(fields: &Fields<'_>, before: TerminalSize) -> Result<TerminalSize, Invalid> {
    let number = |name, before| {
        let Some(value) = fields.get(name) else { return Ok(before) };
        let whole = fields.whole(name).ok().flatten().and_then(|number| u16::try_from(number).ok());
        whole
            .filter(|number| *number > 0)
            .map_or_else(|| fields.wrong(name, value, "a whole number from 1 to 65535"), Ok)
    };
    Ok(TerminalSize { columns: number("columns", before.columns)?, rows: number("rows", before.rows)? })
}

/// Decodes the size that a terminal gets: both numbers are required.
pub(crate) fn size(value: &Value, case: Case) -> Result<TerminalSize, Invalid> {
    let fields = Fields::open(value, "", "size", case, SIZE)?;
    for name in SIZE {
        if fields.get(name).is_none() {
            return Err(Invalid::new(fields.path(name), "it is missing: give a whole number from 1 to 65535"));
        }
    }
    terminal_size(&fields, TerminalSize::default())
}

/// Reads the limits of options or of a configuration.
pub(super) fn limits(options: &Fields<'_>) -> Result<Option<ResourceLimits>, Invalid> {
    let Some(value) = options.get("limits") else { return Ok(None) };
    let path = options.path("limits");
    let known = ResourceLimits::default().each().map(|(name, ..)| name);
    let fields = Fields::open(value, &path, &path, options.case(), &known)?;
    let [open_files, processes, memory_bytes, cpu_seconds, file_size_bytes] = known.map(|name| fields.whole(name));
    Ok(Some(ResourceLimits {
        open_files: open_files?,
        processes: processes?,
        memory_bytes: memory_bytes?,
        cpu_seconds: cpu_seconds?,
        file_size_bytes: file_size_bytes?,
    }))
}

/// Reads the variables to inherit, of options or a configuration; those without a value are left out.
pub(super) fn host_env<'a>(options: &Fields<'a>) -> Result<Option<Vec<(&'a str, &'a str)>>, Invalid> {
    let Some(value) = options.get("host_env") else { return Ok(None) };
    let path = options.path("host_env");
    let variables = Fields::open_any(value, &path, &path, options.case())?;
    let mut present = Vec::new();
    for (name, value) in variables.entries() {
        if name.is_empty() || name.contains(['=', '\0']) {
            // The text after the separator may be the value, in the wrong place.
            let name = name.split(['=', '\0']).next().unwrap_or_default();
            let problem = "the name is empty, or holds `=` or NUL: give the name alone, and the value as its value";
            return Err(Invalid::new(variables.at(name), problem));
        }
        let value = match value {
            value if value.is_absent() => continue,
            Value::Text(value) => value,
            other => {
                let problem = format!("it is {}: give a string, or undefined for none", other.describe());
                return Err(Invalid::new(variables.at(name), problem));
            }
        };
        if value.contains('\0') {
            let problem = "the value holds NUL, which no environment can: encode it, or pass it on stdin";
            return Err(Invalid::new(variables.at(name), problem));
        }
        present.push((name.as_str(), value.as_str()));
    }
    Ok(Some(present))
}

/// Reads the retry of options or a configuration.
pub(super) fn retry(options: &Fields<'_>) -> Result<Option<Retry>, Invalid> {
    let Some(value) = options.get("retry") else { return Ok(None) };
    let path = options.path("retry");
    let fields = Fields::open(value, &path, &path, options.case(), RETRY)?;
    let Some(attempts) = fields.whole("attempts")? else {
        return Err(Invalid::new(fields.path("attempts"), "it is missing: give how many runs there may be in all"));
    };
    // A number that does not fit is above the bound too, and refused there.
    let default = Retry::new(u32::try_from(attempts).unwrap_or(u32::MAX));
    Ok(Some(Retry {
        backoff_ms: fields.whole("backoff_ms")?.unwrap_or(default.backoff_ms),
        max_backoff_ms: fields.whole("max_backoff_ms")?.unwrap_or(default.max_backoff_ms),
        on: match fields.get("on") {
            None => default.on,
            Some(Value::List(items)) => {
                let item = |(index, item)| retry_on(item, &format!("{}[{index}]", fields.path("on")));
                items.iter().enumerate().map(item).collect::<Result<_, _>>()?
            }
            Some(other) => return fields.wrong("on", other, "an array"),
        },
        on_output: on_output(&fields)?,
        ..default
    }))
}

/// Reads what the output of a failure must have: a text, an expression of JavaScript (its source and flags), or a list
/// of these.
fn on_output(retry: &Fields<'_>) -> Result<Vec<OutputPattern>, Invalid> {
    let path = retry.path("on_output");
    match retry.get("on_output") {
        None => Ok(Vec::new()),
        Some(Value::List(items)) if items.is_empty() => {
            Err(Invalid::new(path, "it is empty, so that nothing is retried: give at least one, or leave it out"))
        }
        Some(Value::List(items)) => {
            let item = |(index, item)| output_pattern(item, format!("{path}[{index}]"), retry.case());
            items.iter().enumerate().map(item).collect()
        }
        Some(one) => Ok(vec![output_pattern(one, path, retry.case())?]),
    }
}

fn output_pattern(value: &Value, path: String, case: Case) -> Result<OutputPattern, Invalid> {
    match value {
        Value::Text(text) => Ok(OutputPattern::Literal(text.clone())),
        Value::Map(_) => {
            let fields = Fields::open(value, &path, &path, case, &["regex", "source", "flags"])?;
            // The expression in the syntax of this library, as in a configuration that is data.
            if let Some(regex) = fields.text("regex")? {
                return Ok(OutputPattern::Regex(regex));
            }
            let (source, flags) = (fields.required_text("source")?, fields.text("flags")?.unwrap_or_default());
            regexp::translate(&source, &flags).map(OutputPattern::Regex).map_err(|why| Invalid::new(path, why))
        }
        other => Err(Invalid::new(path, format!("it is {}: give a string or a regular expression", other.describe()))),
    }
}

fn retry_on(value: &Value, path: &str) -> Result<RetryOn, Invalid> {
    let known = [
        ("exit", RetryOn::Exit),
        ("signal", RetryOn::Signal),
        ("timeout", RetryOn::Timeout),
        ("spawn", RetryOn::Spawn),
    ];
    let found = match value {
        Value::Text(text) => known.iter().find(|(word, _)| text == word).map(|(_, on)| *on),
        Value::Number(code) => whole_i32(*code).map(RetryOn::Code),
        _ => None,
    };
    found.ok_or_else(|| {
        let give = "give \"exit\", \"signal\", \"timeout\", \"spawn\" or an exit code";
        Invalid::new(path, format!("it is {}: {give}", value.describe()))
    })
}
