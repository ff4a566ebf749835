//! Masks secrets in a stream of bytes, also where a secret comes in pieces or encoded.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use aho_corasick::automaton::Automaton;
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Input, Match};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use crate::error::Invalid;
use crate::types::Secret;

/// Shorter secrets are refused: masking them would take ordinary text away.
pub(crate) const LEAST_BYTES: usize = 6;
/// A line of a secret that has several is masked on its own from this length on: keys are often printed indented.
const LEAST_LINE_BYTES: usize = 16;
/// What stands for a secret.
pub(crate) const MASK: &str = "***";

/// What `encodeURIComponent` leaves as it is; other encoders leave less.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');
/// What RFC 3986 calls unreserved.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Refuses secrets that are too short; `field[index]` is named, and the secret itself is not.
pub(crate) fn check(field: &str, secrets: &[Secret]) -> Result<(), Invalid> {
    match secrets.iter().position(|secret| secret.reveal().len() < LEAST_BYTES) {
        None => Ok(()),
        Some(index) => Err(Invalid::new(
            format!("{field}[{index}]"),
            format!(
                "it is shorter than {LEAST_BYTES} bytes, and masking it would take ordinary text away: leave it out"
            ),
        )),
    }
}

/// The secrets of one execution in every form in which they are recognised.
#[derive(Debug)]
pub(crate) struct Secrets {
    automaton: NFA,
    /// The forms in order, to see what can still become one.
    forms: Vec<Box<[u8]>>,
    /// Which bytes a form starts with.
    starts: [bool; 256],
    longest: usize,
}

impl Secrets {
    /// `None` when there is nothing to mask. Secrets shorter than [`LEAST_BYTES`] are left out.
    pub(crate) fn new<'a>(secrets: impl IntoIterator<Item = &'a [u8]>) -> Option<Arc<Self>> {
        let mut forms = BTreeSet::new();
        for secret in secrets.into_iter().filter(|secret| secret.len() >= LEAST_BYTES) {
            add_forms(secret, &mut forms);
            let lines = secret.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
            for line in lines.filter(|line| line.len() >= LEAST_LINE_BYTES) {
                add_forms(line, &mut forms);
            }
        }
        if forms.is_empty() {
            return None;
        }
        let forms: Vec<Box<[u8]>> = forms.into_iter().map(Vec::into_boxed_slice).collect();
        let mut starts = [false; 256];
        for form in &forms {
            starts[usize::from(form[0])] = true;
        }
        // A table for each byte would be faster, and 1 KiB for each byte of a key.
        let automaton = NFA::new(&forms).expect("few short patterns");
        let longest = forms.iter().map(|form| form.len()).max().unwrap_or_default();
        Some(Arc::new(Self { automaton, forms, starts, longest }))
    }

    /// A whole text with its secrets masked.
    pub(crate) fn mask<'t>(self: &Arc<Self>, text: &'t str) -> Cow<'t, str> {
        if self.found(text.as_bytes()).next().is_none() {
            return Cow::Borrowed(text);
        }
        let mut masked = Vec::with_capacity(text.len());
        let mut redactor = Redactor::new(Arc::clone(self));
        redactor.feed(text.as_bytes(), |clean| masked.extend_from_slice(clean));
        redactor.finish(|clean| masked.extend_from_slice(clean));
        // A secret of bytes that are not UTF-8 can cut a character.
        Cow::Owned(String::from_utf8_lossy(&masked).into_owned())
    }

    /// Every form in `bytes`, by its end.
    fn found(&self, bytes: &[u8]) -> impl Iterator<Item = Match> {
        let found = self.automaton.try_find_overlapping_iter(Input::new(bytes));
        found.expect("it searches from everywhere, for all matches")
    }

    /// Where the longest end of `bytes` starts that can still become a secret, or a longer one.
    fn pending_from(&self, bytes: &[u8]) -> usize {
        let first = bytes.len().saturating_sub(self.longest - 1);
        (first..bytes.len())
            .find(|&start| self.starts[usize::from(bytes[start])] && self.is_beginning(&bytes[start..]))
            .unwrap_or(bytes.len())
    }

    /// Whether a form starts with `bytes` and goes on.
    fn is_beginning(&self, bytes: &[u8]) -> bool {
        // Those that start with `bytes` follow each other, after `bytes` itself.
        let at = self.forms.partition_point(|form| &**form <= bytes);
        self.forms.get(at).is_some_and(|form| form.starts_with(bytes))
    }
}

