//! The logs and the output of executions that have a record.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::ExecutionEngine;
use crate::error::{ExecutionError, Result};
use crate::platform::clock;
use crate::registry::Record;
use crate::runtime;
use crate::types::{Encoding, ExecutionResult, Stream, Text};

/// A log that takes longer to read is on a disk that does not answer.
const LONGEST_READ: Duration = Duration::from_secs(60);

impl ExecutionEngine {
    /// Returns the path at which the log of an execution is or will be: its `output_log_path`, else a path in
    /// `log_dir`; `None` when it has none.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub fn get_log_path(&self, id: Uuid) -> Result<Option<PathBuf>> {
        Ok(self.record(id)?.log().map(|log| log.path().to_owned()))
    }

    /// Returns the log of an execution as text; while the execution runs, the part that exists so far. Bytes that are
    /// not UTF-8 are U+FFFD. Cancel safe.
    ///
    /// # Errors
    /// `NOT_FOUND`; `LOG_NOT_FOUND` when there is no log, another file has taken its place, or it cannot be read within 60 s.
    pub async fn read_logs(&self, id: Uuid) -> Result<String> {
        self.read_part_of_log(id, None).await
    }

    /// Returns the last bytes of the log of an execution, as text.
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

    /// Returns the output of a command on a stream so far, or all of it when the execution has ended: what its result
    /// has or would have if it ended now, with secrets masked. With `tail_bytes`, it is the last bytes of that. It is
    /// empty before the command is spawned. With retries it is the output of the last attempt. Cancel safe.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub async fn read_output(&self, id: Uuid, stream: Stream, tail_bytes: Option<u64>) -> Result<Text> {
        let record = self.record(id)?;
        // Much output may be copied and masked: the threads of the engine drive executions meanwhile.
        let result = if let Some(captures) = record.captures() {
            let (shown_of, from) = (Arc::clone(&record), Arc::clone(&captures));
            let so_far = move || Some(shown(&shown_of, from.so_far(stream)?, from.encoding(), tail_bytes));
            if let Some(text) = runtime::blocking(so_far).await.flatten() {
                return Ok(text);
            }
            // The execution ends at this moment.
            tokio::select! {
                result = captures.result() => Some(Arc::clone(result)),
                result = record.settled() => Some(result),
            }
        } else {
            record.result()
        };
        let Some(result) = result else { return Ok(Text::default()) };
        let of_result = move || {
            let (bytes, encoding) = output_of(&result, stream);
            shown(&record, bytes, encoding, tail_bytes)
        };
        let message = || "the output could not be copied: this is a defect of the engine".to_owned();
        runtime::blocking(of_result).await.ok_or_else(|| ExecutionError::Internal { message: message(), result: None })
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
        // This output was written before a secret was added.
        Ok(if record.secrets().version() > 0 { record.secrets().mask_output(&text).into_owned() } else { text })
    }
}

/// Returns output, or the end of it, in which a secret that was added after it came is masked too.
fn shown(record: &Record, bytes: Vec<u8>, encoding: Encoding, tail_bytes: Option<u64>) -> Text {
    let secrets = record.secrets().current().filter(|_| record.secrets().version() > 0);
    let masked = secrets.and_then(|secrets| secrets.mask_bytes(&bytes)).unwrap_or(bytes);
    Text::new(tail_of(masked, tail_bytes), encoding)
}

fn output_of(result: &ExecutionResult, stream: Stream) -> (Vec<u8>, Encoding) {
    let text = match stream {
        Stream::Stdout => &result.stdout,
        Stream::Stderr => &result.stderr,
    };
    (text.raw().to_vec(), text.encoding())
}

/// Returns the last bytes, without the rest of a character whose beginning is cut off.
fn tail_of(mut bytes: Vec<u8>, most: Option<u64>) -> Vec<u8> {
    let from = most.map_or(0, |most| bytes.len().saturating_sub(usize::try_from(most).unwrap_or(usize::MAX)));
    if from > 0 {
        let is_rest = |byte: &&u8| **byte & 0b1100_0000 == 0b1000_0000;
        let rest = bytes[from..].iter().take(3).take_while(is_rest).count();
        bytes.drain(..from + rest);
    }
    bytes
}
