//! The way of one stream: masked, split into lines, cut to what the result keeps, and written to an overflow file.

use std::sync::Arc;

use super::captures::Captures;
use super::control_sequences::{ControlSequences, Plain};
use super::head_tail_buffer::CapturedStream;
use super::line_writer::LineWriter;
use super::lines::{Flags, Splitter, incomplete_char_len};
use super::log::Log;
use super::overflow::{Overflow, Spill, SpillFile};
use super::policy::OutputPolicy;
use super::silence::Silence;
use crate::platform::clock::Instant;
use crate::redact::{StreamMask, Vault};
use crate::types::{LineMode, Stream};

/// Masks the bytes of one stream, and sends them on.
pub(super) struct Capture {
    pub(super) mask: StreamMask,
    clean: Clean,
}

/// The receivers of a stream's bytes after its secrets are masked.
struct Clean {
    stream: Stream,
    /// `None` when no lines are made.
    splitter: Option<Splitter>,
    lines: LineMode,
    kept: Arc<Captures>,
    /// Whether the stream is longer than its cap.
    is_beyond_cap: bool,
    /// The file for the part of the stream beyond its cap; set once there is such a part and a file.
    spill: Option<Spill>,
    silence: Silence,
    /// The screen of a terminal; `None` for a pipe.
    screen: Option<Box<Screen>>,
    /// The secrets, set for a terminal: a secret that was added, or that backspaces made, is not yet masked in an
    /// unfinished line.
    secrets: Option<Arc<Vault>>,
}

impl Capture {
    pub(super) fn new(stream: Stream, policy: &OutputPolicy, kept: Arc<Captures>, secrets: Arc<Vault>) -> Self {
        let of_screen = policy.is_terminal.then(|| Arc::clone(&secrets));
        Self { mask: StreamMask::new(secrets), clean: Clean::new(stream, policy, kept, of_screen) }
    }

    /// Takes what was read.
    pub(super) fn feed(&mut self, bytes: &[u8], outlets: &mut Outlets, overflow: Option<&Arc<Overflow>>) {
        let Self { mask, clean } = self;
        clean.silence = Silence::new(Instant::now());
        mask.feed(bytes, |bytes| clean.take(bytes, outlets, overflow));
    }

    /// Ends the stream: its unfinished text is a line now.
    pub(super) fn finish(&mut self, outlets: &mut Outlets, overflow: Option<&Arc<Overflow>>) {
        let Self { mask, clean } = self;
        mask.finish(|bytes| clean.take(bytes, outlets, overflow));
        clean.finish_screen(outlets);
        clean.split(outlets, StreamPart::End);
    }

    pub(super) fn is_terminal(&self) -> bool {
        self.clean.screen.is_some()
    }

    /// Returns the time of the next work for [`Capture::tick`].
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.clean.is_waiting().then(|| self.clean.silence.deadline())
    }

    /// Shows a line that has been unfinished for long.
    pub(super) fn tick(&mut self, outlets: &mut Outlets, now: Instant) {
        if self.clean.is_waiting() && self.clean.silence.is_long(now) {
            self.clean.split(outlets, StreamPart::Silence);
        }
    }

    /// Records that the stream was not read from `since` to `now`: this time is no silence of the command.
    pub(super) fn was_held_up(&mut self, since: Instant, now: Instant) {
        self.clean.silence.skip(since, now);
    }

    /// Whether the stream is longer than its cap.
    pub(super) fn is_beyond_cap(&self) -> bool {
        self.clean.is_beyond_cap
    }

    /// Returns the file for the part of the stream beyond its cap, once there is one.
    pub(super) fn spill(&self) -> Option<&Spill> {
        self.clean.spill.as_ref()
    }

    /// Ends the stream: what the result has of it, and the overflow file.
    pub(super) fn freeze(self) -> (CapturedStream, Option<Arc<SpillFile>>) {
        let kept = self.clean.kept.freeze(self.clean.stream);
        let file = self.clean.spill.map(|spill| Arc::clone(&spill.file));
        (kept, file.filter(|file| file.path().is_some()))
    }
}

impl Clean {
    fn new(stream: Stream, policy: &OutputPolicy, kept: Arc<Captures>, secrets: Option<Arc<Vault>>) -> Self {
        Self {
            stream,
            splitter: policy.has_lines.then(|| Splitter::new(policy.max_line_bytes)),
            lines: policy.lines,
            kept,
            is_beyond_cap: false,
            spill: None,
            silence: Silence::new(Instant::now()),
            screen: secrets.clone().filter(|_| stream == Stream::Stdout).map(|secrets| Box::new(Screen::new(secrets))),
            secrets,
        }
    }

