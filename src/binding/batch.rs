//! Packs many events into one string and one array of numbers.
//!
//! The string holds all text one after the other. Each group of numbers starts with what it is (the number of an event's type, or one
//! of `protocol::group`), a handle, a time in ms and a sequence. Then come, of
//!
//! - an event: its fields, in the order of their declaration. A text is its length, a status its place among the statuses, a result its
//!   position in the batch,
//! - lines: their count, then for each its length × 8 + flags,
//! - an end by an exit and nothing else: the numbers and then the texts of its result, in the order of their declaration,
//! - input: 1 when the child can take more of its standard input, 0 when it takes none any more.
//!
//! −1 stands for what is not there. Lengths are in UTF-16 units, as JavaScript counts; those of lines as bytes are in bytes, which come one
//! after the other in an array of their own. `lib/protocol.js` is generated of the same declarations.

use std::sync::Arc;

use napi::bindgen_prelude::{Env, Float64Array, JsObjectValue, Object, ToNapiValue, Uint8Array, Unknown};
use napi::{JsValue, Property};

use super::convert::milliseconds;
use super::result::Exited;
use crate::event::{Credit, EventType, ExecutionEvent, FULL_LINES, FULL_TEXT, FieldReader, LineBatch, LineMark};
use crate::protocol::{ABSENT, group, line};
use crate::types::{Encoding, ExecutionResult, PlanExecutionResult, Stream};

#[derive(Default)]
pub(super) struct Batch {
    text: String,
    ascii: bool,
    numbers: Vec<f64>,
    bytes: Vec<u8>,
    /// The credits that the listeners of this batch hold; returned when the next batch is taken.
    credits: Vec<Credit>,
    pub(super) results: Vec<Arc<ExecutionResult>>,
    pub(super) plans: Vec<Arc<PlanExecutionResult>>,
}

impl Batch {
    /// Returns an empty batch that fills memory which was used before.
    pub(super) fn reusing(mut text: String) -> Self {
        text.clear();
        Self { ascii: true, text, ..Self::default() }
    }

    /// Returns the memory of a batch that is done; its credits are returned.
    pub(super) fn into_memory(self) -> String {
        self.text
    }

    pub(super) fn is_full(&self) -> bool {
        self.text.len() + self.bytes.len() >= FULL_TEXT || self.numbers.len() >= FULL_LINES
    }

    /// Adds lines. `credit` is `None` when the consumer returns it by itself.
    pub(super) fn lines(&mut self, handle: u32, batch: &LineBatch<'_>, credit: Option<Credit>) {
        let kind = match (batch.encoding, batch.stream) {
            (Encoding::Utf8, _) if batch.is_data => EventType::Data as u8,
            (Encoding::Buffer, _) if batch.is_data => group::DATA_BYTES,
            (Encoding::Utf8, Stream::Stdout) => EventType::Stdout as u8,
            (Encoding::Utf8, Stream::Stderr) => EventType::Stderr as u8,
            (Encoding::Buffer, Stream::Stdout) => group::STDOUT_BYTES,
            (Encoding::Buffer, Stream::Stderr) => group::STDERR_BYTES,
        };
        if batch.encoding == Encoding::Buffer {
            self.bytes.extend_from_slice(batch.text);
        }
        self.head(kind, handle, milliseconds(batch.timestamp), batch.first_sequence);
        self.numbers.reserve(1 + batch.marks.len());
        self.numbers.push(number(batch.marks.len()));
        // The length of an ASCII line is the same in all units.
        let are_bytes = match batch.encoding {
            Encoding::Buffer => true,
            Encoding::Utf8 => self.push_ascii(batch.text),
        };
        for (text, mark) in batch.lines() {
            let length = if are_bytes { text.len() } else { self.push_bytes(text) };
            self.numbers.push(number(length) * f64::from(line::FLAGS) + f64::from(flags(mark)));
        }
        self.credits.extend(credit);
    }

    pub(super) fn input(&mut self, handle: u32, is_wanted: bool) {
        self.head(group::INPUT, handle, 0.0, 0);
        self.numbers.push(f64::from(u8::from(is_wanted)));
    }

