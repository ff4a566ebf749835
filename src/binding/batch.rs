//! Many events as one string and one array of numbers.
//!
//! The string holds all text one after the other. Each group of numbers starts with a kind and a handle:
//!
//! | kind | numbers after it |
//! | --- | --- |
//! | 0 queued | handle, time in ms, sequence, length of the command |
//! | 8 degraded | handle, time in ms, sequence, length of the message |
//! | 1 started | handle, time in ms, sequence, pid, length of the command |
//! | 2 stdout, 3 stderr | handle, time in ms, first sequence, count, then for each line its length × 8 + flags |
//! | 4 completed, 5 failed, 6 cancelled, 7 timeout | handle, time in ms, sequence, position of its result in the batch |
//! | 14 completed, 15 failed, by an exit and nothing else | handle, time in ms, sequence, the numbers of its result in the order of `Exited`, lengths of stdout, stderr and the metadata as JSON |
//! | 9 retry | handle, time in ms, sequence, attempt, attempts, delay in ms, position of the attempt's result in the batch |
//! | 10 progress | handle, time in ms, sequence, completed, failed, skipped, total, kind of the plan's end or 0, length of the current command, position of the plan's result |
//! | 11 stdout, 12 stderr, as bytes | as 2 and 3 |
//! | 13 input | handle, 0, 0, 1 when the child wants more of its standard input, 0 when it wants none any more |
//!
//! −1 stands for what is not there. Lengths are in UTF-16 units, as JavaScript counts; those of lines as bytes are in bytes,
//! which come one after the other in an array of their own. Flags: 1 partial, 2 continued, 4 carriage return.

use std::sync::Arc;

use napi::bindgen_prelude::{Env, Float64Array, JsObjectValue, Object, ToNapiValue, Uint8Array, Unknown};
use napi::{JsValue, Property};

use super::convert::milliseconds;
use super::result::Exited;
use crate::event::{Credit, ExecutionEvent, LineBatch};
use crate::types::{Encoding, ExecutionResult, ExecutionStatus, PlanExecutionResult, Stream};

/// A batch is closed at this size: JavaScript works through it in less than a millisecond, and its string stays out of the
/// engine's space for large objects, where each one would be fresh memory.
const FULL_TEXT: usize = 60 * 1024;
const FULL_NUMBERS: usize = 8 * 1024;

#[derive(Default)]
pub(super) struct Batch {
    text: String,
    ascii: bool,
    numbers: Vec<f64>,
    bytes: Vec<u8>,
    /// What the listeners of this batch hold up; free when the next batch is taken.
    credits: Vec<Credit>,
    pub(super) results: Vec<Arc<ExecutionResult>>,
    pub(super) plans: Vec<Arc<PlanExecutionResult>>,
}

impl Batch {
    /// An empty batch that fills memory which was used before.
    pub(super) fn reusing(mut text: String) -> Self {
        text.clear();
        Self { ascii: true, text, ..Self::default() }
    }

    /// The memory of a batch that is done; its credits are free.
    pub(super) fn into_memory(self) -> String {
        self.text
    }

    pub(super) fn is_full(&self) -> bool {
        self.text.len() + self.bytes.len() >= FULL_TEXT || self.numbers.len() >= FULL_NUMBERS
    }

    /// `credit` is `None` when the consumer gives it back by itself.
    pub(super) fn lines(&mut self, handle: u32, batch: &LineBatch<'_>, credit: Option<Credit>) {
        let kind = match (batch.encoding, batch.stream) {
            (Encoding::Utf8, Stream::Stdout) => 2.0,
            (Encoding::Utf8, Stream::Stderr) => 3.0,
            (Encoding::Buffer, Stream::Stdout) => 11.0,
            (Encoding::Buffer, Stream::Stderr) => 12.0,
        };
        if batch.encoding == Encoding::Buffer {
            self.bytes.extend_from_slice(batch.text);
        }
        self.head(kind, handle, milliseconds(batch.timestamp), batch.first_sequence);
        self.numbers.push(number(batch.marks.len()));
        for (line, mark) in batch.lines() {
            let length = match batch.encoding {
                Encoding::Utf8 => self.push_bytes(line),
                Encoding::Buffer => line.len(),
            };
            let flags = u8::from(mark.partial) + 2 * u8::from(mark.continued) + 4 * u8::from(mark.carriage_return);
            self.numbers.push(number(length) * 8.0 + f64::from(flags));
        }
        self.credits.extend(credit);
    }

    pub(super) fn input(&mut self, handle: u32, is_wanted: bool) {
        self.head(13.0, handle, 0.0, 0);
        self.numbers.push(f64::from(u8::from(is_wanted)));
    }

