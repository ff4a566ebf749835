//! A regular expression of JavaScript in the syntax of the crate `regex-lite`, which reads text as Unicode, and whose `\d`, `\w`, `\s` and `\b` are ASCII.

use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::Chars;

use crate::types::{LONGEST_REGEX, NO_LOOK_AROUND, NO_UNICODE_CLASS, TOO_LONG};

const FLAGS: &str = "it has a flag other than i, m, s and u: leave it out";
const ESCAPE: &str = "it has an escape that is no character: correct it";

/// Translates an expression; an error says why that is not possible.
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
            '\\' => escape(&mut pattern, &mut rest, in_class)?,
            ']' if in_class => {
                in_class = false;
                pattern.push(']');
            }
            // Operators of sets there, and plain characters here.
            '[' | '&' | '~' if in_class => pattern.extend(['\\', next]),
            '-' if in_class && pattern.ends_with('-') => pattern.push_str(r"\-"),
            _ if in_class => push_either_case(&mut pattern, next, ignores_case, "", "", ""),
            '[' => in_class = open_class(&mut pattern, &mut rest),
            '(' if is_look_around(&rest) => return Err(NO_LOOK_AROUND),
            '{' if !is_count(&rest) => pattern.push_str(r"\{"),
            ']' => pattern.push_str(r"\]"),
            _ => push_either_case(&mut pattern, next, ignores_case, "(?:", "|", ")"),
        }
    }
    Ok(pattern)
}

/// Adds a character; if case is ignored, in both cases: `regex-lite` ignores that of ASCII alone.
fn push_either_case(pattern: &mut String, next: char, ignores_case: bool, open: &str, or: &str, close: &str) {
    let (lower, upper) = (next.to_lowercase(), next.to_uppercase());
    // One that becomes several, such as an eszett, stays as it is.
    if !ignores_case || next.is_ascii() || lower.clone().eq(upper.clone()) || lower.len() + upper.len() > 2 {
        pattern.push(next);
        return;
    }
    pattern.push_str(open);
    pattern.extend(lower);
    pattern.push_str(or);
    pattern.extend(upper);
    pattern.push_str(close);
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

fn escape(pattern: &mut String, rest: &mut Peekable<Chars<'_>>, in_class: bool) -> Result<(), &'static str> {
    let Some(next) = rest.next() else { return Err(ESCAPE) };
    match next {
        'd' | 'D' | 'w' | 'W' | 's' | 'S' => {
            pattern.extend(['\\', next]);
            // The dash after it is a character, and no range.
            if in_class && rest.next_if_eq(&'-').is_some() {
                pattern.push_str(r"\-");
            }
        }
        'b' if in_class => pattern.push_str(r"\x08"),
        '1'..='9' | 'k' => return Err(NO_LOOK_AROUND),
        '0' => pattern.push_str(r"\x00"),
        'b' | 'B' | 'n' | 'r' | 't' | 'v' | 'f' => pattern.extend(['\\', next]),
        'c' => {
            let letter = rest.next_if(char::is_ascii_alphabetic).ok_or(ESCAPE)?;
            push_code(pattern, u32::from(letter) % 32)?;
        }
        'x' => push_code(pattern, hex(rest, 2).ok_or(ESCAPE)?)?,
        'u' => {
            let code = code_point(rest).ok_or(ESCAPE)?;
            push_code(pattern, code)?;
        }
        _ if next.is_ascii_punctuation() => pattern.push_str(&regex_lite::escape(next.encode_utf8(&mut [0; 4]))),
        _ => pattern.push(next),
    }
    Ok(())
}

fn push_code(pattern: &mut String, code: u32) -> Result<(), &'static str> {
    char::from_u32(code).ok_or(ESCAPE)?;
    // Writing to a string cannot fail.
    let _ = write!(pattern, "\\u{{{code:x}}}");
    Ok(())
}

/// So many hexadecimal digits.
fn hex(rest: &mut Peekable<Chars<'_>>, digits: u32) -> Option<u32> {
    (0..digits).try_fold(0, |code, _| Some(code * 16 + rest.next()?.to_digit(16)?))
}

/// What follows `\u`: four digits, two such halves of a pair, or any number of digits in braces.
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
            ("\\cJ", "", "\n", true),
            ("\\q", "", "q", true),
            // Without the flag u it is a letter.
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
