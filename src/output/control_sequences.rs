//! Removes control sequences from the output of a terminal, so that lines are text.

/// Removes control sequences from the output of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plain<'a> {
    Text(&'a [u8]),
    /// The cursor goes back: the last character of the line is overwritten.
    Backspace,
}

/// The position of the stream in a control sequence. The forms are those of ECMA-48 and xterm; a sequence may be cut at
/// any byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum SequenceState {
    #[default]
    Text,
    /// The state after ESC.
    Escape,
    /// The state after ESC and an intermediate byte, as in the selection of a character set: one more byte follows.
    Intermediate,
    /// The state after ESC `[`, up to a final byte.
    Control,
    /// The state in the text of ESC `]` (a title, a link), ESC `P`, `X`, `^` or `_`, up to BEL or ESC `\`.
    String,
}

const ESCAPE: u8 = 0x1b;
const CANCEL: [u8; 2] = [0x18, 0x1a];

/// Removes control sequences and control characters, whatever the chunks in which they come. Line ends and tabs stay.
#[derive(Debug, Default)]
pub(super) struct ControlSequences(SequenceState);

impl ControlSequences {
    /// Takes the next bytes and hands out what is left of them.
    pub(super) fn feed(&mut self, mut bytes: &[u8], take: &mut impl FnMut(Plain<'_>)) {
        while !bytes.is_empty() {
            bytes = match self.0 {
                SequenceState::Text => self.text(bytes, take),
                SequenceState::String => {
                    let is_end = |byte: &u8| matches!(*byte, 0x07 | ESCAPE) || CANCEL.contains(byte);
                    let end = bytes.iter().position(is_end);
                    if end.is_some() {
                        // The end of the string is handled in that state.
                        self.0 = SequenceState::Text;
                    }
                    &bytes[end.unwrap_or(bytes.len())..]
                }
                SequenceState::Escape | SequenceState::Intermediate | SequenceState::Control => {
                    self.step(bytes[0], take);
                    &bytes[1..]
                }
            };
        }
    }

    /// Hands out text up to a control character, and takes that. Returns the rest.
    fn text<'b>(&mut self, bytes: &'b [u8], take: &mut impl FnMut(Plain<'_>)) -> &'b [u8] {
        let is_text = |byte: u8| (byte >= 0x20 && byte != 0x7f) || matches!(byte, b'\n' | b'\r' | b'\t');
        let end = bytes.iter().position(|byte| !is_text(*byte)).unwrap_or(bytes.len());
        if end > 0 {
            take(Plain::Text(&bytes[..end]));
        }
        let Some(control) = bytes.get(end) else { return &[] };
        match *control {
            ESCAPE => self.0 = SequenceState::Escape,
            0x08 => take(Plain::Backspace),
            _ => {}
        }
        &bytes[end + 1..]
    }

    /// Takes one byte of a sequence.
    fn step(&mut self, byte: u8, take: &mut impl FnMut(Plain<'_>)) {
        match (self.0, byte) {
            (_, ESCAPE) => self.0 = SequenceState::Escape,
            (_, byte) if CANCEL.contains(&byte) => self.0 = SequenceState::Text,
            // A terminal obeys control characters within a sequence.
            (_, b'\n' | b'\r' | b'\t') => take(Plain::Text(&[byte])),
            (_, 0x08) => take(Plain::Backspace),
            (_, 0x00..0x20 | 0x7f) | (SequenceState::Control, 0x20..=0x3f) => {}
            (SequenceState::Escape, b'[') => self.0 = SequenceState::Control,
            (SequenceState::Escape, b']' | b'P' | b'X' | b'^' | b'_') => self.0 = SequenceState::String,
            (SequenceState::Escape | SequenceState::Intermediate, 0x20..=0x2f) => self.0 = SequenceState::Intermediate,
            // A character of another alphabet belongs into no sequence: it is text that follows a broken one.
            (_, 0x80..) => {
                self.0 = SequenceState::Text;
                take(Plain::Text(&[byte]));
            }
            // The final byte.
            _ => self.0 = SequenceState::Text,
        }
    }
}

/// Returns the text of a terminal's output, whose beginning may be missing.
pub(super) fn plain(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len());
    ControlSequences::default().feed(bytes, &mut |part| match part {
        Plain::Text(part) => text.extend_from_slice(part),
        Plain::Backspace => {
            let is_in_line = text.last().is_some_and(|last| !matches!(last, b'\n' | b'\r'));
            // A character ends with its first byte, from behind.
            while is_in_line && text.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
        }
    });
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_backspace_takes_a_whole_character_of_the_line() {
        let text = |output: &str| String::from_utf8(super::plain(output.as_bytes())).unwrap();
        assert_eq!(text("\x1b[1mOk? \x1b[0myé\x08"), "Ok? y");
        assert_eq!(text("a\n\x08\x08b"), "a\nb");
        assert_eq!(text("\x08"), "");
    }

    fn plain(chunks: &[&[u8]]) -> String {
        let (mut text, mut sequences) = (Vec::new(), ControlSequences::default());
        for chunk in chunks {
            sequences.feed(chunk, &mut |part| match part {
                Plain::Text(part) => {
                    assert!(!part.is_empty());
                    text.extend_from_slice(part);
                }
                Plain::Backspace => text.push(b'<'),
            });
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    #[test]
    fn sequences_of_every_form_are_removed() {
        for (output, left) in [
            ("plain\ttext\r\n", "plain\ttext\r\n"),
            ("\x1b[31mred\x1b[0m \x1b[1;38;5;208mbold\x1b[m", "red bold"),
            ("\x1b[?1049h\x1b[2J\x1b[Hscreen\x1b[?1049l\x1b[?25h\x1b[>c", "screen"),
            ("\x1b]0;a title\x07text\x1b]8;;http://a.b/\x1b\\link\x1b]8;;\x1b\\", "textlink"),
            ("\x1bP1;2q#0;2;0;0;0\x1b\\after\x1b_apc\x1b\\\x1b^pm\x1b\\\x1bXsos\x1b\\.", "after."),
            ("\x1b(B\x1b)0\x1b%Gtext\x1b#8\x1b7\x1b8\x1bM\x1b=\x1b>\x1bc", "text"),
            ("a\x07b\x00c\x0e\x0fd\x7fe\x0b\x0c", "abcde"),
            ("a\x08b", "a<b"),
            ("\x1b[3\n1mred", "\nred"),
            ("\x1b[3\x081mred", "<red"),
            ("\x1b[1\x1b[31mred", "red"),
            ("\x1b[3\x18lost\x1b]x\x1aend", "lostend"),
            ("\x1b\x1b[31mred", "red"),
            ("\x1b[12é", "é"),
            ("é€😀\x1b[0m", "é€😀"),
            ("\x1b", ""),
            ("\x1b[", ""),
            ("\x1b]never ends\n", ""),
        ] {
            assert_eq!(plain(&[output.as_bytes()]), left, "{output:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

        #[test]
        fn chunks_do_not_matter(
            parts in proptest::collection::vec(prop_oneof![
                "[a-z\\n]{0,5}", "\\x1b\\[[0-9;]{0,4}[a-zA-Z]", "\\x1b\\][a-z]{0,4}(\\x07|\\x1b\\\\)", "\\x1b[(][A-Z0]", "[\\x00-\\x20é]",
            ], 0..20),
            cuts in proptest::collection::vec(0..6_usize, 0..40),
        ) {
            let whole = parts.concat().into_bytes();
            let (mut chunks, mut rest) = (Vec::new(), &whole[..]);
            for cut in cuts {
                let (chunk, after) = rest.split_at(cut.min(rest.len()));
                chunks.push(chunk);
                rest = after;
            }
            chunks.push(rest);
            prop_assert_eq!(plain(&chunks), plain(&[&whole]));
        }
    }
}
