//! Bounds the disk space of output: a quota for the files of one kind, and the space that must stay free.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::platform;

/// The bytes after which the free space of the disk is checked again.
const LOOK_EVERY: u64 = 1024 * 1024;

/// Bytes in all files of one kind of an engine.
#[derive(Debug)]
pub(super) struct Quota {
    most: u64,
    used: AtomicU64,
}

impl Quota {
    pub(super) const fn new(most: u64) -> Self {
        Self { most, used: AtomicU64::new(0) }
    }

    pub(super) const fn most(&self) -> u64 {
        self.most
    }

    /// Takes up to `bytes` and returns how many.
    #[must_use = "what was taken has to be released"]
    pub(super) fn reserve(&self, bytes: u64) -> u64 {
        let mut got = 0;
        let _ = self.used.fetch_update(Relaxed, Relaxed, |used| {
            got = bytes.min(self.most.saturating_sub(used));
            Some(used + got)
        });
        got
    }

    pub(super) fn release(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Relaxed);
    }
}

/// The free space that one file must leave on its disk.
#[derive(Debug)]
pub(super) struct FreeSpace {
    least: u64,
    /// Bytes until the next look.
    look_in: u64,
}

impl FreeSpace {
    pub(super) const fn new(least: u64) -> Self {
        Self { least, look_in: 0 }
    }

    /// Returns how many of `bytes` more leave enough free on the disk of a directory, and what forbids the others.
    pub(super) fn admit(&mut self, dir: &Path, bytes: u64) -> (u64, Option<String>) {
        // A disk that may be filled reports an error when it is full.
        if self.least == 0 {
            return (bytes, None);
        }
        if self.look_in < bytes {
            self.look_in = 0;
            let free = match platform::free_bytes(dir) {
                Ok(free) => free,
                Err(error) => return (0, Some(error.to_string())),
            };
            let may_take = free.saturating_sub(self.least);
            if may_take < bytes {
                let why = format!("the disk has less than `min_free_disk_bytes` ({}) to spare", self.least);
                return (may_take, Some(why));
            }
            self.look_in = LOOK_EVERY.max(bytes).min(may_take);
        }
        self.look_in -= bytes;
        (bytes, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_gives_what_is_left_of_it() {
        let quota = Quota::new(10);
        assert_eq!(quota.most(), 10);
        assert_eq!([7, 7, 1].map(|bytes| quota.reserve(bytes)), [7, 3, 0]);
        quota.release(4);
        assert_eq!(quota.reserve(9), 4);
    }

    #[test]
    fn the_disk_is_looked_at_once_for_so_many_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("missing");
        let mut free = FreeSpace::new(1);
        assert_eq!(free.admit(dir.path(), 10), (10, None));
        assert_eq!(free.admit(&missing, LOOK_EVERY - 10), (LOOK_EVERY - 10, None), "without a look");
        let (admitted, why) = free.admit(&missing, 1);
        assert_eq!((admitted, why.is_some()), (0, true));
    }

    #[test]
    fn a_disk_is_filled_up_to_what_stays_free() {
        let dir = tempfile::tempdir().unwrap();
        let (admitted, why) = FreeSpace::new(u64::MAX).admit(dir.path(), 10);
        assert_eq!(admitted, 0);
        assert!(why.unwrap().contains("min_free_disk_bytes"));
        assert_eq!(FreeSpace::new(0).admit(&dir.path().join("missing"), 10), (10, None), "0: not looked at");
    }
}