/// Masks the secrets in one stream. What can still become a secret is held back, and nothing else.
#[derive(Debug)]
pub(crate) struct Redactor {
    secrets: Arc<Secrets>,
    held: Vec<u8>,
    /// So many bytes at the start of `held` belong to a secret whose mask was handed out already: another secret may
    /// begin inside them.
    masked: usize,
    clean: Vec<u8>,
}

impl Redactor {
    pub(crate) fn new(secrets: Arc<Secrets>) -> Self {
        Self { secrets, held: Vec::new(), masked: 0, clean: Vec::new() }
    }

    /// Takes the next bytes of the stream and hands out what is certain.
    pub(crate) fn feed(&mut self, bytes: &[u8], take: impl FnOnce(&[u8])) {
        if self.held.is_empty() {
            let certain = self.secrets.pending_from(bytes);
            self.hand_out(bytes, certain, take);
            return;
        }
        let mut held = std::mem::take(&mut self.held);
        held.extend_from_slice(bytes);
        let certain = self.secrets.pending_from(&held);
        self.hand_out(&held, certain, take);
    }

    /// The stream has ended: what was held back became nothing.
    pub(crate) fn finish(&mut self, take: impl FnOnce(&[u8])) {
        let held = std::mem::take(&mut self.held);
        self.hand_out(&held, held.len(), take);
    }

    /// Hands out the first `certain` of `bytes`, masked, and holds the others.
    fn hand_out(&mut self, bytes: &[u8], certain: usize, take: impl FnOnce(&[u8])) {
        let spans = self.spans(bytes, certain);
        let masked_before = std::mem::take(&mut self.masked) > 0;
        if spans.is_empty() {
            self.held.extend_from_slice(&bytes[certain..]);
            if certain > 0 {
                take(&bytes[..certain]);
            }
            return;
        }
        self.clean.clear();
        let mut at = 0;
        for (start, end) in spans {
            self.clean.extend_from_slice(&bytes[at..start]);
            if start > 0 || !masked_before {
                self.clean.extend_from_slice(MASK.as_bytes());
            }
            at = end.min(certain);
            self.masked = end.saturating_sub(certain);
        }
        self.clean.extend_from_slice(&bytes[at..certain]);
        self.held.extend_from_slice(&bytes[certain..]);
        if !self.clean.is_empty() {
            take(&self.clean);
        }
    }

    /// The parts of `bytes` that are secret and start in the first `certain`, in order and apart from each other.
    fn spans(&self, bytes: &[u8], certain: usize) -> Vec<(usize, usize)> {
        let mut spans = Vec::new();
        if self.masked > 0 {
            spans.push((0, self.masked));
        }
        for found in self.secrets.found(bytes).filter(|found| found.start() < certain) {
            // Matches come by their ends: one that overlaps the last swallows it.
            let (mut start, mut end) = (found.start(), found.end());
            while let Some(&(last_start, last_end)) = spans.last()
                && last_end > start
            {
                (start, end) = (start.min(last_start), end.max(last_end));
                spans.pop();
            }
            spans.push((start, end));
        }
        spans
    }
}

