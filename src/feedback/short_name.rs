//! The one kind of text in a status.

use std::fmt;

use serde::{Serialize, Serializer};

const LONGEST: usize = 64;

/// A name of 1 to 64 bytes: letters, digits, spaces, and `- _ . , : / # @ + ( )`. It is a value of a fixed size, without memory of its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ShortName {
    length: u8,
    bytes: [u8; LONGEST],
}

impl ShortName {
    /// Returns the text as such a name; `None` for any other text, which is never cut to fit.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let is_allowed = |letter: char| letter.is_alphanumeric() || " -_.,:/#@+()".contains(letter);
        if text.is_empty() || text.len() > LONGEST || !text.chars().all(is_allowed) {
            return None;
        }
        let mut bytes = [0; LONGEST];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Some(Self { length: u8::try_from(text.len()).ok()?, bytes })
    }

    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or_default()
    }
}

impl fmt::Display for ShortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ShortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl Serialize for ShortName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_and_other_texts_are_not() {
        for name in ["x", "nightly backup", "deploy/api #3 (blue)", "größe", "SIGKILL", &"x".repeat(64)] {
            assert_eq!(ShortName::new(name).unwrap().as_str(), name);
        }
        for other in
            ["", "a\nb", "echo $HOME", "a=b", "a|b", "a;b", "it's", "***", "\0", &"x".repeat(65), &"ö".repeat(33)]
        {
            assert_eq!(ShortName::new(other), None, "{other:?}");
        }
    }
}
