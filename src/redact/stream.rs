//! Masks a stream: follows every place where a secret may have begun until it has, or has not.

use std::sync::Arc;

use super::code::{self, Piece};
use super::decode::{self, Quoting, Token};
use super::index::{Candidate, Notation, WINDOW, nibble, sextet, sextets, window};
use super::{MASK, Secrets};

/// The longest run of bytes between two symbols that stands for nothing: without a bound, a stream of line ends would be held
/// back for ever.
const LONGEST_GAP: u8 = 64;
/// So many characters of Base64 can be on the line before the one that is looked at.
const MOST_BEFORE: usize = WINDOW as usize - 1;

/// How a trace reads on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Text(Quoting),
    Base64(u8),
    Hex,
}

/// A place where a secret may have begun, and how far it was followed. Offsets count from the beginning of the stream.
#[derive(Debug, Clone, Copy)]
struct Trace {
    /// `None`: its first symbol is still to come; what is in front of it has been handed out.
    start: Option<u64>,
    /// What is read next.
    at: u64,
    way: Way,
    /// The pattern that it can only be; before that, the first symbols.
    goal: Goal,
    /// How many symbols were read.
    symbols: u32,
    /// How many bytes have stood for nothing since the last symbol.
    gap: u8,
    /// There is a [`Leader`] of it.
    leads: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goal {
    Window(u64),
    Pattern(u32),
}

/// A trace of a pattern that repeats itself stands for those that begin one or more periods later: they can only end as it does.
#[derive(Debug, Clone, Copy)]
struct Leader {
    pattern: u32,
    start: u64,
    /// Where it ended; `u64::MAX` as long as it goes on.
    reach: u64,
}

impl Leader {
    fn leads(&self, pattern: u32, start: u64, period: u32) -> bool {
        self.pattern == pattern && start >= self.start && (start - self.start).is_multiple_of(period.into())
    }
}

/// Masks the secrets in one stream. What can still become a secret is held back, and nothing else.
#[derive(Debug)]
pub(crate) struct Redactor {
    secrets: Arc<Secrets>,
    /// The end of the stream so far that has not been handed out.
    held: Vec<u8>,
    /// How much of the stream has been handed out.
    base: u64,
    /// Where the last mask that was handed out ends: a secret that begins before that adds to it.
    masked: u64,
    /// Undecided.
    traces: Vec<Trace>,
    leaders: Vec<Leader>,
    /// Found and not handed out yet.
    spans: Vec<(u64, u64)>,
    /// The last bytes of what was read before.
    before: [u8; WINDOW as usize],
    clean: Vec<u8>,
}

impl Redactor {
    pub(crate) fn new(secrets: Arc<Secrets>) -> Self {
        Self {
            secrets,
            held: Vec::new(),
            base: 0,
            masked: 0,
            traces: Vec::new(),
            leaders: Vec::new(),
            spans: Vec::new(),
            before: [0; WINDOW as usize],
            clean: Vec::new(),
        }
    }

    /// Takes the next bytes of the stream and hands out what is certain.
    pub(crate) fn feed(&mut self, bytes: &[u8], take: impl FnOnce(&[u8])) {
        if self.held.is_empty() {
            self.read(bytes, 0, false);
            let certain = self.hand_out(bytes, take);
            self.held.extend_from_slice(&bytes[certain..]);
            return;
        }
        let mut held = std::mem::take(&mut self.held);
        let from = held.len();
        held.extend_from_slice(bytes);
        self.read(&held, from, false);
        let certain = self.hand_out(&held, take);
        held.drain(..certain);
        self.held = held;
    }

    /// The stream has ended: what was held back became nothing.
    pub(crate) fn finish(&mut self, take: impl FnOnce(&[u8])) {
        let held = std::mem::take(&mut self.held);
        self.read(&held, held.len(), true);
        self.hand_out(&held, take);
    }

