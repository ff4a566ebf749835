//! The logs of an execution: in the engine's directory, where the request asks for one, or both.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::Keepsake;
use super::spool::{Loss, Spool, Store};
use crate::config::{ExecutionConfig, LogFormat, MOST_STRING_BYTES};
use crate::event::LineBatch;
use crate::platform;
use crate::types::{ErrorCode, ErrorInfo, ExecutionRequest, Stream};

/// Where the logs of an execution are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LogPaths {
    /// In the engine's directory: made for this execution.
    in_dir: Option<PathBuf>,
    /// That one goes with the record.
    goes: bool,
    /// Where the request wants one: appended to.
    asked: Option<PathBuf>,
    /// An attempt before has made it.
    is_made: bool,
}

impl LogPaths {
    pub(crate) fn of(request: &ExecutionRequest, config: &ExecutionConfig) -> Self {
        Self {
            // From the id alone: nothing that a request says names a file in there.
            in_dir: config.log_dir.as_ref().map(|dir| dir.join(file_name(request.id))),
            goes: !config.keep_logs,
            asked: request.output_log_path.clone(),
            is_made: false,
        }
    }

    /// The same for another attempt, which goes on in it.
    pub(crate) fn again(&self) -> Self {
        Self { is_made: true, ..self.clone() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.in_dir.is_none() && self.asked.is_none()
    }

    /// The one to read: what the request asked for, before the engine's own.
    pub(crate) fn main(&self) -> Option<&Path> {
        self.asked.as_deref().or(self.in_dir.as_deref())
    }
}

fn file_name(id: Uuid) -> String {
    format!("{id}.log")
}

/// The open logs of an execution.
pub(crate) struct Log {
    /// The one to read.
    path: PathBuf,
    /// Removes the one in the engine's directory, if it goes with the record.
    file_to_remove: Option<Keepsake>,
    spools: Vec<Spool>,
    format: LogFormat,
    records: Vec<u8>,
}

impl Log {
    /// Opens every log. Blocks.
    pub(crate) fn open(paths: &LogPaths, format: LogFormat) -> Result<Self, ErrorInfo> {
        let mut spools = Vec::new();
        if let Some(path) = &paths.in_dir {
            let open = |path: &Path| {
                path.parent().map_or(Ok(()), platform::create_private_dir)?;
                if paths.is_made { platform::append_private(path) } else { platform::create_private(path) }
            };
            spools.push(spool(open(path), path, "`log_dir` needs a directory that the host may write to")?);
        }
        if let Some(path) = &paths.asked {
            let advice =
                "`output_log_path` needs a new name in a directory that exists, or a plain file of this user's";
            match spool(platform::append_private(path), path, advice) {
                Ok(spool) => spools.push(spool),
                Err(error) => {
                    // Where the machine is only short of descriptors, both are opened again, and this one is made anew.
                    if let Some(made) = paths.in_dir.as_ref().filter(|_| !paths.is_made) {
                        let _ = std::fs::remove_file(made);
                    }
                    return Err(error);
                }
            }
        }
        let path = paths.main().map(Path::to_owned).unwrap_or_default();
        // From now on: a log that comes too late for its execution goes at once. What an attempt before has made is that one's.
        let goes = paths.goes && !paths.is_made;
        let file_to_remove = paths.in_dir.clone().filter(|_| goes).map(|path| Arc::new(Removed(path)) as Keepsake);
        Ok(Self { path, file_to_remove, spools, format, records: Vec::new() })
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
        let time = time(batch.timestamp);
        for ((text, mark), sequence) in batch.lines().zip(batch.first_sequence..) {
            let record = Record {
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

    /// What removes the engine's own log when it is dropped, if that is wanted.
    pub(super) fn file_to_remove(&self) -> Option<Keepsake> {
        self.file_to_remove.clone()
    }

    pub(super) fn into_path(self) -> PathBuf {
        self.path
    }
}

/// A line in a log of records. Control characters are escaped, so that no output can look like a record.
#[derive(Serialize)]
struct Record<'a> {
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

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn spool(file: io::Result<File>, path: &Path, advice: &str) -> Result<Spool, ErrorInfo> {
    match file {
        Ok(file) => Ok(Spool::new(Box::new(LogStore { file, written: 0 }))),
        Err(error) => {
            let why = match error.kind() {
                io::ErrorKind::AlreadyExists => "a log of this id is there already".to_owned(),
                _ => error.to_string(),
            };
            Err(ErrorInfo {
                code: ErrorCode::LogFailed,
                message: format!("log {} could not be opened: {why}; nothing was run: {advice}", path.display()),
                errno: platform::errno_name(&error).map(str::to_owned),
            })
        }
    }
}

/// A log that goes with its record.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

struct LogStore {
    file: File,
    written: u64,
}

impl Store for LogStore {
    fn write(&mut self, bytes: &[u8]) -> Loss {
        match write_all(&mut self.file, bytes) {
            Ok(()) => {
                self.written += bytes.len() as u64;
                Loss::default()
            }
            Err((written, error)) => {
                self.written += written as u64;
                Loss::of((bytes.len() - written) as u64, &error)
            }
        }
    }

    fn finish(&mut self) -> Loss {
        if platform::is_deleted(&self.file) {
            return Loss::of(self.written, &io::Error::other("the file was deleted while it was written"));
        }
        Loss::default()
    }
}

/// As `Write::write_all`, but says how much was written before an error.
pub(super) fn write_all(file: &mut File, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
    let mut written = 0;
    while written < bytes.len() {
        match file.write(&bytes[written..]) {
            Ok(0) => return Err((written, io::ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err((written, error)),
        }
    }
    Ok(())
}

/// The end of a log, or all of it, as text. Blocks.
pub(crate) fn read(path: &Path, tail_bytes: Option<u64>) -> io::Result<String> {
    use std::io::{Read, Seek, SeekFrom};
    // Whatever has taken the place of the log: a FIFO would block.
    let mut file = platform::open_regular(path)?;
    let length = file.metadata()?.len();
    let from = tail_bytes.map_or(0, |tail| length.saturating_sub(tail));
    if length - from > MOST_STRING_BYTES as u64 {
        let problem =
            format!("it has {length} bytes, more than one string can hold: ask for its end with `tail_bytes`");
        return Err(io::Error::other(problem));
    }
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(length - from).read_to_end(&mut bytes)?;
    // The rest of a character whose beginning was cut off.
    let is_rest = |byte: &&u8| **byte & 0b1100_0000 == 0b1000_0000;
    let start = if from == 0 { 0 } else { bytes.iter().take(3).take_while(is_rest).count() };
    Ok(String::from_utf8_lossy(&bytes[start..]).into_owned())
}