/// The forms in which programs print a secret.
fn add_forms(secret: &[u8], forms: &mut BTreeSet<Vec<u8>>) {
    forms.insert(secret.to_vec());
    for engine in [&STANDARD, &URL_SAFE] {
        for offset in 0..3 {
            add_base64(engine, offset, secret, forms);
        }
    }
    for set in [COMPONENT, UNRESERVED, NON_ALPHANUMERIC] {
        let upper = percent_encode(secret, set).to_string();
        forms.insert(upper.replace("%20", "+").into_bytes());
        forms.insert(lower_hex(&upper).into_bytes());
        forms.insert(upper.into_bytes());
    }
    if let Ok(text) = std::str::from_utf8(secret) {
        let quoted = serde_json::to_string(text).unwrap_or_default();
        let json = &quoted[1..quoted.len() - 1];
        forms.insert(json.replace('/', "\\/").into_bytes());
        forms.insert(in_ascii(json).into_bytes());
        forms.insert(json.into());
        // As the displayed command and `set -x` quote it.
        forms.insert(text.replace('\'', "'\\''").into_bytes());
    }
}

/// What Base64 gives for `secret` when `offset` bytes stand before it, without the character that holds bits of those; in
/// the middle of a text, and at its end with and without padding.
fn add_base64(engine: &impl Engine, offset: usize, secret: &[u8], forms: &mut BTreeSet<Vec<u8>>) {
    let padded = [&[0; 2][..offset], secret].concat();
    let encoded = engine.encode(&padded);
    let encoded = &encoded.as_bytes()[(offset * 8).div_ceil(6)..];
    let whole = padded.len() * 8 / 6 - (offset * 8).div_ceil(6);
    forms.insert(encoded[..whole].into());
    forms.insert(encoded.iter().copied().filter(|byte| *byte != b'=').collect());
    forms.insert(encoded.into());
}

/// `%2F` as `%2f`.
fn lower_hex(encoded: &str) -> String {
    let mut parts = encoded.split('%');
    let mut lower = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (hex, rest) = part.split_at(2);
        lower.push('%');
        lower.push_str(&hex.to_ascii_lowercase());
        lower.push_str(rest);
    }
    lower
}

