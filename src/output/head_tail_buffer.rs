//! Keeps the beginning and the end of a stream in bounded memory.

use super::lines::{char_across, extend_bounded};

/// Bytes kept before the tail, to see whether its first byte is inside a character: the longest has 4 bytes.
const LOOK_BEHIND: usize = 3;

/// Bytes kept after the head, to see whether its last byte is inside a character.
const LOOK_AHEAD: usize = 1;

/// The part of a stream longer than its cap that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// The first bytes.
    Head,
    /// The last bytes.
    Tail,
    /// The first half of the cap (the larger one, if odd) and the last half.
    Both,
}

/// A stream being captured: all of it while it is not longer than the cap; beyond, the part that [`Keep`] names.
///
/// Memory grows with the stream and stays under the cap and a few bytes, however much comes.
#[derive(Clone)]
pub(crate) struct HeadTailBuffer {
    cap: usize,
    head: usize,
    tail: usize,
    written: u64,
    /// The stream from its start while it fits: `head` bytes, one of look-ahead, then the ring: `tail` bytes and the
    /// look-behind. A byte beyond overwrites the oldest one of the ring. No byte ever moves, and there is room for
    /// more than `cap` bytes, so that a stream within its cap is simply all there.
    buffer: Vec<u8>,
    /// The oldest byte of the ring, counted from its start: 0 until the buffer is full.
    oldest: usize,
}

/// A captured stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CapturedStream {
    /// The kept bytes. If anything was omitted, a marker line is in its place; the line counts in none of the numbers
    /// and not against the cap.
    pub(crate) bytes: Vec<u8>,
    /// Length of the stream, in bytes.
    pub(crate) written: u64,
    /// The number of bytes of the stream that were not kept.
    pub(crate) omitted: u64,
    /// Whether the stream was longer than the cap.
    pub(crate) truncated: bool,
}

impl HeadTailBuffer {
    /// Returns a capture at the start of a stream that keeps at most `cap` bytes of it; 0 keeps nothing. Allocates
    /// nothing.
    #[must_use]
    pub(crate) const fn new(cap: usize, keep: Keep) -> Self {
        let (head, tail) = match keep {
            Keep::Head => (cap, 0),
            Keep::Tail => (0, cap),
            Keep::Both => (cap.div_ceil(2), cap / 2),
        };
        Self { cap, head, tail, written: 0, buffer: Vec::new(), oldest: 0 }
    }

    /// Takes the next bytes of the stream.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.written += bytes.len() as u64;
        let ring_start = self.head.saturating_add(LOOK_AHEAD);
        let ring_len = if self.tail == 0 { 0 } else { self.tail.saturating_add(LOOK_BEHIND) };
        let limit = ring_start.saturating_add(ring_len);

