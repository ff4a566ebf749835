//! Dismisses most special bytes by a look at what follows them, without decoding it.

/// Whether a byte may begin something else than itself.
#[inline]
pub(super) fn is_special(byte: u8) -> bool {
    const SPECIAL: [bool; 256] = {
        let mut table = [false; 256];
        let special = b"%+\\&'\"$\r\n";
        let mut at = 0;
        while at < special.len() {
            table[special[at] as usize] = true;
            at += 1;
        }
        table
    };
    SPECIAL[usize::from(byte)]
}

/// Whether a special byte, with the byte behind it, may begin one of the first symbols of a secret. `is_symbol` decides which bytes
/// these are.
pub(super) fn may_begin(byte: u8, next: u8, is_symbol: impl Fn(u8) -> bool) -> bool {
    match byte {
        b'\\' => match next {
            // Base64 has some of these, too; zsh the control characters of `\C-` and `\M-`.
            b'n' | b'r' | b'/' | b'u' | b'U' | b'x' | b'C' | b'M' | b'0'..=b'7' => true,
            b't' => is_symbol(b'\t'),
            b'a' => is_symbol(7),
            b'b' => is_symbol(8),
            b'v' => is_symbol(11),
            b'f' => is_symbol(12),
            b'e' | b'E' => is_symbol(27),
            other => !other.is_ascii_alphanumeric() && is_symbol(other),
        },
        b'%' => next.is_ascii_hexdigit() || matches!(next, b'u' | b'U'),
        b'\'' | b'"' => matches!(next, b'\'' | b'"' | b'$' | b'\\'),
        b'$' => next == b'\'',
        b'&' => matches!(next, b'#' | b'a' | b'l' | b'g' | b'q'),
        b'+' => is_symbol(b' '),
        b'\r' | b'\n' => true,
        _ => false,
    }
}

/// The meaning of a special byte, as far as a look at the bytes after it shows.
pub(super) enum Glance {
    /// The byte itself.
    Itself,
    /// The end of a line, which Base64 and hexadecimal may have within a secret.
    LineEnd,
    /// A text that begins with this byte.
    Byte(u8),
    /// A text that begins with the first byte, or one that begins with the second.
    Either(u8, u8),
    /// A quote, which stands for nothing within a secret that has begun.
    Quote,
    /// The decoder has to look.
    Unclear,
}

/// Dismisses most special bytes.
#[inline]
pub(super) fn glance(rest: &[u8]) -> Glance {
    let [byte, next, ..] = *rest else { return Glance::Unclear };
    match byte {
        b'\\' => match next {
            b'n' => Glance::Byte(b'\n'),
            b't' => Glance::Byte(b'\t'),
            b'r' => Glance::Byte(b'\r'),
            b'u' => four_digits(rest),
            other if other.is_ascii_alphanumeric() => Glance::Unclear,
            other => Glance::Byte(other),
        },
        b'%' if matches!(next, b'u' | b'U') => four_digits(rest),
        b'%' => match *rest {
            [_, high, low, ..] => match pair_of_digits(high, low) {
                None => Glance::Itself,
                Some(byte @ ..0x80) => Glance::Byte(byte),
                Some(byte) => Glance::Either(byte, 0xC0 | byte >> 6),
            },
            _ => Glance::Unclear,
        },
        b'\'' | b'"' => match next {
            b'\'' | b'"' | b'$' | b'\\' => Glance::Quote,
            _ => Glance::Itself,
        },
        b'$' if next == b'\'' => Glance::Quote,
        b'&' if matches!(next, b'#' | b'a' | b'l' | b'g' | b'q') => Glance::Unclear,
        b'+' => Glance::Byte(b' '),
        b'\r' | b'\n' => Glance::LineEnd,
        _ => Glance::Itself,
    }
}

/// Reads `\u00e9` or `%u00e9`.
fn four_digits(rest: &[u8]) -> Glance {
    let [_, _, a, b, c, d, ..] = *rest else { return Glance::Unclear };
    match (pair_of_digits(a, b), pair_of_digits(c, d)) {
        (Some(0xD8..=0xDF), _) => Glance::Unclear,
        (Some(0), Some(byte @ ..0x80)) => Glance::Byte(byte),
        (Some(high @ ..8), Some(low)) => Glance::Byte(0xC0 | high << 2 | low >> 6),
        (Some(high), Some(_)) => Glance::Byte(0xE0 | high >> 4),
        _ => Glance::Unclear,
    }
}

/// Returns the first byte of the symbol behind an escape of `byte`, if both are of one kind and it is easily read.
#[inline]
pub(super) fn glance_behind(rest: &[u8], byte: u8) -> Option<u8> {
    let len = match (rest[0], rest[1]) {
        // Only a part of the symbol is known.
        _ if byte >= 0x80 => return None,
        (b'%', b'u' | b'U') | (b'\\', b'u') => 6,
        (b'%', _) => 3,
        (b'\\', _) => 2,
        _ => 1,
    };
    let next = rest.get(len..)?;
    match *next.first()? {
        plain if !is_special(plain) => Some(plain),
        escape if escape == rest[0] => match glance(next) {
            Glance::Byte(byte) => Some(byte),
            _ => None,
        },
        _ => None,
    }
}

fn pair_of_digits(high: u8, low: u8) -> Option<u8> {
    const DIGITS: [u8; 256] = {
        let mut table = [0xFF; 256];
        let mut digit = 0_u8;
        while digit < 16 {
            table[b"0123456789abcdef"[digit as usize] as usize] = digit;
            table[b"0123456789ABCDEF"[digit as usize] as usize] = digit;
            digit += 1;
        }
        table
    };
    let (high, low) = (DIGITS[usize::from(high)], DIGITS[usize::from(low)]);
    ((high | low) < 16).then_some(high << 4 | low)
}
