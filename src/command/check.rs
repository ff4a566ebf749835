//! Refuses a request that could not run, before it is accepted.

use std::path::Path;
use std::time::Duration;

use crate::config::bounds::{self, milliseconds};
use crate::config::{ExecutionConfig, MOST_STRING_BYTES};
use crate::error::Invalid;
use crate::globs;
use crate::platform::{self, HAS_TERMINALS};
use crate::redact;
use crate::types::{Command, ExecutionOptions, ExecutionRequest, NOT_UTF8, ResourceLimits, Stdin, TerminalSize};

use super::{EnvPolicy, check_metadata, is_bash};

/// Checks a request and its options against each other and against the engine's configuration.
pub(crate) fn check(
    request: &ExecutionRequest,
    options: &ExecutionOptions,
    config: &ExecutionConfig,
    policy: &EnvPolicy,
) -> Result<(), Invalid> {
    command(&request.command).map_err(|invalid| invalid.under("command"))?;
    policy.check(request)?;
    if let Some(dir) = &request.working_dir {
        filled("working_dir", &dir.to_string_lossy(), "say where to run, or leave it out for the host's directory")?;
    }
    if let Some(ms) = request.timeout_ms {
        milliseconds("timeout_ms", ms, 1)?;
        if ms > config.max_timeout_ms {
            return Err(Invalid::new(
                "timeout_ms",
                format!(
                    "{ms} is above `max_timeout_ms` ({}): ask for less, or raise `max_timeout_ms`",
                    config.max_timeout_ms
                ),
            ));
        }
    }
    if let Some(path) = &request.output_log_path {
        filled("output_log_path", &path.to_string_lossy(), "give the path of a file, or leave it out")?;
        if !path.is_absolute() {
            let problem =
                "it is not an absolute path: the host's directory and the command's may differ, so say the whole path";
            return Err(Invalid::new("output_log_path", problem));
        }
    }
    check_metadata(&request.metadata, config)?;
    redact::check("options.secrets", &options.secrets)?;
    if let Some(ms) = options.idle_timeout_ms {
        milliseconds("options.idle_timeout_ms", ms, 1)?;
    }
    if let Some(ms) = options.kill_grace_ms {
        milliseconds("options.kill_grace_ms", ms, 0)?;
    }
    if let Some(ms) = options.drain_timeout_ms {
        milliseconds("options.drain_timeout_ms", ms, 0)?;
    }
    if options.max_output_size_bytes.is_some_and(|bytes| bytes > MOST_STRING_BYTES) {
        let problem = format!("it is a number out of range: give a whole number from 0 to {MOST_STRING_BYTES}");
        return Err(Invalid::new("options.max_output_size_bytes", problem));
    }
    let limits = options.resource_limits();
    bounds::limits("options.limits", &limits)?;
    are_limits_supported("options.limits", &limits)?;
    options.retry.as_ref().map_or(Ok(()), |retry| bounds::retry("options.retry", retry))?;
    if options.retry.as_ref().is_some_and(|retry| retry.attempts > 1) && matches!(options.stdin, Stdin::Stream(_)) {
        return Err(Invalid::new(
            "options.retry",
            "another attempt cannot read `stdin` again: give it as text or bytes, or allow 1 attempt",
        ));
    }
    if let Some(size) = options.terminal_size() {
        terminal(size, options)?;
    }
    bounds::groups("options.groups", options.group_names())?;
    globs::check("options.env_allow", &options.env_allow)?;
    globs::check("options.env_deny", &options.env_deny)
}

fn terminal(size: TerminalSize, options: &ExecutionOptions) -> Result<(), Invalid> {
    are_terminals_supported("options.terminal")?;
    bounds::terminal("options.terminal", size)?;
    if options.merge_output == Some(true) {
        let problem = "a `terminal` has one stream: leave it out, or set `terminal` to false";
        return Err(Invalid::new("options.merge_output", problem));
    }
    if options.stdin == Stdin::Inherit {
        let problem =
            "the input of a command with a `terminal` is that terminal: leave it out, or set `terminal` to false";
        return Err(Invalid::new("options.stdin", problem));
    }
    Ok(())
}

