//! Output beyond its cap, in files: all of a stream from its first byte, within bounds on a file, on all of them and on what
//! stays free on the disk. A file goes with the record of its execution; what a host leaves behind when it ends, the next
//! one removes.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use uuid::Uuid;

use super::disk_space::{FreeSpace, Quota};
use super::file_io::write_all;
use super::log_file::remove_same;
use super::overflow_folder::{Folder, remove_dead_folders};
use super::spool::{Loss, Spool, Store};
use crate::config::ExecutionConfig;
use crate::platform::{self, FileId};
use crate::runtime::{DiskKey, DiskQueue};
use crate::types::Stream;

/// The store of an engine's overflow, with its size.
#[derive(Debug)]
pub(crate) struct Overflow {
    base: PathBuf,
    /// The host has named it; otherwise it is ours, in a place where others write too.
    is_named: bool,
    file_bytes: u64,
    min_free_bytes: u64,
    /// The size of the files that still exist.
    quota: Quota,
    /// Counts files, so that no two have one name.
    files: AtomicU64,
    /// The folder, made for the first file. The lock is held for file work, on the thread of the queue alone.
    folder: Mutex<Option<Folder>>,
    /// The queue for all work on `base`.
    queue: Arc<DiskQueue>,
}

impl Overflow {
    /// Removes in the background the files of hosts that have ended.
    pub(crate) fn new(config: &ExecutionConfig) -> Arc<Self> {
        let named = config.overflow_dir.clone();
        let is_named = named.is_some();
        let base = named.unwrap_or_else(|| platform::private_temp_dir("escher-execution-engine"));
        let queue = DiskQueue::of(DiskKey::Directory(base.clone()));
        let swept = base.clone();
        queue.push(move || {
            // A process without access there has left nothing there either.
            let _ = remove_dead_folders(&swept);
        });
        Arc::new(Self {
            is_named,
            base,
            file_bytes: config.max_overflow_file_bytes,
            min_free_bytes: config.min_free_disk_bytes,
            quota: Quota::new(config.max_overflow_total_bytes),
            files: AtomicU64::new(0),
            folder: Mutex::new(None),
            queue,
        })
    }

    /// Returns a spill for a stream; its file is made when the first bytes come.
    pub(super) fn start(self: &Arc<Self>, id: Uuid, stream: Stream) -> Spill {
        let file = Arc::new(SpillFile {
            overflow: Arc::clone(self),
            made: OnceLock::new(),
            is_lost: AtomicBool::new(false),
            bytes: AtomicU64::new(0),
        });
        let number = self.files.fetch_add(1, Relaxed);
        let free = FreeSpace::new(self.min_free_bytes);
        let store =
            SpillStore { open: None, file: Arc::clone(&file), id, number, stream, free, written: 0, is_full: false };
        Spill { spool: Spool::new(Box::new(store), Arc::clone(&self.queue)), file }
    }

    /// Makes a file in this engine's folder, and the folder if it is the first.
    fn create(&self, id: Uuid, number: u64, stream: Stream) -> io::Result<(File, PathBuf)> {
        let mut folder = self.folder.lock().unwrap_or_else(PoisonError::into_inner);
        // Another program may have removed the folder.
        let folder = match folder.take().filter(|folder| !folder.is_gone()) {
            Some(found) => folder.insert(found),
            None => folder.insert(self.make_folder()?),
        };
        folder.create_file(id, number, stream)
    }

    fn make_folder(&self) -> io::Result<Folder> {
        platform::create_private_dir(&self.base)?;
        if !self.is_named {
            platform::check_private_dir(&self.base)?;
        }
        Folder::create(&self.base)
    }
}

impl Drop for Overflow {
    fn drop(&mut self) {
        let folder = self.folder.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(folder) = folder.take() {
            self.queue.finish_soon(|| folder.remove());
        }
    }
}

/// The part of a stream that is written to its file.
pub(super) struct Spill {
    pub(super) spool: Spool,
    pub(super) file: Arc<SpillFile>,
}

/// A file that is removed when its last owner drops it.
#[derive(Debug)]
pub(crate) struct SpillFile {
    overflow: Arc<Overflow>,
    /// The path and the id of the file, set once it exists.
    made: OnceLock<(PathBuf, FileId)>,
    /// Whether another program has removed or changed the file.
    is_lost: AtomicBool,
    bytes: AtomicU64,
}

impl SpillFile {
    pub(crate) fn path(&self) -> Option<&Path> {
        let (path, _) = self.made.get()?;
        (!self.is_lost.load(Relaxed)).then_some(path)
    }
}

