//! The bounds of options that are settings too. `field` is the path of the option or the setting.

use super::{LARGEST_WHOLE, MOST_MS};
use crate::error::{Invalid, name_in_path};
use crate::output_patterns::OutputPatterns;
use crate::types::{EnvSnapshot, MASK, ResourceLimits, Retry, RetryOn, TerminalSize};

/// The most attempts: more of them are a loop.
const MOST_ATTEMPTS: u32 = 1_000;

const MOST_GROUPS: usize = 64;
/// The limit in bytes.
const LONGEST_GROUP_NAME: usize = 256;

/// Checks the names of groups.
pub(crate) fn groups(field: &str, names: &[String]) -> Result<(), Invalid> {
    if names.len() > MOST_GROUPS {
        let problem = format!("it has {} names: give {MOST_GROUPS} at most", names.len());
        return Err(Invalid::new(field, problem));
    }
    names.iter().enumerate().try_for_each(|(index, name)| {
        let field = format!("{field}[{index}]");
        if name.is_empty() || name.len() > LONGEST_GROUP_NAME {
            let problem = format!("it has {} bytes: give a name of 1 to {LONGEST_GROUP_NAME} bytes", name.len());
            return Err(Invalid::new(field, problem));
        }
        if name.contains('\0') {
            return Err(Invalid::new(field, "it is not UTF-8, or holds a NUL character: give a name as text"));
        }
        Ok(())
    })
}

/// Checks how much of the machine a command may take.
pub(crate) fn limits(field: &str, limits: &ResourceLimits) -> Result<(), Invalid> {
    for (name, limit, least) in limits.each() {
        let Some(limit) = limit else { continue };
        if !(least..=LARGEST_WHOLE).contains(&limit) {
            let problem = format!("it is a number out of range: give a whole number from {least} to 2^53 - 1");
            return Err(Invalid::new(format!("{field}.{name}"), problem));
        }
    }
    Ok(())
}

/// Checks when a command is run again.
pub(crate) fn retry(field: &str, retry: &Retry) -> Result<(), Invalid> {
    if !(1..=MOST_ATTEMPTS).contains(&retry.attempts) {
        let problem = format!("it is a number out of range: give a whole number from 1 to {MOST_ATTEMPTS}");
        return Err(Invalid::new(format!("{field}.attempts"), problem));
    }
    milliseconds(&format!("{field}.backoff_ms"), retry.backoff_ms, 0)?;
    milliseconds(&format!("{field}.max_backoff_ms"), retry.max_backoff_ms, 0)?;
    if retry.on.is_empty() {
        return Err(Invalid::new(
            format!("{field}.on"),
            "it is empty, so that nothing is retried: give at least one, or leave it out",
        ));
    }
    OutputPatterns::new(&format!("{field}.on_output"), &retry.on_output)?;
    match retry.on.iter().position(|on| *on == RetryOn::Code(0)) {
        Some(index) => Err(Invalid::new(format!("{field}.on[{index}]"), "0 is the exit code of success: leave it out")),
        None => Ok(()),
    }
}

/// Refuses a terminal without columns or rows. The path of a size by itself is empty.
pub(crate) fn terminal(field: &str, size: TerminalSize) -> Result<(), Invalid> {
    for (name, number) in [("columns", size.columns), ("rows", size.rows)] {
        if number == 0 {
            let field = if field.is_empty() { name.to_owned() } else { format!("{field}.{name}") };
            return Err(Invalid::new(field, "it is a number out of range: give a whole number from 1 to 65535"));
        }
    }
    Ok(())
}

/// Refuses variables that were read from a configuration that shows none of their values.
pub(crate) fn variables(field: &str, variables: &EnvSnapshot) -> Result<(), Invalid> {
    match variables.iter().find(|(_, value)| *value == MASK.as_bytes()) {
        Some((name, _)) => {
            let path = format!("{field}{}", name_in_path(&String::from_utf8_lossy(name)));
            Err(Invalid::new(path, "its value was masked when the configuration was written: give the value itself"))
        }
        None => Ok(()),
    }
}

/// Checks a time.
pub(crate) fn milliseconds(field: &str, ms: u64, least: u64) -> Result<(), Invalid> {
    if (least..=MOST_MS).contains(&ms) {
        return Ok(());
    }
    Err(Invalid::new(
        field,
        format!("it is a number out of range: give milliseconds from {least} to {MOST_MS} (365 days)"),
    ))
}
