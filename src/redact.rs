//! Masks secrets in a stream of bytes, also where a secret comes in pieces or encoded.
//!
//! Nothing is enumerated that an encoder may choose: `scan` finds the places where a secret may begin, with the first symbols
//! of each in `index`, and `follow` decodes from there, symbol by symbol, with what `decode` and `code` know of the notations.

use std::borrow::Cow;
use std::sync::Arc;

use crate::error::Invalid;
pub(crate) use crate::types::MASK;
use crate::types::Secret;

pub(crate) use self::allowance::{Allowance, Beyond};
#[cfg(fuzzing)]
pub use self::fuzz::check as fuzz_redact;
use self::index::Index;
pub(crate) use self::refusal::{mask_refusal, mask_texts};
pub(crate) use self::result::shown_bytes;
pub(crate) use self::stream::Redactor;
pub(crate) use self::vault::{StreamMask, Vault};

mod allowance;
mod code;
mod decode;
mod follow;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod glance;
mod index;
mod refusal;
mod result;
mod row_reader;
mod rows;
mod scan;
mod stream;
#[cfg(test)]
mod tests;
mod trace;
mod vault;

/// The shortest secret, in bytes: masking shorter ones would take ordinary text away. Shorter lines of a secret are no
/// secrets by themselves.
pub(crate) const LEAST_BYTES: usize = 6;
/// The most secrets of an execution, those of its engine included; a secret of several lines counts as many.
pub(crate) const MOST_SECRETS: usize = 100_000;
/// The most bytes of these secrets.
pub(crate) const MOST_BYTES: usize = 16 * 1024 * 1024;
/// A secret with more of them is masked as it is alone: it is no password that is given to `echo`.
const MOST_BACKSLASHES: usize = 16;
/// A secret with a longer period is followed from each place where it may begin.
const LONGEST_PERIOD: usize = 64;

/// Refuses secrets that are too short, too many or too large; `field[index]` is named, and the secret itself is not.
pub(crate) fn check(field: &str, secrets: &[Secret]) -> Result<(), Invalid> {
    if let Some(index) = secrets.iter().position(|secret| secret.reveal().len() < LEAST_BYTES) {
        return Err(Invalid::new(
            format!("{field}[{index}]"),
            format!(
                "it is shorter than {LEAST_BYTES} bytes, and masking it would take ordinary text away: leave it out"
            ),
        ));
    }
    check_size(field, (0, 0), secrets.iter().map(|secret| secret.reveal().as_bytes()))
}

/// Refuses one secret that is too short.
pub(crate) fn check_one(field: &str, secret: &str) -> Result<(), Invalid> {
    check(field, &[Secret::from(secret)]).map_err(|invalid| Invalid::new(field, invalid.problem))
}

/// Refuses secrets that take too much memory or time, together with the lines and the bytes that there are already.
fn check_size<'a>(
    field: &str,
    (mut lines, mut bytes): (usize, usize),
    secrets: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(), Invalid> {
    for secret in secrets {
        lines += lines_of([secret]);
        bytes += secret.len();
    }
    if lines <= MOST_SECRETS && bytes <= MOST_BYTES {
        return Ok(());
    }
    let problem = format!(
        "all secrets have {lines} lines and {bytes} bytes together: give at most {MOST_SECRETS} lines and {MOST_BYTES} bytes"
    );
    Err(Invalid::new(field, problem))
}

fn lines_of<'a, S: AsRef<[u8]> + ?Sized + 'a>(secrets: impl IntoIterator<Item = &'a S>) -> usize {
    secrets.into_iter().map(|secret| 1 + memchr::memchr_iter(b'\n', secret.as_ref()).count()).sum()
}

#[cfg(test)]
thread_local! {
    /// The bytes of whole texts that this thread has searched.
    pub(crate) static MASKED_HERE: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
    /// The number of secrets that this thread has gone through for values that a caller gave.
    pub(crate) static READ_HERE: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// The secrets of one execution, ready to be looked for.
#[derive(Debug)]
pub(crate) struct Secrets {
    patterns: Vec<Pattern>,
    index: Index,
}

/// A secret, or a line of one.
struct Pattern {
    bytes: Box<[u8]>,
    /// The number of bytes after which it repeats itself, if it does so at least twice.
    period: Option<u32>,
}

impl std::fmt::Debug for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(MASK)
    }
}

