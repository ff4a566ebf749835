//! The logs of executions that the engine knows.

use std::convert::Infallible;
use std::path::PathBuf;

use uuid::Uuid;

use super::ExecutionEngine;
use crate::error::{ExecutionError, Result};
use crate::output::read_log;
use crate::runtime;

impl ExecutionEngine {
    /// Where the log of an execution is or will be: at its `output_log_path`, else in `log_dir`; `None` when it has none.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub fn get_log_path(&self, id: Uuid) -> Result<Option<PathBuf>> {
        Ok(self.record(id)?.log_path().map(Into::into))
    }

    /// The log of an execution as text, or its last `tail_bytes`; while it runs, what is there so far.
    ///
    /// # Errors
    /// `NOT_FOUND`; `LOG_NOT_FOUND` when there is no log, or none that can be read.
    pub async fn read_logs(&self, id: Uuid, tail_bytes: Option<u64>) -> Result<String> {
        let engine = self.clone();
        // A request may have named the path.
        let read =
            runtime::call_blocking(move || engine.read_log(id, tail_bytes), std::future::pending::<Infallible>());
        read.await.unwrap_or_else(|never| match never {})
    }

    /// [`ExecutionEngine::read_logs`] where blocking is allowed.
    pub(crate) fn read_log(&self, id: Uuid, tail_bytes: Option<u64>) -> Result<String> {
        let missing = |why: String| ExecutionError::LogNotFound { id, why };
        let Some(path) = self.get_log_path(id)? else {
            return Err(missing("it has none: set `log_dir`, or `output_log_path` in the request".into()));
        };
        let record = self.record(id)?;
        let text = read_log(&path, tail_bytes).map_err(|error| {
            missing(record.secrets().mask(&format!("{} cannot be read: {error}", path.display())).into())
        })?;
        // What was written before a secret was added.
        Ok(if record.has_new_secrets() { record.secrets().mask(&text).into_owned() } else { text })
    }
}