impl Drop for SpillFile {
    fn drop(&mut self) {
        if let Some((path, id)) = self.made.take() {
            self.overflow.queue.finish_soon(move || remove_same(&path, id));
        }
        self.overflow.quota.release(*self.bytes.get_mut());
    }
}

struct SpillStore {
    /// The open file. It is closed before the file may be removed: fields are dropped in this order.
    open: Option<File>,
    file: Arc<SpillFile>,
    id: Uuid,
    number: u64,
    stream: Stream,
    free: FreeSpace,
    written: u64,
    /// The file has met a bound or an error: it stays the beginning of the stream.
    is_full: bool,
}

impl SpillStore {
    /// Returns how many of the next bytes may be written, and the reason that forbids the others.
    fn admit(&mut self, bytes: u64) -> (u64, Option<String>) {
        let overflow = &self.file.overflow;
        let dir = self.file.path().and_then(Path::parent).unwrap_or(&overflow.base);
        let (free, mut bound) = self.free.admit(dir, bytes);
        let fits = free.min(overflow.file_bytes - self.file.bytes.load(Relaxed));
        let reserved = overflow.quota.reserve(fits);
        self.file.bytes.fetch_add(reserved, Relaxed);
        if reserved < fits {
            let most = overflow.quota.most();
            bound = Some(format!("the overflow of this engine met `max_overflow_total_bytes` ({most})"));
        } else if fits < free {
            bound = Some(format!("the file met `max_overflow_file_bytes` ({})", overflow.file_bytes));
        }
        (reserved, bound)
    }

    fn try_write(&mut self, bytes: &[u8]) -> Result<(), (usize, String)> {
        let fail = |error: io::Error| (0, error.to_string());
        if self.open.is_none() {
            let (file, path) = self.file.overflow.create(self.id, self.number, self.stream).map_err(fail)?;
            let id = platform::file_id(&file).map_err(fail)?;
            self.open = Some(file);
            let _ = self.file.made.set((path, id));
        }
        let (admitted, bound) = self.admit(bytes.len() as u64);
        let admitted = usize::try_from(admitted).unwrap_or(usize::MAX).min(bytes.len());
        let file = self.open.as_mut().expect("opened above");
        write_all(file, &bytes[..admitted]).map_err(|(written, error)| (written, error.to_string()))?;
        bound.map_or(Ok(()), |bound| Err((admitted, bound)))
    }

    /// Checks the open file. Everything is lost when another program has removed it.
    fn look(&mut self) -> Loss {
        if self.open.as_ref().is_some_and(platform::is_deleted) {
            return self.lose_all("the overflow file was deleted while it was written");
        }
        Loss::default()
    }

    /// Checks the file at the path that the result would name. Everything is lost, too, when that file is not the one
    /// that was written.
    fn look_at_path(&mut self) -> Loss {
        let (Some(file), Some((path, id))) = (&self.open, self.file.made.get()) else { return Loss::default() };
        let is_elsewhere = match platform::file_id_at(path) {
            Ok(found) => found != *id,
            Err(error) => matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
        };
        if is_elsewhere {
            return self.lose_all("the overflow file was moved or replaced while it was written");
        }
        // The file is only appended to: missing bytes stay missing.
        if file.metadata().is_ok_and(|found| found.len() < self.written) {
            return self.lose_all("the overflow file was truncated while it was written");
        }
        Loss::default()
    }

    fn lose_all(&mut self, why: &str) -> Loss {
        (self.open, self.is_full) = (None, true);
        self.file.is_lost.store(true, Relaxed);
        Loss { bytes: std::mem::take(&mut self.written), why: Some(why.into()) }
    }
}

impl Store for SpillStore {
    fn write(&mut self, bytes: &[u8]) -> Loss {
        let mut loss = self.look();
        if self.is_full {
            loss.bytes += bytes.len() as u64;
            return loss;
        }
        let (written, why) = match self.try_write(bytes) {
            Ok(()) => (bytes.len(), None),
            Err((written, why)) => (written, Some(why)),
        };
        self.is_full = why.is_some();
        self.written += written as u64;
        loss.add(Loss { bytes: (bytes.len() - written) as u64, why });
        loss
    }

    fn skip(&mut self, _bytes: u64) {
        self.is_full = true;
    }

    fn finish(&mut self) -> Loss {
        let mut loss = self.look();
        loss.add(self.look_at_path());
        loss
    }
}
