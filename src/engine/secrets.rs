//! Secrets that become known while the engine works.

use std::path::PathBuf;
use std::sync::Arc;

use uuid::Uuid;

use super::{ExecutionEngine, Shared};
use crate::command::EnvPolicy;
use crate::error::{ExecutionError, Invalid, Result};
use crate::redact::{self, Vault};
use crate::registry::Record;
use crate::types::{ExecutionOptions, ExecutionRequest, ExecutionResult, Secret, Text};

impl ExecutionEngine {
    /// A message with the secrets of the engine, and some more, masked.
    #[cfg(feature = "node")]
    pub(crate) fn mask_message(&self, message: String, more: Vec<String>) -> String {
        let more: Vec<_> = more.into_iter().map(String::into_bytes).collect();
        let more: Vec<_> = more.iter().map(Vec::as_slice).collect();
        self.shared().secrets.mask_short(message, &more)
    }

    /// The same without an engine.
    #[cfg(feature = "node")]
    pub(crate) fn mask_message_with(message: String, secrets: Vec<String>) -> String {
        let secrets: Vec<_> = secrets.into_iter().map(String::into_bytes).collect();
        redact::mask_short(message, secrets.iter().map(Vec::as_slice))
    }

    /// Masks one more secret of at least 6 bytes from now on, in what runs already too: in output that comes after the call, in
    /// the results of executions that have not ended, in what [`ExecutionEngine::get_result`], [`ExecutionEngine::read_logs`] and
    /// [`ExecutionEngine::list_executions`] return from now on, and in errors and diagnoses. Events that were emitted, results that
    /// were returned, and the bytes of files stay as they are.
    ///
    /// # Errors
    /// `INVALID_REQUEST` (`value`) when it is too short, or when there are too many secrets.
    pub fn add_secret(&self, value: impl Into<Secret>) -> Result<()> {
        Self::add_to(&self.shared().secrets, &value.into())
    }

    /// [`ExecutionEngine::add_secret`] for one execution and no other.
    ///
    /// # Errors
    /// As [`ExecutionEngine::add_secret`]; `NOT_FOUND`.
    pub fn add_secret_of(&self, id: Uuid, value: impl Into<Secret>) -> Result<()> {
        Self::add_to(self.record(id)?.secrets(), &value.into())
    }

    fn add_to(vault: &Vault, secret: &Secret) -> Result<()> {
        redact::check_one("value", secret.reveal())
            .and_then(|()| vault.add("value", secret.reveal().as_bytes()))
            .map_err(ExecutionError::InvalidRequest)
    }

    /// The result of a record as it may be shown now.
    pub(super) fn shown_result(record: &Record) -> Option<Arc<ExecutionResult>> {
        let result = record.result()?;
        let secrets = record.secrets().current().filter(|_| record.has_new_secrets());
        let Some(secrets) = secrets else { return Some(Arc::clone(result)) };
        let mut masked = ExecutionResult::clone(result);
        let text = |text: &Text| secrets.mask_bytes(text.raw()).map(|bytes| Text::new(bytes, text.encoding()));
        masked.stdout = text(&result.stdout).unwrap_or(masked.stdout);
        masked.stderr = text(&result.stderr).unwrap_or(masked.stderr);
        if let Some(error) = &mut masked.error {
            error.message = secrets.mask(&error.message).into_owned();
        }
        for process in masked.diagnosis.iter_mut().flat_map(|diagnosis| &mut diagnosis.processes) {
            process.command = secrets.mask(&process.command).into_owned();
        }
        masked.log_path = masked.log_path.map(|path| match secrets.mask_bytes(path.as_os_str().as_encoded_bytes()) {
            Some(masked) => PathBuf::from(String::from_utf8_lossy(&masked).into_owned()),
            None => path,
        });
        Some(Arc::new(masked))
    }
}

impl Shared {
    /// A refusal in which the secrets of the engine and those of the options are masked.
    pub(super) fn masked(&self, invalid: Invalid, own: &[Secret]) -> Invalid {
        let own: Vec<&[u8]> = own.iter().map(|secret| secret.reveal().as_bytes()).collect();
        Invalid {
            field: self.secrets.mask_short(invalid.field, &own),
            problem: self.secrets.mask_short(invalid.problem, &own),
        }
    }

    /// What is to be masked for one execution.
    pub(super) fn secrets_of(
        &self,
        request: &ExecutionRequest,
        options: &ExecutionOptions,
        policy: &EnvPolicy,
    ) -> Result<Arc<Vault>, Invalid> {
        let is_env_masked = options.mask_env_secrets.unwrap_or(self.config.mask_env_secrets);
        let variables = is_env_masked.then(|| policy.secret_values(request, options.host_env.as_ref()));
        let given = options.secrets.iter().map(|secret| secret.reveal().as_bytes());
        let variables = variables.into_iter().flatten().filter(|value| value.len() >= redact::LEAST_BYTES);
        let own: Vec<_> = given.chain(variables).collect();
        let field = if is_env_masked { "options.mask_env_secrets" } else { "options.secrets" };
        Vault::of_execution(&self.secrets, field, &own)
    }
}
