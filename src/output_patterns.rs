//! The patterns for which the output of a failed command is searched.

use memchr::memmem;
use regex_lite::{Regex, RegexBuilder};

use crate::error::Invalid;
use crate::types::{LONGEST_REGEX, NO_LOOK_AROUND, NO_UNICODE_CLASS, OutputPattern, TOO_LONG};

/// The most patterns: a longer list is meant for something else.
const MOST_PATTERNS: usize = 100;
/// The memory that one compiled expression may take, in bytes.
const MOST_BYTES: usize = 256 * 1024;
/// An expression of JavaScript may grow when it is translated.
const LONGEST_TRANSLATED: usize = 8 * LONGEST_REGEX;

/// Patterns that are ready to search.
pub(crate) struct OutputPatterns(Vec<Compiled>);

enum Compiled {
    Literal(Vec<u8>),
    Regex(Regex),
}

impl OutputPatterns {
    /// Compiles patterns; `field` is their path.
    pub(crate) fn new(field: &str, patterns: &[OutputPattern]) -> Result<Self, Invalid> {
        if patterns.len() > MOST_PATTERNS {
            let problem = format!("it has {} patterns: give {MOST_PATTERNS} at most", patterns.len());
            return Err(Invalid::new(field, problem));
        }
        let compile = |(index, pattern)| compile(pattern).map_err(|why| Invalid::new(format!("{field}[{index}]"), why));
        Ok(Self(patterns.iter().enumerate().map(compile).collect::<Result<_, _>>()?))
    }

    /// Whether one of them is in the text.
    pub(crate) fn are_in(&self, text: &[u8]) -> bool {
        self.0.iter().any(|pattern| match pattern {
            Compiled::Literal(literal) => memmem::find(text, literal).is_some(),
            Compiled::Regex(regex) => regex.is_match(&String::from_utf8_lossy(text)),
        })
    }
}

fn compile(pattern: &OutputPattern) -> Result<Compiled, &'static str> {
    match pattern {
        OutputPattern::Literal(text) if text.is_empty() => Err("it is empty, and so in every output: leave it out"),
        OutputPattern::Literal(text) => Ok(Compiled::Literal(text.clone().into_bytes())),
        OutputPattern::Regex(source) if source.len() > LONGEST_TRANSLATED => Err(TOO_LONG),
        OutputPattern::Regex(source) => {
            let compiled = RegexBuilder::new(source).size_limit(MOST_BYTES).build();
            compiled.map(Compiled::Regex).map_err(|error| explain(&error))
        }
    }
}

/// Returns a message without the expression, which the message of the error would contain.
fn explain(error: &regex_lite::Error) -> &'static str {
    let text = error.to_string();
    if text.contains("look-around") || text.contains("backreference") {
        NO_LOOK_AROUND
    } else if text.contains("Unicode character classes") {
        NO_UNICODE_CLASS
    } else if text.contains("size limit") {
        TOO_LARGE
    } else {
        NOT_REGULAR
    }
}

const TOO_LARGE: &str = "it is a regular expression that takes more than 256 KiB: use smaller repetitions";
const NOT_REGULAR: &str =
    "it is no regular expression that is supported here: correct it, or give the text itself as a string";

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(pattern: OutputPattern, text: &[u8]) -> bool {
        OutputPatterns::new("p", &[pattern]).unwrap().are_in(text)
    }

    #[test]
    fn literals_are_taken_as_they_are() {
        assert!(finds("a.b(".into(), b"xa.b(x"));
        assert!(!finds("a.b".into(), b"acb"));
        assert!(finds("€".into(), "\u{20ac}".as_bytes()));
    }

    #[test]
    fn expressions_read_any_bytes() {
        assert!(finds(OutputPattern::regex(r"(?i)throttl\w+\b"), b"\xff ThrottlingException\n"));
        assert!(finds(OutputPattern::regex(r"code \d+$"), b"code 17"));
        assert!(!finds(OutputPattern::regex("^b"), b"a\nb"));
        assert!(finds(OutputPattern::regex("(?m)^b"), b"a\nb"));
    }

    #[test]
    fn what_cannot_be_searched_is_refused_without_its_text() {
        for (pattern, says) in [
            (OutputPattern::regex("hunter2(?=x)"), "look-around"),
            (OutputPattern::regex("(?<!hunter2)x"), "look-around"),
            (OutputPattern::regex(r"(hunter2)\1"), "back-reference"),
            (OutputPattern::regex(r"hunter2\p{Lu}"), "list the characters"),
            (OutputPattern::regex(r"[\P{L}]hunter2"), "list the characters"),
            (OutputPattern::regex("hunter2("), "correct it"),
            (OutputPattern::regex("(hunter2{1000}){1000}"), "256 KiB"),
            ("".into(), "empty"),
        ] {
            let refused = OutputPatterns::new("retry.on_output", &[" ".into(), pattern]).err().unwrap();
            assert_eq!(refused.field, "retry.on_output[1]");
            assert!(refused.problem.contains(says) && !refused.problem.contains("hunter2"), "{}", refused.problem);
        }
        assert!(OutputPatterns::new("p", &vec!["x".into(); 101]).is_err());
    }
}
