//! The logs of an execution: in the engine's directory, at the path in the request, or both.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use super::Keepsake;
use super::log_file::{LogBounds, LogFile, MainLog, record_time, remove_same};
use super::spool::Spool;
use crate::command::exhaustion_text;
use crate::config::{ExecutionConfig, LogFormat};
use crate::event::LineBatch;
use crate::platform;
use crate::types::{ErrorCode, ErrorInfo, ExecutionRequest, Stream};

/// The paths of the logs of an execution.
#[derive(Debug, Clone)]
pub(crate) struct LogPaths {
    /// A log in the engine's directory, created for this execution.
    in_dir: Option<PathBuf>,
    /// Whether the log in the engine's directory is removed with the record.
    goes: bool,
    /// A log at the path in the request, to which the engine appends.
    requested: Option<PathBuf>,
    /// An attempt before has made it.
    is_made: bool,
    /// The one to read: the one in the request, else the engine's own.
    main: Option<Arc<MainLog>>,
    bounds: Arc<LogBounds>,
}

impl LogPaths {
    pub(crate) fn of(request: &ExecutionRequest, config: &ExecutionConfig, bounds: &Arc<LogBounds>) -> Self {
        // The name is made of the id alone: no part of a request names a file in that directory.
        let in_dir = config.log_dir.as_ref().map(|dir| dir.join(file_name(request.id)));
        let requested = request.output_log_path.clone();
        let main = requested.as_ref().or(in_dir.as_ref()).map(|path| Arc::new(MainLog::new(path.clone())));
        Self { in_dir, goes: !config.keep_logs, requested, is_made: false, main, bounds: Arc::clone(bounds) }
    }

    /// Returns the paths of the next attempt, which appends to the logs.
    pub(crate) fn next_attempt(&self) -> Self {
        Self { is_made: true, ..self.clone() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.in_dir.is_none() && self.requested.is_none()
    }

    pub(crate) fn main(&self) -> Option<&Arc<MainLog>> {
        self.main.as_ref()
    }
}

fn file_name(id: Uuid) -> String {
    format!("{id}.log")
}

/// The open logs of an execution.
pub(crate) struct Log {
    /// The one to read.
    path: PathBuf,
    files: Vec<Arc<LogFile>>,
    spools: Vec<Spool>,
    format: LogFormat,
    records: Vec<u8>,
}

/// The reason why a log could not be opened.
pub(crate) struct LogFailure {
    error: io::Error,
    path: PathBuf,
    advice: &'static str,
}

impl LogFailure {
    /// Whether another attempt may succeed: the machine has no room, such as no descriptor, and nothing is wrong with the log.
    pub(crate) fn is_exhaustion(&self) -> bool {
        platform::is_exhaustion(&self.error)
    }

    /// Returns the failure of a disk that does not answer.
    pub(crate) fn no_answer(paths: &LogPaths) -> Self {
        let path = paths.main().map(|log| log.path().to_owned()).unwrap_or_default();
        let error = io::Error::new(io::ErrorKind::TimedOut, "its disk does not answer");
        Self { error, path, advice: "use another disk" }
    }

