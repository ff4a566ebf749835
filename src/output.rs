//! Passes the bytes of two pipes to listeners as lines, to logs, and to the part that the result keeps.
//!
//! `capture` has the way of one stream, and `line_writer` sends its lines.

use std::future::{Future, poll_fn};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::Poll;
use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::event::{Backpressure, EventSink, EventType, ExecutionEvent};
use crate::platform::clock::Instant;
use crate::redact::Vault;
use crate::types::{OversizedOutputStrategy, Stream};

use self::capture::{Capture, Outlets};
pub(crate) use self::captures::Captures;
use self::head_tail_buffer::CapturedStream;
use self::line_writer::LineWriter;
use self::spool::Spool;

#[cfg(fuzzing)]
pub use self::fuzz::check as fuzz_output;
#[cfg(any(test, feature = "bench"))]
pub(crate) use self::head_tail_buffer::{HeadTailBuffer, Keep};
#[cfg(any(test, feature = "bench"))]
pub(crate) use self::lines::Splitter;
pub(crate) use self::log::{Log, LogFailure, LogPaths};
pub(crate) use self::log_file::{LogBounds, MainLog};
pub(crate) use self::overflow::{Overflow, SpillFile};
pub(crate) use self::policy::OutputPolicy;

mod capture;
mod captures;
mod control_sequences;
mod disk_space;
mod file_io;
#[cfg(any(test, fuzzing))]
mod fuzz;
mod head_tail_buffer;
mod line_writer;
mod lines;
mod log;
mod log_file;
mod overflow;
mod overflow_folder;
mod policy;
mod silence;
mod spool;

/// The longest prompt, in bytes.
const LONGEST_PROMPT: usize = 4096;
/// A disk that takes nothing holds up the end of an execution no longer than this.
const LONGEST_WRITE: Duration = Duration::from_secs(2);

/// The channels of an execution's output, fixed when it is accepted.
pub(crate) struct Channels {
    pub(crate) id: Uuid,
    pub(crate) policy: OutputPolicy,
    pub(crate) sink: Arc<dyn EventSink>,
    /// Shared with the code that reports the end, should a panic drop the output.
    pub(crate) sequence: Arc<AtomicU64>,
    pub(crate) secrets: Arc<Vault>,
    /// The kept output of both streams.
    pub(crate) captures: Arc<Captures>,
    /// The store for the part of a stream beyond its cap.
    pub(crate) overflow: Option<Arc<Overflow>>,
}

/// The output of both streams of one execution so far.
pub(crate) struct Output {
    stdout: Capture,
    stderr: Capture,
    outlets: Outlets,
    fails_beyond_cap: bool,
    overflow: Option<Arc<Overflow>>,
    is_loss_reported: bool,
    captures: Arc<Captures>,
}

/// A value that undoes something when its last owner drops it.
pub(crate) type Keepsake = Arc<dyn std::any::Any + Send + Sync>;

/// The output of both streams at the end.
pub(crate) struct Captured {
    /// The number of the terminal event.
    pub(crate) sequence: u64,
    pub(crate) stdout: CapturedStream,
    pub(crate) stderr: CapturedStream,
    pub(crate) lines: u64,
    /// The back-pressure of this attempt, for the next one: output that is still in transit to the listener counts
    /// there too.
    pub(crate) backpressure: Option<Arc<Backpressure>>,
    pub(crate) log_path: Option<PathBuf>,
    /// The log files, which the record keeps as long as it exists.
    pub(crate) log_files: Vec<Keepsake>,
    pub(crate) log_lost_bytes: u64,
    pub(crate) stdout_file: Option<Arc<SpillFile>>,
    pub(crate) stderr_file: Option<Arc<SpillFile>>,
    pub(crate) overflow_lost_bytes: u64,
}

