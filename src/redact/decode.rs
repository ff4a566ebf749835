//! Decodes one symbol of a text, in each of the ways in which programs quote text.

use super::glance::is_special;

/// The quoting of the text at some place, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Quoting {
    /// Nothing has been decoded yet: each escape opens another way to read on.
    Unknown,
    /// Backslash escapes of JSON, C, `$'…'` and many more. `\xE9` is a byte.
    Backslash,
    /// Escapes of Python: `\xE9` is a character.
    CodePoints,
    /// `'…'` of a shell.
    Single,
    /// `'…'` of a shell within a word with backslashes: a line end, as Ruby quotes it.
    Island,
    /// `$'…'` within a word with backslashes, as zsh quotes control characters.
    DollarIsland,
    /// `"…"` of a shell.
    Double,
    /// The place between two quoted parts of a word of a shell.
    Gap,
    /// `%2F`.
    Percent,
    /// `%2F`, and `+` for a space.
    Form,
    /// Escapes of `escape()` of JavaScript: `%E9` is a character, and so is `%u20AC`.
    Escape,
    /// `&amp;`, `&#38;`.
    Entity,
    /// A quote is written twice: CSV, SQL.
    Doubled,
}

/// A token that can be read at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    /// Bytes of the text, and how many bytes of the stream stand for them.
    Symbol(Symbol, usize),
    /// No byte of the text; only the quoting changes.
    Switch(usize),
    /// The bytes that follow decide.
    More,
}

/// Holds one character at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Symbol {
    bytes: [u8; 4],
    count: u8,
}

impl Symbol {
    fn byte(byte: u8) -> Self {
        Self { bytes: [byte, 0, 0, 0], count: 1 }
    }

    fn code_point(number: u32) -> Option<Self> {
        let mut bytes = [0; 4];
        let count = char::from_u32(number)?.encode_utf8(&mut bytes).len();
        Some(Self { bytes, count: u8::try_from(count).ok()? })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.count)]
    }
}

/// Passes on each symbol that the beginning of `rest` can stand for, with the quoting that follows it. `rest` is not empty.
pub(super) fn decode(quoting: Quoting, rest: &[u8], is_end: bool, mut out: impl FnMut(Token, Quoting)) {
    let byte = rest[0];
    if quoting == Quoting::Unknown || !is_special(byte) {
        if quoting == Quoting::Gap {
            return gap(rest, is_end, &mut out);
        }
        out(Token::Symbol(Symbol::byte(byte), 1), quoting);
    }
    if quoting == Quoting::Unknown {
        return escapes(rest, is_end, &mut out);
    }
    if is_special(byte) {
        quoted(quoting, rest, is_end, &mut out);
    }
}

/// Reads what a byte can be besides itself where nothing is known of the quoting.
pub(super) fn escapes(rest: &[u8], is_end: bool, out: &mut impl FnMut(Token, Quoting)) {
    use Quoting::{Backslash, Doubled, Entity, Form, Gap, Percent, Unknown};
    match rest[0] {
        b'$' => dollar(Unknown, rest, is_end, out),
        b'%' => percent(Percent, rest, is_end, out),
        b'+' => out(Token::Symbol(Symbol::byte(b' '), 1), Form),
        b'\\' => backslash(Backslash, rest, is_end, out),
        b'&' => hand_out(entity(rest, is_end), Entity, out),
        quote @ (b'\'' | b'"') => {
            let goes_on = rest.get(1).map_or(!is_end, |next| matches!(next, b'\'' | b'"' | b'$' | b'\\'));
            if goes_on {
                out(Token::Switch(1), Gap);
            }
            hand_out(doubled(quote, rest, is_end), Doubled, out);
        }
        b'\r' => hand_out(line_end(rest, is_end), Unknown, out),
        _ => {}
    }
}

