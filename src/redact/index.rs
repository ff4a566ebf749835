//! Finds where a secret can begin: by the first four symbols of each secret in each notation.

use super::glance;

/// The number of symbols that decide whether a place is looked at closely.
pub(super) const WINDOW: u32 = 4;

/// A notation of a whole secret. Escapes, which differ from character to character, are [`Notation::Text`] too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Notation {
    Text,
    /// Base64 of a text in which this many bytes, modulo 3, are in front of the secret.
    Base64(u8),
    Hex,
}

/// A secret that may begin where a window was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    pub(super) pattern: u32,
    pub(super) notation: Notation,
    /// The number of its symbols that the window holds.
    pub(super) symbols: u8,
}

/// Windows of four bytes with their candidates.
#[derive(Debug)]
pub(super) struct Windows {
    /// Sorted, so that those with the same first bytes are neighbours.
    entries: Box<[(u32, Candidate)]>,
    /// Bits of hashed windows: nearly every place is dismissed by one of them.
    hashed: Box<[u64]>,
    shift: u32,
    /// The bytes that windows have.
    symbols: [bool; 256],
    first_bytes: [bool; 256],
    first_pairs: Box<[u64]>,
}

impl Windows {
    fn new(mut entries: Vec<(u32, Candidate)>) -> Self {
        entries.sort_unstable();
        entries.dedup();
        // 1 bit in 64 is set at most, up to 1 MiB.
        let bits = (entries.len().max(1) * 64).next_power_of_two().clamp(1 << 12, 1 << 23);
        let mut windows = Self {
            entries: entries.into(),
            hashed: vec![0; bits / 64].into(),
            shift: 32 - bits.trailing_zeros(),
            symbols: [false; 256],
            first_bytes: [false; 256],
            first_pairs: vec![0; 1024].into(),
        };
        for at in 0..windows.entries.len() {
            let window = windows.entries[at].0;
            let (word, bit) = windows.place(window);
            windows.hashed[word] |= bit;
            let (word, bit) = windows.place(Self::triple(window >> 8));
            windows.hashed[word] |= bit;
            window.to_be_bytes().iter().for_each(|byte| windows.symbols[usize::from(*byte)] = true);
            windows.first_bytes[(window >> 24) as usize] = true;
            windows.first_pairs[(window >> 22) as usize] |= 1 << (window >> 16 & 63);
        }
        windows
    }

    /// Returns the hash of three bytes.
    fn triple(bytes: u32) -> u32 {
        bytes ^ 0xA5A5_A5A5
    }

    fn place(&self, window: u32) -> (usize, u64) {
        let hash = window.wrapping_mul(0x9E37_79B1) >> self.shift;
        ((hash >> 6) as usize, 1 << (hash & 63))
    }

    /// Whether [`Windows::candidates`] may be worth a call.
    #[inline]
    pub(super) fn may_have(&self, window: u32) -> bool {
        let (word, bit) = self.place(window);
        self.hashed[word] & bit != 0
    }

    /// Whether a window may have this byte as one of its symbols, and the bytes in front of it as those before. `next` is the
    /// symbol behind it, if it is known.
    #[inline]
    pub(super) fn may_have_behind(&self, three_before: u32, byte: u8, next: Option<u8>) -> bool {
        if !self.symbols[usize::from(byte)] {
            return false;
        }
        let bytes = three_before << 8 | u32::from(byte);
        self.first_bytes[usize::from(byte)] && next.is_none_or(|next| self.has_pair(bytes << 8 | u32::from(next)))
            || self.has_pair(bytes)
            || self.may_have(Self::triple(bytes & 0xFF_FFFF))
            || self.may_have(bytes)
    }

    /// Whether a window starts with the last, the last two or all of three bytes.
    #[inline]
    pub(super) fn has_end(&self, bytes: u32) -> bool {
        let last = (bytes & 255) as usize;
        self.symbols[last]
            && (self.first_bytes[last] || self.has_pair(bytes) || self.may_have(Self::triple(bytes & 0xFF_FFFF)))
    }

    #[inline]
    fn has_pair(&self, bytes: u32) -> bool {
        self.first_pairs[(bytes >> 6 & 1023) as usize] >> (bytes & 63) & 1 == 1
    }

    pub(super) fn candidates(&self, window: u32) -> impl Iterator<Item = Candidate> {
        let known = if self.may_have(window) { &*self.entries } else { &[] };
        let first = known.partition_point(|(other, _)| *other < window);
        known[first..].iter().take_while(move |(other, _)| *other == window).map(|(_, candidate)| *candidate)
    }

    /// Whether a window may start with the lowest `count` bytes of `bytes`; with fewer than four of them, whether one does.
    #[inline]
    pub(super) fn has_beginning(&self, bytes: u64, count: u32) -> bool {
        #[expect(clippy::cast_possible_truncation, reason = "three bytes at most")]
        let bytes = bytes as u32;
        match count {
            1 => self.first_bytes[(bytes & 0xFF) as usize],
            2 => self.has_pair(bytes),
            3 => {
                let bytes = bytes & 0xFF_FFFF;
                if !self.may_have(Self::triple(bytes)) {
                    return false;
                }
                let least = bytes << 8;
                let first = self.entries.partition_point(|(window, _)| *window < least);
                self.entries.get(first).is_some_and(|(window, _)| window >> 8 == bytes)
            }
            4 => self.may_have(bytes),
            _ => true,
        }
    }
}