/// JSON text as encoders write it that keep to ASCII.
fn in_ascii(json: &str) -> String {
    let mut ascii = String::with_capacity(json.len());
    for char in json.chars() {
        if char.is_ascii() {
            ascii.push(char);
        } else {
            for unit in char.encode_utf16(&mut [0; 2]) {
                let _ = write!(ascii, "\\u{unit:04x}");
            }
        }
    }
    ascii
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn secrets(secrets: &[&str]) -> Arc<Secrets> {
        Secrets::new(secrets.iter().map(|secret| secret.as_bytes())).expect("there are some")
    }

    /// Feeds chunks and gives what came out.
    fn mask(secrets: &Arc<Secrets>, chunks: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut redactor = Redactor::new(Arc::clone(secrets));
        for chunk in chunks {
            redactor.feed(chunk, |clean| out.extend_from_slice(clean));
            assert!(redactor.held.len() < secrets.longest);
        }
        redactor.finish(|clean| out.extend_from_slice(clean));
        out
    }

    #[track_caller]
    fn check(given: &[&str], text: &str, expected: &str) {
        let secrets = secrets(given);
        assert_eq!(secrets.mask(text), expected);
        let bytes: Vec<_> = text.as_bytes().chunks(1).collect();
        assert_eq!(String::from_utf8(mask(&secrets, &bytes)).unwrap(), expected, "one byte at a time");
    }

    #[test]
    fn a_secret_is_masked_wherever_it_is() {
        check(&["hunter22"], "hunter22", "***");
        check(&["hunter22"], "a hunter22hunter22 b", "a ****** b");
        check(&["hunter22"], "hunter2 hunter2", "hunter2 hunter2");
        check(&["line one\nline two"], "x\nline one\nline two\ny", "x\n***\ny");
    }

    #[test]
    fn of_secrets_that_overlap_nothing_is_left() {
        check(&["abcdef", "abcdefgh"], "abcdefgh abcdefg", "*** ***g");
        check(&["xabcde", "cdefgh"], "-xabcdefgh-", "-***-");
        check(&["aaaaaa"], "aaaaaaaaa-aaaaa", "***-aaaaa");
    }

    #[test]
    fn encoded_forms_are_masked() {
        let secret = "p@ss/wörd \"'+x\n?";
        let secrets = secrets(&[secret]);
        for offset in 0..3 {
            let around = [&b"abc"[..offset], secret.as_bytes(), b"tail"].concat();
            for engine in [&STANDARD, &URL_SAFE] {
                let masked = secrets.mask(&engine.encode(&around)).into_owned();
                assert!(masked.contains(MASK) && masked.len() < 16, "{masked}");
            }
            let last = [&b"abc"[..offset], secret.as_bytes()].concat();
            let masked = secrets.mask(&STANDARD.encode(last)).into_owned();
            assert_eq!(masked.trim_start_matches(|c| c != '*'), MASK);
        }
        let encoded = [
            "p%40ss%2Fw%C3%B6rd%20%22'%2Bx%0A%3F",
            "p%40ss%2fw%c3%b6rd%20%22%27%2bx%0a%3f",
            "p%40ss%2Fw%C3%B6rd+%22%27%2Bx%0A%3F",
            "p@ss/wörd \\\"'+x\\n?",
            "p@ss\\/wörd \\\"'+x\\n?",
            "p@ss/w\\u00f6rd \\\"'+x\\n?",
            "p@ss/wörd \"'\\''+x\n?",
        ];
        for text in encoded {
            assert_eq!(secrets.mask(text), MASK, "{text}");
        }
    }

    #[test]
    fn the_lines_of_a_long_secret_are_secrets() {
        let key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\nshort\n-----END KEY-----\n";
        check(&[key], "  MIIEvQIBADANBgkqhkiG9w0BAQ\r\n  short\r\n", "  ***\r\n  short\r\n");
    }

    #[test]
    fn only_what_can_become_a_secret_is_held_back() {
        let mut redactor = Redactor::new(secrets(&["hunter22"]));
        let mut out = Vec::new();
        redactor.feed(b"Password: hunt", |clean| out.extend_from_slice(clean));
        assert_eq!(out, b"Password: ");
        redactor.feed(b"ing", |clean| out.extend_from_slice(clean));
        assert_eq!(out, b"Password: hunting");
    }

    #[test]
    fn short_secrets_are_none() {
        assert!(Secrets::new([&b"12345"[..], b""]).is_none());
    }

    /// Every byte that is part of a form, byte by byte; each run of overlapping ones is one mask.
    fn reference(secrets: &Secrets, input: &[u8]) -> Vec<u8> {
        let mut spans: Vec<(usize, usize)> = Vec::new();
        for start in 0..input.len() {
            let longest =
                secrets.forms.iter().filter(|form| input[start..].starts_with(form)).map(|form| form.len()).max();
            let Some(len) = longest else { continue };
            match spans.last_mut() {
                Some((_, end)) if *end > start => *end = (*end).max(start + len),
                _ => spans.push((start, start + len)),
            }
        }
        let (mut out, mut at) = (Vec::new(), 0);
        for (start, end) in spans {
            out.extend_from_slice(&input[at..start]);
            out.extend_from_slice(MASK.as_bytes());
            at = end;
        }
        out.extend_from_slice(&input[at..]);
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

        #[test]
        fn chunks_do_not_matter(
            given in vec("[ab]{6,9}", 1..4),
            input in vec(prop_oneof![8 => Just(b'a'), 8 => Just(b'b'), 1 => Just(b'c')], 0..120),
            lengths in vec(0..9_usize, 0..60),
        ) {
            let given: Vec<_> = given.iter().map(String::as_str).collect();
            let secrets = secrets(&given);
            let expected = reference(&secrets, &input);
            prop_assert_eq!(&mask(&secrets, &[&input]), &expected);
            let (mut rest, mut chunks) = (&input[..], Vec::new());
            for length in lengths {
                let (chunk, after) = rest.split_at(length.min(rest.len()));
                chunks.push(chunk);
                rest = after;
            }
            chunks.push(rest);
            prop_assert_eq!(mask(&secrets, &chunks), expected);
        }
    }
}
