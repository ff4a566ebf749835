//! From the bytes of two pipes to lines for whoever listens and to what the result keeps.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use chrono::Utc;
use uuid::Uuid;

use crate::config::{ExecutionConfig, TruncateKeep};
use crate::event::{EventSink, Flow, LineBatch, LineMark};
use crate::types::Stream;

use self::limit::{Keep, Kept, Limit};
use self::lines::{Flags, Splitter};

mod limit;
mod lines;

/// An unfinished line is shown after so much silence: it may be a prompt.
const PARTIAL_AFTER: Duration = Duration::from_millis(200);

/// What both streams of one execution have given so far.
pub(crate) struct Output {
    stdout: Capture,
    stderr: Capture,
    lines: LineWriter,
}

/// What is left of both streams at the end.
pub(crate) struct Captured {
    pub(crate) stdout: Kept,
    pub(crate) stderr: Kept,
    pub(crate) lines: u64,
    /// What is still under way to the listener counts for the next attempt too.
    pub(crate) flow: Option<Arc<Flow>>,
}

impl Output {
    pub(crate) fn new(id: Uuid, config: &ExecutionConfig, sink: Arc<dyn EventSink>, sequence: Arc<AtomicU64>) -> Self {
        let lines = config.stream_output;
        Self {
            stdout: Capture::new(Stream::Stdout, config, lines),
            stderr: Capture::new(Stream::Stderr, config, lines),
            lines: LineWriter { id, sink, flow: None, sequence, lines: 0, text: Vec::new(), marks: Vec::new() },
        }
    }

    /// Goes on with the bound of an attempt before.
    pub(crate) fn with_flow(mut self, flow: Option<Arc<Flow>>) -> Self {
        self.lines.flow = flow;
        self
    }

    /// The number of the next event; whoever asks has that event.
    pub(crate) fn take_sequence(&mut self) -> u64 {
        self.lines.sequence.fetch_add(1, Relaxed)
    }

    /// Takes what was read.
    pub(crate) fn feed(&mut self, stream: Stream, bytes: &[u8]) {
        let (capture, lines) = self.pair(stream);
        capture.feed(bytes, lines);
    }

    /// The stream has ended: what is unfinished is a line now.
    pub(crate) fn finish(&mut self, stream: Stream) {
        let (capture, lines) = self.pair(stream);
        capture.split(lines, |splitter, emit| splitter.finish(&mut |piece: &[u8], flags| emit(piece, flags)));
    }

    /// When [`Output::tick`] has something to do next.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        [&self.stdout, &self.stderr].into_iter().filter_map(Capture::deadline).min()
    }

    /// Shows lines that have been unfinished for long.
    pub(crate) fn tick(&mut self, now: Instant) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let (capture, lines) = self.pair(stream);
            if capture.deadline().is_some_and(|deadline| deadline <= now) {
                capture.split(lines, |splitter, emit| {
                    splitter.flush_partial(&mut |piece: &[u8], flags| emit(piece, flags));
                });
            }
        }
    }

    /// The bound on what is under way to the listener; `None` while nothing is.
    pub(crate) fn flow(&self) -> Option<&Arc<Flow>> {
        self.lines.flow.as_ref()
    }

    pub(crate) fn freeze(self) -> Captured {
        Captured {
            stdout: self.stdout.limit.freeze(),
            stderr: self.stderr.limit.freeze(),
            lines: self.lines.lines,
            flow: self.lines.flow,
        }
    }

    fn pair(&mut self, stream: Stream) -> (&mut Capture, &mut LineWriter) {
        match stream {
            Stream::Stdout => (&mut self.stdout, &mut self.lines),
            Stream::Stderr => (&mut self.stderr, &mut self.lines),
        }
    }
}

/// One stream.
struct Capture {
    stream: Stream,
    /// `None` when no lines are made.
    splitter: Option<Splitter>,
    limit: Limit,
    last_read: Instant,
}

impl Capture {
    fn new(stream: Stream, config: &ExecutionConfig, lines: bool) -> Self {
        let keep = match config.truncate_keep {
            TruncateKeep::Head => Keep::Head,
            TruncateKeep::Tail => Keep::Tail,
            TruncateKeep::Both => Keep::Both,
        };
        Self {
            stream,
            splitter: lines.then(|| Splitter::new(config.max_line_bytes)),
            limit: Limit::new(config.max_output_size_bytes, keep),
            last_read: Instant::now(),
        }
    }

    fn feed(&mut self, bytes: &[u8], lines: &mut LineWriter) {
        self.last_read = Instant::now();
        self.limit.push(bytes);
        self.split(lines, |splitter, emit| splitter.feed(bytes, &mut |piece: &[u8], flags| emit(piece, flags)));
    }

    /// Runs the splitter and sends what it gives as one batch.
    fn split(&mut self, lines: &mut LineWriter, run: impl FnOnce(&mut Splitter, &mut dyn FnMut(&[u8], Flags))) {
        let Some(splitter) = &mut self.splitter else { return };
        if lines.sink.wants_lines(self.stream) {
            run(splitter, &mut |piece, flags| lines.add(piece, flags));
            lines.send(self.stream);
        } else {
            // Lines that nobody takes are counted: a listener that comes later sees that it missed some.
            let mut count = 0;
            run(splitter, &mut |_, _| count += 1);
            lines.sequence.fetch_add(count, Relaxed);
            lines.lines += count;
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.splitter.as_ref()?.is_waiting().then(|| self.last_read + PARTIAL_AFTER)
    }
}

/// Gathers the lines of one read.
struct LineWriter {
    id: Uuid,
    sink: Arc<dyn EventSink>,
    flow: Option<Arc<Flow>>,
    /// Shared with whoever tells the end, should a panic drop this.
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

    fn send(&mut self, stream: Stream) {
        if self.marks.is_empty() {
            return;
        }
        let count = self.marks.len() as u64;
        let batch = LineBatch {
            execution_id: self.id,
            stream,
            timestamp: Utc::now(),
            first_sequence: self.sequence.fetch_add(count, Relaxed),
            text: &self.text,
            marks: &self.marks,
        };
        let credit = self.flow.get_or_insert_default().lend(&batch);
        self.sink.lines(batch, credit);
        self.lines += count;
        self.text.clear();
        self.marks.clear();
    }
}
