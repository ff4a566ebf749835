//! Follows a place where a secret may have begun until it has, or has not.

use super::code::{self, CodeChar};
use super::decode::{self, Quoting, Token};
use super::glance::is_special;
use super::index::{Candidate, Notation, WINDOW, nibble, sextet, sextets};
use super::scan::Reader;
use super::trace::{Decoding, Goal, LONGEST_GAP, Tokens, Trace};

/// The number of traces that are followed from one place, each to its end. More of them are read place by place.
const FREE_STEPS: u32 = 64;

impl Reader<'_> {
    pub(super) fn follow(&mut self, trace: Trace) {
        self.stack.push(trace);
        self.follow_all();
    }

    pub(super) fn follow_all(&mut self) {
        while let Some(trace) = self.stack.pop() {
            if self.stream.rows.is_beyond() {
                return self.stack.clear();
            }
            let at = usize::try_from(trace.at - self.base).expect("it is in the buffer");
            self.steps += 1;
            self.count(1);
            let has_many = self.steps > FREE_STEPS || !self.stream.rows.is_empty();
            if has_many && self.may_branch(&trace, at) {
                self.stream.rows.insert(&trace);
            } else {
                self.step(trace, at);
            }
        }
    }

    /// Reads on with one trace.
    pub(super) fn step(&mut self, trace: Trace, at: usize) {
        if at >= self.buffer.len() {
            return self.wait(trace);
        }
        match (trace.way, trace.goal) {
            (Decoding::Text(quoting), Goal::Window(_)) => self.open_text(trace, quoting, at),
            (Decoding::Text(quoting), Goal::Pattern(pattern)) => self.text(trace, quoting, pattern, at),
            _ => self.code(trace, at),
        }
    }

    /// Whether the next byte may have more than one meaning, or is not known yet.
    fn may_branch(&self, trace: &Trace, at: usize) -> bool {
        match (trace.way, trace.goal) {
            (Decoding::Text(quoting), Goal::Pattern(_)) if quoting != Quoting::Gap => {
                self.buffer.get(at).is_none_or(|byte| is_special(*byte))
            }
            _ => true,
        }
    }

    /// Keeps a trace that the next bytes decide.
    pub(super) fn wait(&mut self, trace: Trace) {
        if !self.is_end {
            self.stream.traces.push(trace);
        }
    }

    /// Reads a symbol of which it is still open what secret it belongs to.
    fn open_text(&mut self, trace: Trace, quoting: Quoting, at: usize) {
        let rest = &self.buffer[at..];
        let mut tokens = Tokens::default();
        decode::decode(quoting, rest, self.is_end, |token, quoting| tokens.push(token, quoting));
        self.advance(trace, &tokens);
        if quoting == Quoting::Unknown
            && matches!(rest[0], b'\\' | b'%')
            && let Goal::Window(bytes) = trace.goal
            && self.secrets.index.code.has_beginning(bytes, trace.symbols)
        {
            self.stack.push(Trace { way: Decoding::Base64(0), ..trace });
        }
    }

    /// Reads a text as far as it is that of a pattern.
    fn text(&mut self, mut trace: Trace, quoting: Quoting, pattern: u32, at: usize) {
        let bytes = &*self.secrets.patterns[pattern as usize].bytes;
        let rest = &self.buffer[at..];
        let mut read = 0;
        while let Some(&byte) = rest.get(read) {
            let expected = bytes[trace.symbols as usize];
            if is_special(byte) || quoting == Quoting::Gap {
                trace.at += read as u64;
                let mut tokens = Tokens::default();
                decode::decode(quoting, &rest[read..], self.is_end, |token, quoting| tokens.push(token, quoting));
                self.advance(trace, &tokens);
                if byte != expected {
                    self.ended(&trace);
                }
                return;
            }
            if byte == expected {
                trace.symbols += 1;
                trace.gap = 0;
                if trace.symbols as usize == bytes.len() {
                    trace.at += read as u64 + 1;
                    return self.complete(trace, pattern);
                }
            } else if matches!(byte, b' ' | b'\t')
                && trace.gap < LONGEST_GAP
                && is_line_start(&bytes[..trace.symbols as usize])
            {
                trace.gap += 1;
            } else {
                trace.at += read as u64;
                return self.ended(&trace);
            }
            read += 1;
        }
        trace.at += read as u64;
        self.wait(trace);
    }

    /// Continues with the possible meanings of a text at a place.
    pub(super) fn advance(&mut self, trace: Trace, tokens: &Tokens) {
        for &(token, quoting) in tokens.all() {
            let way = Decoding::Text(quoting);
            match (token, trace.goal) {
                (Token::More, _) => {
                    if trace.symbols > 0 || self.may_be_first(trace.at) {
                        self.wait(Trace { way, ..trace });
                    }
                }
                (Token::Switch(len), goal) => {
                    let is_known = match goal {
                        Goal::Pattern(_) => true,
                        Goal::Window(bytes) => {
                            trace.symbols > 0 && self.secrets.index.text.has_beginning(bytes, trace.symbols)
                        }
                    };
                    if is_known && trace.gap < LONGEST_GAP {
                        let at = trace.at + len as u64;
                        self.stack.push(Trace { at, way, gap: trace.gap + 1, ..trace });
                    }
                }
                (Token::Symbol(symbol, len), Goal::Pattern(pattern)) => {
                    let symbol = symbol.bytes();
                    let bytes = &self.secrets.patterns[pattern as usize].bytes;
                    if bytes[trace.symbols as usize..].starts_with(symbol) {
                        let symbols = trace.symbols + u32::try_from(symbol.len()).expect("a character");
                        let next = Trace { at: trace.at + len as u64, way, symbols, gap: 0, ..trace };
                        if symbols as usize == bytes.len() {
                            self.complete(next, pattern);
                        } else {
                            self.stack.push(next);
                        }
                    }
                }
                (Token::Symbol(symbol, len), Goal::Window(bytes)) => {
                    let next = Trace { at: trace.at + len as u64, way, gap: 0, ..trace };
                    self.open(next, bytes, symbol.bytes());
                }
            }
        }
    }

    /// Whether an escape that is not all there may be the first symbol of a secret.
    fn may_be_first(&self, at: u64) -> bool {
        let byte = self.buffer[usize::try_from(at - self.base).expect("it is in the buffer")];
        match byte {
            // Quotes stand for nothing else here.
            b'$' | b'\'' | b'"' => self.secrets.index.text.has_beginning(byte.into(), 1),
            // It counts as the first byte of `\r\n`.
            b'\r' => self.secrets.index.text.has_beginning(b'\n'.into(), 1),
            _ => true,
        }
    }

    /// Adds a symbol to a window, and continues with the secrets that are still possible.
    pub(super) fn open(&mut self, mut trace: Trace, bytes: u64, symbol: &[u8]) {
        let bytes = symbol.iter().fold(bytes, |bytes, byte| bytes << 8 | u64::from(*byte));
        trace.symbols += u32::try_from(symbol.len()).expect("a character");
        trace.goal = Goal::Window(bytes);
        let index = &self.secrets.index;
        let windows = match trace.way {
            Decoding::Text(Quoting::Unknown) => &index.raw,
            Decoding::Text(_) => &index.text,
            _ => &index.code,
        };
        // Nearly all end here.
        if trace.symbols < WINDOW {
            if windows.has_beginning(bytes, trace.symbols) {
                self.stack.push(trace);
            }
            return;
        }
        let more = trace.symbols - WINDOW;
        let window = u32::try_from(bytes >> (8 * more) & 0xFFFF_FFFF).expect("four bytes");
        for Candidate { pattern, notation, symbols } in windows.candidates(window) {
            let found = Trace { goal: Goal::Pattern(pattern), ..trace };
            match (notation, trace.way) {
                (Notation::Text, Decoding::Text(_)) => {
                    let rest = &self.secrets.patterns[pattern as usize].bytes[WINDOW as usize..];
                    let read = &bytes.to_be_bytes()[8 - more as usize..];
                    if rest == read {
                        self.complete(found, pattern);
                    } else if rest.starts_with(read)
                        && let Some(found) = self.led(found, pattern)
                    {
                        self.stack.push(found);
                    }
                }
                (Notation::Base64(before), Decoding::Base64(_) | Decoding::Text(Quoting::Unknown))
                    if self.has_first_bits(trace.start, pattern, before) =>
                {
                    self.stack.push(Trace { way: Decoding::Base64(before), symbols: symbols.into(), ..found });
                }
                (Notation::Hex, Decoding::Hex | Decoding::Text(Quoting::Unknown)) => {
                    // The gap between two bytes is read again.
                    let at = trace.start.filter(|_| symbols == 2).map_or(trace.at, |start| start + 2);
                    self.stack.push(Trace { way: Decoding::Hex, at, symbols: symbols.into(), ..found });
                }
                _ => {}
            }
        }
    }

    /// Reads a character of Base64 or hexadecimal, and what stands for nothing in front of it.
    fn code(&mut self, mut trace: Trace, mut at: usize) {
        let piece = loop {
            let Some(rest) = self.buffer.get(at..).filter(|rest| !rest.is_empty()) else { return self.wait(trace) };
            let in_gap = trace.gap > 0;
            let piece = match trace.way {
                Decoding::Hex => code::hex(rest, in_gap, trace.symbols.is_multiple_of(2), self.is_end),
                _ => code::base64(rest, in_gap, self.is_end),
            };
            let CodeChar::Skip(len) = piece else { break piece };
            // The end of a secret does not wait for another line.
            let is_over = matches!((trace.goal, trace.way), (Goal::Pattern(pattern), Decoding::Base64(before))
                if trace.symbols as usize >= sextets(&self.secrets.patterns[pattern as usize].bytes, before));
            if is_over || trace.gap == LONGEST_GAP {
                return;
            }
            // This takes one step: nothing else can be read there, and a long gap behind each place would be a row for
            // each of its bytes.
            trace.gap += 1;
            trace.at += len as u64;
            at += len;
        };
        match (piece, trace.goal) {
            (CodeChar::Other | CodeChar::Skip(_), _) => {}
            (CodeChar::More, _) => {
                trace.start.get_or_insert(trace.at);
                self.wait(trace);
            }
            (CodeChar::Char(char, len), Goal::Window(bytes)) => {
                trace.start.get_or_insert(trace.at);
                trace.at += len as u64;
                trace.gap = 0;
                self.open(trace, bytes, &[char]);
            }
            (CodeChar::Char(char, len), Goal::Pattern(pattern)) => {
                trace.at += len as u64;
                trace.gap = 0;
                self.code_char(trace, pattern, char);
            }
        }
    }

    /// Compares a character of Base64 or hexadecimal with a pattern.
    fn code_char(&mut self, mut trace: Trace, pattern: u32, char: u8) {
        let bytes = &*self.secrets.patterns[pattern as usize].bytes;
        let at = trace.symbols as usize;
        trace.symbols += 1;
        let (is_expected, is_whole, goes_on) = if let Decoding::Base64(before) = trace.way {
            let chars = sextets(bytes, before);
            let padding = (3 - (usize::from(before) + bytes.len()) % 3) % 3;
            let is_expected = if at >= chars {
                char == b'='
            } else {
                let (expected, bits) = sextet(bytes, before, at);
                code::value_of(char).is_some_and(|value| (value ^ expected) >> (6 - bits) == 0)
            };
            (is_expected, at + 1 >= chars, at + 1 < chars + padding)
        } else {
            let is_expected = char::from(char).to_digit(16) == Some(nibble(bytes, at).into());
            (is_expected, at + 1 == bytes.len() * 2, at + 1 < bytes.len() * 2)
        };
        if !is_expected {
            return;
        }
        if is_whole && let Some(start) = trace.start {
            self.stream.found(start, trace.at);
        }
        if goes_on {
            self.stack.push(trace);
        }
    }

    /// Records a trace whose secret was read to its end.
    pub(super) fn complete(&mut self, mut trace: Trace, pattern: u32) {
        let Some(start) = trace.start else { return };
        self.stream.found(start, trace.at);
        if trace.leads
            && let Some(period) = self.secrets.patterns[pattern as usize].period
        {
            trace.start = Some(start + u64::from(period));
            trace.symbols -= period;
            self.stack.push(trace);
        }
    }

    /// Records that a trace became nothing.
    pub(super) fn ended(&mut self, trace: &Trace) {
        if trace.leads
            && trace.way == Decoding::Text(Quoting::Unknown)
            && let (Goal::Pattern(pattern), Some(start)) = (trace.goal, trace.start)
            && let Some(period) = self.secrets.patterns[pattern as usize].period
        {
            for leader in &mut self.stream.leaders {
                if leader.reach == u64::MAX && leader.leads(pattern, start, period) {
                    leader.reach = trace.at;
                }
            }
        }
    }
}

/// Whether nothing but blanks has been read of a line.
pub(super) fn is_line_start(read: &[u8]) -> bool {
    let blank = read.iter().rev().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    read[..read.len() - blank].ends_with(b"\n")
}
