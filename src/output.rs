//! From the bytes of two pipes to lines for listeners, to logs, and to what the result keeps.

use std::future::{Future, poll_fn};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::Duration;

use chrono::Utc;
use uuid::Uuid;

use crate::config::{ExecutionConfig, LogFormat, OversizedOutputStrategy, TruncateKeep};
use crate::event::{EventSink, ExecutionEvent, Flow, LineBatch, LineMark};
use crate::platform::clock::Instant;
use crate::redact::{StreamMask, Vault};
use crate::types::{Encoding, Stream};

use self::head_tail_buffer::Kept;
use self::lines::Flags;
use self::overflow::Spill;
use self::silence::Silence;
use self::spool::Spool;

#[cfg(fuzzing)]
pub use self::fuzz::check as fuzz_output;
pub(crate) use self::head_tail_buffer::{Keep, Limit};
pub(crate) use self::lines::Splitter;
pub(crate) use self::log::{Log, LogBounds, LogFailure, LogPaths};
pub(crate) use self::log_file::MainLog;
pub(crate) use self::overflow::{Overflow, SpillFile};

#[cfg(any(test, fuzzing))]
mod fuzz;
mod head_tail_buffer;
mod lines;
mod log;
mod log_file;
mod overflow;
mod overflow_folder;
mod patience;
mod room;
mod silence;
mod spool;

/// A disk that takes nothing holds up the end of an execution no longer than this.
const LONGEST_WRITE: Duration = Duration::from_secs(2);

/// What an execution's output goes through, settled when it was accepted.
pub(crate) struct Channels<'a> {
    pub(crate) id: Uuid,
    pub(crate) config: &'a ExecutionConfig,
    pub(crate) encoding: Encoding,
    pub(crate) sink: Arc<dyn EventSink>,
    /// Shared with the code that reports the end, should a panic drop the output.
    pub(crate) sequence: Arc<AtomicU64>,
    pub(crate) secrets: Arc<Vault>,
    pub(crate) overflow: Option<Arc<Overflow>>,
}

/// What both streams of one execution have given so far.
pub(crate) struct Output {
    stdout: Capture,
    stderr: Capture,
    outlets: Outlets,
    fails_beyond_cap: bool,
    overflow: Option<Arc<Overflow>>,
    is_loss_told: bool,
}

/// Something that is undone when its last owner drops it.
pub(crate) type Keepsake = Arc<dyn std::any::Any + Send + Sync>;

/// What is left of both streams at the end.
pub(crate) struct Captured {
    /// The number of the terminal event.
    pub(crate) sequence: u64,
    pub(crate) stdout: Kept,
    pub(crate) stderr: Kept,
    pub(crate) lines: u64,
    /// What is still under way to the listener counts for the next attempt too.
    pub(crate) flow: Option<Arc<Flow>>,
    pub(crate) log_path: Option<PathBuf>,
    /// Kept as long as the record.
    pub(crate) log_files: Vec<Keepsake>,
    pub(crate) log_lost_bytes: u64,
    pub(crate) stdout_file: Option<Arc<SpillFile>>,
    pub(crate) stderr_file: Option<Arc<SpillFile>>,
    pub(crate) overflow_lost_bytes: u64,
}

impl Output {
    pub(crate) fn new(channels: Channels<'_>) -> Self {
        let Channels { id, config, encoding, sink, sequence, secrets, overflow } = channels;
        let lines = LineWriter {
            id,
            encoding,
            sink,
            is_streamed: config.stream_output,
            flow: None,
            sequence,
            lines: 0,
            text: Vec::new(),
            marks: Vec::new(),
        };
        let capture =
            |stream| Capture { mask: StreamMask::new(Arc::clone(&secrets)), clean: Clean::new(stream, config) };
        Self {
            stdout: capture(Stream::Stdout),
            stderr: capture(Stream::Stderr),
            outlets: Outlets { lines, log: None },
            fails_beyond_cap: config.oversized_output_strategy == OversizedOutputStrategy::FailExecution,
            overflow,
            is_loss_told: false,
        }
    }

    /// Goes on with the bound of an attempt before.
    pub(crate) fn with_flow(mut self, flow: Option<Arc<Flow>>) -> Self {
        self.outlets.lines.flow = flow;
        self
    }

    /// What comes from now on is logged.
    pub(crate) fn set_log(&mut self, log: Log) {
        self.outlets.log = Some(log);
    }

    pub(crate) fn has_log(&self) -> bool {
        self.outlets.log.is_some()
    }

    /// The number of the next event; the caller emits that event.
    pub(crate) fn take_sequence(&mut self) -> u64 {
        self.outlets.lines.sequence.fetch_add(1, Relaxed)
    }

    /// Takes what was read.
    pub(crate) fn feed(&mut self, stream: Stream, bytes: &[u8]) {
        let Self { stdout, stderr, outlets, overflow, .. } = self;
        let Capture { mask, clean } = match stream {
            Stream::Stdout => stdout,
            Stream::Stderr => stderr,
        };
        clean.silence = Silence::new(Instant::now());
        mask.feed(bytes, |bytes| clean.take(bytes, outlets, overflow.as_ref()));
        self.tell_loss();
    }

