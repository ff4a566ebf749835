//! An engine's own folder for overflow, and the removal of the folders of hosts that have ended.
//!
//! A folder is ours if its name has a UUID and a marker file in it repeats that UUID. The marker is locked for as long as the
//! engine exists. In such a folder only regular files with names of ours are removed: links, pipes and other files stay, and so
//! does the folder then.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::file_io;
use crate::platform;
use crate::types::Stream;

const PREFIX: &str = "host-";
const MARKER: &str = "lock";
const STREAMS: [Stream; 2] = [Stream::Stdout, Stream::Stderr];

/// A folder that this engine has made.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// The locked marker: the lock shows other hosts that the folder is in use.
    marker: File,
}

impl Folder {
    /// Makes a folder in `base`. Blocks.
    pub(super) fn create(base: &Path) -> io::Result<Self> {
        let id = Uuid::new_v4();
        let path = base.join(format!("{PREFIX}{id}"));
        platform::create_private_dir(&path)?;
        let made =
            file_io::retry_while_exhausted(|| platform::create_private(&path.join(MARKER))).and_then(|mut marker| {
                // The lock is taken before the marker has text: a marker with text whose lock is free is that of a host
                // that has ended.
                platform::try_lock(&marker)?;
                file_io::write_all(&mut marker, marker_text(id).as_bytes()).map_err(|(_, error)| error)?;
                Ok(marker)
            });
        match made {
            Ok(marker) => Ok(Self { path, marker }),
            Err(error) => {
                // The marker and the folder are new.
                let _ = fs::remove_file(path.join(MARKER));
                let _ = fs::remove_dir(&path);
                Err(error)
            }
        }
    }

    /// Makes a file for a stream in it, and returns its path too. Blocks.
    pub(super) fn create_file(&self, id: Uuid, number: u64, stream: Stream) -> io::Result<(File, PathBuf)> {
        let path = self.path.join(file_name(id, number, stream));
        Ok((file_io::retry_while_exhausted(|| platform::create_private(&path))?, path))
    }

    /// Whether it is not there any more, or something else is in its place.
    pub(super) fn is_gone(&self) -> bool {
        let is_directory = fs::symlink_metadata(&self.path).is_ok_and(|found| found.is_dir());
        let ids = (platform::file_id_at(&self.path.join(MARKER)), platform::file_id(&self.marker));
        !is_directory || !matches!(ids, (Ok(found), Ok(own)) if found == own)
    }

    /// Removes it, unless something else has come to be in it, or in its place. Blocks.
    pub(super) fn remove(self) {
        if !self.is_gone() {
            let Self { path, marker } = self;
            // An open file may keep its name, and so its folder.
            drop(marker);
            empty(&path);
        }
    }
}

/// Removes the folders of hosts that are gone: their locks are free. Blocks.
pub(super) fn remove_dead_folders(base: &Path) -> io::Result<()> {
    for entry in fs::read_dir(base)?.flatten() {
        let Some(id) = entry.file_name().to_str().and_then(folder_id) else { continue };
        let path = entry.path();
        if platform::check_private_dir(&path).is_ok()
            && let Some(marker) = open_marker(&path, id)
            && platform::try_lock(&marker).is_ok()
            // Another host may have removed it meanwhile.
            && !platform::is_deleted(&marker)
        {
            drop(marker);
            empty(&path);
        }
    }
    Ok(())
}

/// Opens the marker of a folder, if it is one.
fn open_marker(folder: &Path, id: Uuid) -> Option<File> {
    let marker = platform::open_no_follow(&folder.join(MARKER)).ok()?;
    let expected = marker_text(id);
    let mut text = Vec::new();
    (&marker).take(expected.len() as u64 + 1).read_to_end(&mut text).ok()?;
    (text == expected.as_bytes()).then_some(marker)
}

/// Removes the files of ours in a folder of ours, and then the folder if nothing else is in it.
fn empty(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut is_empty = true;
    for entry in entries.flatten() {
        let name = entry.file_name();
        if name == MARKER {
            continue;
        }
        // The kind is that of the entry itself: no link is followed.
        let is_ours = name.to_str().is_some_and(is_file_name) && entry.file_type().is_ok_and(|kind| kind.is_file());
        is_empty &= is_ours && fs::remove_file(entry.path()).is_ok();
    }
    if is_empty {
        let _ = fs::remove_file(folder.join(MARKER));
        let _ = fs::remove_dir(folder);
    }
}

fn marker_text(id: Uuid) -> String {
    format!("escher-execution-engine overflow {id}\n")
}

/// Returns the id in the name of a folder, if it is written as the engine writes it.
fn folder_id(name: &str) -> Option<Uuid> {
    same_id(name.strip_prefix(PREFIX)?)
}

fn same_id(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok().filter(|id| id.to_string() == text)
}

fn file_name(id: Uuid, number: u64, stream: Stream) -> String {
    format!("{id}-{number}.{}", word(stream))
}

