//! The lines of one read, borrowed from its buffer.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::ExecutionEvent;
use crate::types::{Encoding, Stream, Text};

/// A batch is closed at so many bytes of text: JavaScript works through it in less than a millisecond, and its string stays out of the
/// space for large objects, where each one would be fresh memory.
pub(crate) const FULL_TEXT: usize = 60 * 1024;
/// A batch is closed at so many lines.
pub(crate) const FULL_LINES: usize = 8 * 1024;

/// The length of one line in a batch's text, and how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LineMark {
    pub(crate) len: u32,
    pub(crate) partial: bool,
    pub(crate) continued: bool,
    pub(crate) carriage_return: bool,
}

/// The lines of one read, borrowed from the reader.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LineBatch<'a> {
    pub(crate) execution_id: Uuid,
    pub(crate) stream: Stream,
    /// Whether the batch has the bytes of a terminal, all under one mark, instead of lines.
    pub(crate) is_data: bool,
    /// Whether its lines are handed out as text or as bytes.
    pub(crate) encoding: Encoding,
    pub(crate) timestamp: DateTime<Utc>,
    /// The sequence of the first line; the others follow without a gap.
    pub(crate) first_sequence: u64,
    /// The lines one after the other, without their ends; any bytes.
    pub(crate) text: &'a [u8],
    pub(crate) marks: &'a [LineMark],
}

impl<'a> LineBatch<'a> {
    /// Iterates over the lines, each with its mark.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (&'a [u8], LineMark)> + use<'a> {
        let mut rest = self.text;
        self.marks.iter().map(move |mark| {
            let (line, after) = rest.split_at(mark.len as usize);
            rest = after;
            (line, *mark)
        })
    }

    /// Makes an event of each line.
    pub(crate) fn events(&self) -> impl Iterator<Item = ExecutionEvent> {
        self.lines().zip(self.first_sequence..).map(|((bytes, mark), sequence)| {
            let (execution_id, timestamp) = (self.execution_id, self.timestamp);
            let line = Text::new(bytes.to_vec(), self.encoding);
            if self.is_data {
                return ExecutionEvent::Data { execution_id, timestamp, sequence, data: line };
            }
            let LineMark { partial, continued, carriage_return, .. } = mark;
            match self.stream {
                Stream::Stdout => ExecutionEvent::Stdout {
                    execution_id,
                    timestamp,
                    sequence,
                    line,
                    partial,
                    continued,
                    carriage_return,
                },
                Stream::Stderr => ExecutionEvent::Stderr {
                    execution_id,
                    timestamp,
                    sequence,
                    line,
                    partial,
                    continued,
                    carriage_return,
                },
            }
        })
    }
}
