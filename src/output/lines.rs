//! Splits the bytes of a stream into lines, whatever chunks they arrive in.

use std::ops::Range;

use memchr::{memchr, memchr_iter, memchr2, memrchr};

/// The flags of a piece of text handed out by [`Splitter`]. Default: nothing ([`Flags::NONE`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Flags(u8);

impl Flags {
    /// The piece ends its line, at `\n`, `\r\n` or the end of the stream.
    pub(crate) const NONE: Self = Self(0);
    /// The line is not finished: the stream went silent, and this is what there was of it. More pieces follow.
    pub(crate) const PARTIAL: Self = Self(1);
    /// The line is longer than a piece may be. More pieces follow.
    pub(crate) const CONTINUED: Self = Self(2);
    /// The piece ends its line, at a `\r` with no `\n` behind it: the next line is meant to overwrite it (progress bars).
    pub(crate) const CARRIAGE_RETURN: Self = Self(4);

    /// Whether every flag of `other` is set.
    #[must_use]
    pub(crate) const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// The last byte seen, as far as it decides what a `\n` after it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    /// The last byte is no `\r`: a `\n` ends a line.
    Other,
    /// A `\r` that has not ended its line yet: a `\n` makes it a `\r\n`.
    Return,
    /// A `\r` that ended its line because the stream went silent: a `\n` is only its other half.
    ReturnSpent,
}

/// Splits a stream into lines. `\n`, `\r\n` and a lone `\r` end a line and are not part of it.
///
/// A line is its pieces joined, up to and including the first piece with neither [`Flags::PARTIAL`] nor
/// [`Flags::CONTINUED`]; no byte is handed out twice. Pieces are raw bytes, perhaps not UTF-8, but a piece never ends
/// inside a well-formed character. Without calls to [`Splitter::flush_partial`], the pieces do not depend on how the
/// stream was cut into chunks.
#[derive(Debug)]
pub(crate) struct Splitter {
    max: usize,
    /// Text of the unfinished line that no piece has had yet, at most `max` bytes between calls.
    pending: Vec<u8>,
    /// Whether the unfinished line had a piece already, so that it needs one that ends it.
    open: bool,
    last: Last,
}

impl Splitter {
    /// Returns a splitter at the start of a stream. A piece has at most `max_line_bytes` bytes, the line's end not
    /// counted; less than 4 counts as 4, the longest character. The splitter's memory is bounded by about the same
    /// number.
    #[must_use]
    pub(crate) fn new(max_line_bytes: usize) -> Self {
        // The upper bound keeps `max + 1` and the sum of two lengths from overflowing.
        let max = max_line_bytes.clamp(4, usize::MAX / 2);
        Self { max, pending: Vec::new(), open: false, last: Last::Other }
    }

    /// Takes the next bytes of the stream and hands out every line and every full piece in them.
    ///
    /// A `\r` that is the last byte waits for the byte after it, which may be a `\n`.
    pub(crate) fn feed(&mut self, bytes: &[u8], emit: &mut impl FnMut(&[u8], Flags)) {
        let mut rest = self.settle_return(bytes, emit);
        while let Some(at) = memchr2(b'\n', b'\r', rest) {
            let (text, end) = rest.split_at(at);
            let (end_len, flags) = match end {
                [b'\r'] => {
                    self.hold(text, emit);
                    self.last = Last::Return;
                    return;
                }
                [b'\r', b'\n', ..] => (2, Flags::NONE),
                [b'\r', ..] => (1, Flags::CARRIAGE_RETURN),
                _ => (1, Flags::NONE),
            };
            self.end_line(text, flags, emit);
            rest = &end[end_len..];
        }
        self.hold(rest, emit);
    }

    /// [`Splitter::feed`] for pieces without a listener: returns their number.
    #[must_use]
    pub(crate) fn count(&mut self, bytes: &[u8]) -> u64 {
        let mut count = 0;
        let ends = memchr(b'\n', bytes).zip(memrchr(b'\n', bytes));
        // The lines between the first end and the last that surely fit into a piece are counted by their ends alone.
        let ends = ends.filter(|(first, last)| last - first <= self.max && memchr(b'\r', bytes).is_none());
        let (head, lines, tail) = ends.map_or((bytes, &[][..], &[][..]), |(first, last)| {
            (&bytes[..=first], &bytes[first + 1..=last], &bytes[last + 1..])
        });
        self.feed(head, &mut |_, _| count += 1);
        count += memchr_iter(b'\n', lines).count() as u64;
        self.feed(tail, &mut |_, _| count += 1);
        count
    }

    /// Removes the last character of the unfinished line, unless a piece has had it.
    pub(crate) fn backspace(&mut self) {
        let start = self.pending.iter().rposition(|byte| !is_continuation(*byte)).filter(|_| self.last == Last::Other);
        self.pending.truncate(start.unwrap_or(self.pending.len()));
    }

    /// Whether [`Splitter::flush_partial`] would hand out anything.
    #[must_use]
    pub(crate) fn is_waiting(&self) -> bool {
        self.last == Last::Return || self.pending.len() > incomplete_char_len(&self.pending)
    }

    /// Whether the last byte was a `\r` that has not ended its line yet.
    pub(crate) fn awaits_line_feed(&self) -> bool {
        self.last == Last::Return
    }

    /// Emits the unfinished line so far, flagged [`Flags::PARTIAL`]: for a stream gone silent.
    ///
    /// The beginning of a character at the very end (at most 3 bytes) stays until the rest of it comes. A `\r` that
    /// waited for a `\n` counts as a lone one, and the line is over; if the next byte is that `\n` after all, it
    /// belongs to the `\r` and is swallowed.
    pub(crate) fn flush_partial(&mut self, emit: &mut impl FnMut(&[u8], Flags)) {
        if self.last == Last::Return {
            self.end_line(&[], Flags::CARRIAGE_RETURN, emit);
            self.last = Last::ReturnSpent;
            return;
        }
        let ready = self.pending.len() - incomplete_char_len(&self.pending);
        if ready > 0 {
            emit(&self.pending[..ready], Flags::PARTIAL);
            self.pending.drain(..ready);
            self.open = true;
        }
    }

