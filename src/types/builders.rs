//! Defines the builders of commands and requests.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use uuid::Uuid;

use super::{Command, ExecutionMetadata, ExecutionRequest, UNSET};

/// The placeholder for an argument that is not text. No command line can hold it, so the request is refused with the field.
pub(crate) const NOT_UTF8: &str = "\0";

impl Command {
    /// Creates a command line for the default shell.
    #[must_use]
    pub fn shell(line: impl Into<String>) -> Self {
        Self::Shell { command: line.into(), shell: String::new() }
    }

    /// Creates a command line for bash that ends at the first command that fails, also within a pipeline, and at an unset variable.
    #[must_use]
    pub fn strict_shell(line: impl Into<String>) -> Self {
        Self::StrictShell { command: line.into(), shell: String::new() }
    }

    /// Creates a command for a program, without arguments. No shell reads it.
    ///
    /// ```
    /// # use execution_engine::Command;
    /// let command = Command::exec("git").arg("-C").arg(std::env::temp_dir()).args(["log", "-1"]);
    /// ```
    #[must_use]
    pub fn exec(program: impl AsRef<OsStr>) -> Self {
        Self::Exec { program: text(program.as_ref()), args: Vec::new() }
    }

    /// Creates a command for a script file, without arguments. The `#!` line of the file, or else its extension, determines the
    /// interpreter.
    #[must_use]
    pub fn script(path: impl Into<PathBuf>) -> Self {
        Self::Script { path: path.into(), interpreter: None, args: Vec::new() }
    }

    /// Creates a command of the AWS CLI, without arguments.
    #[must_use]
    pub fn aws(service: impl Into<String>, command: impl Into<String>) -> Self {
        let (service, command) = (service.into(), command.into());
        Self::AwsCli { service, command, args: Vec::new(), profile: None, region: None }
    }

    /// Adds an argument. An argument that is not UTF-8 is refused when the request is executed, with the field `command.args[…]`.
    ///
    /// # Panics
    /// Panics if the command is a line for a shell, since its arguments are part of the line.
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
    /// Panics under the same condition as [`Command::arg`].
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

/// Returns a duration in whole milliseconds, rounded up.
pub(super) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

impl ExecutionRequest {
    /// Creates a request with a new id and a command, and with the defaults for the other fields.
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

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Sets environment variables.
    #[must_use]
    pub fn envs<N: Into<String>, V: Into<String>>(mut self, variables: impl IntoIterator<Item = (N, V)>) -> Self {
        self.env.extend(variables.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// Removes an environment variable that would be inherited.
    #[must_use]
    pub fn env_remove(self, name: impl Into<String>) -> Self {
        self.env(name, UNSET)
    }

    /// Sets the working directory of the command.
    #[must_use]
    pub fn working_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.working_dir = Some(path.into());
        self
    }

    /// Sets the timeout from the attempt to spawn to the end. It is rounded up to whole milliseconds.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout_ms = Some(milliseconds(timeout));
        self
    }

    /// Sets the file of an additional log, an absolute path.
    #[must_use]
    pub fn output_log_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.output_log_path = Some(path.into());
        self
    }

    /// Sets the label, a short name for people.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.metadata.label = Some(label.into());
        self
    }

    /// Sets the caller's data, which the result has too.
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