    fn take(&mut self, bytes: &[u8], outlets: &mut Outlets, overflow: Option<&Arc<Overflow>>) {
        if let Some(log) = &outlets.log {
            log.bytes(bytes);
        }
        if let Some(overflow) = overflow {
            if self.spill.is_none() {
                self.spill = self
                    .kept
                    .with(self.stream, |buffer| {
                        buffer.would_truncate(bytes.len()).then(|| {
                            let spill = overflow.start(outlets.lines.id, self.stream);
                            spill.spool.push(buffer.so_far());
                            spill
                        })
                    })
                    .flatten();
            }
            if let Some(spill) = &self.spill {
                spill.spool.push(bytes);
            }
        }
        self.is_beyond_cap = self.kept.push(self.stream, bytes);
        let Some(screen) = &mut self.screen else { return self.split(outlets, StreamPart::Bytes(bytes)) };
        screen.show(bytes, &mut outlets.lines);
        let mut screen = std::mem::take(&mut self.screen);
        if let (Some(screen), Some(_)) = (&mut screen, &self.splitter) {
            let Screen { sequences, plain, has_returned, mask, .. } = &mut **screen;
            sequences.feed(bytes, &mut |part| match part {
                Plain::Text(text) => add_plain(plain, text, has_returned),
                Plain::Backspace => {
                    mask.feed(plain, |plain| self.split(outlets, StreamPart::Bytes(plain)));
                    plain.clear();
                    if let Some(splitter) = self.splitter.as_mut().filter(|_| !mask.backspace()) {
                        splitter.backspace();
                    }
                }
            });
            mask.feed(plain, |plain| self.split(outlets, StreamPart::Bytes(plain)));
            plain.clear();
        }
        self.screen = screen;
    }

    /// Shows what is left of a terminal's bytes at their end.
    fn finish_screen(&mut self, outlets: &mut Outlets) {
        let Some(mut screen) = self.screen.take() else { return };
        if !screen.held.is_empty() {
            outlets.lines.data(&screen.held);
            screen.held.clear();
        }
        screen.mask.finish(|plain| self.split(outlets, StreamPart::Bytes(plain)));
        self.screen = Some(screen);
    }

    /// Takes the splitter a step further and sends its lines in batches.
    fn split(&mut self, outlets: &mut Outlets, next: StreamPart<'_>) {
        let Some(splitter) = &mut self.splitter else { return };
        let Outlets { lines, log } = outlets;
        let has_listener = lines.has_listener(self.stream);
        let mut log = log.as_mut().filter(|log| log.wants_lines());
        if has_listener || log.is_some() {
            let secrets = self.secrets.as_ref().and_then(|secrets| secrets.current());
            next.advance(splitter, &mut |piece, flags| {
                let masked = secrets.as_ref().and_then(|secrets| secrets.mask_bytes(piece));
                lines.add(masked.as_deref().unwrap_or(piece), flags);
                if lines.is_full() {
                    lines.send(self.stream, has_listener, log.as_deref_mut());
                }
            });
            lines.send(self.stream, has_listener, log);
        } else {
            lines.skip(next.count(splitter));
        }
    }

    /// Whether an unfinished line becomes an event after a silence.
    fn is_waiting(&self) -> bool {
        let is_waiting = match self.lines {
            LineMode::Pieces => Splitter::is_waiting,
            // The line is complete, whether or not the other half of its end follows.
            LineMode::Whole => Splitter::awaits_line_feed,
        };
        self.splitter.as_ref().is_some_and(is_waiting)
    }
}

/// The bytes of a terminal: they are shown as they are, and as lines without control sequences.
struct Screen {
    sequences: ControlSequences,
    /// The beginning of a character whose rest has not come, of at most 3 bytes: text holds whole characters.
    held: Vec<u8>,
    /// Text without control sequences, of one read.
    plain: Vec<u8>,
    /// Whether the last character of the text is a carriage return.
    has_returned: bool,
    /// Masks the secrets that control sequences had cut into parts, and holds back what may become one.
    mask: StreamMask,
}

/// Adds text without control sequences. Of several carriage returns in a row, the others do nothing: a program that ends its lines
/// with `\r\n` itself writes `\r\r\n`.
fn add_plain(plain: &mut Vec<u8>, mut text: &[u8], has_returned: &mut bool) {
    while let Some(first) = text.first() {
        if *has_returned && *first == b'\r' {
            text = &text[1..];
            continue;
        }
        let end = memchr::memmem::find(text, b"\r\r").map_or(text.len(), |at| at + 1);
        plain.extend_from_slice(&text[..end]);
        *has_returned = text[end - 1] == b'\r';
        text = &text[end..];
    }
}

