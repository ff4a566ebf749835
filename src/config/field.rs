//! Describes the settings: the bounds that every source of settings is checked against.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value as Json;

use super::{MOST_MS, bounds};
use crate::error::Invalid;
use crate::types::{Secret, TerminalMode};

/// A setting of the table.
#[derive(Debug)]
pub(crate) struct Field {
    /// The name in Rust and in files.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// The purpose of the setting.
    #[cfg_attr(not(feature = "schema"), expect(dead_code, reason = "only the schema has it"))]
    pub(crate) help: &'static str,
}

/// The values that a setting takes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Flag,
    /// A whole number.
    Whole {
        least: u64,
        most: u64,
    },
    /// A word of a list, as files write it.
    Choice(&'static [&'static str]),
    /// A list of globs of names.
    Globs,
    /// Strings to mask.
    Secrets,
    /// Whole numbers from 1, by globs of names.
    Limits,
    /// Names of groups.
    Names,
    /// The conditions under which a failed command is run again.
    Retry,
    /// Limits of the system.
    Resources,
    /// Whether there is a terminal, and of which size.
    Terminal,
    /// Variables of an environment.
    Variables,
    /// A file or a folder, by its whole path.
    Path,
}

impl Kind {
    /// Returns the kind for milliseconds, up to the longest time that a timer takes.
    pub(crate) const fn ms(least: u64) -> Self {
        Self::Whole { least, most: MOST_MS }
    }

    /// A whole number from 0 to the largest that JavaScript and JSON keep exactly.
    pub(crate) const ANY_WHOLE: Self = Self::Whole { least: 0, most: super::LARGEST_WHOLE };

    /// Checks the bounds of a value whose type is right already.
    pub(crate) fn check(self, field: &str, value: &Json) -> Result<(), Invalid> {
        match self {
            Self::Whole { least, most } => {
                let Some(number) = value.as_u64() else { return Ok(()) };
                if most == MOST_MS {
                    return bounds::milliseconds(field, number, least);
                }
                if (least..=most).contains(&number) {
                    return Ok(());
                }
                let give = match most {
                    super::LARGEST_WHOLE => format!("give a whole number from {least} to 2^53 - 1"),
                    _ => format!("give a whole number from {least} to {most}"),
                };
                Err(Invalid::new(field, format!("it is a number out of range: {give}")))
            }
            Self::Globs => {
                let items = value.as_array().into_iter().flatten().filter_map(Json::as_str);
                crate::globs::check(field, &items.map(str::to_owned).collect::<Vec<_>>())
            }
            Self::Secrets => {
                let items = value.as_array().into_iter().flatten().filter_map(Json::as_str);
                crate::redact::check(field, &items.map(Secret::from).collect::<Vec<_>>())
            }
            Self::Limits => check_limits(field, value),
            Self::Names => typed(value).map_or(Ok(()), |names: Vec<String>| bounds::groups(field, &names)),
            Self::Retry => typed(value).map_or(Ok(()), |retry| bounds::retry(field, &retry)),
            Self::Resources => typed(value).map_or(Ok(()), |limits| bounds::limits(field, &limits)),
            Self::Terminal => {
                let size = typed(value).and_then(TerminalMode::size);
                size.map_or(Ok(()), |size| bounds::terminal(field, size))
            }
            Self::Variables => typed(value).map_or(Ok(()), |variables| bounds::variables(field, &variables)),
            Self::Path if value.as_str().is_some_and(|path| !Path::new(path).is_absolute() || path.contains('\0')) => {
                let problem = "it is not an absolute path: the host's directory may change, so say the whole path";
                Err(Invalid::new(field, problem))
            }
            Self::Flag | Self::Choice(_) | Self::Path => Ok(()),
        }
    }
}

/// Returns a value as its type; another type is refused elsewhere.
fn typed<'a, T: Deserialize<'a>>(value: &'a Json) -> Option<T> {
    T::deserialize(value).ok()
}

/// The largest limit of a group.
const LARGEST_LIMIT: u64 = u32::MAX as u64;
/// The most limits: each is compared with the name of a group when it gets its first member.
const MOST_LIMITS: usize = 1_000;

fn check_limits(field: &str, value: &Json) -> Result<(), Invalid> {
    let Some(limits) = value.as_object() else { return Ok(()) };
    if limits.len() > MOST_LIMITS {
        let problem = format!("it has {} entries: give {MOST_LIMITS} at most, with globs for many names", limits.len());
        return Err(Invalid::new(field, problem));
    }
    for (glob, limit) in limits {
        let path = format!("{field}[{glob:?}]");
        if glob.is_empty() {
            return Err(Invalid::new(path, "it names no group: give a name, or a glob such as `deploy:*`"));
        }
        crate::globs::check_one(&path, glob)?;
        if limit.as_u64().is_some_and(|limit| !(1..=LARGEST_LIMIT).contains(&limit)) {
            let problem = format!("it is a number out of range: give a whole number from 1 to {LARGEST_LIMIT}");
            return Err(Invalid::new(path, problem));
        }
    }
    Ok(())
}

impl Field {
    /// Returns the variable of the environment that sets it.
    pub(crate) fn variable(&self) -> String {
        format!("EXEC_{}", self.name.to_uppercase())
    }

    /// Returns a shorter, older name of that variable.
    pub(crate) fn other_variable(&self) -> Option<&'static str> {
        (self.name == "max_concurrent_executions").then_some("EXEC_MAX_CONCURRENT")
    }
}
