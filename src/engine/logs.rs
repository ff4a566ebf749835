//! The logs of executions that the engine knows.

use std::path::PathBuf;
use std::time::Duration;

use uuid::Uuid;

use super::ExecutionEngine;
use crate::error::{ExecutionError, Result};
use crate::platform::clock;
use crate::runtime;

/// A log that takes longer to read is on a disk that does not answer.
const LONGEST_READ: Duration = Duration::from_secs(60);

impl ExecutionEngine {
    /// Where the log of an execution is or will be: at its `output_log_path`, else in `log_dir`; `None` when it has none.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub fn get_log_path(&self, id: Uuid) -> Result<Option<PathBuf>> {
        Ok(self.record(id)?.log().map(|log| log.path().to_owned()))
    }

    /// The log of an execution as text; while it runs, what is there so far. Bytes that are not UTF-8 are U+FFFD. Cancel safe. It needs
    /// the timers of a Tokio runtime.
    ///
    /// # Errors
    /// `NOT_FOUND`; `LOG_NOT_FOUND` when there is no log, another file has taken its place, or it cannot be read within 60 s.
    pub async fn read_logs(&self, id: Uuid) -> Result<String> {
        self.read_part_of_log(id, None).await
    }

    /// The last bytes of the log of an execution, as text.
    ///
    /// # Errors
    /// As [`ExecutionEngine::read_logs`].
    pub async fn read_logs_tail(&self, id: Uuid, bytes: u64) -> Result<String> {
        self.read_part_of_log(id, Some(bytes)).await
    }

    pub(crate) async fn read_part_of_log(&self, id: Uuid, tail_bytes: Option<u64>) -> Result<String> {
        let engine = self.clone();
        // A request may have named the path.
        let read = runtime::call_blocking(move || engine.read_log(id, tail_bytes), clock::sleep(LONGEST_READ));
        read.await.unwrap_or_else(|()| Err(ExecutionError::LogNotFound { id, why: "its disk does not answer".into() }))
    }

    fn read_log(&self, id: Uuid, tail_bytes: Option<u64>) -> Result<String> {
        let missing = |why: String| ExecutionError::LogNotFound { id, why };
        let record = self.record(id)?;
        let Some(log) = record.log() else {
            return Err(missing("it has none: set `log_dir`, or `output_log_path` in the request".into()));
        };
        let unreadable =
            |error| missing(record.secrets().mask(&format!("{} cannot be read: {error}", log.path().display())).into());
        let text = log.read(tail_bytes).map_err(unreadable)?;
        // What was written before a secret was added.
        Ok(if record.secrets().version() > 0 { record.secrets().mask(&text).into_owned() } else { text })
    }
}