/// Reads what a special byte is within a known quoting.
fn quoted(quoting: Quoting, rest: &[u8], is_end: bool, out: &mut impl FnMut(Token, Quoting)) {
    use Quoting::{
        Backslash, CodePoints, DollarIsland, Double, Doubled, Entity, Escape, Form, Gap, Island, Percent, Single,
        Unknown,
    };
    let byte = rest[0];
    let itself = Token::Symbol(Symbol::byte(byte), 1);
    match (quoting, byte) {
        (Gap, _) => return gap(rest, is_end, out),
        (Backslash, b'$') => dollar(Backslash, rest, is_end, out),
        (DollarIsland, b'\'') => return out(Token::Switch(1), Backslash),
        (Backslash | CodePoints | DollarIsland, b'\\') => return backslash(quoting, rest, is_end, out),
        (Backslash, b'\'') => {
            out(Token::Switch(1), Gap);
            out(Token::Switch(1), Island);
        }
        (Island, b'\'') => {
            out(Token::Switch(1), Gap);
            return out(Token::Switch(1), Backslash);
        }
        (Single, b'\'') | (Double, b'"') => return out(Token::Switch(1), Gap),
        (Double, b'\\') => match rest.get(1) {
            None if !is_end => return out(Token::More, Double),
            Some(b'$' | b'`' | b'"' | b'\\' | b'!') => return out(Token::Symbol(Symbol::byte(rest[1]), 2), Double),
            _ => {}
        },
        (Percent | Form | Escape, b'%') => {
            let mut is_escape = false;
            percent(quoting, rest, is_end, &mut |token, quoting| {
                is_escape = true;
                out(token, quoting);
            });
            if is_escape {
                return;
            }
        }
        (Percent, b'+') => out(Token::Symbol(Symbol::byte(b' '), 1), Form),
        (Form, b'+') => return out(Token::Symbol(Symbol::byte(b' '), 1), Form),
        (Entity, b'&') => {
            if let Some(token) = entity(rest, is_end) {
                return out(token, Entity);
            }
        }
        (Doubled, b'\'' | b'"') => {
            if let Some(token) = doubled(byte, rest, is_end) {
                return out(token, Doubled);
            }
        }
        (_, b'\r') => hand_out(line_end(rest, is_end), quoting, out),
        (Unknown, _) => unreachable!("read by `escapes`"),
        _ => {}
    }
    out(itself, quoting);
}

fn hand_out(token: Option<Token>, quoting: Quoting, out: &mut impl FnMut(Token, Quoting)) {
    if let Some(token) = token {
        out(token, quoting);
    }
}

/// Reads the beginning of another quoted part.
fn dollar(outer: Quoting, rest: &[u8], is_end: bool, out: &mut impl FnMut(Token, Quoting)) {
    match rest.get(1) {
        Some(b'\'') => out(Token::Switch(2), Quoting::DollarIsland),
        None if !is_end => out(Token::More, outer),
        _ => {}
    }
}

/// Reads the place between two quoted parts, where only another one may follow, or an escaped character.
fn gap(rest: &[u8], is_end: bool, out: &mut impl FnMut(Token, Quoting)) {
    use Quoting::{Backslash, Double, Gap, Single};
    match (rest[0], rest.get(1)) {
        (b'\'', _) => out(Token::Switch(1), Single),
        (b'"', _) => out(Token::Switch(1), Double),
        (b'$', Some(b'\'')) => out(Token::Switch(2), Backslash),
        (b'$', Some(b'"')) => out(Token::Switch(2), Double),
        (b'\\', Some(byte)) if !byte.is_ascii_alphanumeric() => out(Token::Symbol(Symbol::byte(*byte), 2), Gap),
        (b'$' | b'\\', None) if !is_end => out(Token::More, Gap),
        _ => {}
    }
}

fn doubled(quote: u8, rest: &[u8], is_end: bool) -> Option<Token> {
    match rest.get(1) {
        Some(next) => (*next == quote).then_some(Token::Symbol(Symbol::byte(quote), 2)),
        None => (!is_end).then_some(Token::More),
    }
}

/// Reads `\r\n` where the secret has `\n`.
fn line_end(rest: &[u8], is_end: bool) -> Option<Token> {
    match rest.get(1) {
        Some(next) => (*next == b'\n').then_some(Token::Symbol(Symbol::byte(b'\n'), 2)),
        None => (!is_end).then_some(Token::More),
    }
}