impl Output {
    pub(crate) fn new(channels: Channels) -> Self {
        let Channels { id, policy, sink, sequence, secrets, overflow, captures } = channels;
        let lines = LineWriter::new(id, policy.encoding, policy.is_streamed, sink, sequence);
        Self {
            stdout: Capture::new(Stream::Stdout, &policy, Arc::clone(&captures), Arc::clone(&secrets)),
            stderr: Capture::new(Stream::Stderr, &policy, Arc::clone(&captures), secrets),
            outlets: Outlets { lines, log: None },
            fails_beyond_cap: policy.strategy == OversizedOutputStrategy::FailExecution,
            overflow,
            is_loss_reported: false,
            captures,
        }
    }

    /// Continues with the bound of an earlier attempt.
    pub(crate) fn with_backpressure(mut self, backpressure: Option<Arc<Backpressure>>) -> Self {
        self.outlets.lines.backpressure = backpressure;
        self
    }

    /// Sets the log for the output from now on.
    pub(crate) fn set_log(&mut self, mut log: Log) {
        if let Some(suspended) = self.outlets.log.take() {
            log.resume(suspended);
        }
        self.outlets.log = Some(log);
    }

    /// Whether there is a log, open or suspended.
    pub(crate) fn has_log(&self) -> bool {
        self.outlets.log.is_some()
    }

    pub(crate) fn has_open_log(&self) -> bool {
        self.outlets.log.as_ref().is_some_and(Log::is_open)
    }

    /// Closes the files of the log until the next attempt to spawn, so that executions that wait for descriptors hold none.
    pub(crate) fn suspend_log(&mut self) {
        if let Some(log) = &mut self.outlets.log {
            log.suspend();
        }
    }

    /// Takes the number of the next event; the caller emits that event.
    pub(crate) fn take_sequence(&mut self) -> u64 {
        self.outlets.lines.take_sequence()
    }

    /// Whether events of this type have a listener now.
    pub(crate) fn wants(&self, event_type: EventType) -> bool {
        self.outlets.lines.sink.wants(event_type)
    }

    /// Emits an event of the execution: `make` gets the id, the time and the number of it.
    pub(crate) fn emit(&mut self, make: impl FnOnce(Uuid, DateTime<Utc>, u64) -> ExecutionEvent) {
        let sequence = self.take_sequence();
        let lines = &self.outlets.lines;
        lines.sink.event(make(lines.id, Utc::now(), sequence));
    }

    /// Returns the text after the last line end of a stream, up to 4 KiB; of a terminal without control sequences.
    pub(crate) fn unfinished_line(&self, stream: Stream) -> String {
        let mut recent = self.captures.recent(stream);
        if self.stdout.is_terminal() {
            recent = control_sequences::plain(&recent);
        }
        let start = memchr::memrchr2(b'\n', b'\r', &recent).map_or(0, |end| end + 1);
        let start = start.max(recent.len().saturating_sub(LONGEST_PROMPT));
        let line = String::from_utf8_lossy(&recent[start..]).into_owned();
        if self.stdout.is_terminal() { self.stdout.mask.mask_beginning(line) } else { line }
    }

    /// Takes what was read.
    pub(crate) fn feed(&mut self, stream: Stream, bytes: &[u8]) {
        let Self { stdout, stderr, outlets, overflow, .. } = self;
        let capture = match stream {
            Stream::Stdout => stdout,
            Stream::Stderr => stderr,
        };
        capture.feed(bytes, outlets, overflow.as_ref());
        self.report_loss();
    }

    /// Ends a stream: its unfinished text is a line now.
    pub(crate) fn finish(&mut self, stream: Stream) {
        let Self { stdout, stderr, outlets, overflow, .. } = self;
        let capture = match stream {
            Stream::Stdout => stdout,
            Stream::Stderr => stderr,
        };
        capture.finish(outlets, overflow.as_ref());
    }

