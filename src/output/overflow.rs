//! Output beyond its cap, in files: all of a stream from its first byte, within bounds on a file, on all of them and on what
//! stays free on the disk. A file goes with the record of its execution; what a host leaves behind when it dies, the next
//! one removes.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use uuid::Uuid;

use super::log::write_all;
use super::spool::{Loss, Spool, Store};
use crate::config::{ExecutionConfig, OversizedOutputStrategy};
use crate::platform;
use crate::runtime;
use crate::types::Stream;

/// What stays free on the disk is looked at once for so many bytes.
const LOOK_EVERY: u64 = 1024 * 1024;
const FOLDER_PREFIX: &str = "host-";
const LOCK: &str = "lock";

/// Where an engine's overflow goes, and how much there is of it.
#[derive(Debug)]
pub(crate) struct Overflow {
    base: PathBuf,
    /// The host has named it; otherwise it is ours, in a place where others write too.
    is_named: bool,
    file_bytes: u64,
    total_bytes: u64,
    min_free_bytes: u64,
    /// Bytes in files that are still there.
    used: AtomicU64,
    /// Counts files, so that no two have one name.
    files: AtomicU64,
    folder: Mutex<Option<Folder>>,
}

/// This engine's own folder.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    /// Held as long as this engine lives: by it, another host knows that the folder is in use.
    _lock: File,
}

impl Overflow {
    /// `None` when overflow goes nowhere. Removes in the background what dead hosts have left.
    pub(crate) fn new(config: &ExecutionConfig) -> Option<Arc<Self>> {
        if config.oversized_output_strategy != OversizedOutputStrategy::StreamToFile {
            return None;
        }
        let base = config.overflow_dir.clone();
        let overflow = Arc::new(Self {
            is_named: base.is_some(),
            base: base.unwrap_or_else(|| platform::private_temp_dir("escher-execution-engine")),
            file_bytes: config.max_overflow_file_bytes,
            total_bytes: config.max_overflow_total_bytes,
            min_free_bytes: config.min_free_disk_bytes,
            used: AtomicU64::new(0),
            files: AtomicU64::new(0),
            folder: Mutex::new(None),
        });
        let base = overflow.base.clone();
        runtime::on_disk(move || {
            // Whoever cannot look there has left nothing there either.
            let _ = remove_dead_folders(&base);
        });
        Some(overflow)
    }

    /// A file for a stream, made when the first bytes come.
    pub(super) fn start(self: &Arc<Self>, id: Uuid, stream: Stream) -> Spill {
        let stream = match stream {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        };
        let name = format!("{id}-{}.{stream}", self.files.fetch_add(1, Relaxed));
        let file = Arc::new(SpillFile { overflow: Arc::clone(self), path: OnceLock::new(), bytes: AtomicU64::new(0) });
        let store = SpillStore { file: Arc::clone(&file), name, open: None, look_in: 0, is_full: false };
        Spill { spool: Spool::new(Box::new(store)), file }
    }

    /// Makes a file in this engine's folder, and the folder if it is the first.
    fn create(&self, name: &str) -> io::Result<(File, PathBuf)> {
        let mut folder = self.folder.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = match &mut *folder {
            Some(folder) => folder,
            none => none.insert(self.make_folder()?),
        };
        // Somebody may have tidied up.
        platform::create_private_dir(&folder.path)?;
        let path = folder.path.join(name);
        Ok((platform::create_private(&path)?, path))
    }

    fn make_folder(&self) -> io::Result<Folder> {
        platform::create_private_dir(&self.base)?;
        if !self.is_named {
            platform::check_private_dir(&self.base)?;
        }
        let _nobody_tidies_up = lock_base(&self.base)?;
        let path = self.base.join(format!("{FOLDER_PREFIX}{}", Uuid::new_v4()));
        platform::create_private_dir(&path)?;
        let lock = platform::create_private(&path.join(LOCK))?;
        platform::try_lock(&lock)?;
        Ok(Folder { path, _lock: lock })
    }

    /// Takes up to `bytes` from the engine's quota.
    fn reserve(&self, bytes: u64) -> u64 {
        let mut got = 0;
        let _ = self.used.fetch_update(Relaxed, Relaxed, |used| {
            got = bytes.min(self.total_bytes.saturating_sub(used));
            Some(used + got)
        });
        got
    }
}

impl Drop for Overflow {
    fn drop(&mut self) {
        let folder = self.folder.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(folder) = folder {
            let _ = fs::remove_file(folder.path.join(LOCK));
            let _ = fs::remove_dir(&folder.path);
        }
    }
}

