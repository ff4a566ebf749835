//! The environment of the user's login shell, for hosts that no shell has started, such as desktop applications.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use uuid::Uuid;

use super::ExecutionEngine;
use crate::config::ExecutionConfig;
use crate::error::{ExecutionError, Invalid, Result};
use crate::platform;
use crate::types::{
    Command, EnvSnapshot, ExecutionOptions, ExecutionRequest, ExecutionResult, ExecutionStatus, TruncateKeep,
};

/// The default time limit for the start files of a shell.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// The most bytes that are read: what start files print before the variables is dropped.
const MOST_OUTPUT: usize = 4 * 1024 * 1024;
/// The second word of the mark in front of the variables.
const START: &str = "<";
/// Variables of the shell process itself.
const OWN: [&str; 5] = ["_", "SHLVL", "PWD", "OLDPWD", "ESCHER_EXECUTION_ID"];

/// The way in which the environment of a login shell is read.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct LoginShell {
    /// The shell: bash, zsh, fish, or another one that takes their options. Default: the user's, by `SHELL`, else by the system.
    pub shell: Option<PathBuf>,
    /// The time that its start files may take. Default: 10 s.
    pub timeout: Option<Duration>,
    /// The variables that the shell starts with. Default: this process's own.
    pub host_env: Option<EnvSnapshot>,
}

impl LoginShell {
    /// Returns the settings for the user's shell, with 10 s for its start files.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the shell.
    #[must_use]
    pub fn shell(mut self, shell: impl Into<PathBuf>) -> Self {
        self.shell = Some(shell.into());
        self
    }

    /// Sets the time that its start files may take.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets the variables that the shell starts with.
    #[must_use]
    pub fn host_env(mut self, host_env: EnvSnapshot) -> Self {
        self.host_env = Some(host_env);
        self
    }
}

impl ExecutionEngine {
    /// Returns the environment of the user's login shell, which reads the user's start files: the one that a program
    /// gets in a terminal. It is an interactive login shell without a terminal; what the start files print is dropped,
    /// and background processes that they start keep running. Values that are not UTF-8 are left out, and so are
    /// variables of the shell itself (`_`, `SHLVL`, `PWD`, `OLDPWD`). Dropping the future ends the shell.
    ///
    /// # Errors
    /// `INVALID_REQUEST` (`shell`, `timeout_ms`) for a shell that is empty, a time below 1 ms or above 365 days, and on Windows;
    /// `SPAWN_FAILED` for a shell that cannot be started, does not answer in time (`ETIMEDOUT`), or prints no environment.
    pub async fn login_shell_env(how: LoginShell) -> Result<HashMap<String, String>> {
        let LoginShell { shell, timeout, host_env } = how;
        if !platform::HAS_LOGIN_SHELLS {
            let problem = "this system has no login shells: use the environment of this process";
            return Err(ExecutionError::InvalidRequest(Invalid::new("shell", problem)));
        }
        let timeout = timeout.unwrap_or(DEFAULT_TIMEOUT);
        let host_env = host_env.unwrap_or_else(EnvSnapshot::of_this_process);
        let shell = shell.unwrap_or_else(|| login_shell(&host_env));
        let mark = format!("escher-{}", Uuid::new_v4().simple());
        // The line uses words that bash, zsh, fish and dash share. `command` leaves functions of the user out, and the
        // quotes aliases. The mark of the start is made of two words: dash exports the last word of a command as `_`.
        let line = format!(
            "'command' 'printf' '%s%s' '{mark}' '{START}'; 'command' 'env' '-0'; 'command' 'printf' '%s' '{mark}'"
        );
        let program = shell.to_string_lossy().into_owned();
        let command = Command::Exec { program, args: ["-i", "-l", "-c", &line].map(str::to_owned).to_vec() };
        let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        let request = ExecutionRequest { timeout_ms: Some(timeout_ms), ..ExecutionRequest::new(command) };
        let options = ExecutionOptions {
            host_env: Some(host_env),
            kill_grace_ms: Some(0),
            stream_output: Some(false),
            max_output_size_bytes: Some(MOST_OUTPUT),
            truncate_keep: Some(TruncateKeep::Tail),
            ..ExecutionOptions::default()
        };
        let config = ExecutionConfig { max_timeout_ms: crate::config::MOST_MS, ..ExecutionConfig::default() };
        let result = Self::new(config)?.run_with(request, options).await;
        let result = result.map_err(about_the_shell)?;
        environment_in(&result, &mark).ok_or_else(|| no_environment(&result, timeout))
    }
}

/// Returns an error that names the fields of [`LoginShell`].
fn about_the_shell(error: ExecutionError) -> ExecutionError {
    match error {
        ExecutionError::InvalidRequest(Invalid { field, problem }) => {
            let field = if field == "command.program" { "shell".to_owned() } else { field };
            ExecutionError::InvalidRequest(Invalid { field, problem })
        }
        other => other,
    }
}

fn login_shell(env: &EnvSnapshot) -> PathBuf {
    let named = env.iter().find(|(name, value)| *name == b"SHELL" && !value.is_empty());
    let named = named.map(|(_, value)| platform::path_from_bytes(value));
    named.or_else(platform::login_shell).unwrap_or_else(platform::default_shell)
}

/// Returns the variables between the two marks.
fn environment_in(result: &ExecutionResult, mark: &str) -> Option<HashMap<String, String>> {
    let output = result.stdout.raw();
    let end = memchr::memmem::rfind(output, mark.as_bytes())?;
    let mark = format!("{mark}{START}");
    let start = memchr::memmem::rfind(&output[..end], mark.as_bytes())? + mark.len();
    let snapshot = EnvSnapshot::from_packed(&output[start..end]);
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
    let variables = snapshot.iter().filter_map(|(name, value)| Some((text(name)?, text(value)?)));
    let variables: HashMap<_, _> = variables.filter(|(name, _)| !OWN.contains(&name.as_str())).collect();
    (!variables.is_empty()).then_some(variables)
}

fn no_environment(result: &ExecutionResult, timeout: Duration) -> ExecutionError {
    if result.status == ExecutionStatus::Timeout {
        let ms = timeout.as_millis();
        let what = format!(
            "the login shell did not answer within {ms} ms: look for what its start files wait for, or raise `timeout_ms`"
        );
        return ExecutionError::NotStarted { what, errno: Some("ETIMEDOUT") };
    }
    let how = match (result.exit_code, &result.signal) {
        (Some(code), _) => format!("exited with code {code}"),
        (None, Some(signal)) => format!("was ended by {signal}"),
        (None, None) => "ended".to_owned(),
    };
    let what = format!(
        "the login shell {how} and printed no environment: correct its start files, or name bash, zsh or fish as `shell`"
    );
    ExecutionError::NotStarted { what, errno: None }
}