    pub(super) fn event(&mut self, handle: u32, event: ExecutionEvent) {
        let kind = event.event_type();
        let (at, sequence) = (milliseconds(event.timestamp()), event.sequence());
        match event {
            ExecutionEvent::Completed { result, .. }
            | ExecutionEvent::Failed { result, .. }
            | ExecutionEvent::Cancelled { result, .. }
            | ExecutionEvent::Timeout { result, .. } => self.ended(kind, handle, at, sequence, result),
            // Lines and data come as batches.
            ExecutionEvent::Stdout { .. } | ExecutionEvent::Stderr { .. } | ExecutionEvent::Data { .. } => {}
            event => {
                self.head(kind as u8, handle, at, sequence);
                event.give_fields(self);
            }
        }
    }

    fn ended(&mut self, kind: EventType, handle: u32, at: f64, sequence: u64, result: Arc<ExecutionResult>) {
        let by_exit = match kind {
            EventType::Completed => Some(group::COMPLETED_BY_EXIT),
            EventType::Failed => Some(group::FAILED_BY_EXIT),
            _ => None,
        };
        if let Some(by_exit) = by_exit
            && let Some(Exited { numbers, texts }) = Exited::of(&result)
        {
            self.head(by_exit, handle, at, sequence);
            self.numbers.extend(numbers);
            let lengths = texts.map(|text| number(self.push(&text)));
            self.numbers.extend(lengths);
            return;
        }
        self.head(kind as u8, handle, at, sequence);
        self.numbers.push(number(self.results.len()));
        self.results.push(result);
    }

    fn head(&mut self, kind: u8, handle: u32, at: f64, sequence: u64) {
        #[expect(clippy::cast_precision_loss, reason = "no execution has 2^53 events")]
        self.numbers.extend([f64::from(kind), f64::from(handle), at, sequence as f64]);
    }

    /// Adds bytes if they are all ASCII, and returns whether they were.
    fn push_ascii(&mut self, bytes: &[u8]) -> bool {
        let text = bytes.is_ascii().then(|| str::from_utf8(bytes).ok()).flatten();
        self.text.push_str(text.unwrap_or_default());
        text.is_some()
    }

    fn push_bytes(&mut self, bytes: &[u8]) -> usize {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.push(text),
            Err(_) => self.push(&String::from_utf8_lossy(bytes)),
        }
    }

    /// Adds text and returns its length in UTF-16 units.
    fn push(&mut self, text: &str) -> usize {
        self.text.push_str(text);
        if text.is_ascii() {
            return text.len();
        }
        self.ascii = false;
        text.chars().map(char::len_utf16).sum()
    }

    /// Returns whether its numbers have room in `shared`, and no execution waits for it: then JavaScript need not report that it is done.
    pub(super) fn is_done_when_given(&self, shared: &[f64]) -> bool {
        self.is_short(shared) && self.credits.is_empty()
    }

    fn is_short(&self, shared: &[f64]) -> bool {
        self.bytes.is_empty() && self.numbers.len() < shared.len()
    }

    /// Returns the value for JavaScript, on the JavaScript thread: the text alone, when there are no bytes and `shared`
    /// has room for the numbers, of which it then holds the count, negative if this is the `last` for now, and the
    /// numbers themselves; otherwise `{ text, numbers, bytes? }`.
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

impl FieldReader for Batch {
    fn number(&mut self, number: f64) {
        self.numbers.push(number);
    }

    fn text(&mut self, text: Option<&str>) {
        let length = text.map_or(f64::from(ABSENT), |text| number(self.push(text)));
        self.numbers.push(length);
    }

    fn result(&mut self, result: &Arc<ExecutionResult>) {
        self.numbers.push(number(self.results.len()));
        self.results.push(Arc::clone(result));
    }

    fn plan_result(&mut self, result: Option<&Arc<PlanExecutionResult>>) {
        let position = if result.is_some() { number(self.plans.len()) } else { f64::from(ABSENT) };
        self.numbers.push(position);
        self.plans.extend(result.cloned());
    }
}

fn flags(mark: LineMark) -> u8 {
    let LineMark { len: _, partial, continued, carriage_return } = mark;
    u8::from(partial) * line::PARTIAL
        + u8::from(continued) * line::CONTINUED
        + u8::from(carriage_return) * line::CARRIAGE_RETURN
}

fn property<'env>(name: &str, value: &impl JsValue<'env>) -> napi::Result<Property> {
    Ok(Property::new().with_utf8_name(name)?.with_value(value))
}

#[expect(clippy::cast_precision_loss, reason = "lengths within one batch are far below 2^53")]
fn number(length: usize) -> f64 {
    length as f64
}
