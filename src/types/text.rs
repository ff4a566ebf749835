//! Defines captured output: bytes that can be read as text.

use std::fmt;
use std::ops::Deref;
use std::sync::OnceLock;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Encoding;

/// The output of a command. It dereferences to a `&str`, in which bytes that are not UTF-8 are U+FFFD; [`Text::raw`] returns the bytes as
/// they were written.
#[derive(Default)]
pub struct Text {
    bytes: Vec<u8>,
    encoding: Encoding,
    /// The readable form of bytes that are not UTF-8, made when it is first read.
    lossy: OnceLock<String>,
}

impl Text {
    /// Creates a text from bytes, with its type in JavaScript.
    #[must_use]
    pub fn new(mut bytes: Vec<u8>, encoding: Encoding) -> Self {
        // Memory that was taken for more output would be kept with it.
        if bytes.capacity() > bytes.len() + bytes.len() / 8 {
            bytes.shrink_to_fit();
        }
        Self { bytes, encoding, lossy: OnceLock::new() }
    }

    /// Returns the type of the text in JavaScript. In Rust it can be read as both.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Returns the bytes as they were written.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the text, in which bytes that are not UTF-8 are U+FFFD. Unlike [`Text::as_str`], it keeps no copy.
    #[cfg(feature = "node")]
    pub(crate) fn decode(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }

    /// Returns the text, in which bytes that are not UTF-8 are U+FFFD.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match std::str::from_utf8(&self.bytes) {
            Ok(text) => text,
            Err(_) => self.lossy.get_or_init(|| String::from_utf8_lossy(&self.bytes).into_owned()),
        }
    }
}

impl From<Vec<u8>> for Text {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(bytes, Encoding::default())
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        match Self::from_utf8(text.bytes) {
            Ok(string) => string,
            Err(error) => {
                text.lossy.into_inner().unwrap_or_else(|| Self::from_utf8_lossy(error.as_bytes()).into_owned())
            }
        }
    }
}

impl Clone for Text {
    fn clone(&self) -> Self {
        Self::new(self.bytes.clone(), self.encoding)
    }
}

impl Deref for Text {
    type Target = str;
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Shows the number of bytes only: a debug text ends up in logs, and output can be private and large.
impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} bytes>", self.bytes.len())
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Text {}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialEq<String> for Text {
    fn eq(&self, other: &String) -> bool {
        self.as_str() == other
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| text.into_bytes().into())
    }
}

/// Describes the text as a string.
#[cfg(feature = "schema")]
impl schemars::JsonSchema for Text {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        String::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        String::json_schema(generator)
    }
}
