//! Converts the value of a field for JavaScript: to JSON, to a number of a batch, or to a text of a batch.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::Serialize;
use uuid::Uuid;

use super::convert::{camel_json, metadata, milliseconds};
use super::error::camel_text;
use crate::types::{
    Diagnosis, Encoding, ErrorInfo, ExecutionMetadata, ExecutionStatus, FailedAttempt, Killed, Reason, Text,
};

/// The longest text in a batch, in bytes: longer text crosses by itself, and needs no quotes.
const LONGEST_WITHIN: usize = 1024;

pub(super) trait Cross {
    /// Returns whether the field has no value, so that an optional one has no key.
    fn is_absent(&self) -> bool {
        false
    }

    fn json(&self) -> impl Serialize + '_;

    fn number(&self) -> Option<f64> {
        None
    }

    /// Returns a text that is short enough for a batch.
    fn text(&self) -> Option<Cow<'_, str>> {
        None
    }
}

impl Cross for Uuid {
    fn json(&self) -> impl Serialize {
        *self
    }
}

impl Cross for bool {
    fn json(&self) -> impl Serialize {
        *self
    }

    fn number(&self) -> Option<f64> {
        Some(f64::from(u8::from(*self)))
    }
}

impl Cross for u32 {
    fn json(&self) -> impl Serialize {
        *self
    }

    fn number(&self) -> Option<f64> {
        Some(f64::from(*self))
    }
}

impl Cross for u64 {
    fn json(&self) -> impl Serialize {
        *self
    }

    fn number(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "nothing has 2^53 bytes or takes 2^53 ms")]
        Some(*self as f64)
    }
}

impl Cross for f64 {
    fn json(&self) -> impl Serialize {
        *self
    }

    fn number(&self) -> Option<f64> {
        Some(*self)
    }
}

/// An exit code. Windows has codes above 2^31, such as 0xC0000005; no system has negative ones.
impl Cross for i32 {
    fn json(&self) -> impl Serialize {
        self.cast_unsigned()
    }

    fn number(&self) -> Option<f64> {
        Some(f64::from(self.cast_unsigned()))
    }
}

/// Milliseconds.
impl Cross for DateTime<Utc> {
    fn json(&self) -> impl Serialize {
        milliseconds(*self)
    }

    fn number(&self) -> Option<f64> {
        Some(milliseconds(*self))
    }
}

impl Cross for String {
    fn json(&self) -> impl Serialize + '_ {
        self.as_str()
    }

    fn text(&self) -> Option<Cow<'_, str>> {
        (self.len() <= LONGEST_WITHIN).then(|| self.as_str().into())
    }
}

impl Cross for ExecutionStatus {
    fn json(&self) -> impl Serialize {
        self.as_str()
    }
}

impl Cross for Reason {
    fn json(&self) -> impl Serialize {
        self.as_str()
    }
}

impl Cross for PathBuf {
    fn json(&self) -> impl Serialize + '_ {
        Path::to_string_lossy(self)
    }
}

/// `null` if it is long or bytes: it crosses by itself.
impl Cross for Text {
    fn json(&self) -> impl Serialize + '_ {
        self.text()
    }

    fn text(&self) -> Option<Cow<'_, str>> {
        let is_within = self.encoding() == Encoding::Utf8 && self.raw().len() <= LONGEST_WITHIN;
        is_within.then(|| self.as_str().into())
    }
}

/// Writes the message as JavaScript words it.
impl Cross for ErrorInfo {
    fn json(&self) -> impl Serialize {
        Self { message: camel_text(&self.message), ..self.clone() }
    }
}

impl Cross for Killed {
    fn json(&self) -> impl Serialize + '_ {
        self
    }
}

impl Cross for Diagnosis {
    fn json(&self) -> impl Serialize {
        camel_json(self)
    }
}

/// Writes the date as text.
impl Cross for FailedAttempt {
    fn json(&self) -> impl Serialize {
        let mut json = camel_json(self);
        if let (Some(error), Some(message)) = (&self.error, json.pointer_mut("/error/message")) {
            *message = camel_text(&error.message).into();
        }
        json
    }
}

/// Writes JSON text, which is empty if there is no metadata.
impl Cross for ExecutionMetadata {
    fn json(&self) -> impl Serialize {
        metadata(self)
    }

    fn text(&self) -> Option<Cow<'_, str>> {
        let text = if *self == Self::default() { String::new() } else { metadata(self).to_string() };
        (text.len() <= LONGEST_WITHIN).then(|| text.into())
    }
}

impl<T: Cross> Cross for Option<T> {
    fn is_absent(&self) -> bool {
        self.is_none()
    }

    fn json(&self) -> impl Serialize + '_ {
        self.as_ref().map(T::json)
    }

    fn number(&self) -> Option<f64> {
        self.as_ref().and_then(T::number)
    }

    fn text(&self) -> Option<Cow<'_, str>> {
        self.as_ref().and_then(T::text)
    }
}

impl<T: Cross> Cross for Vec<T> {
    fn is_absent(&self) -> bool {
        self.is_empty()
    }

    fn json(&self) -> impl Serialize + '_ {
        self.iter().map(T::json).collect::<Vec<_>>()
    }
}

/// The name of a field in JavaScript: `exit_code` → `exitCode`, when the addon is built.
macro_rules! camel_name {
    ($field:ident) => {{
        const SNAKE: &str = stringify!($field);
        const CAMEL: [u8; $crate::binding::cross::camel_length(SNAKE)] = $crate::binding::cross::camel(SNAKE);
        const NAME: &str = match ::std::str::from_utf8(&CAMEL) {
            Ok(name) => name,
            Err(_) => panic!("a name of a field is ASCII"),
        };
        NAME
    }};
}
pub(super) use camel_name;

pub(super) const fn camel_length(snake: &str) -> usize {
    let (bytes, mut at, mut length) = (snake.as_bytes(), 0, 0);
    while at < bytes.len() {
        if bytes[at] != b'_' {
            length += 1;
        }
        at += 1;
    }
    length
}

pub(super) const fn camel<const LENGTH: usize>(snake: &str) -> [u8; LENGTH] {
    let (bytes, mut at, mut length) = (snake.as_bytes(), 0, 0);
    let mut name = [0; LENGTH];
    while at < bytes.len() {
        if bytes[at] != b'_' {
            let begins_word = at > 0 && bytes[at - 1] == b'_';
            name[length] = if begins_word { bytes[at].to_ascii_uppercase() } else { bytes[at] };
            length += 1;
        }
        at += 1;
    }
    name
}
