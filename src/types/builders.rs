//! Short ways to write a command and a request.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use uuid::Uuid;

use super::{Command, ExecutionMetadata, ExecutionRequest, UNSET};

/// What stands for an argument that is no text. No command line can hold it, so the request is refused with the field.
pub(crate) const NOT_UTF8: &str = "\0";

impl Command {
    /// A line for the default shell.
    #[must_use]
    pub fn shell(line: impl Into<String>) -> Self {
        Self::Shell { command: line.into(), shell: String::new() }
    }

    /// A line for bash that ends with the first command that fails, also within a pipeline, and at an unset variable.
    #[must_use]
    pub fn strict_shell(line: impl Into<String>) -> Self {
        Self::StrictShell { command: line.into(), shell: String::new() }
    }

    /// A program, without arguments so far. No shell reads it.
    ///
    /// ```
    /// # use execution_engine::Command;
    /// let command = Command::exec("git").arg("-C").arg(std::env::temp_dir()).args(["log", "-1"]);
    /// ```
    #[must_use]
    pub fn exec(program: impl AsRef<OsStr>) -> Self {
        Self::Exec { program: text(program.as_ref()), args: Vec::new() }
    }

    /// A script file, without arguments so far, for the interpreter that its `#!` line or its extension names.
    #[must_use]
    pub fn script(path: impl Into<PathBuf>) -> Self {
        Self::Script { path: path.into(), interpreter: None, args: Vec::new() }
    }

    /// The AWS command line, without arguments so far.
    #[must_use]
    pub fn aws(service: impl Into<String>, command: impl Into<String>) -> Self {
        let (service, command) = (service.into(), command.into());
        Self::AwsCli { service, command, args: Vec::new(), profile: None, region: None }
    }

    /// Adds an argument. One that is not UTF-8 is refused when the request is executed, as `command.args[…]`.
    ///
    /// # Panics
    /// If the command is a line for a shell: its arguments are part of the line.
    #[must_use]
    #[track_caller]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        match &mut self {
            Self::Exec { args, .. } | Self::Script { args, .. } | Self::AwsCli { args, .. } => {
                args.push(text(arg.as_ref()));
            }
            Self::Shell { .. } | Self::StrictShell { .. } => {
                panic!("a line for a shell has no arguments: write them into the line, or use `Command::exec`")
            }
        }
        self
    }

    /// Adds arguments, as [`Command::arg`] does.
    ///
    /// # Panics
    /// As [`Command::arg`].
    #[must_use]
    #[track_caller]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        for arg in args {
            self = self.arg(arg);
        }
        self
    }
}

fn text(text: &OsStr) -> String {
    text.to_str().unwrap_or(NOT_UTF8).to_owned()
}

/// Whole milliseconds; a part of one counts as one.
pub(super) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

impl ExecutionRequest {
    /// A request with a fresh id and nothing but a command.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use execution_engine::{Command, ExecutionRequest};
    /// let request = ExecutionRequest::new(Command::shell("make test"))
    ///     .env("CI", "1")
    ///     .working_dir("/srv/app")
    ///     .timeout(Duration::from_secs(60))
    ///     .label("unit tests");
    /// ```
    #[must_use]
    pub fn new(command: Command) -> Self {
        Self {
            id: Uuid::new_v4(),
            command,
            env: std::collections::HashMap::new(),
            working_dir: None,
            timeout_ms: None,
            output_log_path: None,
            metadata: ExecutionMetadata::default(),
        }
    }

    /// Sets the id, for a caller that needs it before the request is accepted.
    #[must_use]
    pub fn id(mut self, id: Uuid) -> Self {
        self.id = id;
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Sets variables.
    #[must_use]
    pub fn envs<N: Into<String>, V: Into<String>>(mut self, variables: impl IntoIterator<Item = (N, V)>) -> Self {
        self.env.extend(variables.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// Removes a variable that would be inherited.
    #[must_use]
    pub fn env_remove(self, name: impl Into<String>) -> Self {
        self.env(name, UNSET)
    }

    /// Sets where it runs.
    #[must_use]
    pub fn working_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.working_dir = Some(path.into());
        self
    }

    /// Sets the time from spawn to the end, in whole milliseconds; a part of one counts as one.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout_ms = Some(milliseconds(timeout));
        self
    }

    /// Sets the file that gets the output.
    #[must_use]
    pub fn output_log_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.output_log_path = Some(path.into());
        self
    }

    /// Sets the short name for people.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.metadata.label = Some(label.into());
        self
    }

    /// Sets everything that is to be found again in the result.
    #[must_use]
    pub fn metadata(mut self, metadata: ExecutionMetadata) -> Self {
        self.metadata = metadata;
        self
    }
}

impl From<Command> for ExecutionRequest {
    fn from(command: Command) -> Self {
        Self::new(command)
    }
}
