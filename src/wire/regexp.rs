//! Translates a regular expression of JavaScript to the syntax of the crate `regex-lite`, which reads text as Unicode, and whose `\d`, `\w`,
//! `\s` and `\b` are ASCII.

use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::Chars;

use crate::types::{LONGEST_REGEX, NO_LOOK_AROUND, NO_UNICODE_CLASS, TOO_LONG};

const FLAGS: &str = "it has a flag other than i, m, s and u: leave it out";
const ESCAPE: &str = "it has an escape that is no character: correct it";

/// Translates an expression; an error gives the reason why that is not possible.
pub(super) fn translate(source: &str, flags: &str) -> Result<String, &'static str> {
    if !flags.chars().all(|flag| "imsu".contains(flag)) {
        return Err(FLAGS);
    }
    if source.len() > LONGEST_REGEX {
        return Err(TOO_LONG);
    }
    // R: a carriage return ends a line too.
    let mut pattern = format!("(?R{})", flags.replace('u', ""));
    let mut rest = source.chars().peekable();
    let (ignores_case, is_unicode) = (flags.contains('i'), flags.contains('u'));
    let mut in_class = false;
    while let Some(next) = rest.next() {
        match next {
            '\\' if is_unicode && rest.peek().is_some_and(|next| matches!(next, 'p' | 'P')) => {
                return Err(NO_UNICODE_CLASS);
            }
            '\\' => {
                if let Some(literal) = escape(&mut pattern, &mut rest, in_class)? {
                    push_literal(&mut pattern, &mut rest, literal, in_class, ignores_case)?;
                }
            }
            ']' if in_class => {
                in_class = false;
                pattern.push(']');
            }
            _ if in_class => push_literal(&mut pattern, &mut rest, next, true, ignores_case)?,
            '[' => in_class = open_class(&mut pattern, &mut rest),
            '(' if is_look_around(&rest) => return Err(NO_LOOK_AROUND),
            '{' if !is_count(&rest) => pattern.push_str(r"\{"),
            ']' => pattern.push_str(r"\]"),
            _ if next.is_ascii() => pattern.push(next),
            _ => push_literal(&mut pattern, &mut rest, next, false, ignores_case)?,
        }
    }
    Ok(pattern)
}

/// Adds a character, or in a class the range that it begins; if case is ignored, with those that differ in case alone.
fn push_literal(
    pattern: &mut String,
    rest: &mut Peekable<Chars<'_>>,
    first: char,
    in_class: bool,
    ignores_case: bool,
) -> Result<(), &'static str> {
    let last = if in_class { range_end(rest)? } else { None };
    let others = if ignores_case { other_cases(first, last.unwrap_or(first)) } else { Vec::new() };
    let (open, close) = if in_class || others.is_empty() { ("", "") } else { ("[", "]") };
    pattern.push_str(open);
    for (first, last) in std::iter::once((first, last.unwrap_or(first))).chain(others) {
        push_range(pattern, first, last);
    }
    pattern.push_str(close);
    Ok(())
}

fn push_range(pattern: &mut String, first: char, last: char) {
    push_code(pattern, first);
    if first != last {
        pattern.push('-');
        push_code(pattern, last);
    }
}