/// Held by whoever makes or removes folders.
fn lock_base(base: &Path) -> io::Result<File> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(base.join(".lock"))?;
    platform::lock(&file)?;
    Ok(file)
}

/// Removes the folders of hosts that are gone: their locks are free.
fn remove_dead_folders(base: &Path) -> io::Result<()> {
    if !base.is_dir() {
        return Ok(());
    }
    let _nobody_makes_one = lock_base(base)?;
    for entry in fs::read_dir(base)?.flatten() {
        let is_folder = entry.file_name().to_str().is_some_and(|name| name.starts_with(FOLDER_PREFIX));
        if !is_folder || platform::check_private_dir(&entry.path()).is_err() {
            continue;
        }
        let is_dead = match File::open(entry.path().join(LOCK)) {
            Ok(lock) => platform::try_lock(&lock).is_ok(),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        if is_dead {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

/// A stream on its way to its file.
pub(super) struct Spill {
    pub(super) spool: Spool,
    pub(super) file: Arc<SpillFile>,
}

/// A file that goes when nobody keeps it any more.
#[derive(Debug)]
pub(crate) struct SpillFile {
    overflow: Arc<Overflow>,
    /// Set once it is there.
    path: OnceLock<PathBuf>,
    bytes: AtomicU64,
}

impl SpillFile {
    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.get().map(PathBuf::as_path)
    }
}

impl Drop for SpillFile {
    fn drop(&mut self) {
        if let Some(path) = self.path.get() {
            let _ = fs::remove_file(path);
        }
        self.overflow.used.fetch_sub(self.bytes.load(Relaxed), Relaxed);
    }
}

struct SpillStore {
    file: Arc<SpillFile>,
    name: String,
    open: Option<File>,
    /// Bytes until the next look at what is free.
    look_in: u64,
    /// It has met a bound or an error: what is there is the beginning of the stream, and stays that.
    is_full: bool,
}

impl SpillStore {
    /// How many of the next bytes may be written, and what forbids the others.
    fn admit(&mut self, bytes: u64) -> io::Result<(u64, Option<String>)> {
        let overflow = &self.file.overflow;
        let base = &overflow.base;
        if self.look_in < bytes {
            let parent = self.file.path().and_then(Path::parent).unwrap_or(base);
            if platform::free_bytes(parent)? < overflow.min_free_bytes.saturating_add(bytes) {
                let min = overflow.min_free_bytes;
                return Ok((0, Some(format!("the disk has less than `min_free_disk_bytes` ({min}) to spare"))));
            }
            self.look_in = LOOK_EVERY.max(bytes);
        }
        self.look_in -= bytes;
        let fits = bytes.min(overflow.file_bytes - self.file.bytes.load(Relaxed));
        let reserved = overflow.reserve(fits);
        self.file.bytes.fetch_add(reserved, Relaxed);
        let bound = if reserved < fits {
            Some(format!("the overflow of this engine met `max_overflow_total_bytes` ({})", overflow.total_bytes))
        } else if fits < bytes {
            Some(format!("the file met `max_overflow_file_bytes` ({})", overflow.file_bytes))
        } else {
            None
        };
        Ok((reserved, bound))
    }

    fn try_write(&mut self, bytes: &[u8]) -> Result<(), (usize, String)> {
        let fail = |error: io::Error| (0, error.to_string());
        if self.open.is_none() {
            let (file, path) = self.file.overflow.create(&self.name).map_err(fail)?;
            self.open = Some(file);
            let _ = self.file.path.set(path);
        }
        let (admitted, bound) = self.admit(bytes.len() as u64).map_err(fail)?;
        let admitted = usize::try_from(admitted).unwrap_or(usize::MAX).min(bytes.len());
        let file = self.open.as_mut().expect("opened above");
        write_all(file, &bytes[..admitted]).map_err(|(written, error)| (written, error.to_string()))?;
        bound.map_or(Ok(()), |bound| Err((admitted, bound)))
    }
}

impl Store for SpillStore {
    fn write(&mut self, bytes: &[u8]) -> Loss {
        if self.is_full {
            return Loss { bytes: bytes.len() as u64, why: None };
        }
        match self.try_write(bytes) {
            Ok(()) => Loss::default(),
            Err((written, why)) => {
                self.is_full = true;
                Loss { bytes: (bytes.len() - written) as u64, why: Some(why) }
            }
        }
    }

    fn finish(&mut self) -> Loss {
        Loss::default()
    }
}