    /// The stream has ended: what is unfinished is a line now.
    pub(crate) fn finish(&mut self, stream: Stream) {
        let Self { stdout, stderr, outlets, overflow, .. } = self;
        let Capture { mask, clean } = match stream {
            Stream::Stdout => stdout,
            Stream::Stderr => stderr,
        };
        mask.finish(|bytes| clean.take(bytes, outlets, overflow.as_ref()));
        clean.split(outlets, Next::End);
    }

    /// When [`Output::tick`] has something to do next, unless the streams are not read.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        [&self.stdout, &self.stderr].into_iter().filter_map(|capture| capture.clean.deadline()).min()
    }

    /// Shows lines that have been unfinished for long. Must be called only when reads of both streams have just found nothing.
    pub(crate) fn tick(&mut self, now: Instant) {
        let Self { stdout, stderr, outlets, .. } = self;
        for Capture { clean, .. } in [stdout, stderr] {
            if clean.is_waiting() && clean.silence.is_long(now) {
                clean.split(outlets, Next::Silence);
            }
        }
    }

    /// The streams were not read from `since` to `now`: that they gave nothing was no silence of the command.
    pub(crate) fn was_held_up(&mut self, since: Instant, now: Instant) {
        for capture in [&mut self.stdout, &mut self.stderr] {
            capture.clean.silence.skip(since, now);
        }
    }

    /// Whether a stream is longer than its cap, if that ends the execution.
    pub(crate) fn is_beyond_cap(&self) -> bool {
        let captures = [&self.stdout, &self.stderr];
        self.fails_beyond_cap && captures.iter().any(|capture| capture.clean.limit.is_truncated())
    }

    /// Whether nothing more may be read: the listener or the disk has enough to do.
    pub(crate) fn is_full(&self) -> bool {
        self.outlets.lines.flow.as_ref().is_some_and(|flow| flow.is_full()) || self.spools().any(Spool::is_full)
    }

    /// Waits until [`Output::is_full`] is over. Cancel-safe.
    pub(crate) async fn room(&self) {
        if let Some(flow) = &self.outlets.lines.flow {
            flow.room().await;
        }
        for spool in self.spools() {
            spool.room().await;
        }
    }

    /// Whether [`Output::lost`] is worth waiting for.
    pub(crate) fn may_lose(&self) -> bool {
        !self.is_loss_told && self.spools().next().is_some()
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
        let spills = [&self.stdout, &self.stderr].into_iter().filter_map(|capture| capture.clean.spill.as_ref());
        let logs = self.outlets.log.iter().flat_map(Log::spools);
        logs.chain(spills.map(|spill| &spill.spool))
    }

    /// Says once that something is missing on disk.
    pub(crate) fn tell_loss(&mut self) {
        if self.is_loss_told {
            return;
        }
        let Some(why) = self.spools().find_map(Spool::first_loss) else { return };
        self.is_loss_told = true;
        let message = format!("not all of the output gets into its file: {why}; the command goes on");
        let message = self.stdout.mask.mask_text(&message).into_owned();
        let sequence = self.take_sequence();
        let lines = &self.outlets.lines;
        let (execution_id, timestamp) = (lines.id, Utc::now());
        lines.sink.event(ExecutionEvent::Degraded { execution_id, timestamp, sequence, message });
    }

    /// Ends both streams and their files.
    pub(crate) async fn freeze(mut self) -> Captured {
        // All at once: a disk that hangs must not use up the time of another.
        self.spools().for_each(Spool::close);
        let deadline = Instant::now() + LONGEST_WRITE;
        let mut log_lost_bytes = 0;
        for spool in self.outlets.log.iter().flat_map(Log::spools) {
            log_lost_bytes += spool.finish(deadline).await;
        }
        let mut overflow_lost_bytes = 0;
        for spill in [&self.stdout, &self.stderr].into_iter().filter_map(|capture| capture.clean.spill.as_ref()) {
            overflow_lost_bytes += spill.spool.finish(deadline).await;
        }
        self.tell_loss();
        let sequence = self.take_sequence();
        let file =
            |spill: Option<Spill>| spill.map(|spill| Arc::clone(&spill.file)).filter(|file| file.path().is_some());
        let Self { stdout, stderr, outlets, .. } = self;
        Captured {
            sequence,
            stdout: kept(&stdout.mask, stdout.clean.limit),
            stderr: kept(&stderr.mask, stderr.clean.limit),
            lines: outlets.lines.lines,
            flow: outlets.lines.flow.clone(),
            log_files: outlets.log.as_ref().map(Log::files).unwrap_or_default(),
            log_path: outlets.log.map(Log::into_path),
            log_lost_bytes,
            stdout_file: file(stdout.clean.spill),
            stderr_file: file(stderr.clean.spill),
            overflow_lost_bytes,
        }
    }
}

