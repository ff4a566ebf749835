//! Masks a stream: holds back what may become a secret, and hands out the rest.

use std::sync::Arc;

use super::index::WINDOW;
use super::rows::TraceRows;
use super::scan::Reader;
use super::trace::{LeadingTrace, Trace};
use super::{Beyond, MASK, Secrets};

/// The most steps for a text that people are shown, such as a command: some 50 ms. Ordinary secrets take a few for each byte.
const MOST_WORK: usize = 1_000_000;

/// Masks the secrets in one stream. What can still become a secret is held back, and nothing else.
#[derive(Debug)]
pub(crate) struct Redactor {
    secrets: Arc<Secrets>,
    /// The end of the stream so far that has not been handed out.
    held: Vec<u8>,
    /// The number of bytes of the stream that have been handed out.
    base: u64,
    /// The end of the last mask that was handed out: a secret that begins before that adds to it.
    masked: u64,
    /// Undecided.
    pub(super) traces: Vec<Trace>,
    pub(super) rows: TraceRows,
    pub(super) leaders: Vec<LeadingTrace>,
    /// The spans that were found and not handed out yet.
    spans: Vec<(u64, u64)>,
    /// The last bytes of what was read before.
    pub(super) before: [u8; WINDOW as usize],
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
            rows: TraceRows::default(),
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

    /// Ends the stream: the bytes that were held back became nothing.
    pub(crate) fn finish(&mut self, take: impl FnOnce(&[u8])) {
        let held = std::mem::take(&mut self.held);
        self.read(&held, held.len(), true);
        self.hand_out(&held, take);
    }

    /// Looks for other secrets from now on, also in what is held back.
    pub(super) fn replace(&mut self, secrets: Arc<Secrets>) {
        self.secrets = secrets;
        self.traces.clear();
        self.rows.clear();
        self.leaders.clear();
        let held = std::mem::take(&mut self.held);
        let before = std::mem::take(&mut self.before);
        self.read(&held, 0, false);
        (self.held, self.before) = (held, before);
    }

    /// Takes the last character back, if it is held back. A line end stays. Returns whether it was held back.
    pub(super) fn backspace(&mut self) -> bool {
        let Some(last) = self.held.last() else { return false };
        if !matches!(last, b'\r' | b'\n') {
            let is_start = |byte: &u8| byte & 0xc0 != 0x80;
            self.held.truncate(self.held.iter().rposition(is_start).unwrap_or(0));
            self.masked = self.masked.min(self.base + self.held.len() as u64);
            // The places are found again.
            self.spans.clear();
            self.replace(Arc::clone(&self.secrets));
        }
        true
    }

    /// Gives up when there are very many readings.
    pub(super) fn bounded(mut self) -> Self {
        self.rows.most_work = MOST_WORK;
        self
    }

    /// Whether it has given up.
    pub(super) fn is_beyond(&self) -> bool {
        self.rows.is_beyond()
    }

    /// Masks a stream that is all there; `None` when there is no secret in it.
    pub(super) fn whole(self, bytes: &[u8]) -> Option<Vec<u8>> {
        self.whole_or_beyond(bytes).unwrap_or_else(|Beyond| Some(MASK.into()))
    }

    /// Does the same, unless it gives up.
    pub(super) fn whole_or_beyond(mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>, Beyond> {
        self.read(bytes, 0, true);
        if self.is_beyond() {
            return Err(Beyond);
        }
        if self.spans.is_empty() {
            return Ok(None);
        }
        self.hand_out(bytes, |_| {});
        Ok(Some(self.clean))
    }

    /// Follows what is undecided through `buffer`, and what begins in it at `from` or later.
    fn read(&mut self, buffer: &[u8], from: usize, is_end: bool) {
        let secrets = Arc::clone(&self.secrets);
        let base = self.base;
        Reader {
            secrets: &secrets,
            buffer,
            from,
            base,
            is_end,
            stream: self,
            stack: Vec::new(),
            waiting: Vec::new(),
            steps: 0,
        }
        .read();
        let seen = (buffer.len() - from).min(self.before.len());
        self.before.rotate_left(seen);
        let kept = self.before.len() - seen;
        self.before[kept..].copy_from_slice(&buffer[buffer.len() - seen..]);
    }

    /// Hands out what no undecided secret begins in, and returns how much of the buffer that was.
    fn hand_out(&mut self, buffer: &[u8], take: impl FnOnce(&[u8])) -> usize {
        let base = self.base;
        let end = base + buffer.len() as u64;
        let certain = self
            .traces
            .iter()
            .filter_map(|trace| trace.start)
            .chain(self.rows.first_start())
            .min()
            .unwrap_or(end)
            .max(base);
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

    pub(super) fn found(&mut self, start: u64, end: u64) {
        match self.spans.last_mut() {
            Some((first, last)) if *first <= start && start < *last => *last = end.max(*last),
            _ => self.spans.push((start, end)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Written {
        Text(String),
        Backspace,
    }

    fn steps() -> impl Strategy<Value = Vec<Written>> {
        let text = prop_oneof!["[a-c]{1,5}", "abcabd|YWJjYWJk|616263616264|abc\n|é|b\r\n"].prop_map(Written::Text);
        proptest::collection::vec(prop_oneof![2 => text, 1 => Just(Written::Backspace)], 0..30)
    }

    fn shown(secret: &str, steps: &[Written]) -> String {
        let mut redactor = Redactor::new(Secrets::new([secret.as_bytes()]).unwrap());
        let mut shown = Vec::new();
        for step in steps {
            match step {
                Written::Text(text) => redactor.feed(text.as_bytes(), |certain| shown.extend_from_slice(certain)),
                Written::Backspace => _ = redactor.backspace(),
            }
        }
        redactor.finish(|certain| shown.extend_from_slice(certain));
        String::from_utf8_lossy(&shown).into_owned()
    }

    #[test]
    fn a_backspace_takes_back_what_is_held() {
        let text = |text: &str| Written::Text(text.to_owned());
        let typed = |first, second| shown("qrsqrt", &[text(first), Written::Backspace, text(second)]);
        assert_eq!(typed("x qrsq", "qrt"), "x ***");
        assert_eq!(typed("x qrsqrt", " y"), "x *** y", "it is masked and handed out already");
        assert_eq!(typed("qrs", "x"), "qrx");
        assert_eq!(typed("qrs\n", "t"), "qrs\nt", "a line end stays");
        assert_eq!(typed("!", "y"), "!y", "it was handed out");
    }

    #[test]
    fn a_text_that_people_are_shown_is_looked_through_in_bounded_time() {
        let secrets = Secrets::new([&*b"'".repeat(40), b"ordinary-secret"]).unwrap();
        for text in ["'".repeat(200_000), format!("echo ordinary-secret {}", "'".repeat(20_000))] {
            let mut redactor = Redactor::new(Arc::clone(&secrets)).bounded();
            redactor.read(text.as_bytes(), 0, true);
            assert!(redactor.is_beyond() && redactor.rows.work < MOST_WORK + MOST_WORK / 10, "{}", redactor.rows.work);
            assert_eq!(secrets.mask_shown(&text), MASK);
            assert_eq!(secrets.mask_beginning(&text), MASK);
        }
        let long = "'it' is an ordinary-secret, \\n\"or\" not ".repeat(10_000);
        assert_eq!(secrets.mask_shown(&long), long.replace("ordinary-secret", MASK));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

        #[test]
        fn no_secret_is_shown_whatever_is_taken_back(steps in steps()) {
            prop_assert!(!shown("abcabd", &steps).contains("abcabd"));
        }
    }
}
