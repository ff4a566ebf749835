//! Keeps the output of both streams of one attempt, which is readable while the command runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::SetOnce;

use super::head_tail_buffer::{CapturedStream, HeadTailBuffer, Keep};
use super::policy::OutputPolicy;
use crate::types::{Encoding, ExecutionResult, Stream, TruncateKeep};

/// The bytes of a stream that are searched for the patterns of a retry.
const RECENT_BYTES: usize = 64 * 1024;

/// The kept output of one attempt. The supervision fills it, and callers may copy it.
pub(crate) struct Captures {
    /// `None` once the result has it. Held for a copy of one read; a caller that reads it copies all of it.
    streams: [Mutex<Option<HeadTailBuffer>>; 2],
    /// The last bytes of each stream, whatever part of it the result keeps.
    recent: Option<[Mutex<HeadTailBuffer>; 2]>,
    encoding: Encoding,
    result: SetOnce<Arc<ExecutionResult>>,
}

impl std::fmt::Debug for Captures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Captures")
    }
}

impl Captures {
    pub(crate) fn new(policy: &OutputPolicy) -> Self {
        let keep = match policy.keep {
            TruncateKeep::Head => Keep::Head,
            TruncateKeep::Tail => Keep::Tail,
            TruncateKeep::Both => Keep::Both,
        };
        let buffer = || Mutex::new(Some(HeadTailBuffer::new(policy.cap, keep)));
        let tail = || Mutex::new(HeadTailBuffer::new(RECENT_BYTES, Keep::Tail));
        Self {
            recent: policy.keeps_recent.then(|| [tail(), tail()]),
            streams: [buffer(), buffer()],
            encoding: policy.encoding,
            result: SetOnce::new(),
        }
    }

    fn lock(&self, stream: Stream) -> MutexGuard<'_, Option<HeadTailBuffer>> {
        // Every change is complete before anything that could panic.
        self.streams[stream as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the buffer of a stream that is not frozen.
    pub(super) fn with<T>(&self, stream: Stream, act: impl FnOnce(&mut HeadTailBuffer) -> T) -> Option<T> {
        self.lock(stream).as_mut().map(act)
    }

    /// Keeps what comes next of a stream. Returns whether the stream is longer than its cap.
    pub(super) fn push(&self, stream: Stream, bytes: &[u8]) -> bool {
        if let Some(recent) = &self.recent {
            recent[stream as usize].lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
        }
        let kept = self.with(stream, |buffer| {
            buffer.push(bytes);
            buffer.is_truncated()
        });
        kept.unwrap_or_default()
    }

    /// Returns the last 64 KiB of a stream, if they are kept.
    pub(crate) fn recent(&self, stream: Stream) -> Vec<u8> {
        let Some(recent) = &self.recent else { return Vec::new() };
        let recent = recent[stream as usize].lock().unwrap_or_else(PoisonError::into_inner).clone();
        let CapturedStream { mut bytes, truncated, .. } = recent.freeze();
        if truncated {
            // The marker with the number of missing bytes: the command did not write it.
            let end = memchr::memchr_iter(b'\n', &bytes).nth(1).map_or(0, |end| end + 1);
            bytes.drain(..end);
        }
        bytes
    }

    /// Takes the buffer of a stream, for the result.
    pub(super) fn freeze(&self, stream: Stream) -> CapturedStream {
        self.lock(stream).take().map(HeadTailBuffer::freeze).unwrap_or_default()
    }

    /// Returns the type in which JavaScript gets the output.
    pub(crate) fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Notes the result that has the output now.
    pub(crate) fn set_result(&self, result: &Arc<ExecutionResult>) {
        let _ = self.result.set(Arc::clone(result));
    }

    /// Returns the kept output of a stream so far. `None` once the result has it.
    pub(crate) fn so_far(&self, stream: Stream) -> Option<Vec<u8>> {
        let buffer = self.with(stream, |buffer| buffer.clone())?;
        Some(buffer.freeze().bytes)
    }

    /// Waits for the result that has the output. Cancel-safe.
    pub(crate) async fn result(&self) -> &Arc<ExecutionResult> {
        self.result.wait().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ExecutionConfig;
    use crate::types::ExecutionOptions;

    fn captures(keeps_recent: bool) -> Captures {
        let policy = OutputPolicy::new(&ExecutionOptions::default(), &ExecutionConfig::default());
        Captures::new(&OutputPolicy { cap: 4, keeps_recent, encoding: Encoding::Buffer, ..policy })
    }

    #[test]
    fn each_stream_is_readable_until_the_result_has_it() {
        let captures = captures(false);
        assert!(!captures.push(Stream::Stdout, b"abcd"));
        assert!(captures.push(Stream::Stderr, b"abcde"), "beyond the cap");
        assert_eq!(captures.so_far(Stream::Stdout).as_deref(), Some(&b"abcd"[..]));
        assert_eq!(captures.freeze(Stream::Stdout).bytes, b"abcd");
        assert_eq!(captures.so_far(Stream::Stdout), None);
        assert!(!captures.push(Stream::Stdout, b"e"));
        assert!(captures.freeze(Stream::Stderr).truncated);
        assert_eq!(captures.encoding(), Encoding::Buffer);
    }

    #[test]
    fn the_end_of_a_stream_is_kept_apart_without_a_marker() {
        let kept = captures(true);
        let output = [&vec![b'a'; RECENT_BYTES][..], b"\nbc\nd"].concat();
        for part in output.chunks(1000) {
            kept.push(Stream::Stderr, part);
        }
        assert_eq!(kept.recent(Stream::Stderr), &output[output.len() - RECENT_BYTES..]);
        assert_eq!(kept.recent(Stream::Stdout), b"");
        let not_kept = captures(false);
        not_kept.push(Stream::Stderr, b"abc");
        assert_eq!(not_kept.recent(Stream::Stderr), b"");
    }
}
