//! Our names in messages.

use super::{Case, camel, options, request};
use crate::config::FIELDS;

/// Names of ours that stand in messages and are no field of a request, options or configuration.
const OTHERS: &[&str] =
    &["tail_bytes", "grace_ms", "deadline_ms", "continue_on_error", "max_concurrency", "stop_on_error", "end_input"];

impl Case {
    /// Returns a message as the sender writes names. Our names stand between backticks; text of the sender's stays as
    /// it is, also where it has backticks: it stands in quotes, or is a path.
    pub(crate) fn text(self, text: &str) -> String {
        if self == Self::Snake {
            return text.to_owned();
        }
        let quotes = Quotes::of(text);
        let mut message = String::with_capacity(text.len());
        let mut rest = 0;
        for (at, _) in text.match_indices('`') {
            if at < rest || quotes.contain(at) {
                continue;
            }
            let Some(name) = text[at + 1..].split('`').next() else { continue };
            let end = at + 1 + name.len();
            let stands_alone = is_border(text[..at].chars().next_back()) && is_border(text[end..].chars().nth(1));
            if text[end..].starts_with('`') && stands_alone && is_ours(name) {
                message.push_str(&text[rest..=at]);
                message.push_str(&camel(name));
                rest = end;
            }
        }
        message.push_str(&text[rest..]);
        message
    }
}

fn is_ours(name: &str) -> bool {
    let fields = [request::FIELDS, options::FIELDS, OTHERS].into_iter().flatten();
    fields.copied().chain(FIELDS.iter().map(|field| field.name)).any(|known| known == name)
}

/// Whether a name may end beside this character. In a path it may not.
fn is_border(beside: Option<char>) -> bool {
    beside.is_none_or(|it| it.is_whitespace() || "(),.:;?!'".contains(it))
}

/// The places where a message quotes text, with backslashes before quotes in it.
struct Quotes(Vec<(usize, usize)>);

impl Quotes {
    fn of(text: &str) -> Self {
        let mut found = Vec::new();
        let (mut open, mut escaped) = (None, false);
        for (at, letter) in text.char_indices() {
            match (letter, open) {
                ('\\', Some(_)) if !escaped => {
                    escaped = true;
                    continue;
                }
                ('"', Some(start)) if !escaped => {
                    found.push((start, at));
                    open = None;
                }
                ('"', None) => open = Some(at),
                _ => {}
            }
            escaped = false;
        }
        Self(found)
    }

    fn contain(&self, at: usize) -> bool {
        self.0.iter().any(|(start, end)| (*start..*end).contains(&at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_names_are_written_as_in_javascript() {
        for (text, wanted) in [
            ("above `max_timeout_ms` (5): raise `max_timeout_ms`", "above `maxTimeoutMs` (5): raise `maxTimeoutMs`"),
            ("`log_dir` needs a directory", "`logDir` needs a directory"),
            ("put options into `args`", "put options into `args`"),
        ] {
            assert_eq!(Case::Camel.text(text), wanted);
            assert_eq!(Case::Snake.text(text), text);
        }
    }

    #[test]
    fn text_of_the_sender_stays_as_it_is() {
        for text in [
            "program /no/`such_prog`/x does not exist",
            "program /no/`timeout_ms`/x does not exist",
            "program \"`timeout_ms`\" was not found",
            "program \"a\\\" `timeout_ms` b\" was not found",
            "`my_own_name` `",
            "a `b_c` d`e_f`",
            "``",
        ] {
            assert_eq!(Case::Camel.text(text), text);
        }
        let mixed = "program \"`kill_grace_ms`\" `: lower `max_concurrent_executions`";
        assert_eq!(Case::Camel.text(mixed), "program \"`kill_grace_ms`\" `: lower `maxConcurrentExecutions`");
    }
}
