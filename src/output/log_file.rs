//! Writes one log of bounded size. When a full disk has space again, the log continues after a mark for the missing bytes.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use super::disk_space::{FreeSpace, Quota};
use super::file_io::{self, write_all};
use super::spool::{Loss, Spool, Store};
use crate::config::{ExecutionConfig, LogFormat, MOST_STRING_BYTES};
use crate::platform::{self, FileId};
use crate::runtime::{DiskKey, DiskQueue};

const DELETED: &str = "the file was deleted while it was written";

/// The bounds for the size of the logs of an engine.
#[derive(Debug)]
pub(crate) struct LogBounds {
    file_bytes: u64,
    min_free_bytes: u64,
    /// The size of the logs of all executions that have a record.
    quota: Quota,
}

impl LogBounds {
    pub(crate) fn new(config: &ExecutionConfig) -> Self {
        Self {
            file_bytes: config.max_log_file_bytes,
            min_free_bytes: config.min_free_disk_bytes,
            quota: Quota::new(config.max_log_total_bytes),
        }
    }
}

/// The log of an execution that is read: where it is, and which file that is.
#[derive(Debug)]
pub(crate) struct MainLog {
    path: PathBuf,
    /// The id of the file, set when it is opened; each attempt opens it. The lock is held for a move.
    id: Mutex<Option<FileId>>,
}

impl MainLog {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, id: Mutex::new(None) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn opened(&self, id: FileId) {
        *self.id.lock().unwrap_or_else(PoisonError::into_inner) = Some(id);
    }

    /// Returns the end of the log, or all of it, as text. Blocks. What has taken the place of the file that was written is an
    /// error, and is not read.
    pub(crate) fn read(&self, tail_bytes: Option<u64>) -> io::Result<String> {
        let Some(id) = *self.id.lock().unwrap_or_else(PoisonError::into_inner) else {
            return Err(io::Error::other("nothing has been written there yet"));
        };
        let mut file = file_io::retry_while_exhausted(|| platform::open_no_follow(&self.path))?;
        if platform::file_id(&file)? != id {
            return Err(io::Error::other("another file has taken the place of the one that was written"));
        }
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
}

/// A log that was opened. It counts against the quota for as long as its record stays, and may go with it.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    id: FileId,
    is_removed: bool,
    bounds: Arc<LogBounds>,
    /// Bytes of the quota.
    reserved: AtomicU64,
    queue: Arc<DiskQueue>,
}

impl LogFile {
    /// Takes an open log. Its queue is that of its disk.
    pub(super) fn new(file: &File, path: PathBuf, is_removed: bool, bounds: Arc<LogBounds>) -> io::Result<Self> {
        let id = platform::file_id(file)?;
        let queue = DiskQueue::of(DiskKey::Device(id.device));
        Ok(Self { path, id, is_removed, bounds, reserved: AtomicU64::new(0), queue })
    }

    pub(super) fn id(&self) -> FileId {
        self.id
    }

    /// Returns a spool that writes to the log.
    pub(super) fn spool(self: &Arc<Self>, file: File, format: LogFormat) -> Spool {
        let store = LogStore {
            file,
            shared: Arc::clone(self),
            format,
            free: FreeSpace::new(self.bounds.min_free_bytes),
            length: 0,
            written: 0,
            missing: Loss::default(),
            is_torn: false,
            is_deleted: false,
        };
        Spool::new(Box::new(store), Arc::clone(&self.queue))
    }

    fn release(&self, bytes: u64) {
        self.reserved.fetch_sub(bytes, Relaxed);
        self.bounds.quota.release(bytes);
    }
}

impl Drop for LogFile {
    fn drop(&mut self) {
        self.bounds.quota.release(*self.reserved.get_mut());
        if self.is_removed {
            let (path, id) = (std::mem::take(&mut self.path), self.id);
            self.queue.finish_soon(move || remove_same(&path, id));
        }
    }
}

/// Returns a time in the format of the records of a log.
pub(super) fn record_time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Removes a file unless another one has its name by now. Blocks.
pub(super) fn remove_same(path: &Path, id: FileId) {
    if platform::file_id_at(path).is_ok_and(|found| found == id) {
        let _ = fs::remove_file(path);
    }
}

struct LogStore {
    file: File,
    shared: Arc<LogFile>,
    format: LogFormat,
    free: FreeSpace,
    /// The size of the file when it was last looked at.
    length: u64,
    /// The bytes that this execution has written.
    written: u64,
    /// The bytes lost since the last ones that were written, with the reason.
    missing: Loss,
    /// The file ends with a part of a record.
    is_torn: bool,
    is_deleted: bool,
}

/// A record that stands for bytes of a log that are missing.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Gap<'a> {
    time: &'a str,
    missing_bytes: u64,
    reason: &'a str,
}

