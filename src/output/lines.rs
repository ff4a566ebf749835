//! Splits the bytes of a stream into lines, whatever chunks they arrive in.

use std::ops::Range;

use memchr::{memchr, memchr_iter, memchr2, memrchr};

/// What is special about a piece of text handed out by [`Splitter`]. Default: nothing ([`Flags::NONE`]).
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
    /// Not a `\r`: a `\n` ends a line.
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
    /// A splitter at the start of a stream. A piece has at most `max_line_bytes` bytes, the line's end not counted;
    /// less than 4 counts as 4, the longest character. The splitter's memory is bounded by about the same number.
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
        // Between the first end and the last, lines that surely fit into a piece are counted by their ends alone.
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
            extend_bounded(&mut self.pending, text, self.max + 1);
            emit(&self.pending, flags);
            self.pending.clear();
        }
        self.open = false;
    }

    /// Adds `text` to the unfinished line.
    fn hold(&mut self, text: &[u8], emit: &mut impl FnMut(&[u8], Flags)) {
        let text = self.emit_full(text, emit);
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
                extend_bounded(&mut self.pending, &text[..=self.max - held], self.max + 1);
                let cut = piece_end(&self.pending, self.max);
                emit(&self.pending[..cut], Flags::CONTINUED);
                // What was borrowed from `text` beyond the cut goes back, to be handed out without a copy.
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

/// Where to cut a piece of at most `max` bytes off `text`, which is longer.
fn piece_end(text: &[u8], max: usize) -> usize {
    char_across(text, max).map_or(max, |char| char.start)
}

/// The character that a cut before `bytes[at]` would split, if there is one.
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

/// How many bytes at the end of `bytes` are the beginning of a character whose rest is missing: 0 to 3.
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
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    type Piece = (Vec<u8>, Flags);

    const NONE: Flags = Flags::NONE;
    const PARTIAL: Flags = Flags::PARTIAL;
    const CONTINUED: Flags = Flags::CONTINUED;
    const RETURN: Flags = Flags::CARRIAGE_RETURN;

    /// Feeds the chunks, with a flush before each that is `None`, and checks what holds for every stream.
    fn split(max: usize, chunks: &[Option<&[u8]>]) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut emit = |text: &[u8], flags: Flags| pieces.push((text.to_vec(), flags));
        let mut splitter = Splitter::new(max);
        let mut counter = Splitter::new(max);
        for chunk in chunks {
            if let Some(bytes) = chunk {
                let mut emitted = 0;
                splitter.feed(bytes, &mut |text, flags| {
                    emitted += 1;
                    emit(text, flags);
                });
                assert_eq!(counter.count(bytes), emitted);
                assert_eq!(
                    (&counter.pending, counter.open, counter.last),
                    (&splitter.pending, splitter.open, splitter.last)
                );
            } else {
                counter.flush_partial(&mut |_, _| {});
                let was_waiting = splitter.is_waiting();
                let mut emitted = false;
                splitter.flush_partial(&mut |text, flags| {
                    emitted = true;
                    emit(text, flags);
                });
                assert_eq!(was_waiting, emitted);
                assert!(!splitter.is_waiting());
            }
            assert!(splitter.pending.len() <= max && splitter.pending.capacity() <= max.saturating_add(1));
        }
        splitter.finish(&mut emit);
        splitter.finish(&mut |_, _| panic!("finish leaves something"));
        assert!(!splitter.is_waiting());
        assert!(pieces.iter().all(|(text, _)| text.len() <= max));
        pieces
    }

    /// Splits a script: `|` is a border between chunks, `~` a flush.
    fn script(max: usize, text: &str) -> Vec<(String, Flags)> {
        let mut chunks = Vec::new();
        for (i, part) in text.split('~').enumerate() {
            chunks.extend((i > 0).then_some(None));
            chunks.extend(part.split('|').map(|chunk| Some(chunk.as_bytes())));
        }
        let text = |(text, flags)| (String::from_utf8(text).unwrap(), flags);
        split(max, &chunks).into_iter().map(text).collect()
    }

    #[track_caller]
    fn check(max: usize, text: &str, expected: &[(&str, Flags)]) {
        let expected: Vec<_> = expected.iter().map(|&(text, flags)| (text.to_owned(), flags)).collect();
        assert_eq!(script(max, text), expected, "{text:?}");
    }

    #[test]
    fn lines_end_at_line_feeds_and_carriage_returns() {
        check(9, "", &[]);
        check(9, "a\nb", &[("a", NONE), ("b", NONE)]);
        check(9, "\n\n", &[("", NONE), ("", NONE)]);
        check(9, "a\r\nb\r\n", &[("a", NONE), ("b", NONE)]);
        check(9, "1%\r2%\r", &[("1%", RETURN), ("2%", RETURN)]);
        check(9, "a\r\r\n", &[("a", RETURN), ("", NONE)]);
        check(9, "\n\r", &[("", NONE), ("", RETURN)]);
    }

    #[test]
    fn a_carriage_return_at_the_end_of_a_chunk_waits() {
        check(9, "a\r|\nb", &[("a", NONE), ("b", NONE)]);
        check(9, "a\r||b", &[("a", RETURN), ("b", NONE)]);
        check(9, "a\r|\r|\n", &[("a", RETURN), ("", NONE)]);
        check(4, "abcd\r|\n", &[("abcd", NONE)]);
    }

    #[test]
    fn a_flush_settles_a_carriage_return() {
        check(9, "a\r~\nb\n", &[("a", RETURN), ("b", NONE)]);
        check(9, "a\r~~|~\n\n", &[("a", RETURN), ("", NONE)]);
        check(9, "a\r~b", &[("a", RETURN), ("b", NONE)]);
        check(9, "a\r~\r\n", &[("a", RETURN), ("", NONE)]);
        check(9, "a\r~", &[("a", RETURN)]);
        check(9, "a~\r~\n", &[("a", PARTIAL), ("", RETURN)]);
    }

    #[test]
    fn a_flush_hands_out_unfinished_text_once() {
        check(9, "~a~~b~\nc", &[("a", PARTIAL), ("b", PARTIAL), ("", NONE), ("c", NONE)]);
        check(9, "a~b\n", &[("a", PARTIAL), ("b", NONE)]);
        check(9, "a~", &[("a", PARTIAL), ("", NONE)]);
        check(9, "a~\r\nb", &[("a", PARTIAL), ("", NONE), ("b", NONE)]);
        check(4, "ab~cdefg", &[("ab", PARTIAL), ("cdef", CONTINUED), ("g", NONE)]);
        check(4, "abcde~", &[("abcd", CONTINUED), ("e", PARTIAL), ("", NONE)]);
    }

    #[test]
    fn a_flush_keeps_an_incomplete_character() {
        let chunks: [Option<&[u8]>; 5] = [Some(b"a\xF0\x9F"), None, Some(b"\x98"), None, Some(b"\x80")];
        assert_eq!(split(4, &chunks), [(b"a".to_vec(), PARTIAL), ("😀".into(), NONE)]);
        assert_eq!(split(4, &[Some(b"\xE2\x82"), None]), [(b"\xE2\x82".to_vec(), NONE)]);
        let broken: [Option<&[u8]>; 4] = [Some(b"\xE2"), None, Some(b"a"), None];
        assert_eq!(split(4, &broken), [(b"\xE2a".to_vec(), PARTIAL), (vec![], NONE)]);
    }

    #[test]
    fn long_lines_come_in_pieces() {
        check(4, "abcd\nabcde\n", &[("abcd", NONE), ("abcd", CONTINUED), ("e", NONE)]);
        check(4, "ab|cd|e|fgh|i", &[("abcd", CONTINUED), ("efgh", CONTINUED), ("i", NONE)]);
        check(4, "ab€c", &[("ab", CONTINUED), ("€c", NONE)]);
        check(4, "a😀😀", &[("a", CONTINUED), ("😀", CONTINUED), ("😀", NONE)]);
        check(4, "abcde\r", &[("abcd", CONTINUED), ("e", RETURN)]);
        let binary = [Some(&b"abc\xE2\xE2\x80\x80\x80\x80\xFF"[..])];
        let pieces = [&b"abc\xE2"[..], b"\xE2\x80\x80\x80", b"\x80\xFF"];
        assert_eq!(split(4, &binary).iter().map(|piece| &*piece.0).collect::<Vec<_>>(), pieces);
    }

    #[test]
    fn any_piece_length_works() {
        assert_eq!(Splitter::new(0).max, 4);
        check(usize::MAX, "ab|c~d\n", &[("abc", PARTIAL), ("d", NONE)]);
    }

    /// Whether `bytes` is a character or can become one: a continuation byte fits every place but the second.
    fn is_char_so_far(bytes: &[u8]) -> bool {
        (0..3).any(|missing| {
            let whole = [bytes, &vec![0x80; missing]].concat();
            std::str::from_utf8(&whole).is_ok_and(|text| text.chars().count() == 1)
        })
    }

    /// The same lines, slowly: byte by byte, the whole input at hand.
    fn reference(max: usize, input: &[u8]) -> Vec<Piece> {
        let (mut pieces, mut text, mut at) = (Vec::new(), Vec::new(), 0);
        while let Some(&byte) = input.get(at) {
            at += 1;
            if byte == b'\n' {
                pieces.push((std::mem::take(&mut text), NONE));
            } else if byte == b'\r' && input.get(at) == Some(&b'\n') {
                at += 1;
                pieces.push((std::mem::take(&mut text), NONE));
            } else if byte == b'\r' {
                pieces.push((std::mem::take(&mut text), RETURN));
            } else {
                text.push(byte);
                if text.len() > max {
                    let split_char = (max - 3..max).find(|&start| is_char_so_far(&text[start..]));
                    let rest = text.split_off(split_char.unwrap_or(max));
                    pieces.push((std::mem::replace(&mut text, rest), CONTINUED));
                }
            }
        }
        if !text.is_empty() {
            pieces.push((text, NONE));
        }
        pieces
    }

    /// The lines that the pieces make up.
    fn joined(pieces: &[Piece]) -> Vec<Vec<u8>> {
        let lines = pieces.split_inclusive(|(_, flags)| !flags.contains(PARTIAL) && !flags.contains(CONTINUED));
        lines.map(|line| line.iter().flat_map(|piece| piece.0.clone()).collect()).collect()
    }

    fn text() -> impl Strategy<Value = String> {
        const PARTS: &[&str] = &["\n", "\r", "\r\n", "a", "bcdef", "é", "€", "😀", "\u{7FF}", "\u{D7FF}", "\u{10FFFF}"];
        vec(proptest::sample::select(PARTS), 0..40).prop_map(|parts| parts.concat())
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        const BROKEN: &[&[u8]] =
            &[b"\xF0\x9F", b"\x98", b"\x80\x80", b"\xE2", b"\xED\xA0\x80", b"\xC0\x80", b"\xF4\x90\x80\x80"];
        let part = prop_oneof![
            4 => text().prop_map(String::into_bytes),
            2 => proptest::sample::select(BROKEN).prop_map(<[u8]>::to_vec),
            1 => vec(any::<u8>(), 1..4),
        ];
        vec(part, 0..6).prop_map(|parts| parts.concat())
    }

    /// Cuts `input` into chunks of the given lengths and the rest; a length of `None` is a flush.
    fn chunks<'b>(mut input: &'b [u8], lengths: &[Option<usize>]) -> Vec<Option<&'b [u8]>> {
        let mut chunks = Vec::new();
        for length in lengths {
            chunks.push(length.map(|length| {
                let (chunk, rest) = input.split_at(length.min(input.len()));
                input = rest;
                chunk
            }));
        }
        chunks.push(Some(input));
        chunks
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

        #[test]
        fn chunks_do_not_matter(input in bytes(), max in 4..20_usize, lengths in vec((0..9_usize).prop_map(Some), 0..60)) {
            let at_once = split(max, &[Some(&input)]);
            prop_assert_eq!(&split(max, &chunks(&input, &lengths)), &at_once);
            prop_assert_eq!(at_once, reference(max, &input));
        }

        #[test]
        fn flushes_do_not_change_lines(
            input in bytes(),
            max in 4..20_usize,
            lengths in vec(proptest::option::of(0..9_usize), 0..90),
        ) {
            // Not the flags: a flush between `\r` and `\n` makes them a lone `\r`, as it should.
            let flushed = split(max, &chunks(&input, &lengths));
            prop_assert_eq!(joined(&flushed), joined(&split(max, &[Some(&input)])));
        }

        #[test]
        fn text_comes_in_pieces_of_text(
            input in text(),
            max in 4..20_usize,
            lengths in vec(proptest::option::of(0..9_usize), 0..90),
        ) {
            for (piece, _) in split(max, &chunks(input.as_bytes(), &lengths)) {
                prop_assert!(String::from_utf8(piece).is_ok());
            }
        }
    }
}