    /// Looks for other secrets from now on, also in what is held back.
    pub(super) fn replace(&mut self, secrets: Arc<Secrets>) {
        self.secrets = secrets;
        self.traces.clear();
        self.leaders.clear();
        let held = std::mem::take(&mut self.held);
        let before = std::mem::take(&mut self.before);
        self.read(&held, 0, false);
        (self.held, self.before) = (held, before);
    }

    /// Masks a stream that is all there; `None` when there is no secret in it.
    pub(super) fn whole(mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        self.read(bytes, 0, true);
        if self.spans.is_empty() {
            return None;
        }
        self.hand_out(bytes, |_| {});
        Some(self.clean)
    }

    /// Follows what is undecided through `buffer`, and what begins in it at `from` or later.
    fn read(&mut self, buffer: &[u8], from: usize, is_end: bool) {
        let secrets = Arc::clone(&self.secrets);
        let base = self.base;
        let mut reader = Reader { secrets: &secrets, buffer, from, base, is_end, stream: self, stack: Vec::new() };
        for trace in std::mem::take(&mut reader.stream.traces) {
            reader.follow(trace);
        }
        reader.scan();
        let seen = (buffer.len() - from).min(self.before.len());
        self.before.rotate_left(seen);
        let kept = self.before.len() - seen;
        self.before[kept..].copy_from_slice(&buffer[buffer.len() - seen..]);
    }

    /// Hands out what no undecided secret begins in, and returns how much of the buffer that was.
    fn hand_out(&mut self, buffer: &[u8], take: impl FnOnce(&[u8])) -> usize {
        let base = self.base;
        let end = base + buffer.len() as u64;
        let certain = self.traces.iter().filter_map(|trace| trace.start).min().unwrap_or(end).max(base);
        let place = |offset: u64| usize::try_from(offset - base).expect("it is in the buffer");
        self.base = certain;
        if self.spans.is_empty() && self.masked <= base {
            if certain > base {
                take(&buffer[..place(certain)]);
            }
            return place(certain);
        }
        self.spans.sort_unstable();
        self.clean.clear();
        let mut at = self.masked.clamp(base, certain);
        let known = self.spans.partition_point(|(start, _)| *start < certain);
        for (start, end) in self.spans.drain(..known) {
            if start >= self.masked {
                self.clean.extend_from_slice(&buffer[place(at)..place(start)]);
                self.clean.extend_from_slice(MASK.as_bytes());
            }
            self.masked = self.masked.max(end);
            at = self.masked.clamp(base, certain);
        }
        self.clean.extend_from_slice(&buffer[place(at)..place(certain)]);
        if !self.clean.is_empty() {
            take(&self.clean);
        }
        place(certain)
    }

    fn found(&mut self, start: u64, end: u64) {
        match self.spans.last_mut() {
            Some((first, last)) if *first <= start && start < *last => *last = end.max(*last),
            _ => self.spans.push((start, end)),
        }
    }
}

/// One pass over a buffer.
struct Reader<'a> {
    secrets: &'a Secrets,
    buffer: &'a [u8],
    /// What is in front of it was looked at before.
    from: usize,
    base: u64,
    is_end: bool,
    stream: &'a mut Redactor,
    /// Ways to read on that are to be followed.
    stack: Vec<Trace>,
}

