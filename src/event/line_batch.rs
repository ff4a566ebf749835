//! The lines of one read, borrowed from its buffer.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{ExecutionEvent, OutputLine};
use crate::types::{Encoding, Stream, Text};

/// Where one line ends in a batch's text, and how.
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
    /// As what its lines are handed out.
    pub(crate) encoding: Encoding,
    pub(crate) timestamp: DateTime<Utc>,
    /// The sequence of the first line; the others follow without a gap.
    pub(crate) first_sequence: u64,
    /// The lines one after the other, without their ends; any bytes.
    pub(crate) text: &'a [u8],
    pub(crate) marks: &'a [LineMark],
}

impl<'a> LineBatch<'a> {
    /// Each line with its mark.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (&'a [u8], LineMark)> + use<'a> {
        let mut rest = self.text;
        self.marks.iter().map(move |mark| {
            let (line, after) = rest.split_at(mark.len as usize);
            rest = after;
            (line, *mark)
        })
    }

    /// Each line as an event.
    pub(crate) fn events(&self) -> impl Iterator<Item = ExecutionEvent> {
        self.lines().zip(self.first_sequence..).map(|((bytes, mark), sequence)| {
            let line = OutputLine {
                execution_id: self.execution_id,
                timestamp: self.timestamp,
                sequence,
                line: Text::new(bytes.to_vec(), self.encoding),
                partial: mark.partial,
                continued: mark.continued,
                carriage_return: mark.carriage_return,
            };
            ExecutionEvent::of_line(self.stream, line)
        })
    }
}