        let (fitting, rest) = bytes.split_at(bytes.len().min(limit - self.buffer.len()));
        extend_bounded(&mut self.buffer, fitting, limit);
        if rest.is_empty() || ring_len == 0 {
            return;
        }
        let ring = &mut self.buffer[ring_start..];
        if let Some(end) = rest.len().checked_sub(ring_len) {
            ring.copy_from_slice(&rest[end..]);
            self.oldest = 0;
        } else {
            let (to_end, wrapped) = rest.split_at(rest.len().min(ring_len - self.oldest));
            ring[self.oldest..][..to_end.len()].copy_from_slice(to_end);
            ring[..wrapped.len()].copy_from_slice(wrapped);
            self.oldest = (self.oldest + rest.len()) % ring_len;
        }
    }

    /// Whether `count` bytes more make the stream longer than the cap.
    #[must_use]
    pub(crate) const fn would_truncate(&self, count: usize) -> bool {
        self.written + count as u64 > self.cap as u64
    }

    /// Returns the stream from its first byte, as long as it is within the cap.
    #[must_use]
    pub(crate) fn so_far(&self) -> &[u8] {
        &self.buffer
    }

    /// Whether the stream is longer than the cap: [`HeadTailBuffer::freeze`] would omit some of it.
    #[must_use]
    pub(crate) const fn is_truncated(&self) -> bool {
        self.written > self.cap as u64
    }

    /// Ends the capture. No character is split: one across the end of the head or the start of the tail is omitted.
    ///
    /// A stream within its cap is moved, not copied.
    #[must_use]
    pub(crate) fn freeze(self) -> CapturedStream {
        let truncated = self.is_truncated();
        let Self { head, tail, written, mut buffer, oldest, .. } = self;
        if !truncated {
            return CapturedStream { bytes: buffer, written, omitted: 0, truncated };
        }
        buffer[head + LOOK_AHEAD..].rotate_left(oldest);
        let head_end = char_across(&buffer[..=head], head).map_or(head, |char| char.start);
        let tail_start = buffer.len() - tail;
        let tail_start = char_across(&buffer, tail_start).map_or(tail_start, |char| char.end);

        let kept = head_end + (buffer.len() - tail_start);
        let omitted = written - kept as u64;
        let marker = format!("\n[... output truncated: {omitted} of {written} bytes omitted ...]\n");
        // `splice` alone would double the memory to make room for the marker.
        buffer.reserve_exact(marker.len());
        buffer.splice(head_end..tail_start, marker.into_bytes());
        CapturedStream { bytes: buffer, written, omitted, truncated }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const KEEPS: &[Keep] = &[Keep::Head, Keep::Tail, Keep::Both];

    fn capture(cap: usize, keep: Keep, input: &[u8]) -> CapturedStream {
        let mut limit = HeadTailBuffer::new(cap, keep);
        limit.push(input);
        limit.freeze()
    }

    #[track_caller]
    fn check(cap: usize, keep: Keep, input: &str, head: &str, tail: &str) {
        let kept = capture(cap, keep, input.as_bytes());
        let omitted = input.len() - head.len() - tail.len();
        let marker = format!("\n[... output truncated: {omitted} of {} bytes omitted ...]\n", input.len());
        let bytes = format!("{head}{marker}{tail}").into_bytes();
        let (written, omitted) = (input.len() as u64, omitted as u64);
        assert_eq!(kept, CapturedStream { bytes, written, omitted, truncated: true });
    }

    #[test]
    fn one_byte_less_than_the_cap_and_the_cap_itself_are_kept() {
        for &keep in KEEPS {
            for input in ["", "abcdef", "abcdefg", "abc€g"] {
                let kept = capture(7, keep, input.as_bytes());
                let (bytes, written) = (input.into(), input.len() as u64);
                assert_eq!(kept, CapturedStream { bytes, written, omitted: 0, truncated: false });
            }
        }
    }

    #[test]
    fn one_byte_more_than_the_cap_is_truncated() {
        check(7, Keep::Head, "abcdefgh", "abcdefg", "");
        check(7, Keep::Tail, "abcdefgh", "", "bcdefgh");
        check(7, Keep::Both, "abcdefgh", "abcd", "fgh");
    }

    #[test]
    fn the_first_byte_beyond_the_cap_would_truncate() {
        let mut limit = HeadTailBuffer::new(7, Keep::Both);
        assert!(!limit.would_truncate(7));
        assert!(limit.would_truncate(8));
        limit.push(b"abcd");
        assert_eq!(limit.so_far(), b"abcd");
        assert!(!limit.would_truncate(3));
        assert!(limit.would_truncate(4));
        limit.push(b"efgh");
        assert!(limit.would_truncate(0));
    }

    #[test]
    fn a_cap_of_nothing_keeps_nothing() {
        for &keep in KEEPS {
            assert_eq!(capture(0, keep, b"").bytes, b"");
            check(0, keep, "a", "", "");
            check(0, keep, "€€", "", "");
        }
        check(1, Keep::Both, "ab", "a", "");
    }

    #[test]
    fn a_character_across_a_cut_is_omitted() {
        check(4, Keep::Head, "ab€cd", "ab", "");
        check(4, Keep::Head, "a€cd", "a€", "");
        check(4, Keep::Tail, "ab€cd", "", "cd");
        check(5, Keep::Tail, "ab€cd", "", "€cd");
        check(6, Keep::Both, "ab😀cd", "ab", "cd");
        check(2, Keep::Both, "😀", "", "");
        // Stray continuation bytes belong to no character.
        let kept = capture(2, Keep::Both, b"\x80\x80\x80\x80");
        assert_eq!(kept.omitted, 2);
    }

    #[test]
    fn a_stream_within_its_cap_is_not_copied() {
        let mut limit = HeadTailBuffer::new(100, Keep::Both);
        limit.push(&[b'a'; 10]);
        assert_eq!(limit.buffer.capacity(), 10);
        limit.push(&[b'b'; 90]);
        let address = limit.buffer.as_ptr();
        assert_eq!(limit.freeze().bytes.as_ptr(), address);
    }

    #[test]
    fn the_largest_cap_costs_nothing() {
        for &keep in KEEPS {
            let mut limit = HeadTailBuffer::new(usize::MAX, keep);
            limit.push(b"abc");
            assert_eq!((limit.buffer.capacity(), limit.is_truncated()), (3, false));
            assert_eq!(limit.freeze().bytes, b"abc");
        }
    }

    /// Whether a cut before `input[at]` is inside the character that starts at `start`, or in its first bytes, if it is incomplete.
    fn splits(input: &[u8], start: usize, at: usize) -> bool {
        let Some(so_far) = input.get(start..=at) else { return false };
        // A continuation byte fits every place but the second.
        (0..3).any(|missing| {
            let whole = [so_far, &vec![0x80; missing]].concat();
            std::str::from_utf8(&whole).is_ok_and(|text| text.chars().count() == 1)
        })
    }

    /// Returns head, omitted and tail of `input`, computed from the whole of it.
    fn reference(cap: usize, keep: Keep, input: &[u8]) -> (&[u8], &[u8], &[u8]) {
        let (head, tail) = match keep {
            Keep::Head => (cap, 0),
            Keep::Tail => (0, cap),
            Keep::Both => (cap - cap / 2, cap / 2),
        };
        let (mut head_end, mut tail_start) = (head, input.len() - tail);
        if let Some(start) = (head.saturating_sub(3)..head).find(|&start| splits(input, start, head)) {
            head_end = start;
        }
        if let Some(start) = (tail_start.saturating_sub(3)..tail_start).find(|&start| splits(input, start, tail_start))
        {
            while splits(input, start, tail_start) {
                tail_start += 1;
            }
        }
        (&input[..head_end], &input[head_end..tail_start], &input[tail_start..])
    }

    fn text() -> impl Strategy<Value = String> {
        const PARTS: &[&str] = &["a", "bcdef\n", "é", "€", "😀", "\u{D7FF}", "\u{10FFFF}"];
        vec(proptest::sample::select(PARTS), 0..80).prop_map(|parts| parts.concat())
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        const BROKEN: &[&[u8]] = &[b"\xF0\x9F\x98", b"\x80\x80", b"\xE2", b"\xED\xA0\x80", b"\xC0\x80"];
        let part = prop_oneof![
            3 => text().prop_map(String::into_bytes),
            2 => proptest::sample::select(BROKEN).prop_map(<[u8]>::to_vec),
            1 => vec(any::<u8>(), 1..9),
        ];
        vec(part, 0..9).prop_map(|parts| parts.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

        #[test]
        fn keeps_what_the_reference_keeps(
            input in bytes(),
            cap in 0..200_usize,
            keep in proptest::sample::select(KEEPS),
            lengths in vec(prop_oneof![0..9_usize, 0..300_usize], 0..60),
        ) {
            let mut limit = HeadTailBuffer::new(cap, keep);
            let mut at = 0;
            for length in lengths.into_iter().chain([input.len()]) {
                let end = input.len().min(at + length);
                limit.push(&input[at..end]);
                at = end;

                let so_far = &input[..end];
                prop_assert!(limit.buffer.capacity() <= cap + LOOK_AHEAD + LOOK_BEHIND);
                prop_assert_eq!(limit.written, end as u64);
                prop_assert_eq!(limit.is_truncated(), end > cap);
                let kept = limit.clone().freeze();
                prop_assert_eq!(&limit.clone().freeze().bytes, &kept.bytes);
                prop_assert_eq!((kept.written, kept.truncated), (end as u64, end > cap));
                if end <= cap {
                    prop_assert_eq!((&*kept.bytes, kept.omitted), (so_far, 0));
                    continue;
                }
                let (head, omitted, tail) = reference(cap, keep, so_far);
                let marker = format!("\n[... output truncated: {} of {end} bytes omitted ...]\n", omitted.len());
                prop_assert!(kept.bytes.capacity() <= cap + LOOK_AHEAD + LOOK_BEHIND + marker.len());
                prop_assert_eq!(kept.omitted, omitted.len() as u64);
                prop_assert_eq!(kept.bytes, [head, marker.as_bytes(), tail].concat());
                prop_assert!(head.len() + tail.len() <= cap);
            }
        }

        #[test]
        fn text_stays_text(input in text(), cap in 0..200_usize, keep in proptest::sample::select(KEEPS)) {
            let kept = capture(cap, keep, input.as_bytes());
            prop_assert!(String::from_utf8(kept.bytes).is_ok());
        }
    }
}
