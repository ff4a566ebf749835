//! From the core to listeners: one sink for each execution, bounded by credit.

use std::future::{Future, ready};
use std::pin::Pin;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Credit, ExecutionEvent};
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
            let (execution_id, timestamp) = (self.execution_id, self.timestamp);
            let line = Text::new(bytes.to_vec(), self.encoding);
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

/// Takes the events of one execution. No method may block: each is called by the task that supervises the child.
pub(crate) trait EventSink: Send + Sync {
    /// Whether lines of a stream are of any use now; asked at each read.
    fn wants_lines(&self, stream: Stream) -> bool;
    /// Takes lines. The child may be read further while the credits of its execution are below the bound.
    fn lines(&self, batch: LineBatch<'_>, credit: Credit);
    /// Takes any other event.
    fn event(&self, event: ExecutionEvent);
    /// Resolves when what was taken so far has been handled.
    fn flushed(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(ready(()))
    }
}

/// There is no listener.
#[derive(Debug)]
pub(crate) struct SilentSink;

impl EventSink for SilentSink {
    fn wants_lines(&self, _stream: Stream) -> bool {
        false
    }
    fn lines(&self, _batch: LineBatch<'_>, _credit: Credit) {}
    fn event(&self, _event: ExecutionEvent) {}
}