fn is_file_name(name: &str) -> bool {
    let Some((stem, extension)) = name.rsplit_once('.') else { return false };
    let Some((id, number)) = stem.rsplit_once('-') else { return false };
    same_id(id).is_some() && number.parse::<u64>().is_ok() && STREAMS.iter().any(|stream| word(*stream) == extension)
}

const fn word(stream: Stream) -> &'static str {
    match stream {
        Stream::Stdout => "stdout",
        Stream::Stderr => "stderr",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_as_the_engine_writes_them_are_its_own() {
        let id = Uuid::new_v4();
        assert!(is_file_name(&file_name(id, 7, Stream::Stderr)));
        assert_eq!(folder_id(&format!("host-{id}")), Some(id));
        for name in ["host-config", "host-", "host", ""] {
            assert_eq!(folder_id(name), None, "{name}");
        }
        assert_eq!(folder_id(&format!("host-{}", id.simple())), None);
        assert_eq!(folder_id(&format!("host-{}", id.to_string().to_uppercase())), None);
        for name in ["notes.txt", "x.stdout", "lock", ".stdout", "a-1.stdout"] {
            assert!(!is_file_name(name), "{name}");
        }
        assert!(!is_file_name(&format!("{id}-1.txt")));
        assert!(!is_file_name(&format!("{id}.stdout")));
    }

    #[test]
    fn what_is_in_the_place_of_a_folder_stays() {
        let base = tempfile::tempdir().unwrap();
        let folder = Folder::create(base.path()).unwrap();
        assert!(!folder.is_gone());
        let (_, path) = folder.create_file(Uuid::new_v4(), 0, Stream::Stdout).unwrap();
        // Some systems keep the name of a folder with an open file.
        if fs::rename(&folder.path, base.path().join("archive")).is_err() {
            return;
        }
        assert!(folder.is_gone());
        fs::create_dir(&folder.path).unwrap();
        fs::write(&path, "of another").unwrap();
        assert!(folder.is_gone());
        folder.remove();
        assert!(path.exists());
    }

    #[test]
    fn a_folder_in_use_stays_and_one_without_its_host_goes() {
        let base = tempfile::tempdir().unwrap();
        let folder = Folder::create(base.path()).unwrap();
        let (file, path) = folder.create_file(Uuid::new_v4(), 0, Stream::Stdout).unwrap();
        drop(file);
        remove_dead_folders(base.path()).unwrap();
        assert!(path.exists());
        let Folder { path: left, marker } = folder;
        drop(marker);
        remove_dead_folders(base.path()).unwrap();
        assert!(!left.exists());
    }

    #[test]
    fn a_folder_is_removed_with_its_files() {
        let base = tempfile::tempdir().unwrap();
        let folder = Folder::create(base.path()).unwrap();
        folder.create_file(Uuid::new_v4(), 0, Stream::Stdout).unwrap();
        assert!(!folder.is_gone());
        let path = folder.path.clone();
        folder.remove();
        assert!(!path.exists());
    }

    #[test]
    fn what_is_not_ours_stays_with_its_folder() {
        let base = tempfile::tempdir().unwrap();
        let folder = Folder::create(base.path()).unwrap();
        let (_, ours) = folder.create_file(Uuid::new_v4(), 0, Stream::Stdout).unwrap();
        let path = folder.path.clone();
        let (text, directory) = (path.join("notes.txt"), path.join(file_name(Uuid::new_v4(), 1, Stream::Stderr)));
        fs::write(&text, "abc").unwrap();
        fs::create_dir(&directory).unwrap();
        folder.remove();
        assert!(!ours.exists());
        assert!(text.exists() && directory.exists());
        assert!(path.join(MARKER).exists(), "the folder is still ours");
    }

    #[test]
    fn a_folder_without_its_marker_is_gone() {
        let base = tempfile::tempdir().unwrap();
        let folder = Folder::create(base.path()).unwrap();
        let (_, file) = folder.create_file(Uuid::new_v4(), 0, Stream::Stdout).unwrap();
        // Some systems keep the name of a file that is open.
        let _ = fs::remove_file(folder.path.join(MARKER));
        let is_gone = !folder.path.join(MARKER).exists();
        assert_eq!(folder.is_gone(), is_gone);
        folder.remove();
        assert_eq!(file.exists(), is_gone, "what has the same name now is another folder");
    }

    #[test]
    fn only_a_folder_with_the_text_of_a_marker_is_removed() {
        let base = tempfile::tempdir().unwrap();
        let id = Uuid::new_v4();
        let path = base.path().join(format!("host-{id}"));
        platform::create_private_dir(&path).unwrap();
        // The marker as earlier versions have written it.
        let text = format!("escher-execution-engine overflow {id}\n");
        for (marker, stays) in [("", true), (&text[1..], true), (&format!("{text}\n"), true), (&text, false)] {
            fs::write(path.join(MARKER), marker).unwrap();
            remove_dead_folders(base.path()).unwrap();
            assert_eq!(path.exists(), stays, "{marker:?}");
        }
    }
}
