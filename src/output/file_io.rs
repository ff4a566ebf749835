//! Small file operations that are retried where a plain call would fail.

use std::fs::File;
use std::io::{self, Write};
use std::time::Duration;

use crate::platform;
use crate::platform::clock::Instant;

/// The longest wait for a descriptor or memory. It is less than the time after which a disk counts as hanging.
const LONGEST: Duration = Duration::from_secs(4);
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Calls `attempt` again while the machine has no room for it, such as no descriptor. Blocks.
pub(super) fn retry_while_exhausted<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let begun = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        match attempt() {
            Err(error) if platform::is_exhaustion(&error) && begun.elapsed() < LONGEST => {
                std::thread::sleep(pause);
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            done => return done,
        }
    }
}

/// Does what `Write::write_all` does, but returns with an error how much was written before it. Called on the thread of
/// a disk.
pub(super) fn write_all(file: &mut File, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
    platform::block_file_size_signal();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exhaustion_is_tried_again() {
        let mut results =
            vec![Ok(7), Err(platform::exhaustion()), Err(platform::exhaustion()), Err(platform::exhaustion())];
        assert_eq!(retry_while_exhausted(|| results.pop().unwrap()).unwrap(), 7);
        let mut attempts = 0;
        let refused = retry_while_exhausted(|| -> io::Result<()> {
            attempts += 1;
            Err(io::ErrorKind::PermissionDenied.into())
        });
        assert_eq!((refused.unwrap_err().kind(), attempts), (io::ErrorKind::PermissionDenied, 1));
    }

    #[test]
    fn all_is_written_or_the_error_says_how_much() {
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        let mut file = File::create(&path).unwrap();
        write_all(&mut file, b"abc").unwrap();
        write_all(&mut file, b"").unwrap();
        write_all(&mut file, b"de").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"abcde");
        let (written, _) = write_all(&mut File::open(&path).unwrap(), b"f").unwrap_err();
        assert_eq!(written, 0);
    }
}
