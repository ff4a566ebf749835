//! Secrets in the message of a refusal, which is made on the thread of the caller.

use std::collections::HashSet;

use super::{LEAST_BYTES, Secrets};
use crate::error::Invalid;

/// The number of secrets that are made ready in a millisecond.
const FEW: usize = 100;

/// Masks these secrets in short texts, which may be many. To make 100 000 secrets ready would take most of a second: if there are
/// many, those are left out that cannot be in the texts as they are.
pub(crate) fn mask_texts(texts: &mut [&mut String], mut secrets: Vec<&[u8]>) {
    #[cfg(test)]
    super::READ_HERE.set(super::READ_HERE.get() + secrets.len());
    if secrets.len() > FEW {
        keep_those_in(&texts.iter().map(|text| text.as_bytes()).collect::<Vec<_>>(), &mut secrets);
    }
    let Some(secrets) = Secrets::new(secrets) else { return };
    for text in texts {
        let masked = secrets.mask_shown(text);
        if *masked != **text {
            **text = masked.into_owned();
        }
    }
}

/// Does what [`mask_texts`] does, for a known number of texts.
fn mask_short<'s, const N: usize>(mut texts: [String; N], secrets: impl IntoIterator<Item = &'s [u8]>) -> [String; N] {
    mask_texts(&mut texts.each_mut(), secrets.into_iter().collect());
    texts
}

/// Returns a refusal with these secrets masked: a name in it, such as that of an unknown field, may be one.
pub(crate) fn mask_refusal<'s>(invalid: Invalid, secrets: impl IntoIterator<Item = &'s [u8]>) -> Invalid {
    let [field, problem] = mask_short([invalid.field, invalid.problem], secrets);
    Invalid { field, problem }
}

/// Leaves those secrets that may be in one of the texts, or of which a line may be: whatever is escaped in a message, letters and
/// digits are not, so all words of the secret are in it.
fn keep_those_in(texts: &[&[u8]], secrets: &mut Vec<&[u8]>) {
    let grams = Grams::of(texts);
    secrets.retain(|secret| parts(secret).any(|part| words(part).all(|word| grams.may_have(word))));
    // Parts of other words may have made up a word.
    if secrets.len() > FEW {
        let known: HashSet<&[u8]> = secrets.iter().flat_map(|secret| words(secret)).collect();
        let found = found_in(texts, known.into_iter().collect());
        secrets.retain(|secret| parts(secret).any(|part| words(part).all(|word| found.contains(word))));
    }
}

/// Returns the secret as a whole, and its lines that are secrets by themselves.
fn parts(secret: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = secret.split(|byte| *byte == b'\n').filter(|line| line.len() >= LEAST_BYTES);
    std::iter::once(secret).chain(lines)
}

/// Returns the words of a part that are worth a search.
fn words(part: &[u8]) -> impl Iterator<Item = &[u8]> {
    part.split(|byte| !byte.is_ascii_alphanumeric()).filter(|word| word.len() >= GRAM)
}

/// Returns which of these words are anywhere in the texts. The time grows with the length of the texts, however many
/// words begin alike.
fn found_in<'w>(texts: &[&[u8]], mut words: Vec<&'w [u8]>) -> HashSet<&'w [u8]> {
    words.sort_unstable();
    let mut found = HashSet::new();
    for text in texts {
        for begin in 0..text.len() {
            // The words that begin as the text does here.
            let mut alike = &words[..];
            for (depth, byte) in text[begin..].iter().enumerate() {
                let from = alike.partition_point(|word| word.get(depth) < Some(byte));
                let to = alike.partition_point(|word| word.get(depth) <= Some(byte));
                alike = &alike[from..to];
                let Some(first) = alike.first() else { break };
                if first.len() == depth + 1 {
                    found.insert(*first);
                }
            }
        }
    }
    found
}

const GRAM: usize = 4;
const GRAM_BITS: usize = 1 << 18;

/// The set of the groups of four bytes in some texts; it may contain others too.
struct Grams(Vec<u64>);

impl Grams {
    fn of(texts: &[&[u8]]) -> Self {
        let mut grams = Self(vec![0; GRAM_BITS / 64]);
        for gram in texts.iter().flat_map(|text| text.windows(GRAM)) {
            let (at, bit) = Self::place(gram);
            grams.0[at] |= bit;
        }
        grams
    }

    fn may_have(&self, word: &[u8]) -> bool {
        word.windows(GRAM).map(Self::place).all(|(at, bit)| self.0[at] & bit != 0)
    }

    fn place(gram: &[u8]) -> (usize, u64) {
        let number = gram.iter().fold(0_u32, |number, byte| (number << 8) | u32::from(*byte));
        let hash = number.wrapping_mul(0x9e37_79b1) as usize >> (32 - GRAM_BITS.trailing_zeros());
        (hash / 64, 1 << (hash % 64))
    }
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
        let kept = |text: &str, secrets: &[String]| {
            let mut kept = secrets.iter().map(String::as_bytes).collect();
            keep_those_in(&[text.as_bytes()], &mut kept);
            kept.len()
        };
        assert_eq!(kept("unknown field \"hunter22\"", &many("hunter22")), 1);
        assert_eq!(kept("a secret that is not here", &many("hunter22")), 0, "not all words are in it");
        // The text has all groups of four digits, and few of the numbers.
        let digits: String =
            (0..10_000).flat_map(|number| format!("{number:04}").into_bytes()).map(char::from).collect();
        let numbers: Vec<_> = (0..100_000).map(|number| format!("{:08}", number * 999)).collect();
        assert!(kept(&digits, &numbers) < 2_000);
    }

    #[test]
    fn text_without_a_secret_stays() {
        assert_eq!(mask_short(["short".to_owned()], [b"longer than the text".as_slice()]), ["short"]);
        assert_eq!(mask_short([String::new()], many("hunter22").iter().map(String::as_bytes)), [""]);
    }
}