impl Secrets {
    /// Makes the set of secrets; `None` when there is nothing to mask. Secrets shorter than [`LEAST_BYTES`] are left
    /// out.
    pub(crate) fn new<'a>(secrets: impl IntoIterator<Item = &'a [u8]>) -> Option<Arc<Self>> {
        let mut patterns: Vec<Box<[u8]>> = Vec::new();
        for secret in secrets.into_iter().filter(|secret| secret.len() >= LEAST_BYTES) {
            let trimmed = without_line_ends(secret);
            patterns.push(if trimmed.len() < LEAST_BYTES { secret } else { trimmed }.into());
            // The text as a whole: its lines are no lines of the secret.
            patterns.extend(echoed(trimmed).map(Vec::into_boxed_slice));
            if memchr::memchr(b'\n', trimmed).is_some() {
                let lines = trimmed.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
                patterns.extend(lines.filter(|line| line.len() >= LEAST_BYTES).map(Box::from));
            }
        }
        if patterns.is_empty() {
            return None;
        }
        patterns.sort_unstable();
        patterns.dedup();
        let index = Index::new(&patterns);
        let pattern = |bytes: Box<[u8]>| Pattern { period: period_of(&bytes), bytes };
        Some(Arc::new(Self { patterns: patterns.into_iter().map(pattern).collect(), index }))
    }

    /// Returns a whole text with its secrets masked.
    pub(crate) fn mask<'t>(self: &Arc<Self>, text: &'t str) -> Cow<'t, str> {
        match self.mask_bytes(text.as_bytes()) {
            None => Cow::Borrowed(text),
            // A secret of bytes that are not UTF-8 can cut a character.
            Some(masked) => Cow::Owned(String::from_utf8_lossy(&masked).into_owned()),
        }
    }

    /// Does what [`Secrets::mask`] does, for a text that is only shown to people: one whose search takes too long is
    /// masked as a whole.
    pub(crate) fn mask_shown<'t>(self: &Arc<Self>, text: &'t str) -> Cow<'t, str> {
        match Redactor::new(Arc::clone(self)).bounded().whole_or_beyond(text.as_bytes()) {
            Ok(None) => Cow::Borrowed(text),
            Ok(Some(masked)) => Cow::Owned(String::from_utf8_lossy(&masked).into_owned()),
            Err(Beyond) => Cow::Borrowed(MASK),
        }
    }

    /// Returns the beginning of a text with its secrets masked, without an end that may be a part of one. As
    /// [`Secrets::mask_shown`], it is bounded.
    pub(crate) fn mask_beginning(self: &Arc<Self>, text: &str) -> String {
        let mut masked = Vec::new();
        let mut redactor = Redactor::new(Arc::clone(self)).bounded();
        redactor.feed(text.as_bytes(), |certain| masked.extend_from_slice(certain));
        if redactor.is_beyond() {
            return MASK.to_owned();
        }
        String::from_utf8_lossy(&masked).trim_end_matches(char::REPLACEMENT_CHARACTER).to_owned()
    }

    /// Returns whole output with its secrets masked; `None` when there are none in it.
    pub(crate) fn mask_bytes(self: &Arc<Self>, bytes: &[u8]) -> Option<Vec<u8>> {
        #[cfg(test)]
        MASKED_HERE.set(MASKED_HERE.get() + bytes.len());
        Redactor::new(Arc::clone(self)).whole(bytes)
    }
}

/// Returns the output of `echo` of a POSIX shell, such as dash, for a secret with backslashes.
fn echoed(secret: &[u8]) -> Option<Vec<u8>> {
    if !(1..=MOST_BACKSLASHES).contains(&memchr::memchr_iter(b'\\', secret).count()) {
        return None;
    }
    let mut echoed = Vec::with_capacity(secret.len());
    let mut rest = secret;
    while let [first, tail @ ..] = rest {
        let (byte, left) = match (first, tail) {
            (b'\\', [b'0', digits @ ..]) => {
                let count = digits.iter().take(3).take_while(|digit| (b'0'..=b'7').contains(*digit)).count();
                let value = digits[..count].iter().fold(0_u8, |value, digit| value.wrapping_mul(8) + (digit - b'0'));
                (value, &digits[count..])
            }
            (b'\\', [b'c', ..]) => break,
            (b'\\', [kind, left @ ..]) => match kind {
                b'\\' => (b'\\', left),
                b'a' => (7, left),
                b'b' => (8, left),
                b't' => (b'\t', left),
                b'n' => (b'\n', left),
                b'v' => (11, left),
                b'f' => (12, left),
                b'r' => (b'\r', left),
                _ => (b'\\', tail),
            },
            (byte, left) => (*byte, left),
        };
        echoed.push(byte);
        rest = left;
    }
    (echoed.len() >= LEAST_BYTES && echoed != secret).then_some(echoed)
}

/// Returns the secret without line ends: a file that is read into a secret ends with one that the secret does not have.
fn without_line_ends(secret: &[u8]) -> &[u8] {
    let is_other = |byte: &u8| !matches!(byte, b'\r' | b'\n');
    let first = secret.iter().position(is_other).unwrap_or(secret.len());
    let end = secret.iter().rposition(is_other).map_or(first, |last| last + 1);
    &secret[first..end]
}

/// Returns the number of bytes after which a text of one line repeats itself, if it does so soon and at least twice.
fn period_of(bytes: &[u8]) -> Option<u32> {
    let most = LONGEST_PERIOD.min(bytes.len() / 2);
    let period = (1..=most).find(|period| bytes[..bytes.len() - period] == bytes[*period..])?;
    let is_one_line = !bytes[..period].contains(&b'\n');
    is_one_line.then(|| u32::try_from(period).expect("a short period"))
}