impl Screen {
    fn new(secrets: Arc<Vault>) -> Self {
        let (sequences, held, plain) = (ControlSequences::default(), Vec::new(), Vec::new());
        Self { sequences, held, plain, has_returned: false, mask: StreamMask::new(secrets) }
    }

    fn show(&mut self, bytes: &[u8], lines: &mut LineWriter) {
        if !lines.has_text() {
            return lines.data(bytes);
        }
        let joined;
        let bytes = if self.held.is_empty() {
            bytes
        } else {
            joined = [&self.held[..], bytes].concat();
            &joined
        };
        let (whole, held) = bytes.split_at(bytes.len() - incomplete_char_len(bytes));
        if !whole.is_empty() {
            lines.data(whole);
        }
        self.held = held.to_vec();
    }
}

/// The next part of a stream.
#[derive(Clone, Copy)]
enum StreamPart<'a> {
    Bytes(&'a [u8]),
    /// No bytes have come for some time.
    Silence,
    End,
}

impl StreamPart<'_> {
    fn advance(self, splitter: &mut Splitter, emit: &mut impl FnMut(&[u8], Flags)) {
        match self {
            Self::Bytes(bytes) => splitter.feed(bytes, emit),
            Self::Silence => splitter.flush_partial(emit),
            Self::End => splitter.finish(emit),
        }
    }

    fn count(self, splitter: &mut Splitter) -> u64 {
        if let Self::Bytes(bytes) = self {
            return splitter.count(bytes);
        }
        let mut count = 0;
        self.advance(splitter, &mut |_, _| count += 1);
        count
    }
}

/// The receivers that both streams share.
pub(super) struct Outlets {
    pub(super) lines: LineWriter,
    pub(super) log: Option<Log>,
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::AtomicU64;

    use uuid::Uuid;

    use super::*;
    use crate::config::ExecutionConfig;
    use crate::event::{Credit, EventSink, EventType, ExecutionEvent, FULL_LINES, FULL_TEXT, LineBatch};
    use crate::types::ExecutionOptions;

    /// The lines of each batch, and its first sequence.
    #[derive(Default)]
    struct Batches(Mutex<Vec<(u64, Vec<Vec<u8>>)>>);

    impl EventSink for Batches {
        fn wants(&self, _event_type: EventType) -> bool {
            true
        }
        fn lines(&self, batch: LineBatch<'_>, _credit: Credit) {
            let lines = batch.lines().map(|(line, _)| line.to_vec()).collect();
            self.0.lock().unwrap().push((batch.first_sequence, lines));
        }
        fn event(&self, _event: ExecutionEvent) {}
    }

    /// Returns the batches of one read.
    fn batches(read: &[u8]) -> Vec<(u64, Vec<Vec<u8>>)> {
        let policy = OutputPolicy::new(&ExecutionOptions::default(), &ExecutionConfig::default());
        let sink = Arc::new(Batches::default());
        let (id, sequence) = (Uuid::new_v4(), Arc::new(AtomicU64::new(0)));
        let lines = LineWriter::new(id, policy.encoding, true, Arc::clone(&sink) as Arc<dyn EventSink>, sequence);
        let mut outlets = Outlets { lines, log: None };
        let kept = Arc::new(Captures::new(&policy));
        Capture::new(Stream::Stdout, &policy, kept, Arc::default()).feed(read, &mut outlets, None);
        drop(outlets);
        Arc::into_inner(sink).unwrap().0.into_inner().unwrap()
    }

    #[test]
    fn a_long_read_is_sent_in_batches_of_bounded_size() {
        let lines: Vec<_> = (0..4_000).map(|number| format!("{number:070}").into_bytes()).collect();
        let batches = batches(&[lines.join(&b'\n'), b"\n".to_vec()].concat());
        assert!(batches.len() > 4, "{} batches", batches.len());
        for (_, lines) in &batches {
            let bytes: usize = lines.iter().map(Vec::len).sum();
            assert!(bytes < FULL_TEXT + 70, "{bytes} bytes");
        }
        let mut next = 0;
        for (first, lines) in &batches {
            assert_eq!(*first, next);
            next += lines.len() as u64;
        }
        assert_eq!(batches.into_iter().flat_map(|(_, lines)| lines).collect::<Vec<_>>(), lines);
    }

    #[test]
    fn empty_lines_are_sent_in_batches_of_bounded_size() {
        let counts: Vec<_> = batches(&vec![b'\n'; 20_000]).into_iter().map(|(_, lines)| lines.len()).collect();
        assert_eq!(counts, [FULL_LINES, FULL_LINES, 20_000 - 2 * FULL_LINES]);
    }

    #[test]
    fn a_short_read_is_one_batch() {
        assert_eq!(batches(b"a\nb\nc"), [(0, vec![b"a".to_vec(), b"b".to_vec()])]);
    }
}