/// What the result has of a stream. A secret that was added after the bytes came is masked too.
fn kept(mask: &StreamMask, limit: Limit) -> Kept {
    let mut kept = limit.freeze();
    mask.mask_kept(&mut kept.bytes);
    kept
}

/// One stream, from its bytes on.
struct Capture {
    mask: StreamMask,
    clean: Clean,
}

/// What becomes of a stream's bytes once no secret is in them.
struct Clean {
    stream: Stream,
    /// `None` when no lines are made.
    splitter: Option<Splitter>,
    limit: Limit,
    /// Set once the stream is longer than its cap, if the rest goes into a file.
    spill: Option<Spill>,
    silence: Silence,
}

impl Clean {
    fn new(stream: Stream, config: &ExecutionConfig) -> Self {
        let keep = match config.truncate_keep {
            TruncateKeep::Head => Keep::Head,
            TruncateKeep::Tail => Keep::Tail,
            TruncateKeep::Both => Keep::Both,
        };
        Self {
            stream,
            splitter: (config.stream_output || config.log_format == LogFormat::Jsonl)
                .then(|| Splitter::new(config.max_line_bytes)),
            limit: Limit::new(config.max_output_size_bytes, keep),
            spill: None,
            silence: Silence::new(Instant::now()),
        }
    }

    fn take(&mut self, bytes: &[u8], outlets: &mut Outlets, overflow: Option<&Arc<Overflow>>) {
        if let Some(log) = &outlets.log {
            log.bytes(bytes);
        }
        if let Some(overflow) = overflow {
            if self.spill.is_none() && self.limit.would_truncate(bytes.len()) {
                let spill = overflow.start(outlets.lines.id, self.stream);
                spill.spool.push(self.limit.so_far());
                self.spill = Some(spill);
            }
            if let Some(spill) = &self.spill {
                spill.spool.push(bytes);
            }
        }
        self.limit.push(bytes);
        self.split(outlets, Next::Bytes(bytes));
    }

    /// Takes the splitter a step further and sends what it gives as one batch.
    fn split(&mut self, outlets: &mut Outlets, next: Next<'_>) {
        let Some(splitter) = &mut self.splitter else { return };
        let Outlets { lines, log } = outlets;
        let is_heard = lines.is_streamed && lines.sink.wants_lines(self.stream);
        let log = log.as_mut().filter(|log| log.wants_lines());
        if is_heard || log.is_some() {
            next.hand_out(splitter, &mut |piece, flags| lines.add(piece, flags));
            lines.send(self.stream, is_heard, log);
        } else {
            // Lines without a listener are counted: a listener that comes later sees that it missed some.
            let count = next.count(splitter);
            lines.sequence.fetch_add(count, Relaxed);
            lines.lines += count;
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.is_waiting().then(|| self.silence.deadline())
    }

    /// Whether a line is unfinished.
    fn is_waiting(&self) -> bool {
        self.splitter.as_ref().is_some_and(Splitter::is_waiting)
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
    fn hand_out(self, splitter: &mut Splitter, emit: &mut impl FnMut(&[u8], Flags)) {
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
        self.hand_out(splitter, &mut |_, _| count += 1);
        count
    }
}

/// Where both streams meet again.
struct Outlets {
    lines: LineWriter,
    log: Option<Log>,
}

/// Gathers the lines of one read.
struct LineWriter {
    id: Uuid,
    encoding: Encoding,
    sink: Arc<dyn EventSink>,
    /// Lines become events, if there is a listener.
    is_streamed: bool,
    flow: Option<Arc<Flow>>,
    sequence: Arc<AtomicU64>,
    lines: u64,
    text: Vec<u8>,
    marks: Vec<LineMark>,
}

impl LineWriter {
    fn add(&mut self, piece: &[u8], flags: Flags) {
        self.text.extend_from_slice(piece);
        self.marks.push(LineMark {
            len: u32::try_from(piece.len()).expect("a piece is bounded by max_line_bytes"),
            partial: flags.contains(Flags::PARTIAL),
            continued: flags.contains(Flags::CONTINUED),
            carriage_return: flags.contains(Flags::CARRIAGE_RETURN),
        });
    }

    fn send(&mut self, stream: Stream, is_heard: bool, log: Option<&mut Log>) {
        if self.marks.is_empty() {
            return;
        }
        let count = self.marks.len() as u64;
        let batch = LineBatch {
            execution_id: self.id,
            stream,
            encoding: self.encoding,
            timestamp: Utc::now(),
            first_sequence: self.sequence.fetch_add(count, Relaxed),
            text: &self.text,
            marks: &self.marks,
        };
        if let Some(log) = log {
            log.lines(&batch);
        }
        if is_heard {
            let credit = self.flow.get_or_insert_default().lend(&batch);
            self.sink.lines(batch, credit);
        }
        self.lines += count;
        self.text.clear();
        self.marks.clear();
    }
}