/// Reads `%2F`, which is a byte or, as [`Quoting::Escape`] has it, a character; or `%u20AC`.
fn percent(quoting: Quoting, rest: &[u8], is_end: bool, out: &mut impl FnMut(Token, Quoting)) {
    use Quoting::Escape;
    if matches!(rest.get(1), Some(b'u' | b'U')) {
        return hand_out(utf16(rest, is_end), Escape, out);
    }
    let Some(number) = number(rest, 1, 2, 16, is_end) else { return };
    if let Number::Value(value @ 0x80..) = number
        && quoting != Quoting::Form
    {
        hand_out(Symbol::code_point(value).map(|char| Token::Symbol(char, 3)), Escape, out);
        if quoting == Escape {
            return;
        }
    }
    out(number.token(Symbol::byte(number.low_byte()), 3), quoting);
}

/// A number that was read, or [`Token::More`].
#[derive(Clone, Copy)]
enum Number {
    Value(u32),
    More,
}

impl Number {
    fn token(self, symbol: Symbol, len: usize) -> Token {
        match self {
            Self::Value(_) => Token::Symbol(symbol, len),
            Self::More => Token::More,
        }
    }

    fn low_byte(self) -> u8 {
        match self {
            Self::Value(value) => value.to_be_bytes()[3],
            Self::More => 0,
        }
    }
}

/// Reads exactly `count` digits at `from`.
fn number(rest: &[u8], from: usize, count: usize, radix: u32, is_end: bool) -> Option<Number> {
    let mut value = 0_u32;
    for at in from..from + count {
        let Some(byte) = rest.get(at) else { return (!is_end).then_some(Number::More) };
        value = value.wrapping_mul(radix) + char::from(*byte).to_digit(radix)?;
    }
    Some(Number::Value(value))
}

fn backslash(quoting: Quoting, rest: &[u8], is_end: bool, out: &mut impl FnMut(Token, Quoting)) {
    use Quoting::CodePoints;
    let Some(&kind) = rest.get(1) else {
        if !is_end {
            out(Token::More, quoting);
        }
        return;
    };
    let token = match kind {
        b'x' => match number(rest, 2, 2, 16, is_end) {
            Some(Number::Value(value)) => {
                if value >= 0x80
                    && let Some(char) = Symbol::code_point(value)
                {
                    out(Token::Symbol(char, 4), CodePoints);
                }
                let is_byte = value < 0x80 || quoting != CodePoints;
                is_byte.then(|| Token::Symbol(Symbol::byte(Number::Value(value).low_byte()), 4))
            }
            other => other.map(|_| Token::More),
        },
        b'u' if rest.get(2) == Some(&b'{') => braced(rest, is_end),
        b'u' => utf16(rest, is_end),
        b'U' => number(rest, 2, 8, 16, is_end).and_then(|value| code_point(value, 10)),
        b'0'..=b'7' => octal(rest, is_end),
        b'a' => Some(Token::Symbol(Symbol::byte(7), 2)),
        b'b' => Some(Token::Symbol(Symbol::byte(8), 2)),
        b't' => Some(Token::Symbol(Symbol::byte(b'\t'), 2)),
        b'n' => Some(Token::Symbol(Symbol::byte(b'\n'), 2)),
        b'v' => Some(Token::Symbol(Symbol::byte(11), 2)),
        b'f' => Some(Token::Symbol(Symbol::byte(12), 2)),
        b'r' => Some(Token::Symbol(Symbol::byte(b'\r'), 2)),
        b'e' | b'E' => Some(Token::Symbol(Symbol::byte(27), 2)),
        b'C' | b'M' => modified(rest, is_end),
        other => (!other.is_ascii_alphanumeric()).then(|| Token::Symbol(Symbol::byte(other), 2)),
    };
    hand_out(token, quoting, out);
}