impl LogStore {
    /// Returns the marker for the place where bytes are missing.
    fn mark(&self) -> Vec<u8> {
        let Loss { bytes, why } = &self.missing;
        if *bytes == 0 {
            return Vec::new();
        }
        let reason = why.as_deref().unwrap_or("they could not be written");
        match self.format {
            LogFormat::Raw => format!("\n[... {bytes} bytes are missing here: {reason} ...]\n").into_bytes(),
            LogFormat::Jsonl => {
                let gap = Gap { time: &record_time(Utc::now()), missing_bytes: *bytes, reason };
                let mut record = serde_json::to_vec(&gap).unwrap_or_default();
                record.push(b'\n');
                record
            }
        }
    }

    /// Returns how many of the next bytes may be written, reserved already, and the reason that forbids the others.
    fn admit(&mut self, bytes: u64) -> (u64, Option<String>) {
        let bounds = &self.shared.bounds;
        let dir = self.shared.path.parent().unwrap_or(&self.shared.path);
        let (free, mut why) = self.free.admit(dir, bytes);
        // A directory that is gone cannot be checked; then opening the file reports what is wrong.
        let free = if free < bytes && !dir.is_dir() { bytes } else { free };
        let fits = free.min(bounds.file_bytes.saturating_sub(self.length));
        let reserved = bounds.quota.reserve(fits);
        self.shared.reserved.fetch_add(reserved, Relaxed);
        if reserved < fits {
            why = Some(format!("the logs of this engine met `max_log_total_bytes` ({})", bounds.quota.most()));
        } else if fits < free {
            why = Some(format!("the log met `max_log_file_bytes` ({})", bounds.file_bytes));
        }
        (reserved, why)
    }

    /// Writes as many of `bytes` as may stay: all or none if they are one whole, else whole records where the log has some. Returns
    /// how many stay, and the error that has kept the others away.
    fn put(&mut self, bytes: &[u8], admitted: u64, is_whole: bool) -> (usize, Option<String>) {
        let admitted = usize::try_from(admitted).unwrap_or(usize::MAX).min(bytes.len());
        let whole = |length: usize| match self.format {
            _ if length == bytes.len() => length,
            _ if is_whole => 0,
            LogFormat::Raw => length,
            LogFormat::Jsonl => bytes[..length].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1),
        };
        let to_write = whole(admitted);
        match write_all(&mut self.file, &bytes[..to_write]) {
            Ok(()) => (to_write, None),
            Err((written, error)) => {
                let stay = whole(written);
                if stay < written && !self.take_back((written - stay) as u64) {
                    self.is_torn = true;
                }
                (stay, Some(error.to_string()))
            }
        }
    }

    /// Removes what was written last, unless another program has written since.
    fn take_back(&mut self, bytes: u64) -> bool {
        let (Ok(end), Ok(found)) = (self.file.stream_position(), self.file.metadata()) else { return false };
        found.len() == end && self.file.set_len(end - bytes).is_ok()
    }

    /// Writes the mark of what is missing, if something is, and then bytes. Without room for the mark nothing is written: it would
    /// look as if nothing were missing.
    fn try_write(&mut self, bytes: &[u8]) -> Loss {
        let mut mark = self.mark();
        if self.is_torn {
            mark.insert(0, b'\n');
        }
        let (reserved, forbids) = self.admit((mark.len() + bytes.len()) as u64);
        let (marked, mut failure) = self.put(&mark, reserved, true);
        let mut stay = 0;
        if marked == mark.len() {
            if marked > 0 {
                (self.is_torn, self.missing) = (false, Loss::default());
            }
            (stay, failure) = self.put(bytes, reserved - marked as u64, false);
        }
        let used = (marked + stay) as u64;
        self.shared.release(reserved - used);
        self.length += used;
        self.written += stay as u64;
        let missing = (bytes.len() - stay) as u64;
        let why = failure.or(forbids).filter(|_| missing > 0);
        self.missing.add(Loss { bytes: missing, why: why.clone() });
        Loss { bytes: missing, why }
    }

    /// Looks whether the file is still there, and whether it has been cut short.
    fn look(&mut self) -> Loss {
        if platform::is_deleted(&self.file) {
            self.is_deleted = true;
            return Loss { bytes: self.written, why: Some(DELETED.into()) };
        }
        if let Ok(found) = self.file.metadata() {
            if found.len() < self.length {
                // The program that has truncated it has kept a copy, or does not want it.
                self.shared.release(self.shared.reserved.load(Relaxed));
                self.is_torn = false;
            }
            self.length = found.len();
        }
        Loss::default()
    }
}

impl Store for LogStore {
    fn write(&mut self, bytes: &[u8]) -> Loss {
        let mut loss = Loss::default();
        if !self.is_deleted {
            loss = self.look();
        }
        if self.is_deleted {
            loss.bytes += bytes.len() as u64;
            return loss;
        }
        loss.add(self.try_write(bytes));
        loss
    }

    fn skip(&mut self, bytes: u64) {
        self.missing.add(Loss { bytes, why: Some("the disk did not take them in time".into()) });
    }

    fn finish(&mut self) -> Loss {
        if self.is_deleted {
            return Loss::default();
        }
        let loss = self.look();
        if !self.is_deleted && self.missing.bytes > 0 {
            self.try_write(&[]);
        }
        loss
    }
}
