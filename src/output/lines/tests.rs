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

#[test]
fn a_backspace_removes_a_character_that_no_piece_has_had() {
    let after = |text: &str, flush: bool| {
        let mut splitter = Splitter::new(9);
        let mut pieces = Vec::new();
        let mut emit = |text: &[u8], flags| pieces.push((String::from_utf8(text.to_vec()).unwrap(), flags));
        splitter.feed(text.as_bytes(), &mut emit);
        if flush {
            splitter.flush_partial(&mut emit);
        }
        splitter.backspace();
        splitter.feed(b"c", &mut emit);
        splitter.finish(&mut emit);
        pieces
    };
    let whole = |text: &str| (text.to_owned(), NONE);
    assert_eq!(after("ab", false), [whole("ac")]);
    assert_eq!(after("a€", false), [whole("ac")]);
    assert_eq!(after("a", false), [whole("c")]);
    assert_eq!(after("", false), [whole("c")]);
    assert_eq!(after("a\n", false), [whole("a"), whole("c")]);
    assert_eq!(after("a\r", false), [("a".to_owned(), RETURN), whole("c")]);
    assert_eq!(after("a", true), [("a".to_owned(), PARTIAL), whole("c")]);
}

#[test]
fn a_carriage_return_at_the_end_awaits_a_line_feed() {
    let mut splitter = Splitter::new(9);
    for (text, awaits) in [("a", false), ("\r", true), ("b", false), ("\n", false), ("c\r", true)] {
        splitter.feed(text.as_bytes(), &mut |_, _| {});
        assert_eq!(splitter.awaits_line_feed(), awaits, "{text:?}");
    }
    splitter.flush_partial(&mut |_, _| {});
    assert!(!splitter.awaits_line_feed());
}

#[test]
fn flags_contain_themselves_and_none() {
    for flag in [PARTIAL, CONTINUED, RETURN] {
        assert!(flag.contains(flag) && flag.contains(NONE) && !NONE.contains(flag));
    }
    assert!(!PARTIAL.contains(CONTINUED));
}

#[test]
fn only_the_beginning_of_a_character_is_incomplete() {
    for (bytes, len) in [
        (&b""[..], 0),
        ("a€".as_bytes(), 0),
        (b"a\xE2", 1),
        (b"a\xE2\x82", 2),
        (b"\xF0\x9F\x98", 3),
        (b"\x80\x80\x80", 0),
        (b"a\xC0", 0),
        (b"\xED\xA0", 0),
    ] {
        assert_eq!(incomplete_char_len(bytes), len, "{bytes:x?}");
    }
}

#[test]
fn memory_doubles_up_to_the_limit_and_only_when_it_is_full() {
    let mut buffer = Vec::new();
    for (more, capacity) in [(4, 4), (1, 8), (3, 8), (1, 10), (1, 10)] {
        extend_bounded(&mut buffer, &vec![b'a'; more], 10);
        assert_eq!(buffer.capacity(), capacity, "{} bytes", buffer.len());
    }
}

/// Whether `bytes` is a character or can become one: a continuation byte fits every place but the second.
fn is_char_so_far(bytes: &[u8]) -> bool {
    (0..3).any(|missing| {
        let whole = [bytes, &vec![0x80; missing]].concat();
        std::str::from_utf8(&whole).is_ok_and(|text| text.chars().count() == 1)
    })
}

/// Returns the same lines, computed slowly: byte by byte, with the whole input available.
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

/// Returns the lines that the pieces make up.
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
        // The flags are not compared: a flush between `\r` and `\n` makes them a lone `\r`, as it should.
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