/// Reads `\C-a`, `\M-a` and `\M-\C-a`, as zsh writes control characters, and in the C locale bytes that are not ASCII.
fn modified(rest: &[u8], is_end: bool) -> Option<Token> {
    let more = (!is_end).then_some(Token::More);
    let (mut at, mut is_control, mut is_meta) = (0, false, false);
    loop {
        match (rest.get(at), rest.get(at + 1), rest.get(at + 2)) {
            (Some(b'\\'), Some(b'C'), Some(b'-')) if !is_control => is_control = true,
            (Some(b'\\'), Some(b'M'), Some(b'-')) if !is_meta => is_meta = true,
            (Some(b'\\'), Some(b'C' | b'M') | None, None) | (None, ..) => return more,
            (Some(b'\\'), Some(byte), _) if at > 0 && !byte.is_ascii_alphanumeric() => {
                at += 1;
                break;
            }
            (Some(b'\\'), ..) => return None,
            _ => break,
        }
        at += 3;
    }
    let byte = *rest.get(at)?;
    let byte = match (is_control, byte) {
        (true, b'?') => 0x7f,
        (true, byte) => byte & 0x1f,
        (false, byte) => byte,
    };
    Some(Token::Symbol(Symbol::byte(if is_meta { byte | 0x80 } else { byte }), at + 1))
}

fn code_point(number: Number, len: usize) -> Option<Token> {
    match number {
        Number::Value(value) => Symbol::code_point(value).map(|symbol| Token::Symbol(symbol, len)),
        Number::More => Some(Token::More),
    }
}

/// Reads `\u00e9` or `%u00e9`, or two of them for a character beyond 16 bits.
fn utf16(rest: &[u8], is_end: bool) -> Option<Token> {
    let Number::Value(first) = number(rest, 2, 4, 16, is_end)? else { return Some(Token::More) };
    if !(0xD800..0xDC00).contains(&first) {
        return code_point(Number::Value(first), 6);
    }
    for at in [6, 7] {
        match rest.get(at) {
            None if !is_end => return Some(Token::More),
            Some(byte) if byte.eq_ignore_ascii_case(&rest[at - 6]) => {}
            _ => return None,
        }
    }
    let Number::Value(second) = number(rest, 8, 4, 16, is_end)? else { return Some(Token::More) };
    if !(0xDC00..0xE000).contains(&second) {
        return None;
    }
    code_point(Number::Value(0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00)), 12)
}

/// Reads `\u{e9}`.
fn braced(rest: &[u8], is_end: bool) -> Option<Token> {
    digits(rest, 3, 6, 16, b'}', is_end)
}

/// Reads up to `most` digits and the character that ends them.
fn digits(rest: &[u8], from: usize, most: usize, radix: u32, end: u8, is_end: bool) -> Option<Token> {
    let mut value = 0_u32;
    for at in from..=from + most {
        match rest.get(at) {
            None => return (!is_end).then_some(Token::More),
            Some(byte) if *byte == end && at > from => return code_point(Number::Value(value), at + 1),
            Some(byte) => value = value.wrapping_mul(radix) + char::from(*byte).to_digit(radix)?,
        }
    }
    None
}

/// Reads one to three digits, as many as there are.
fn octal(rest: &[u8], is_end: bool) -> Option<Token> {
    let mut value = 0;
    for at in 1..4 {
        match rest.get(at) {
            None if !is_end => return Some(Token::More),
            Some(byte @ b'0'..=b'7') => value = value * 8 + u32::from(byte - b'0'),
            _ => return Some(Token::Symbol(Symbol::byte(u8::try_from(value).ok()?), at)),
        }
    }
    Some(Token::Symbol(Symbol::byte(u8::try_from(value).ok()?), 4))
}

fn entity(rest: &[u8], is_end: bool) -> Option<Token> {
    const NAMES: [(&[u8], u8); 5] =
        [(b"&amp;", b'&'), (b"&lt;", b'<'), (b"&gt;", b'>'), (b"&quot;", b'"'), (b"&apos;", b'\'')];
    match (rest.get(1), rest.get(2)) {
        (Some(b'#'), Some(b'x' | b'X')) => return digits(rest, 3, 6, 16, b';', is_end),
        (Some(b'#'), Some(_)) => return digits(rest, 2, 7, 10, b';', is_end),
        (Some(b'#') | None, None) => return (!is_end).then_some(Token::More),
        _ => {}
    }
    let token = |(name, byte): &(&[u8], u8)| {
        if rest.starts_with(name) {
            return Some(Token::Symbol(Symbol::byte(*byte), name.len()));
        }
        (!is_end && name.starts_with(rest)).then_some(Token::More)
    };
    NAMES.iter().find_map(token)
}
