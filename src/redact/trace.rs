//! A place where a secret may have begun.

use super::decode::{Quoting, Symbol, Token};
use super::index::WINDOW;

/// The longest run of bytes between two symbols that stands for nothing: without a bound, a stream of line ends would be held
/// back forever.
pub(super) const LONGEST_GAP: u8 = 64;
/// The most characters of Base64 on a line before the current one.
pub(super) const MOST_BEFORE: usize = WINDOW as usize - 1;

/// The way in which a trace reads on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Decoding {
    Text(Quoting),
    Base64(u8),
    Hex,
}

/// A place where a secret may have begun, and how far it was followed. Offsets count from the beginning of the stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trace {
    /// `None`: its first symbol is still to come; what is in front of it has been handed out.
    pub(super) start: Option<u64>,
    /// The offset that is read next.
    pub(super) at: u64,
    pub(super) way: Decoding,
    /// The pattern that it can only be; before that, the first symbols.
    pub(super) goal: Goal,
    /// The number of symbols that were read.
    pub(super) symbols: u32,
    /// The number of bytes that have stood for nothing since the last symbol.
    pub(super) gap: u8,
    /// Whether there is a [`LeadingTrace`] of this trace.
    pub(super) leads: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Goal {
    Window(u64),
    Pattern(u32),
}

/// A trace of a pattern that repeats itself stands for those that begin one or more periods later: they can only end as it does.
#[derive(Debug, Clone, Copy)]
pub(super) struct LeadingTrace {
    pub(super) pattern: u32,
    pub(super) start: u64,
    /// The offset where it ended; `u64::MAX` as long as it continues.
    pub(super) reach: u64,
}

impl LeadingTrace {
    pub(super) fn leads(&self, pattern: u32, start: u64, period: u32) -> bool {
        self.pattern == pattern && start >= self.start && (start - self.start).is_multiple_of(period.into())
    }
}

/// The set of all readings of a place.
#[derive(Default)]
pub(super) struct Tokens {
    tokens: [Option<(Token, Quoting)>; Self::MOST],
    count: usize,
}

impl Tokens {
    /// The most readings: the byte itself, and three other meanings.
    const MOST: usize = 4;

    pub(super) fn push(&mut self, token: Token, quoting: Quoting) {
        self.tokens[self.count] = Some((token, quoting));
        self.count += 1;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns the symbols, with how many bytes stand for each and how the text is quoted after it.
    pub(super) fn symbols(&self) -> impl Iterator<Item = (Symbol, usize, Quoting)> {
        self.all().filter_map(|(token, quoting)| match token {
            Token::Symbol(symbol, len) => Some((*symbol, *len, *quoting)),
            _ => None,
        })
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &(Token, Quoting)> {
        self.tokens[..self.count].iter().flatten()
    }
}
