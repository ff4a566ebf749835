//! Globs over names, of environment variables and of groups: `*`, `?`, `[a-z]`, `[!a-z]`, `{a,b}`, and `\` before a character that
//! stands for itself.

use std::mem;
use std::ops::RangeInclusive;
use std::str::Chars;

use crate::error::Invalid;

/// `{a,b}{a,b}…` doubles with each pair.
const MOST_ALTERNATIVES: usize = 1_000;
/// The longest pattern, in bytes: a name, or a list of many names.
const LONGEST: usize = 4_096;
/// The longest text of all alternatives together: a pattern is configuration, and must not fill the memory.
const MOST_STEPS: usize = 2_000_000;

/// Checks each pattern; `field[index]` is named.
pub(crate) fn check(field: &str, patterns: &[String]) -> Result<(), Invalid> {
    patterns.iter().enumerate().try_for_each(|(index, pattern)| check_one(&format!("{field}[{index}]"), pattern))
}

/// Checks the pattern that is at `path`.
pub(crate) fn check_one(path: &str, pattern: &str) -> Result<(), Invalid> {
    let problem = |problem| format!("it is not a glob ({problem}): use *, ?, [a-z] and {{a,b}}");
    parse(pattern).map(drop).map_err(|why| Invalid::new(path, problem(why)))
}

/// Patterns of several sources. A name matches if one of them describes all of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Globs {
    globs: Vec<Glob>,
    ignore_case: bool,
}

impl Globs {
    /// Makes globs of patterns, without those that [`check`] refuses.
    pub(crate) fn new<'a>(patterns: impl IntoIterator<Item = &'a str>, ignore_case: bool) -> Self {
        Self { globs: patterns.into_iter().filter_map(|pattern| parse(pattern).ok()).flatten().collect(), ignore_case }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.globs.is_empty()
    }

    pub(crate) fn is_match(&self, name: &str) -> bool {
        self.globs.iter().any(|glob| is_match(glob, name, self.ignore_case))
    }
}

/// A pattern without alternatives.
type Glob = Vec<GlobToken>;

#[derive(Debug, Clone)]
enum GlobToken {
    /// Any number of characters.
    Many,
    /// One of these characters, or one that is none of them.
    One {
        ranges: Vec<RangeInclusive<char>>,
        negated: bool,
    },
    Char(char),
}

impl GlobToken {
    fn takes(&self, char: char, ignore_case: bool) -> bool {
        match self {
            Self::Many => false,
            Self::Char(own) => char == *own || (ignore_case && upper(char) == upper(*own)),
            Self::One { ranges, negated } => {
                let holds = |char| ranges.iter().any(|range| range.contains(&char));
                let found = holds(char) || (ignore_case && (holds(upper(char)) || holds(lower(char))));
                found != *negated
            }
        }
    }
}

/// Goes back to the last `*` only: an earlier one could not do more. So the time is the product of the lengths at most.
fn is_match(glob: &[GlobToken], name: &str, ignore_case: bool) -> bool {
    let (mut at, mut rest) = (0, name.chars());
    let mut retry: Option<(usize, Chars<'_>)> = None;
    loop {
        match glob.get(at) {
            Some(GlobToken::Many) => {
                at += 1;
                retry = Some((at, rest.clone()));
                continue;
            }
            Some(step) => {
                let mut after = rest.clone();
                if after.next().is_some_and(|char| step.takes(char, ignore_case)) {
                    (at, rest) = (at + 1, after);
                    continue;
                }
            }
            None if rest.as_str().is_empty() => return true,
            None => {}
        }
        // The `*` takes one character more.
        let Some((after_star, from)) = &mut retry else { return false };
        if from.next().is_none() {
            return false;
        }
        (at, rest) = (*after_star, from.clone());
    }
}

/// Returns the alternatives that a pattern stands for.
fn parse(pattern: &str) -> Result<Vec<Glob>, &'static str> {
    // For each open `{`, this holds the text before it, and its complete alternatives.
    let mut open: Vec<(Vec<Glob>, Vec<Glob>)> = Vec::new();
    if pattern.len() > LONGEST {
        return Err("it is longer than 4 096 bytes");
    }
    let mut now: Vec<Glob> = vec![Vec::new()];
    let mut chars = pattern.chars();
    while let Some(char) = chars.next() {
        let step = match char {
            '{' => {
                open.push((mem::replace(&mut now, vec![Vec::new()]), Vec::new()));
                continue;
            }
            ',' => match open.last_mut() {
                Some((_, complete)) => {
                    complete.append(&mut now);
                    now.push(Vec::new());
                    continue;
                }
                None => GlobToken::Char(','),
            },
            '}' => {
                let (before, mut complete) = open.pop().ok_or("`}` without `{`")?;
                complete.append(&mut now);
                let alternatives = before.len() * complete.len();
                if alternatives > MOST_ALTERNATIVES {
                    return Err("it has more than 1 000 alternatives");
                }
                if alternatives * pattern.len() > MOST_STEPS {
                    return Err("it has too many alternatives for its length");
                }
                now = before.iter().flat_map(|start| complete.iter().map(|end| [&start[..], end].concat())).collect();
                continue;
            }
            '*' => GlobToken::Many,
            '?' => GlobToken::One { ranges: Vec::new(), negated: true },
            '[' => class(&mut chars)?,
            '\\' => GlobToken::Char(chars.next().ok_or("nothing follows the last `\\`")?),
            char => GlobToken::Char(char),
        };
        for glob in &mut now {
            glob.push(step.clone());
        }
    }
    if open.is_empty() { Ok(now) } else { Err("`{` without `}`") }
}