    pub(super) fn event(&mut self, handle: u32, event: ExecutionEvent) {
        match event {
            ExecutionEvent::Queued { timestamp, sequence, command, .. } => {
                self.head(0.0, handle, milliseconds(timestamp), sequence);
                let length = self.push(&command);
                self.numbers.push(number(length));
            }
            ExecutionEvent::Degraded { timestamp, sequence, message, .. } => {
                self.head(8.0, handle, milliseconds(timestamp), sequence);
                let length = self.push(&message);
                self.numbers.push(number(length));
            }
            ExecutionEvent::Started { timestamp, sequence, command, pid, .. } => {
                self.head(1.0, handle, milliseconds(timestamp), sequence);
                let length = self.push(&command);
                self.numbers.extend([f64::from(pid), number(length)]);
            }
            ExecutionEvent::Retry { timestamp, sequence, attempt, attempts, delay_ms, result, .. } => {
                self.head(9.0, handle, milliseconds(timestamp), sequence);
                let position = number(self.results.len());
                #[expect(clippy::cast_precision_loss, reason = "no pause has 2^53 ms")]
                self.numbers.extend([f64::from(attempt), f64::from(attempts), delay_ms as f64, position]);
                self.results.push(result);
            }
            ExecutionEvent::Progress {
                timestamp,
                sequence,
                completed,
                failed,
                skipped,
                total,
                current_command,
                status,
                result,
                ..
            } => {
                self.head(10.0, handle, milliseconds(timestamp), sequence);
                let length = current_command.map_or(-1.0, |command| number(self.push(&command)));
                let position = result.map_or(-1.0, |result| {
                    self.plans.push(result);
                    number(self.plans.len() - 1)
                });
                self.numbers.extend([completed, failed, skipped, total].map(number));
                self.numbers.extend([kind_of_end(status), length, position]);
            }
            ExecutionEvent::Completed { timestamp, sequence, result, .. }
            | ExecutionEvent::Failed { timestamp, sequence, result, .. }
            | ExecutionEvent::Cancelled { timestamp, sequence, result, .. }
            | ExecutionEvent::Timeout { timestamp, sequence, result, .. } => {
                self.ended(handle, milliseconds(timestamp), sequence, result);
            }
            // Lines come as batches.
            ExecutionEvent::Stdout { .. } | ExecutionEvent::Stderr { .. } => {}
        }
    }

    fn ended(&mut self, handle: u32, at: f64, sequence: u64, result: Arc<ExecutionResult>) {
        let kind = kind_of_end(result.status);
        if let Some(Exited { numbers, stdout, stderr, metadata }) = Exited::of(&result) {
            self.head(kind + 10.0, handle, at, sequence);
            self.numbers.extend(numbers);
            let lengths = [stdout, stderr, &metadata].map(|text| number(self.push(text)));
            self.numbers.extend(lengths);
            return;
        }
        self.head(kind, handle, at, sequence);
        self.numbers.push(number(self.results.len()));
        self.results.push(result);
    }

    fn head(&mut self, kind: f64, handle: u32, at: f64, sequence: u64) {
        #[expect(clippy::cast_precision_loss, reason = "no execution has 2^53 events")]
        self.numbers.extend([kind, f64::from(handle), at, sequence as f64]);
    }

    fn push_bytes(&mut self, bytes: &[u8]) -> usize {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.push(text),
            Err(_) => self.push(&String::from_utf8_lossy(bytes)),
        }
    }

    /// Adds text and gives its length in UTF-16 units.
    fn push(&mut self, text: &str) -> usize {
        self.text.push_str(text);
        if text.is_ascii() {
            return text.len();
        }
        self.ascii = false;
        text.chars().map(char::len_utf16).sum()
    }

    /// Whether its numbers have room in `shared`, and no execution waits for it: then JavaScript need not come back to say that it is done.
    pub(super) fn is_done_when_given(&self, shared: &[f64]) -> bool {
        self.is_short(shared) && self.credits.is_empty()
    }

    fn is_short(&self, shared: &[f64]) -> bool {
        self.bytes.is_empty() && self.numbers.len() < shared.len()
    }

    /// Made on the JavaScript thread: the text alone, when there are no bytes and `shared` has room for the numbers, of which
    /// it then holds the count, negative if this is the `last` for now, and the numbers themselves; otherwise
    /// `{ text, numbers, bytes? }`.
    pub(super) fn give<'env>(&mut self, env: &'env Env, shared: &mut [f64], last: bool) -> napi::Result<Unknown<'env>> {
        let text =
            if self.ascii { env.create_string_latin1(self.text.as_bytes())? } else { env.create_string(&self.text)? };
        let count = self.numbers.len();
        if self.is_short(shared) {
            shared[0] = if last { -number(count) } else { number(count) };
            shared[1..=count].copy_from_slice(&self.numbers);
            return Ok(text.to_unknown());
        }
        let numbers = Float64Array::new(std::mem::take(&mut self.numbers)).into_unknown(env)?;
        // Defined, not set: `Object.prototype` may have a setter of such a name.
        let mut properties = vec![property("text", &text)?, property("numbers", &numbers)?];
        if !self.bytes.is_empty() {
            let bytes = Uint8Array::new(std::mem::take(&mut self.bytes)).into_unknown(env)?;
            properties.push(property("bytes", &bytes)?);
        }
        let mut object = Object::new(env)?;
        object.define_properties(&properties)?;
        Ok(object.to_unknown())
    }
}

/// The number of the event that ends what has this status; 0 while it goes on.
const fn kind_of_end(status: ExecutionStatus) -> f64 {
    match status {
        ExecutionStatus::Pending | ExecutionStatus::Running => 0.0,
        ExecutionStatus::Completed => 4.0,
        ExecutionStatus::Failed => 5.0,
        ExecutionStatus::Cancelled => 6.0,
        ExecutionStatus::Timeout => 7.0,
    }
}

fn property<'env>(name: &str, value: &impl JsValue<'env>) -> napi::Result<Property> {
    Ok(Property::new().with_utf8_name(name)?.with_value(value))
}

#[expect(clippy::cast_precision_loss, reason = "lengths within one batch are far below 2^53")]
fn number(length: usize) -> f64 {
    length as f64
}