/// Refuses defaults for options that this system does not have.
pub(crate) fn check_defaults(config: &ExecutionConfig) -> Result<(), Invalid> {
    are_limits_supported("limits", &config.limits)?;
    config.terminal.size().map_or(Ok(()), |_| are_terminals_supported("terminal"))
}

fn are_terminals_supported(field: &str) -> Result<(), Invalid> {
    if HAS_TERMINALS {
        return Ok(());
    }
    Err(Invalid::new(field, "commands have no terminals on this system: leave it out"))
}

fn are_limits_supported(field: &str, limits: &ResourceLimits) -> Result<(), Invalid> {
    match limits.each().into_iter().find(|(_, limit, _)| limit.is_some()) {
        Some((name, ..)) if !platform::HAS_LIMITS => {
            Err(Invalid::new(format!("{field}.{name}"), "this system has no such limit for a command: leave it out"))
        }
        _ => Ok(()),
    }
}

/// Checks the time that a running execution gets from now on.
pub(crate) fn check_time_left(time: Duration) -> Result<(), Invalid> {
    milliseconds("ms", u64::try_from(time.as_millis()).unwrap_or(u64::MAX), 1)
}

fn command(command: &Command) -> Result<(), Invalid> {
    match command {
        Command::Shell { command, shell } => {
            text("command", command)?;
            no_nul("shell", shell)
        }
        Command::StrictShell { command, shell } => {
            text("command", command)?;
            no_nul("shell", shell)?;
            if !shell.is_empty() && !is_bash(Path::new(shell)) {
                let problem =
                    "it is not bash, whose options `strict` sets: leave it out, name a bash, or leave out `strict`";
                return Err(Invalid::new("shell", problem));
            }
            Ok(())
        }
        Command::Exec { program, args } => {
            text("program", program)?;
            arguments(args)
        }
        Command::Script { path, interpreter, args } => {
            text("path", &path.to_string_lossy())?;
            interpreter.as_deref().map_or(Ok(()), |name| text("interpreter", name))?;
            arguments(args)
        }
        Command::AwsCli { service, command, args, profile, region } => {
            word("service", service)?;
            word("command", command)?;
            profile.as_deref().map_or(Ok(()), |name| word("profile", name))?;
            region.as_deref().map_or(Ok(()), |name| word("region", name))?;
            arguments(args)
        }
    }
}

/// Checks a text to run: not empty, no NUL.
fn text(field: &str, value: &str) -> Result<(), Invalid> {
    filled(field, value, "say what to run")
}

/// Refuses a blank text and a NUL; `remedy` is what to write instead.
fn filled(field: &str, value: &str, remedy: &str) -> Result<(), Invalid> {
    if value.trim().is_empty() {
        return Err(Invalid::new(field, format!("it is empty: {remedy}")));
    }
    no_nul(field, value)
}

/// Checks a name in the middle of a command line: one that starts with a dash would be read as an option.
fn word(field: &str, value: &str) -> Result<(), Invalid> {
    text(field, value)?;
    if value.starts_with('-') {
        return Err(Invalid::new(
            field,
            "it is a string that starts with a dash and would be read as an option: put options into `args`",
        ));
    }
    Ok(())
}

fn arguments(args: &[String]) -> Result<(), Invalid> {
    args.iter().enumerate().try_for_each(|(index, arg)| no_nul(&format!("args[{index}]"), arg))
}

fn no_nul(field: &str, value: &str) -> Result<(), Invalid> {
    if value == NOT_UTF8 {
        return Err(Invalid::new(
            field,
            "it is not UTF-8, or a NUL character: give it as text, or pass the data on stdin",
        ));
    }
    if value.contains('\0') {
        return Err(Invalid::new(
            field,
            "it holds a NUL character, which no command line can: remove it, or pass the data on stdin",
        ));
    }
    Ok(())
}
