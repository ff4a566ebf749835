//! Reads Base64 and hexadecimal, whatever stands between the characters.

/// The next symbol of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CodeChar {
    /// A character, and how many bytes of the stream stand for it.
    Char(u8, usize),
    /// The number of bytes that stand for nothing.
    Skip(usize),
    /// The bytes that follow decide.
    More,
    /// Another text.
    Other,
}

/// Reads Base64 of either alphabet, in lines, in JSON or in a URL. `in_gap`: a line has just ended.
pub(super) fn base64(rest: &[u8], in_gap: bool, is_end: bool) -> CodeChar {
    let incomplete = if is_end { CodeChar::Other } else { CodeChar::More };
    match rest[0] {
        byte @ (b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' | b'-' | b'_' | b'=') => CodeChar::Char(byte, 1),
        b'\r' | b'\n' => CodeChar::Skip(1),
        b' ' | b'\t' if in_gap => CodeChar::Skip(1),
        b'\\' => match rest.get(1) {
            Some(b'n' | b'r') => CodeChar::Skip(2),
            Some(b'/') => CodeChar::Char(b'/', 2),
            None => incomplete,
            _ => CodeChar::Other,
        },
        b'%' => match rest.get(1..3) {
            Some(b"2B" | b"2b") => CodeChar::Char(b'+', 3),
            Some(b"2F" | b"2f") => CodeChar::Char(b'/', 3),
            Some(b"3D" | b"3d") => CodeChar::Char(b'=', 3),
            None if matches!(rest.get(1), None | Some(b'2' | b'3')) => incomplete,
            _ => CodeChar::Other,
        },
        _ => CodeChar::Other,
    }
}

/// Reads hexadecimal, in lines or with blanks, commas, colons, hyphens or `0x` between two bytes.
pub(super) fn hex(rest: &[u8], in_gap: bool, between_bytes: bool, is_end: bool) -> CodeChar {
    match rest[0] {
        b'0' if in_gap && between_bytes => match rest.get(1) {
            Some(b'x' | b'X') => CodeChar::Skip(2),
            None if !is_end => CodeChar::More,
            _ => CodeChar::Char(b'0', 1),
        },
        byte if byte.is_ascii_hexdigit() => CodeChar::Char(byte, 1),
        b'\r' | b'\n' => CodeChar::Skip(1),
        b' ' | b'\t' if in_gap || between_bytes => CodeChar::Skip(1),
        b',' | b':' | b'-' if between_bytes => CodeChar::Skip(1),
        _ => CodeChar::Other,
    }
}

/// Returns the six bits of a character of Base64; `None` for its padding.
pub(super) fn value_of(char: u8) -> Option<u8> {
    Some(match char {
        b'A'..=b'Z' => char - b'A',
        b'a'..=b'z' => char - b'a' + 26,
        b'0'..=b'9' => char - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}
