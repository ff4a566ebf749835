//! The way of one stream: masked, split into lines, cut to what the result keeps, and written to an overflow file.

use std::sync::Arc;

use super::head_tail_buffer::{CapturedStream, HeadTailBuffer, Keep};
use super::line_writer::LineWriter;
use super::lines::{Flags, Splitter};
use super::log::Log;
use super::overflow::{Overflow, Spill, SpillFile};
use super::policy::OutputPolicy;
use super::silence::Silence;
use crate::platform::clock::Instant;
use crate::redact::{StreamMask, Vault};
use crate::types::{LineMode, Stream, TruncateKeep};

/// One stream: masks its bytes, and sends them on.
pub(super) struct Capture {
    pub(super) mask: StreamMask,
    clean: Clean,
}

/// What becomes of a stream's bytes once no secret is in them.
struct Clean {
    stream: Stream,
    /// `None` when no lines are made.
    splitter: Option<Splitter>,
    lines: LineMode,
    buffer: HeadTailBuffer,
    /// Set once the stream is longer than its cap, if the rest goes into a file.
    spill: Option<Spill>,
    silence: Silence,
}

impl Capture {
    pub(super) fn new(stream: Stream, policy: &OutputPolicy, secrets: Arc<Vault>) -> Self {
        Self { mask: StreamMask::new(secrets), clean: Clean::new(stream, policy) }
    }

    /// Takes what was read.
    pub(super) fn feed(&mut self, bytes: &[u8], outlets: &mut Outlets, overflow: Option<&Arc<Overflow>>) {
        let Self { mask, clean } = self;
        clean.silence = Silence::new(Instant::now());
        mask.feed(bytes, |bytes| clean.take(bytes, outlets, overflow));
    }

    /// The stream has ended: what is unfinished is a line now.
    pub(super) fn finish(&mut self, outlets: &mut Outlets, overflow: Option<&Arc<Overflow>>) {
        let Self { mask, clean } = self;
        mask.finish(|bytes| clean.take(bytes, outlets, overflow));
        clean.split(outlets, Next::End);
    }

    /// When [`Capture::tick`] has something to do next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.clean.is_waiting().then(|| self.clean.silence.deadline())
    }

    /// Shows a line that has been unfinished for long.
    pub(super) fn tick(&mut self, outlets: &mut Outlets, now: Instant) {
        if self.clean.is_waiting() && self.clean.silence.is_long(now) {
            self.clean.split(outlets, Next::Silence);
        }
    }

    /// The stream was not read from `since` to `now`: that it gave nothing was no silence of the command.
    pub(super) fn was_held_up(&mut self, since: Instant, now: Instant) {
        self.clean.silence.skip(since, now);
    }

    /// Whether the stream is longer than its cap.
    pub(super) fn is_beyond_cap(&self) -> bool {
        self.clean.buffer.is_truncated()
    }

    /// The file of what is beyond the cap, once there is one.
    pub(super) fn spill(&self) -> Option<&Spill> {
        self.clean.spill.as_ref()
    }

    /// Ends the stream: what the result has of it, and the overflow file.
    pub(super) fn freeze(self) -> (CapturedStream, Option<Arc<SpillFile>>) {
        let kept = self.clean.buffer.freeze();
        let file = self.clean.spill.map(|spill| Arc::clone(&spill.file));
        (kept, file.filter(|file| file.path().is_some()))
    }
}

impl Clean {
    fn new(stream: Stream, policy: &OutputPolicy) -> Self {
        let keep = match policy.keep {
            TruncateKeep::Head => Keep::Head,
            TruncateKeep::Tail => Keep::Tail,
            TruncateKeep::Both => Keep::Both,
        };
        Self {
            stream,
            splitter: policy.has_lines.then(|| Splitter::new(policy.max_line_bytes)),
            lines: policy.lines,
            buffer: HeadTailBuffer::new(policy.cap, keep),
            spill: None,
            silence: Silence::new(Instant::now()),
        }
    }

    fn take(&mut self, bytes: &[u8], outlets: &mut Outlets, overflow: Option<&Arc<Overflow>>) {
        if let Some(log) = &outlets.log {
            log.bytes(bytes);
        }
        if let Some(overflow) = overflow {
            if self.spill.is_none() && self.buffer.would_truncate(bytes.len()) {
                let spill = overflow.start(outlets.lines.id, self.stream);
                spill.spool.push(self.buffer.so_far());
                self.spill = Some(spill);
            }
            if let Some(spill) = &self.spill {
                spill.spool.push(bytes);
            }
        }
        self.buffer.push(bytes);
        self.split(outlets, Next::Bytes(bytes));
    }

    /// Takes the splitter a step further and sends what it gives as one batch.
    fn split(&mut self, outlets: &mut Outlets, next: Next<'_>) {
        let Some(splitter) = &mut self.splitter else { return };
        let Outlets { lines, log } = outlets;
        let has_listener = lines.has_listener(self.stream);
        let log = log.as_mut().filter(|log| log.wants_lines());
        if has_listener || log.is_some() {
            next.advance(splitter, &mut |piece, flags| lines.add(piece, flags));
            lines.send(self.stream, has_listener, log);
        } else {
            lines.skip(next.count(splitter));
        }
    }

    /// Whether silence makes an event of what there is.
    fn is_waiting(&self) -> bool {
        let is_waiting = match self.lines {
            LineMode::Pieces => Splitter::is_waiting,
            // The line is complete, whether or not the other half of its end follows.
            LineMode::Whole => Splitter::awaits_line_feed,
        };
        self.splitter.as_ref().is_some_and(is_waiting)
    }
}

/// What comes next of a stream.
#[derive(Clone, Copy)]
enum Next<'a> {
    Bytes(&'a [u8]),
    /// Nothing has come for some time.
    Silence,
    End,
}

impl Next<'_> {
    fn advance(self, splitter: &mut Splitter, emit: &mut impl FnMut(&[u8], Flags)) {
        match self {
            Self::Bytes(bytes) => splitter.feed(bytes, emit),
            Self::Silence => splitter.flush_partial(emit),
            Self::End => splitter.finish(emit),
        }
    }

    fn count(self, splitter: &mut Splitter) -> u64 {
        if let Self::Bytes(bytes) = self {
            return splitter.count(bytes);
        }
        let mut count = 0;
        self.advance(splitter, &mut |_, _| count += 1);
        count
    }
}

/// Where both streams meet again.
pub(super) struct Outlets {
    pub(super) lines: LineWriter,
    pub(super) log: Option<Log>,
}