    /// Ends the stream: hands out the unfinished line as a finished one (after a `\r`, as one that a lone `\r` ended)
    /// and leaves the splitter at the start of a new stream. A line that had all its text in pieces already gets an
    /// empty last piece.
    pub(crate) fn finish(&mut self, emit: &mut impl FnMut(&[u8], Flags)) {
        if self.last == Last::Return {
            self.end_line(&[], Flags::CARRIAGE_RETURN, emit);
        } else if self.open || !self.pending.is_empty() {
            self.end_line(&[], Flags::NONE, emit);
        }
        self.last = Last::Other;
    }

    /// Decides what the `\r` that the chunk before ended with was. Returns the bytes that are still to split.
    fn settle_return<'b>(&mut self, bytes: &'b [u8], emit: &mut impl FnMut(&[u8], Flags)) -> &'b [u8] {
        if self.last == Last::Other || bytes.is_empty() {
            return bytes;
        }
        let line_feed = bytes.strip_prefix(b"\n");
        if self.last == Last::Return {
            let flags = if line_feed.is_some() { Flags::NONE } else { Flags::CARRIAGE_RETURN };
            self.end_line(&[], flags, emit);
        }
        self.last = Last::Other;
        line_feed.unwrap_or(bytes)
    }

    /// Ends the unfinished line after `text`.
    fn end_line(&mut self, text: &[u8], flags: Flags, emit: &mut impl FnMut(&[u8], Flags)) {
        let text = self.emit_full(text, emit);
        if self.pending.is_empty() {
            emit(text, flags);
        } else {
            self.extend(text);
            emit(&self.pending, flags);
            self.pending.clear();
        }
        self.open = false;
    }

    /// Adds `text` to the unfinished line.
    fn hold(&mut self, text: &[u8], emit: &mut impl FnMut(&[u8], Flags)) {
        let text = self.emit_full(text, emit);
        self.extend(text);
    }

    /// Adds `text`, which fits into a piece but for one byte.
    fn extend(&mut self, text: &[u8]) {
        extend_bounded(&mut self.pending, text, self.max + 1);
    }

    /// Hands out pieces until `pending` and the returned rest of `text` fit into one.
    ///
    /// One byte more than a piece holds decides where it is cut, however many more there are: else the cut would
    /// depend on the chunks.
    fn emit_full<'b>(&mut self, mut text: &'b [u8], emit: &mut impl FnMut(&[u8], Flags)) -> &'b [u8] {
        while self.pending.len() + text.len() > self.max {
            let held = self.pending.len();
            let cut = if held == 0 {
                let cut = piece_end(text, self.max);
                emit(&text[..cut], Flags::CONTINUED);
                cut
            } else {
                self.extend(&text[..=self.max - held]);
                let cut = piece_end(&self.pending, self.max);
                emit(&self.pending[..cut], Flags::CONTINUED);
                // Bytes beyond the cut that were borrowed from `text` go back, so that they are passed on without a
                // copy.
                self.pending.truncate(held);
                self.pending.drain(..cut.min(held));
                cut
            };
            text = &text[cut.saturating_sub(held)..];
            self.open = true;
        }
        text
    }
}

/// Returns where to cut a piece of at most `max` bytes off `text`, which is longer.
fn piece_end(text: &[u8], max: usize) -> usize {
    char_across(text, max).map_or(max, |char| char.start)
}

/// Returns the character that a cut before `bytes[at]` would split, if there is one.
///
/// A character that is well-formed as far as `bytes[at]` counts, also if it then breaks off: the range is what there
/// is of it. Its start depends on no byte after `bytes[at]`.
#[must_use]
pub(super) fn char_across(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    if !is_continuation(*bytes.get(at)?) {
        return None;
    }
    let start = (at.saturating_sub(3)..at).rev().find(|&i| !is_continuation(bytes[i]))?;
    let chunk = bytes[start..bytes.len().min(start + 4)].utf8_chunks().next()?;
    let len = chunk.valid().chars().next().map_or(chunk.invalid().len(), char::len_utf8);
    (start + len > at).then_some(start..start + len)
}

/// Returns how many bytes at the end of `bytes` are the beginning of a character whose rest is missing: 0 to 3.
pub(super) fn incomplete_char_len(bytes: &[u8]) -> usize {
    let last = &bytes[bytes.len().saturating_sub(3)..];
    let start = last.iter().rposition(|&byte| !is_continuation(byte));
    start.map_or(0, |start| match std::str::from_utf8(&last[start..]) {
        Err(error) if error.error_len().is_none() => last.len() - start,
        _ => 0,
    })
}

/// Whether `byte` can only be the second, third or fourth byte of a character.
const fn is_continuation(byte: u8) -> bool {
    byte & 0b1100_0000 == 0b1000_0000
}

/// Appends `bytes` to a `buffer` that never gets longer than `limit` bytes: doubling its memory stops there too.
pub(super) fn extend_bounded(buffer: &mut Vec<u8>, bytes: &[u8], limit: usize) {
    let len = buffer.len() + bytes.len();
    debug_assert!(len <= limit, "{len} bytes in a buffer of {limit}");
    if len > buffer.capacity() {
        let capacity = buffer.capacity().saturating_mul(2).min(limit).max(len);
        buffer.reserve_exact(capacity - buffer.len());
    }
    buffer.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests;