/// Takes the dash and the character that end a range, if they follow.
fn range_end(rest: &mut Peekable<Chars<'_>>) -> Result<Option<char>, &'static str> {
    let mut ahead = rest.clone();
    if ahead.next() != Some('-') {
        return Ok(None);
    }
    let last = match ahead.next() {
        None | Some(']') => None,
        Some('\\') => escape(&mut String::new(), &mut ahead, true)?,
        plain => plain,
    };
    if last.is_some() {
        *rest = ahead;
    }
    Ok(last)
}

/// Returns the ranges of characters beyond ASCII that differ in case alone from those of this range: `regex-lite`
/// ignores the case of ASCII alone.
fn other_cases(first: char, last: char) -> Vec<(char, char)> {
    /// The most characters of a range: an expression may have many ranges.
    const MOST: usize = 2_048;
    let is_other = |other: &char| !other.is_ascii() && !(first..=last).contains(other);
    let mut others: Vec<char> = (first..=last)
        .take(MOST)
        .flat_map(|one| [single(one.to_lowercase()), single(one.to_uppercase())])
        .flatten()
        .filter(is_other)
        .collect();
    others.sort_unstable();
    others.dedup();
    let mut ranges: Vec<(char, char)> = Vec::new();
    for other in others {
        match ranges.last_mut() {
            Some((_, end)) if u32::from(*end) + 1 == u32::from(other) => *end = other,
            _ => ranges.push((other, other)),
        }
    }
    ranges
}

/// Returns the other case if it is one character; a character that becomes several, such as an eszett, has none.
fn single(mut letters: impl ExactSizeIterator<Item = char>) -> Option<char> {
    if letters.len() == 1 { letters.next() } else { None }
}

/// Opens a class; `false`: it was one of the two that end at once.
fn open_class(pattern: &mut String, rest: &mut Peekable<Chars<'_>>) -> bool {
    let is_negated = rest.next_if_eq(&'^').is_some();
    if rest.next_if_eq(&']').is_some() {
        pattern.push_str(if is_negated { "(?s:.)" } else { r"[^\x00-\u{10ffff}]" });
        return false;
    }
    pattern.push_str(if is_negated { "[^" } else { "[" });
    true
}

fn is_look_around(rest: &Peekable<Chars<'_>>) -> bool {
    let mut rest = rest.clone();
    rest.next() == Some('?')
        && match rest.next() {
            Some('=' | '!') => true,
            Some('<') => matches!(rest.next(), Some('=' | '!')),
            _ => false,
        }
}

/// Whether `{` begins a repetition: `{2}`, `{2,}`, `{2,3}`.
fn is_count(rest: &Peekable<Chars<'_>>) -> bool {
    let mut rest = rest.clone();
    let mut digits = || {
        let mut count = 0;
        while rest.next_if(char::is_ascii_digit).is_some() {
            count += 1;
        }
        (count, rest.next())
    };
    match digits() {
        (0, _) => false,
        (_, Some(',')) => digits().1 == Some('}'),
        (_, next) => next == Some('}'),
    }
}

/// Returns the character that an escape is; adds what is a class or a border.
fn escape(pattern: &mut String, rest: &mut Peekable<Chars<'_>>, in_class: bool) -> Result<Option<char>, &'static str> {
    let next = rest.next().ok_or(ESCAPE)?;
    let code = match next {
        'd' | 'D' | 'w' | 'W' | 's' | 'S' => {
            pattern.extend(['\\', next]);
            // The dash after it is a character, and no range.
            if in_class && rest.next_if_eq(&'-').is_some() {
                pattern.push_str(r"\-");
            }
            return Ok(None);
        }
        'b' if in_class => 8,
        'b' | 'B' => {
            pattern.extend(['\\', next]);
            return Ok(None);
        }
        '1'..='9' | 'k' => return Err(NO_LOOK_AROUND),
        '0' => 0,
        't' => 9,
        'n' => 10,
        'v' => 11,
        'f' => 12,
        'r' => 13,
        'c' => u32::from(rest.next_if(char::is_ascii_alphabetic).ok_or(ESCAPE)?) % 32,
        'x' => hex(rest, 2).ok_or(ESCAPE)?,
        'u' => code_point(rest).ok_or(ESCAPE)?,
        _ => u32::from(next),
    };
    char::from_u32(code).map(Some).ok_or(ESCAPE)
}

/// Adds a character that has no meaning of its own.
fn push_code(pattern: &mut String, literal: char) {
    if literal.is_ascii_alphanumeric() || literal == '_' || !literal.is_ascii() {
        pattern.push(literal);
    } else {
        // Writing to a string cannot fail.
        let _ = write!(pattern, "\\u{{{:x}}}", u32::from(literal));
    }
}

/// Reads so many hexadecimal digits.
fn hex(rest: &mut Peekable<Chars<'_>>, digits: u32) -> Option<u32> {
    (0..digits).try_fold(0, |code, _| Some(code * 16 + rest.next()?.to_digit(16)?))
}

/// Reads the text after `\u`: four digits, two such halves of a pair, or any number of digits in braces.
fn code_point(rest: &mut Peekable<Chars<'_>>) -> Option<u32> {
    if rest.next_if_eq(&'{').is_some() {
        let digits: String = rest.by_ref().take_while(|next| *next != '}').collect();
        return u32::from_str_radix(&digits, 16).ok();
    }
    let first = hex(rest, 4)?;
    if !(0xd800..0xdc00).contains(&first) {
        return Some(first);
    }
    let (slash, u) = (rest.next()?, rest.next()?);
    let second = hex(rest, 4).filter(|second| slash == '\\' && u == 'u' && (0xdc00..0xe000).contains(second))?;
    Some(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00))
}

#[cfg(test)]
mod tests {
    use regex_lite::Regex;

    use super::*;

    fn finds(source: &str, flags: &str, text: &str) -> bool {
        let pattern = translate(source, flags).unwrap();
        Regex::new(&pattern).unwrap_or_else(|error| panic!("{source}: {error}")).is_match(text)
    }

    #[test]
    fn expressions_of_javascript_find_what_they_find_there() {
        for (source, flags, text, is_found) in [
            ("ThrottlingException", "", "x ThrottlingException", true),
            ("throttl\\w+", "i", "THROTTLING", true),
            ("^b$", "", "a\nb", false),
            ("^b$", "m", "a\r\nb\r\nc", true),
            ("a.b", "", "a\nb", false),
            ("a.b", "s", "a\nb", true),
            ("a.b", "u", "a\u{1f600}b", true),
            ("\\d{3}", "", "code 429", true),
            ("{\"error\"", "", "{\"error\": 1}", true),
            ("a{2,}", "", "caat", true),
            ("a{,2}", "", "a{,2}", true),
            ("x{2", "", "x{2", true),
            ("x{2,3", "", "x{2,3", true),
            ("^x{2,3}$", "", "xxx", true),
            ("{{{", "", "{{{", true),
            ("[[&&~]", "", "&", true),
            ("[\\w-.]+!", "", "a-.!", true),
            ("[a-]b", "", "-b", true),
            ("[^\\d\\s]", "", "1 2", false),
            ("[^]", "", "\n", true),
            ("[]", "", "a", false),
            ("]}", "", "]}", true),
            ("\\/\\-\\.", "", "/-.", true),
            ("\\u20ac\\x41\\u{42}", "u", "\u{20ac}AB", true),
            ("\\ud83d\\ude00", "", "\u{1f600}", true),
            ("\\bword\\b", "", "a word.", true),
            ("[\\b]", "", "\u{8}", true),
            ("(?<name>a)(?:b)", "", "ab", true),
            ("\u{e9}", "iu", "\u{c9}", true),
            ("^\\u00e9[\\xe9]$", "i", "\u{c9}\u{c9}", true),
            ("^[\u{e9}-\u{fc}]$", "i", "\u{dc}", true),
            ("^[\u{e9}-\u{fc}]$", "i", "\u{e0}", false),
            ("^[\\xc0-\\xd6]$", "i", "\u{f6}", true),
            ("^[\\xc0-\\xd6]$", "i", "\u{df}", false),
            ("^[\u{ff}-\u{101}]$", "i", "\u{100}", true),
            ("^[\u{430}-\u{44f}]+$", "i", "\u{41f}\u{440}\u{418}", true),
            ("^[^\u{e9}]$", "i", "\u{c9}", false),
            ("^[\\u0000-\\uffff]+$", "i", "a\u{c9}", true),
            ("^[a-f\\-.^x-]+$", "i", "A-.^F", true),
            ("^[+--]+$", "i", "+,-", true),
            ("^[\\w-z]+$", "i", "A-", true),
            ("\\cJ", "", "\n", true),
            ("\\q", "", "q", true),
            // Without the flag u, `\p` is a letter.
            ("^\\p{L}$", "", "p{L}", true),
            ("^[\\P]+$", "", "PP", true),
        ] {
            assert_eq!(finds(source, flags, text), is_found, "/{source}/{flags} in {text:?}");
        }
    }

    #[test]
    fn what_has_no_equal_is_refused() {
        for source in ["a(?=b)", "a(?!b)", "(?<=a)b", "(?<!a)b", "(a)\\1", "(?<n>a)\\k<n>"] {
            assert_eq!(translate(source, "").unwrap_err(), NO_LOOK_AROUND, "{source}");
        }
        for source in ["\\p{Lu}", "a\\P{L}+", "[\\p{Script=Greek}]"] {
            assert_eq!(translate(source, "u").unwrap_err(), NO_UNICODE_CLASS, "{source}");
        }
        for flags in ["g", "y", "v", "d", "ig"] {
            assert_eq!(translate("a", flags).unwrap_err(), FLAGS);
        }
        assert_eq!(translate(&"x{".repeat(LONGEST_REGEX), "").unwrap_err(), TOO_LONG);
        for source in ["\\ud83d", "\\xZZ", "\\u{110000}", "\\"] {
            assert_eq!(translate(source, "").unwrap_err(), ESCAPE, "{source}");
        }
    }
}