/// The windows of all patterns.
#[derive(Debug)]
pub(super) struct Index {
    /// The windows of bytes as they are in a stream, without escapes and line breaks between them.
    pub(super) raw: Windows,
    /// The windows of decoded text.
    pub(super) text: Windows,
    /// The windows of Base64 and hexadecimal, without the gaps between the digits.
    pub(super) code: Windows,
    /// A bit for each pair of bytes with which a secret may begin, or an escape for one of its first symbols.
    first_pairs: Box<[u64]>,
}

impl Index {
    pub(super) fn new(patterns: &[Box<[u8]>]) -> Self {
        let (mut text, mut code, mut spaced) = (Vec::new(), Vec::new(), Vec::new());
        for (pattern, bytes) in (0_u32..).zip(patterns) {
            let candidate = |notation, symbols| Candidate { pattern, notation, symbols };
            text.push((window(&bytes[..4]), candidate(Notation::Text, 4)));
            for before in 0..3 {
                let first = std::array::from_fn::<u8, 4, _>(|at| alphabet(sextet(bytes, before, at).0));
                let of_url = first.map(|char| {
                    if char == b'+' {
                        b'-'
                    } else if char == b'/' {
                        b'_'
                    } else {
                        char
                    }
                });
                for first in [first, of_url] {
                    code.push((window(&first), candidate(Notation::Base64(before), 4)));
                }
            }
            for digits in [b"0123456789abcdef", b"0123456789ABCDEF"] {
                let [a, b, c, d] = std::array::from_fn(|at| digits[usize::from(nibble(bytes, at))]);
                code.push((window(&[a, b, c, d]), candidate(Notation::Hex, 4)));
                for between in *b" :" {
                    spaced.push((window(&[a, b, between, c]), candidate(Notation::Hex, 3)));
                }
                // Two bytes between, or one and the `0` of `0x`.
                for between in [b", ", b"  ", b" 0", b",0", b":0", b",\n", b",\r"] {
                    spaced.push((window(&[a, b, between[0], between[1]]), candidate(Notation::Hex, 2)));
                }
            }
        }
        spaced.extend_from_slice(&text);
        spaced.extend_from_slice(&code);
        let (raw, text, code) = (Windows::new(spaced), Windows::new(text), Windows::new(code));
        let mut first_pairs = raw.first_pairs.clone();
        for pair in 0..=u16::MAX {
            let [byte, next] = pair.to_be_bytes();
            if glance::may_begin(byte, next, |symbol| text.symbols[usize::from(symbol)]) {
                first_pairs[usize::from(pair) / 64] |= 1 << (pair % 64);
            }
        }
        Self { raw, text, code, first_pairs }
    }

    /// Whether a secret may begin with these bytes, or an escape for one of its first symbols with the first one.
    #[inline]
    pub(super) fn may_begin(&self, byte: u8, next: u8) -> bool {
        self.first_pairs[usize::from(byte) << 2 | usize::from(next >> 6)] >> (next & 63) & 1 == 1
    }
}

pub(super) fn window(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |window, byte| window << 8 | u32::from(*byte))
}

/// Returns four bits of a pattern.
pub(super) fn nibble(pattern: &[u8], at: usize) -> u8 {
    let byte = pattern[at / 2];
    if at.is_multiple_of(2) { byte >> 4 } else { byte & 15 }
}

/// Returns how many characters of Base64 hold bits of the pattern, without the one that it shares with the text in
/// front.
pub(super) fn sextets(pattern: &[u8], before: u8) -> usize {
    (pattern.len() * 8 - skipped_bits(before)).div_ceil(6)
}

/// Returns the content of a character of Base64: its bits of the pattern, and how many these are, from the highest on.
pub(super) fn sextet(pattern: &[u8], before: u8, at: usize) -> (u8, usize) {
    let bit = skipped_bits(before) + at * 6;
    let byte = |at: usize| u16::from(pattern.get(at).copied().unwrap_or(0));
    let pair = byte(bit / 8) << 8 | byte(bit / 8 + 1);
    let value = (pair >> (10 - bit % 8) & 63) as u8;
    (value, (pattern.len() * 8 - bit).min(6))
}

/// Returns how many bits of the first byte share a character with the text in front.
const fn skipped_bits(before: u8) -> usize {
    match before {
        0 => 0,
        1 => 4,
        _ => 2,
    }
}

fn alphabet(sextet: u8) -> u8 {
    match sextet {
        0..26 => b'A' + sextet,
        26..52 => b'a' + sextet - 26,
        52..62 => b'0' + sextet - 52,
        62 => b'+',
        _ => b'/',
    }
}