/// Parses the text after `[` up to the `]` that ends it. A `]` at the beginning stands for itself, and so does a `-` at
/// an end.
fn class(chars: &mut Chars<'_>) -> Result<GlobToken, &'static str> {
    const UNCLOSED: &str = "`[` without `]`";
    let negated = chars.as_str().starts_with(['!', '^']);
    if negated {
        chars.next();
    }
    let mut ranges = Vec::new();
    loop {
        let first = chars.next().ok_or(UNCLOSED)?;
        if first == ']' && !ranges.is_empty() {
            return Ok(GlobToken::One { ranges, negated });
        }
        let is_range = chars.as_str().starts_with('-') && !chars.as_str().starts_with("-]");
        let last = if is_range { chars.nth(1).ok_or(UNCLOSED)? } else { first };
        if last < first {
            return Err("a range goes from the lower to the higher character");
        }
        ranges.push(first..=last);
    }
}

/// Returns the upper case of a character; a character that would become several is returned as it is.
fn upper(char: char) -> char {
    let mut upper = char.to_uppercase();
    if upper.len() == 1 { upper.next().unwrap_or(char) } else { char }
}

fn lower(char: char) -> char {
    let mut lower = char.to_lowercase();
    if lower.len() == 1 { lower.next().unwrap_or(char) } else { char }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[track_caller]
    fn check(pattern: &str, matching: &[&str], others: &[&str]) {
        let globs = Globs::new([pattern], false);
        assert!(!globs.is_empty(), "{pattern} is a glob");
        for name in matching {
            assert!(globs.is_match(name), "{pattern} is {name}");
        }
        for name in others {
            assert!(!globs.is_match(name), "{pattern} is not {name}");
        }
    }

    #[test]
    fn whole_names_match_in_their_case() {
        check("", &[""], &["A"]);
        check("HOME", &["HOME"], &["home", "HOMES", "MY_HOME", ""]);
        check("*", &["", "A", "a/b\nü"], &[]);
        check("LC_*", &["LC_", "LC_ALL"], &["LC", "XLC_ALL"]);
        check("*TOKEN*", &["TOKEN", "A_TOKEN", "TOKTOKEN_B"], &["TOKE", "TOK_EN"]);
        check("AWS_*KEY*ID", &["AWS_KEYID", "AWS_A_KEY_KEY_B_IDID"], &["AWS_ID", "AWS_KEY_I"]);
        check("A**B", &["AB", "AxB"], &["A"]);
        check("A?C", &["ABC", "AüC", "A/C"], &["AC", "ABBC"]);
    }

    #[test]
    fn a_class_is_one_character() {
        check("[a-cX]1", &["a1", "c1", "X1"], &["d1", "A1", "1", "ab1"]);
        check("[!a-c]", &["d", "-"], &["a", "", "dd"]);
        check("[^a]", &["b"], &["a", "^b"]);
        check("[]a]", &["]", "a"], &["b"]);
        check("[!]a]", &["b"], &["]", "a"]);
        check("[-a]", &["-", "a"], &["b"]);
        check("[a-]", &["-", "a"], &["b"]);
        check("[*?{},\\]", &["*", "?", "{", ",", "\\"], &["a"]);
    }

    #[test]
    fn braces_hold_alternatives() {
        check("{a,b}", &["a", "b"], &["{a,b}", "", "ab"]);
        check("x{a*,,{b,c}d}y", &["xay", "xaay", "xy", "xbdy", "xcdy"], &["xdy", "xby"]);
        check("{a,b}{c,d}", &["ac", "ad", "bc", "bd"], &["ab", "a"]);
        check("a,b", &["a,b"], &["a", "b"]);
        check(r"\{a\,b\}\*\\", &[r"{a,b}*\"], &["a"]);
        check(r"{a\,b,c}", &["a,b", "c"], &["a"]);
    }

    #[test]
    fn case_is_ignored_where_names_ignore_it() {
        let globs = Globs::new(["Path", "l[c-d]_*", "[!a]1", "ß", "ärger"], true);
        for name in ["PATH", "path", "LC_ALL", "lD_", "b1", "ß", "ÄRGER"] {
            assert!(globs.is_match(name), "{name}");
        }
        for name in ["PAT", "LE_", "a1", "A1", "SS"] {
            assert!(!globs.is_match(name), "{name}");
        }
    }

    #[test]
    fn what_is_no_glob_is_refused() {
        let patterns =
            ["[", "a[b", "[]", "[!", "[a-", "[z-a]", "{a", "{a,{b}", "a}", "{a}}", "\\", &"{a,b}".repeat(10)];
        for pattern in patterns {
            let problem = super::check("f", &["GOOD_*".to_owned(), pattern.to_owned()]).unwrap_err().to_string();
            assert!(problem.contains("f[1]") && problem.contains("is not a glob"), "{pattern}: {problem}");
            assert!(Globs::new([pattern], false).is_empty());
        }
        assert!(parse(&"{a,b}".repeat(9)).is_ok_and(|globs| globs.len() == 512));
        assert!(parse(&"{".repeat(100_000)).is_err());
    }

    #[test]
    fn no_name_takes_long() {
        let globs = Globs::new(["*a*a*a*a*a*a*a*b"], false);
        let begun = Instant::now();
        assert!(!globs.is_match(&"a".repeat(100_000)));
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }

    #[test]
    fn no_pattern_fills_the_memory() {
        for pattern in ["a".repeat(5_000), format!("{{{}a}}{}", "a,".repeat(900), "x".repeat(2_000))] {
            assert!(parse(&pattern).is_err(), "{} bytes", pattern.len());
        }
        assert!(parse(&format!("{{{}a}}", "a,".repeat(900))).is_ok());
    }
}
