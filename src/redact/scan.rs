//! Finds the places in a part of a stream where a secret may begin.

use super::Secrets;
use super::code::{self, CodeChar};
use super::decode::{self, Quoting};
use super::glance::{Glance, glance, glance_behind, is_special};
use super::index::{Candidate, Notation, WINDOW, window};
use super::rows::{RowKey, TraceRow};
use super::stream::Redactor;
use super::trace::{Decoding, Goal, LeadingTrace, MOST_BEFORE, Tokens, Trace};

/// A pass over a buffer.
pub(super) struct Reader<'a> {
    pub(super) secrets: &'a Secrets,
    pub(super) buffer: &'a [u8],
    /// The place from which on the buffer is read; the bytes in front of it were searched before.
    pub(super) from: usize,
    pub(super) base: u64,
    pub(super) is_end: bool,
    pub(super) stream: &'a mut Redactor,
    /// Ways to read on that are to be followed.
    pub(super) stack: Vec<Trace>,
    /// Rows that need more of the stream.
    pub(super) waiting: Vec<(RowKey, TraceRow)>,
    /// Traces that were followed from the place that is looked at.
    pub(super) steps: u32,
}

impl Reader<'_> {
    pub(super) fn read(&mut self) {
        self.stack.append(&mut self.stream.traces);
        self.stack.reverse();
        self.follow_all();
        self.scan();
        self.read_rows_until(u64::MAX);
        for (key, row) in self.waiting.drain(..) {
            self.stream.rows.add_row(key, row);
        }
    }

    #[inline]
    pub(super) fn count(&mut self, steps: usize) {
        self.stream.rows.work += steps;
    }

    /// Begins a trace wherever a secret may begin.
    fn scan(&mut self) {
        let (buffer, from) = (self.buffer, self.from);
        let raw = &self.secrets.index.raw;
        let whole = buffer.len().saturating_sub(MOST_BEFORE).max(from);
        for (at, bytes) in (from..).zip(buffer[from..].windows(WINDOW as usize)) {
            if !self.stream.rows.is_empty() {
                self.read_rows_until(self.base + at as u64);
            }
            if !self.secrets.index.may_begin(bytes[0], bytes[1]) {
                continue;
            }
            let window = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            if raw.may_have(window) {
                self.begin(window, at);
            }
            if is_special(bytes[0]) && self.may_begin_escaped(at) {
                self.begin_escaped(at);
            }
        }
        for at in whole..buffer.len() {
            self.read_rows_until(self.base + at as u64);
            if is_special(buffer[at]) {
                self.begin_escaped(at);
            }
            let symbols = u32::try_from(buffer.len() - at).expect("fewer than a window");
            let bytes = u64::from(window(&buffer[at..]));
            if !self.is_end && raw.has_beginning(bytes, symbols) {
                self.stream.traces.push(Trace {
                    start: Some(self.base + at as u64),
                    at: self.base + buffer.len() as u64,
                    way: Decoding::Text(Quoting::Unknown),
                    goal: Goal::Window(bytes),
                    symbols,
                    gap: 0,
                    leads: false,
                });
            }
        }
    }

    /// Begins a trace where a window was found.
    #[cold]
    fn begin(&mut self, window: u32, at: usize) {
        self.steps = 0;
        for Candidate { pattern, notation, symbols } in self.secrets.index.raw.candidates(window) {
            let way = match notation {
                Notation::Text => Decoding::Text(Quoting::Unknown),
                Notation::Base64(before) => Decoding::Base64(before),
                Notation::Hex => Decoding::Hex,
            };
            let trace = Trace {
                start: Some(self.base + at as u64),
                // The gap between two bytes is read again.
                at: self.base + at as u64 + u64::from(if symbols == 2 { 2 } else { WINDOW }),
                way,
                goal: Goal::Pattern(pattern),
                symbols: symbols.into(),
                gap: 0,
                leads: false,
            };
            if let Notation::Base64(before) = notation
                && !self.has_first_bits(trace.start, pattern, before)
            {
                continue;
            }
            if let Some(trace) = self.led(trace, pattern) {
                self.follow(trace);
            }
        }
    }

    /// Makes a trace the leader of its pattern; `None` if another one stands for it.
    pub(super) fn led(&mut self, trace: Trace, pattern: u32) -> Option<Trace> {
        let (Some(period), Some(start)) = (self.secrets.patterns[pattern as usize].period, trace.start) else {
            return Some(trace);
        };
        if trace.way != Decoding::Text(Quoting::Unknown) {
            return Some(trace);
        }
        let leaders = &mut self.stream.leaders;
        if leaders.iter().any(|leader| leader.leads(pattern, start, period) && start < leader.reach) {
            return None;
        }
        leaders.retain(|leader| leader.reach > start);
        leaders.push(LeadingTrace { pattern, start, reach: u64::MAX });
        Some(Trace { leads: true, ..trace })
    }

    /// Whether [`Reader::begin_escaped`] may be worth a call.
    #[inline]
    fn may_begin_escaped(&self, at: usize) -> bool {
        let Some(before) = at.checked_sub(MOST_BEFORE) else { return true };
        let (text, code) = (&self.secrets.index.text, &self.secrets.index.code);
        let three_before = window(&self.buffer[before..at]);
        let rest = &self.buffer[at..];
        match glance(rest) {
            Glance::Itself => false,
            Glance::LineEnd => {
                rest.starts_with(b"\r\n") && text.may_have_behind(three_before, b'\n', None)
                    || code.has_end(three_before) && self.may_go_on_behind_line(three_before, &rest[1..])
            }
            Glance::Quote => {
                text.has_end(three_before) || rest[0] == rest[1] && text.may_have_behind(three_before, rest[0], None)
            }
            Glance::Either(byte, other) => {
                text.may_have_behind(three_before, byte, None) || text.may_have_behind(three_before, other, None)
            }
            Glance::Byte(byte) => {
                text.may_have_behind(three_before, byte, glance_behind(rest, byte))
                    || match (rest[0], byte) {
                        (b'%', b'+' | b'/') => code.may_have_behind(three_before, byte, None),
                        (b'\\', b'/') => code.has_end(three_before),
                        (b'\\', b'\n' | b'\r') => {
                            code.has_end(three_before) && self.may_go_on_behind_line(three_before, &rest[2..])
                        }
                        _ => false,
                    }
            }
            Glance::Unclear => true,
        }
    }

    /// Whether Base64 or hexadecimal that has begun on a line may continue after its end.
    fn may_go_on_behind_line(&self, three_before: u32, rest: &[u8]) -> bool {
        let Some(after) = rest.get(..MOST_BEFORE) else { return true };
        if after[0] == b'\\' && !matches!(after[1], b'n' | b'r' | b'/') {
            return false;
        }
        if after[0] == b'0' || !after.iter().all(u8::is_ascii_alphanumeric) {
            return true;
        }
        let after = window(after);
        (1..=3).any(|symbols| {
            let before = three_before & ((1 << (8 * symbols)) - 1);
            let window = before.checked_shl(32 - 8 * symbols).unwrap_or(0) | after >> (8 * (symbols - 1));
            self.secrets.index.code.may_have(window)
        })
    }

    /// Begins traces at a byte that may begin an escape: looks at the secrets of which it is one of the first symbols.
    #[cold]
    fn begin_escaped(&mut self, at: usize) {
        self.steps = 0;
        let (rest, index) = (&self.buffer[at..], &self.secrets.index);
        if matches!(rest[0], b'\r' | b'\n') {
            self.begin_after_line(at);
        }
        let mut tokens = Tokens::default();
        decode::escapes(rest, self.is_end, &mut |token, quoting| tokens.push(token, quoting));
        let code = match rest[0] {
            b'\\' | b'%' => code::base64(rest, false, self.is_end),
            _ => CodeChar::Other,
        };
        if tokens.is_empty() && code == CodeChar::Other {
            return;
        }
        let mut bytes = 0;
        for symbols in 0..=MOST_BEFORE.min(at - self.from) {
            let start = at - symbols;
            if symbols > 0 {
                bytes |= u64::from(self.buffer[start]) << (8 * (symbols - 1));
            }
            let symbols = u32::try_from(symbols).expect("fewer than a window");
            let trace = Trace {
                start: Some(self.base + start as u64),
                at: self.base + at as u64,
                way: Decoding::Text(Quoting::Unknown),
                goal: Goal::Window(bytes),
                symbols,
                gap: 0,
                leads: false,
            };
            if index.text.has_beginning(bytes, symbols) {
                self.advance(trace, &tokens);
            }
            let may_be_code = match code {
                CodeChar::Other => false,
                CodeChar::Char(char, _) => index.code.has_beginning(bytes << 8 | u64::from(char), symbols + 1),
                _ => symbols > 0 && index.code.has_beginning(bytes, symbols),
            };
            if may_be_code {
                self.stack.push(Trace { way: Decoding::Base64(0), ..trace });
            }
            self.follow_all();
        }
    }

    /// Handles the end of a line: the first characters of a secret in Base64 or hexadecimal may be on it, and the
    /// others on the next. These few have been handed out perhaps; what is behind them is masked.
    fn begin_after_line(&mut self, at: usize) {
        let mut bytes = 0;
        for back in 1..=MOST_BEFORE {
            bytes |= u64::from(self.byte_before(at, back).unwrap_or(b'\n')) << (8 * (back - 1));
            let symbols = u32::try_from(back).expect("fewer than a window");
            let may_be = match self.buffer.get(at + 1) {
                // `0` may be that of `0x`.
                Some(next) if next.is_ascii_alphanumeric() && *next != b'0' => {
                    self.secrets.index.code.has_beginning(bytes << 8 | u64::from(*next), symbols + 1)
                }
                _ => self.secrets.index.code.has_beginning(bytes, symbols),
            };
            if !may_be {
                continue;
            }
            for way in [Decoding::Base64(0), Decoding::Hex] {
                let at = self.base + at as u64;
                self.follow(Trace { start: None, at, way, goal: Goal::Window(bytes), symbols, gap: 0, leads: false });
            }
        }
    }

    /// Returns the byte so many places in front of `at`, also if it has been handed out; `None` if it is not known any
    /// more.
    fn byte_before(&self, at: usize, back: usize) -> Option<u8> {
        match at.checked_sub(back) {
            Some(at) => Some(self.buffer[at]),
            None => self.stream.before.get((WINDOW as usize + at).checked_sub(back + self.from)?).copied(),
        }
    }

    /// Whether the character in front of a secret in Base64 has the bits of it that it would have.
    pub(super) fn has_first_bits(&self, start: Option<u64>, pattern: u32, before: u8) -> bool {
        let bits = match before {
            0 => return true,
            1 => 4,
            _ => 2,
        };
        let at = start.and_then(|start| usize::try_from(start - self.base).ok());
        let byte_before = |back| at.and_then(|at| self.byte_before(at, back));
        // The end of an escape is no such character.
        let is_other = byte_before(2) == Some(b'\\') || byte_before(3) == Some(b'%');
        let in_front = byte_before(1).filter(|_| !is_other).and_then(code::value_of);
        let first = self.secrets.patterns[pattern as usize].bytes[0];
        in_front.is_none_or(|value| value & ((1 << bits) - 1) == first >> (8 - bits))
    }
}