    /// Returns the time of the next work for [`Output::tick`], unless the streams are not read.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.captures().filter_map(Capture::deadline).min()
    }

    /// Shows lines that have been unfinished for long. Must be called only when reads of both streams have just found nothing.
    pub(crate) fn tick(&mut self, now: Instant) {
        let Self { stdout, stderr, outlets, .. } = self;
        for capture in [stdout, stderr] {
            capture.tick(outlets, now);
        }
    }

    /// Records that the streams were not read from `since` to `now`: this time is no silence of the command.
    pub(crate) fn was_held_up(&mut self, since: Instant, now: Instant) {
        for capture in [&mut self.stdout, &mut self.stderr] {
            capture.was_held_up(since, now);
        }
    }

    /// Whether a stream is longer than its cap, if that ends the execution.
    pub(crate) fn is_beyond_cap(&self) -> bool {
        self.fails_beyond_cap && self.captures().any(Capture::is_beyond_cap)
    }

    /// Whether nothing more may be read: the listener or the disk is too slow.
    pub(crate) fn is_full(&self) -> bool {
        self.outlets.lines.backpressure.as_ref().is_some_and(|backpressure| backpressure.is_full())
            || self.spools().any(Spool::is_full)
    }

    /// Waits until [`Output::is_full`] is over. Cancel-safe.
    pub(crate) async fn room(&self) {
        if let Some(backpressure) = &self.outlets.lines.backpressure {
            backpressure.room().await;
        }
        for spool in self.spools() {
            spool.room().await;
        }
    }

    /// Whether [`Output::lost`] is worth waiting for.
    pub(crate) fn may_lose(&self) -> bool {
        !self.is_loss_reported && self.spools().next().is_some()
    }

    /// Waits until something is missing on disk. Cancel-safe.
    pub(crate) async fn lost(&self) {
        let mut losses: Vec<_> = self.spools().map(|spool| Box::pin(spool.lost())).collect();
        poll_fn(|context| {
            let is_lost = losses.iter_mut().any(|loss| loss.as_mut().poll(context).is_ready());
            if is_lost { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn spools(&self) -> impl Iterator<Item = &Spool> {
        let logs = self.outlets.log.iter().flat_map(Log::spools);
        logs.chain(self.captures().filter_map(Capture::spill).map(|spill| &spill.spool))
    }

    fn captures(&self) -> impl Iterator<Item = &Capture> {
        [&self.stdout, &self.stderr].into_iter()
    }

    /// Reports once that something is missing on disk.
    pub(crate) fn report_loss(&mut self) {
        if self.is_loss_reported {
            return;
        }
        let Some(why) = self.spools().find_map(Spool::first_loss) else { return };
        self.is_loss_reported = true;
        let message = format!("not all of the output gets into its file: {why}; the command continues");
        let message = self.stdout.mask.mask_text(&message).into_owned();
        self.emit(|execution_id, timestamp, sequence| ExecutionEvent::Degraded {
            execution_id,
            timestamp,
            sequence,
            message,
        });
    }

    /// Ends both streams and their files.
    pub(crate) async fn freeze(mut self: Box<Self>) -> Captured {
        // All files are closed at once: a disk that hangs must not use up the time of another.
        self.spools().for_each(Spool::close);
        let deadline = Instant::now() + LONGEST_WRITE;
        let mut log_lost_bytes = 0;
        for spool in self.outlets.log.iter().flat_map(Log::spools) {
            log_lost_bytes += spool.finish(deadline).await;
        }
        let mut overflow_lost_bytes = 0;
        for spill in self.captures().filter_map(Capture::spill) {
            overflow_lost_bytes += spill.spool.finish(deadline).await;
        }
        self.report_loss();
        let sequence = self.take_sequence();
        let Self { stdout, stderr, outlets, .. } = *self;
        let (stdout, stdout_file) = stdout.freeze();
        let (stderr, stderr_file) = stderr.freeze();
        Captured {
            sequence,
            stdout,
            stderr,
            lines: outlets.lines.lines,
            backpressure: outlets.lines.backpressure.clone(),
            log_files: outlets.log.as_ref().map(Log::files).unwrap_or_default(),
            log_path: outlets.log.map(Log::into_path),
            log_lost_bytes,
            stdout_file,
            stderr_file,
            overflow_lost_bytes,
        }
    }
}
