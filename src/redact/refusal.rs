//! Secrets in the message of a refusal, which is made on the thread of the caller.

use std::collections::HashSet;

use memchr::memmem;

use super::Secrets;
use crate::error::Invalid;

/// So few secrets are made ready in a millisecond.
const FEW: usize = 100;
const GRAM: usize = 4;

/// Masks these secrets in short texts. To make 100 000 secrets ready would take most of a second: if there are many, those are left
/// out that cannot be in the texts as they are.
pub(crate) fn mask_texts(texts: &mut [String], mut secrets: Vec<&[u8]>) {
    if secrets.len() > FEW {
        let searched: Vec<_> = texts.iter().map(|text| (text.as_bytes(), grams_of(text))).collect();
        let may_be_in_one = |line| searched.iter().any(|(text, grams)| may_be_in(text, grams, line));
        secrets.retain(|secret| lines(secret).any(may_be_in_one));
    }
    let Some(secrets) = Secrets::new(secrets) else { return };
    for text in texts {
        *text = secrets.mask(text).into_owned();
    }
}

/// [`mask_texts`] with a known number of texts.
fn mask_short<'s, const N: usize>(mut texts: [String; N], secrets: impl IntoIterator<Item = &'s [u8]>) -> [String; N] {
    mask_texts(&mut texts, secrets.into_iter().collect());
    texts
}

/// A refusal with these secrets masked: a name in it, such as that of an unknown field, may be one.
pub(crate) fn mask_refusal<'s>(invalid: Invalid, secrets: impl IntoIterator<Item = &'s [u8]>) -> Invalid {
    let [field, problem] = mask_short([invalid.field, invalid.problem], secrets);
    Invalid { field, problem }
}

fn grams_of(text: &str) -> HashSet<&[u8]> {
    text.as_bytes().windows(GRAM).collect()
}

/// Each is a secret by itself, if it is long enough.
fn lines(secret: &[u8]) -> impl Iterator<Item = &[u8]> {
    secret.split(|byte| *byte == b'\n')
}

/// Whether the longest word of a line is in the text: whatever is escaped in a message, letters and digits are not.
fn may_be_in<'t>(text: &'t [u8], grams: &HashSet<&'t [u8]>, line: &[u8]) -> bool {
    let words = line.split(|byte| !byte.is_ascii_alphanumeric());
    let word = words.max_by_key(|word| word.len()).unwrap_or_default();
    word.get(..GRAM).is_none_or(|gram| grams.contains(gram) && memmem::find(text, word).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn many(more: &str) -> Vec<String> {
        (0..1_000).map(|number| format!("a secret that is not there {number}")).chain([more.to_owned()]).collect()
    }

    #[test]
    fn a_secret_among_many_is_masked_as_it_is_and_as_a_message_escapes_it() {
        for (secret, text) in [
            ("hunter22", "unknown field \"hunter22\""),
            ("hunter \"22\"", r#"env["hunter \"22\""]"#),
            ("\"\"''\"\"''", r#"env["\"\"''\"\"''"]"#),
            ("hunter22\nand more of it", "unknown field `and more of it`"),
            ("a\u{e9}\u{e9}\u{e9}b", "unknown field a\u{e9}\u{e9}\u{e9}b"),
        ] {
            let secrets = many(secret);
            let [masked] = mask_short([text.to_owned()], secrets.iter().map(String::as_bytes));
            assert!(masked.contains("***"), "{masked}");
            assert!(
                !masked.contains("hunter") && !masked.contains("and more") && !masked.contains('\u{e9}'),
                "{masked}"
            );
        }
    }

    #[test]
    fn what_cannot_be_in_the_text_is_not_made_ready() {
        let text = "unknown field \"hunter22\"";
        let grams = grams_of(text);
        let kept =
            |secrets: &[String]| secrets.iter().filter(|it| may_be_in(text.as_bytes(), &grams, it.as_bytes())).count();
        assert_eq!(kept(&many("hunter22")), 1);
    }

    #[test]
    fn text_without_a_secret_stays() {
        assert_eq!(mask_short(["short".to_owned()], [b"longer than the text".as_slice()]), ["short"]);
        assert_eq!(mask_short([String::new()], many("hunter22").iter().map(String::as_bytes)), [""]);
    }
}
