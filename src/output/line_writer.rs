//! The lines of one read, as batches for the listener and the log.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use chrono::Utc;
use uuid::Uuid;

use super::lines::Flags;
use super::log::Log;
use crate::event::{Backpressure, EventSink, EventType, FULL_LINES, FULL_TEXT, LineBatch, LineMark};
use crate::types::{Encoding, Stream};

/// Gathers the lines of one read.
pub(super) struct LineWriter {
    pub(super) id: Uuid,
    encoding: Encoding,
    pub(super) sink: Arc<dyn EventSink>,
    /// Lines become events, if there is a listener.
    is_streamed: bool,
    pub(super) backpressure: Option<Arc<Backpressure>>,
    sequence: Arc<AtomicU64>,
    /// The number of lines.
    pub(super) lines: u64,
    text: Vec<u8>,
    marks: Vec<LineMark>,
}

impl LineWriter {
    pub(super) fn new(
        id: Uuid,
        encoding: Encoding,
        is_streamed: bool,
        sink: Arc<dyn EventSink>,
        sequence: Arc<AtomicU64>,
    ) -> Self {
        Self {
            id,
            encoding,
            sink,
            is_streamed,
            backpressure: None,
            sequence,
            lines: 0,
            text: Vec::new(),
            marks: Vec::new(),
        }
    }

    /// Takes the number of the next event; the caller emits that event.
    pub(super) fn take_sequence(&self) -> u64 {
        self.sequence.fetch_add(1, Relaxed)
    }

    /// Whether the lines of a stream go to a listener.
    pub(super) fn has_listener(&self, stream: Stream) -> bool {
        self.is_streamed && self.sink.wants(EventType::of_lines(stream))
    }

    /// Whether its listeners get text.
    pub(super) fn has_text(&self) -> bool {
        self.encoding == Encoding::Utf8
    }

    /// Counts lines that are not made: a listener that comes later sees that it missed some.
    pub(super) fn skip(&mut self, count: u64) {
        self.sequence.fetch_add(count, Relaxed);
        self.lines += count;
    }

    /// Adds a line, or a piece of one, to the batch.
    pub(super) fn add(&mut self, piece: &[u8], flags: Flags) {
        self.text.extend_from_slice(piece);
        self.marks.push(LineMark {
            len: u32::try_from(piece.len()).expect("a piece is bounded by max_line_bytes"),
            partial: flags.contains(Flags::PARTIAL),
            continued: flags.contains(Flags::CONTINUED),
            carriage_return: flags.contains(Flags::CARRIAGE_RETURN),
        });
    }

    /// Whether the batch is to be sent before the read is split to its end: the listener works on it meanwhile.
    pub(super) fn is_full(&self) -> bool {
        self.text.len() >= FULL_TEXT || self.marks.len() >= FULL_LINES
    }

    /// Sends bytes of a terminal to the listener, if there is one.
    pub(super) fn data(&mut self, bytes: &[u8]) {
        let first_sequence = self.take_sequence();
        if !(self.is_streamed && self.sink.wants(EventType::Data)) {
            return;
        }
        let len = u32::try_from(bytes.len()).expect("a read is bounded");
        let batch = LineBatch {
            execution_id: self.id,
            stream: Stream::Stdout,
            is_data: true,
            encoding: self.encoding,
            timestamp: Utc::now(),
            first_sequence,
            text: bytes,
            marks: &[LineMark { len, partial: false, continued: false, carriage_return: false }],
        };
        let credit = self.backpressure.get_or_insert_default().lend(&batch);
        self.sink.lines(batch, credit);
    }

    /// Sends the batch to the listener, if there is one, and to the log.
    pub(super) fn send(&mut self, stream: Stream, has_listener: bool, log: Option<&mut Log>) {
        if self.marks.is_empty() {
            return;
        }
        let count = self.marks.len() as u64;
        let batch = LineBatch {
            execution_id: self.id,
            stream,
            is_data: false,
            encoding: self.encoding,
            timestamp: Utc::now(),
            first_sequence: self.sequence.fetch_add(count, Relaxed),
            text: &self.text,
            marks: &self.marks,
        };
        if let Some(log) = log {
            log.lines(&batch);
        }
        if has_listener {
            let credit = self.backpressure.get_or_insert_default().lend(&batch);
            self.sink.lines(batch, credit);
        }
        self.lines += count;
        self.text.clear();
        self.marks.clear();
    }
}