    pub(crate) fn into_info(self) -> ErrorInfo {
        let Self { error, path, advice } = self;
        let errno = platform::errno_name(&error).or((error.kind() == io::ErrorKind::TimedOut).then_some("ETIMEDOUT"));
        // If the machine has no room, nothing is wrong with the log itself.
        let (code, why) = if platform::is_exhaustion(&error) {
            (ErrorCode::SpawnFailed, exhaustion_text(&error))
        } else if error.kind() == io::ErrorKind::AlreadyExists {
            (ErrorCode::LogFailed, format!("a log of this id is there already: {advice}"))
        } else {
            (ErrorCode::LogFailed, format!("{error}: {advice}"))
        };
        ErrorInfo {
            code,
            message: format!("nothing was run, since log {} could not be opened: {why}", path.display()),
            errno: errno.map(str::to_owned),
        }
    }
}

impl Log {
    /// Opens every log. Blocks.
    pub(crate) fn open(paths: &LogPaths, format: LogFormat) -> Result<Self, LogFailure> {
        let mut opened = Vec::new();
        if let Some(path) = &paths.in_dir {
            let open = |path: &Path| {
                path.parent().map_or(Ok(()), platform::create_private_dir)?;
                if paths.is_made { platform::append_private(path) } else { platform::create_private(path) }
            };
            // This holds from now on: a log that opens too late for its execution is removed at once. A log that an
            // earlier attempt has made belongs to that attempt.
            let is_removed = paths.goes && !paths.is_made;
            let advice = "`log_dir` needs a directory that the host may write to";
            opened.push(take(open(path), path, is_removed, paths, advice)?);
        }
        if let Some(path) = &paths.requested {
            let advice =
                "`output_log_path` needs a new name in a directory that exists, or a plain file of this user's";
            match take(platform::append_private(path), path, false, paths, advice) {
                Ok(requested) => opened.push(requested),
                Err(failure) => {
                    // Another attempt makes it again; and nothing is run, so that nothing will be in it.
                    if let (Some((_, file)), Some(path), false) = (opened.first(), &paths.in_dir, paths.is_made) {
                        remove_same(path, file.id());
                    }
                    return Err(failure);
                }
            }
        }
        let path = paths.main().map(|log| log.path().to_owned()).unwrap_or_default();
        if let (Some(main), Some((_, file))) = (paths.main(), opened.last()) {
            main.opened(file.id());
        }
        let (mut spools, mut files) = (Vec::new(), Vec::new());
        for (file, log) in opened {
            spools.push(log.spool(file, format));
            files.push(log);
        }
        Ok(Self { path, files, spools, format, records: Vec::new() })
    }

    /// Takes bytes as they came, unless lines are logged.
    pub(super) fn bytes(&self, bytes: &[u8]) {
        if self.format == LogFormat::Raw {
            self.push(bytes);
        }
    }

    pub(super) fn wants_lines(&self) -> bool {
        self.format == LogFormat::Jsonl
    }

    /// Takes lines, if those are logged.
    pub(super) fn lines(&mut self, batch: &LineBatch<'_>) {
        if !self.wants_lines() {
            return;
        }
        self.records.clear();
        let time = record_time(batch.timestamp);
        for ((text, mark), sequence) in batch.lines().zip(batch.first_sequence..) {
            let record = LogRecord {
                time: &time,
                stream: batch.stream,
                sequence,
                text: &String::from_utf8_lossy(text),
                partial: mark.partial,
                continued: mark.continued,
                carriage_return: mark.carriage_return,
            };
            // Writing to memory cannot fail, and no key is anything but text.
            let _ = serde_json::to_writer(&mut self.records, &record);
            self.records.push(b'\n');
        }
        self.push(&self.records);
    }

    fn push(&self, bytes: &[u8]) {
        for spool in &self.spools {
            spool.push(bytes);
        }
    }

    pub(super) fn spools(&self) -> &[Spool] {
        &self.spools
    }

    /// Returns the parts that live as long as the record: when they are dropped, the logs are not counted any more, and
    /// one of them may be removed.
    pub(super) fn files(&self) -> Vec<Keepsake> {
        self.files.iter().map(|file| Arc::clone(file) as Keepsake).collect()
    }

    pub(super) fn is_open(&self) -> bool {
        !self.spools.is_empty()
    }

    /// Closes the files, and keeps what is to be kept.
    pub(super) fn suspend(&mut self) {
        self.spools.clear();
    }

    /// Continues with the files of a log that was suspended.
    pub(super) fn resume(&mut self, suspended: Self) {
        self.files.splice(..0, suspended.files);
    }

    pub(super) fn into_path(self) -> PathBuf {
        self.path
    }
}

/// A line in a log of records. Control characters are escaped, so that no output can look like a record.
#[derive(Serialize)]
struct LogRecord<'a> {
    time: &'a str,
    stream: Stream,
    sequence: u64,
    text: &'a str,
    #[serde(skip_serializing_if = "is_false")]
    partial: bool,
    #[serde(skip_serializing_if = "is_false")]
    continued: bool,
    #[serde(rename = "carriageReturn", skip_serializing_if = "is_false")]
    carriage_return: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// Returns an open file as a log.
fn take(
    file: io::Result<File>,
    path: &Path,
    is_removed: bool,
    paths: &LogPaths,
    advice: &'static str,
) -> Result<(File, Arc<LogFile>), LogFailure> {
    let log = file.and_then(|file| {
        let log = LogFile::new(&file, path.to_owned(), is_removed, Arc::clone(&paths.bounds))?;
        Ok((file, Arc::new(log)))
    });
    log.map_err(|error| LogFailure { error, path: path.to_owned(), advice })
}