impl Reader<'_> {
    /// Begins a trace wherever a secret may begin.
    fn scan(&mut self) {
        let (buffer, from) = (self.buffer, self.from);
        let raw = &self.secrets.index.raw;
        let whole = buffer.len().saturating_sub(MOST_BEFORE).max(from);
        for (at, bytes) in (from..).zip(buffer[from..].windows(WINDOW as usize)) {
            let window = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            if raw.may_have(window) {
                self.begin(window, at);
            }
            if decode::is_special(bytes[0]) && self.may_begin_escaped(at) {
                self.begin_escaped(at);
            }
        }
        for at in whole..buffer.len() {
            if decode::is_special(buffer[at]) {
                self.begin_escaped(at);
            }
            let symbols = u32::try_from(buffer.len() - at).expect("fewer than a window");
            let bytes = u64::from(window(&buffer[at..]));
            if !self.is_end && raw.has_beginning(bytes, symbols) {
                self.stream.traces.push(Trace {
                    start: Some(self.base + at as u64),
                    at: self.base + buffer.len() as u64,
                    way: Way::Text(Quoting::Unknown),
                    goal: Goal::Window(bytes),
                    symbols,
                    gap: 0,
                    leads: false,
                });
            }
        }
    }

    /// A window was found.
    #[cold]
    fn begin(&mut self, window: u32, at: usize) {
        for Candidate { pattern, notation, symbols } in self.secrets.index.raw.candidates(window) {
            let way = match notation {
                Notation::Text => Way::Text(Quoting::Unknown),
                Notation::Base64(before) => Way::Base64(before),
                Notation::Hex => Way::Hex,
            };
            let trace = Trace {
                start: Some(self.base + at as u64),
                at: self.base + at as u64 + u64::from(WINDOW),
                way,
                goal: Goal::Pattern(pattern),
                symbols: symbols.into(),
                // A window may end between two bytes.
                gap: u8::from(symbols == 2),
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
    fn led(&mut self, trace: Trace, pattern: u32) -> Option<Trace> {
        let (Some(period), Some(start)) = (self.secrets.patterns[pattern as usize].period, trace.start) else {
            return Some(trace);
        };
        if trace.way != Way::Text(Quoting::Unknown) {
            return Some(trace);
        }
        let leaders = &mut self.stream.leaders;
        if leaders.iter().any(|leader| leader.leads(pattern, start, period) && start < leader.reach) {
            return None;
        }
        leaders.retain(|leader| leader.reach > start);
        leaders.push(Leader { pattern, start, reach: u64::MAX });
        Some(Trace { leads: true, ..trace })
    }

    /// Whether [`Reader::begin_escaped`] may be worth a call.
    #[inline]
    fn may_begin_escaped(&self, at: usize) -> bool {
        let Some(before) = at.checked_sub(MOST_BEFORE) else { return true };
        let (text, code) = (&self.secrets.index.text, &self.secrets.index.code);
        let three_before = window(&self.buffer[before..at]);
        let rest = &self.buffer[at..];
        match decode::glance(rest) {
            decode::Glance::Itself if rest[0] == b'\n' => {
                let Some(after) = rest.get(1..=MOST_BEFORE) else { return true };
                if !after.iter().all(u8::is_ascii_alphanumeric) {
                    return true;
                }
                let after = window(after);
                (1..=3).any(|symbols| {
                    let before = three_before & ((1 << (8 * symbols)) - 1);
                    code.may_have(before.checked_shl(32 - 8 * symbols).unwrap_or(0) | after >> (8 * (symbols - 1)))
                })
            }
            decode::Glance::Itself => false,
            decode::Glance::Byte(byte) => {
                text.may_have_behind(three_before, byte)
                    || match (rest[0], byte) {
                        (b'%', b'+' | b'/') => true,
                        (b'\\', b'\n' | b'\r' | b'/') => code.has_end(three_before),
                        _ => false,
                    }
            }
            decode::Glance::Unclear => true,
        }
    }

    /// A byte may begin an escape: looks at the secrets of which it is one of the first symbols.
    #[cold]
    fn begin_escaped(&mut self, at: usize) {
        let (rest, index) = (&self.buffer[at..], &self.secrets.index);
        if matches!(rest[0], b'\r' | b'\n') {
            self.begin_after_line(at);
        }
        let mut tokens = Tokens::default();
        decode::escapes(rest, self.is_end, &mut |token, quoting| tokens.push(token, quoting));
        let code = match rest[0] {
            b'\\' | b'%' => code::base64(rest, false, self.is_end),
            _ => Piece::Other,
        };
        if tokens.count == 0 && code == Piece::Other {
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
                way: Way::Text(Quoting::Unknown),
                goal: Goal::Window(bytes),
                symbols,
                gap: 0,
                leads: false,
            };
            if index.text.has_beginning(bytes, symbols) {
                self.advance(trace, &tokens);
            }
            let may_be_code = match code {
                Piece::Other => false,
                Piece::Char(char, _) => index.code.has_beginning(bytes << 8 | u64::from(char), symbols + 1),
                _ => symbols > 0 && index.code.has_beginning(bytes, symbols),
            };
            if may_be_code {
                self.stack.push(Trace { way: Way::Base64(0), ..trace });
            }
            self.follow_all();
        }
    }

    /// A line ends: the first characters of a secret in Base64 or hexadecimal may be on it, and the others on the next. These
    /// few have been handed out perhaps; what is behind them is masked.
    fn begin_after_line(&mut self, at: usize) {
        let mut bytes = 0;
        for back in 1..=MOST_BEFORE {
            bytes |= u64::from(self.byte_before(at, back).unwrap_or(b'\n')) << (8 * (back - 1));
            let symbols = u32::try_from(back).expect("fewer than a window");
            let may_be = match self.buffer.get(at + 1) {
                Some(next) if next.is_ascii_alphanumeric() => {
                    self.secrets.index.code.has_beginning(bytes << 8 | u64::from(*next), symbols + 1)
                }
                _ => self.secrets.index.code.has_beginning(bytes, symbols),
            };
            if !may_be {
                continue;
            }
            for way in [Way::Base64(0), Way::Hex] {
                let at = self.base + at as u64;
                self.follow(Trace { start: None, at, way, goal: Goal::Window(bytes), symbols, gap: 0, leads: false });
            }
        }
    }

    /// The byte so many places in front of `at`, also if it has been handed out; `None` if it is not known any more.
    fn byte_before(&self, at: usize, back: usize) -> Option<u8> {
        match at.checked_sub(back) {
            Some(at) => Some(self.buffer[at]),
            None => self.stream.before.get((WINDOW as usize + at).checked_sub(back + self.from)?).copied(),
        }
    }

    /// Whether the character in front of a secret in Base64 has the bits of it that it would have.
    fn has_first_bits(&self, start: Option<u64>, pattern: u32, before: u8) -> bool {
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

    fn follow(&mut self, trace: Trace) {
        self.stack.push(trace);
        self.follow_all();
    }

    fn follow_all(&mut self) {
        while let Some(trace) = self.stack.pop() {
            let at = usize::try_from(trace.at - self.base).expect("it is in the buffer");
            if at >= self.buffer.len() {
                self.wait(trace);
                continue;
            }
            match (trace.way, trace.goal) {
                (Way::Text(quoting), Goal::Window(_)) => self.open_text(trace, quoting, at),
                (Way::Text(quoting), Goal::Pattern(pattern)) => self.text(trace, quoting, pattern, at),
                _ => self.code(trace, at),
            }
        }
    }

    /// What comes next decides.
    fn wait(&mut self, trace: Trace) {
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
            self.stack.push(Trace { way: Way::Base64(0), ..trace });
        }
    }

    /// Reads a text as far as it is that of a pattern.
    fn text(&mut self, mut trace: Trace, quoting: Quoting, pattern: u32, at: usize) {
        let bytes = &*self.secrets.patterns[pattern as usize].bytes;
        let rest = &self.buffer[at..];
        let mut read = 0;
        while let Some(&byte) = rest.get(read) {
            let expected = bytes[trace.symbols as usize];
            if decode::is_special(byte) || quoting == Quoting::Gap {
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

    /// Goes on with what a text can mean at a place.
    fn advance(&mut self, trace: Trace, tokens: &Tokens) {
        for &(token, quoting) in tokens.all() {
            let way = Way::Text(quoting);
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
            // Quotes and line ends stand for nothing else here.
            b'$' | b'\'' | b'"' | b'\r' => self.secrets.index.text.has_beginning(byte.into(), 1),
            _ => true,
        }
    }

    /// Adds a symbol to a window, and goes on with the secrets that it leaves.
    fn open(&mut self, mut trace: Trace, bytes: u64, symbol: &[u8]) {
        let bytes = symbol.iter().fold(bytes, |bytes, byte| bytes << 8 | u64::from(*byte));
        trace.symbols += u32::try_from(symbol.len()).expect("a character");
        trace.goal = Goal::Window(bytes);
        let index = &self.secrets.index;
        let windows = match trace.way {
            Way::Text(Quoting::Unknown) => &index.raw,
            Way::Text(_) => &index.text,
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
                (Notation::Text, Way::Text(_)) => {
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
                (Notation::Base64(before), Way::Base64(_) | Way::Text(Quoting::Unknown))
                    if self.has_first_bits(trace.start, pattern, before) =>
                {
                    self.stack.push(Trace { way: Way::Base64(before), symbols: symbols.into(), ..found });
                }
                (Notation::Hex, Way::Hex | Way::Text(Quoting::Unknown)) => {
                    let gap = u8::from(symbols == 2);
                    self.stack.push(Trace { way: Way::Hex, symbols: symbols.into(), gap, ..found });
                }
                _ => {}
            }
        }
    }

    /// Reads a character of Base64 or hexadecimal.
    fn code(&mut self, mut trace: Trace, at: usize) {
        let (rest, in_gap) = (&self.buffer[at..], trace.gap > 0);
        let piece = match trace.way {
            Way::Hex => code::hex(rest, in_gap, trace.symbols.is_multiple_of(2), self.is_end),
            _ => code::base64(rest, in_gap, self.is_end),
        };
        match (piece, trace.goal) {
            (Piece::Other, _) => {}
            (Piece::More, _) => {
                trace.start.get_or_insert(trace.at);
                self.wait(trace);
            }
            (Piece::Skip(len), goal) => {
                // The end of a secret does not wait for another line.
                let is_over = matches!((goal, trace.way), (Goal::Pattern(pattern), Way::Base64(before))
                    if trace.symbols as usize >= sextets(&self.secrets.patterns[pattern as usize].bytes, before));
                if !is_over && trace.gap < LONGEST_GAP {
                    trace.gap += 1;
                    trace.at += len as u64;
                    self.stack.push(trace);
                }
            }
            (Piece::Char(char, len), Goal::Window(bytes)) => {
                trace.start.get_or_insert(trace.at);
                trace.at += len as u64;
                trace.gap = 0;
                self.open(trace, bytes, &[char]);
            }
            (Piece::Char(char, len), Goal::Pattern(pattern)) => {
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
        let (is_expected, is_whole, goes_on) = match trace.way {
            Way::Base64(before) => {
                let chars = sextets(bytes, before);
                let padding = (3 - (usize::from(before) + bytes.len()) % 3) % 3;
                let is_expected = if at >= chars {
                    char == b'='
                } else {
                    let (expected, bits) = sextet(bytes, before, at);
                    code::value_of(char).is_some_and(|value| (value ^ expected) >> (6 - bits) == 0)
                };
                (is_expected, at + 1 >= chars, at + 1 < chars + padding)
            }
            _ => {
                let is_expected = char::from(char).to_digit(16) == Some(nibble(bytes, at).into());
                (is_expected, at + 1 == bytes.len() * 2, at + 1 < bytes.len() * 2)
            }
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

    /// A secret was read to its end.
    fn complete(&mut self, mut trace: Trace, pattern: u32) {
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

    /// A trace became nothing.
    fn ended(&mut self, trace: &Trace) {
        if trace.leads
            && trace.way == Way::Text(Quoting::Unknown)
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
fn is_line_start(read: &[u8]) -> bool {
    let blank = read.iter().rev().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    read[..read.len() - blank].ends_with(b"\n")
}

/// Everything that a place can mean.
#[derive(Default)]
struct Tokens {
    tokens: [Option<(Token, Quoting)>; Self::MOST],
    count: usize,
}

impl Tokens {
    /// Itself, and as many other meanings.
    const MOST: usize = 4;

    fn push(&mut self, token: Token, quoting: Quoting) {
        self.tokens[self.count] = Some((token, quoting));
        self.count += 1;
    }

    fn all(&self) -> impl Iterator<Item = &(Token, Quoting)> {
        self.tokens[..self.count].iter().flatten()
    }
}
