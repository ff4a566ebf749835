//! A result as JavaScript reads it. As JSON text it crosses at a third of the cost of an object that is made field by field.

use std::borrow::Cow;
use std::sync::Arc;

use napi::JsValue;
use napi::bindgen_prelude::{BufferSlice, Env, Unknown};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::cross::{Cross, camel_name};
use crate::platform::node::{ExternalMemory, shared_string};
use crate::types::{Encoding, ExecutionResult, Reason, Text, result_fields};

/// A shorter string is copied at less cost than the collector has with one that is not.
const SHORTEST_SHARED: usize = 64 * 1024;

/// A result that JavaScript holds until it has read it or the garbage collector removes it.
pub struct HeldResult(Option<(Arc<ExecutionResult>, ExternalMemory)>);

impl HeldResult {
    pub(super) fn new(env: Env, result: Arc<ExecutionResult>) -> Self {
        let bytes = usize::try_from(result.kept_bytes()).unwrap_or(usize::MAX);
        let memory = ExternalMemory::report(env, bytes);
        Self(Some((result, memory)))
    }

    /// Returns the result, unless it was released.
    pub(super) fn get(&self) -> napi::Result<&Arc<ExecutionResult>> {
        let gone = || napi::Error::from_reason("the result was released");
        self.0.as_ref().map(|(result, _)| result).ok_or_else(gone)
    }

    /// Releases the result, which JavaScript has read: a string that shares its memory keeps what it needs.
    pub(super) fn release(&mut self) {
        self.0 = None;
    }
}

/// Counts the fields of a form.
macro_rules! count {
    ($($form:ident)+, $wanted:ident) => {
        0 $(+ count!(@ $form $wanted))+
    };
    (@ number numbers) => { 1 };
    (@ date numbers) => { 1 };
    (@ text texts) => { 1 };
    (@ json texts) => { 1 };
    (@ $form:ident $wanted:ident) => { 0 };
}

/// Puts a field into the part of the short form that its declaration names.
macro_rules! shorten {
    (number, $value:expr, $numbers:ident, $texts:ident) => {
        *$numbers.next()? = $value.number()?;
    };
    (date, $value:expr, $numbers:ident, $texts:ident) => {
        shorten!(number, $value, $numbers, $texts);
    };
    (text, $value:expr, $numbers:ident, $texts:ident) => {
        *$texts.next()? = $value.text()?;
    };
    (json, $value:expr, $numbers:ident, $texts:ident) => {
        shorten!(text, $value, $numbers, $texts);
    };
    // `known` and `usual`: it is in no batch.
    ($form:ident, $value:expr, $numbers:ident, $texts:ident) => {};
}

macro_rules! add_field {
    (optional, $object:ident, $name:ident, $value:expr) => {
        if !$value.is_absent() {
            add_field!(always, $object, $name, $value);
        }
    };
    ($presence:ident, $object:ident, $name:ident, $value:expr) => {
        $object.serialize_entry(camel_name!($name), &$value.json())?;
    };
}

macro_rules! crossing {
    ($(
        $(#[doc = $help:literal])+ $name:ident: $type:ty = $blank:expr, $presence:ident $form:ident $(($usual:expr))?;
    )+) => {
        impl Serialize for AsJson<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut object = serializer.serialize_map(None)?;
                $(add_field!($presence, object, $name, self.0.$name);)+
                object.end()
            }
        }

        const NUMBERS: usize = count!($($form)+, numbers);
        const TEXTS: usize = count!($($form)+, texts);

        /// A result that contains an exit and nothing else, as most do: JavaScript makes the object of these fields at
        /// a third of the cost of JSON. They are in the order of the fields of a result.
        pub(super) struct Exited<'a> {
            pub(super) numbers: [f64; NUMBERS],
            pub(super) texts: [Cow<'a, str>; TEXTS],
        }

        impl<'a> Exited<'a> {
            pub(super) fn of(result: &'a ExecutionResult) -> Option<Self> {
                let is_usual = $($(result.$name == $usual &&)?)+ true;
                if !is_usual {
                    return None;
                }
                let mut exited = Self { numbers: [0.0; NUMBERS], texts: [const { Cow::Borrowed("") }; TEXTS] };
                let (mut numbers, mut texts) = (exited.numbers.iter_mut(), exited.texts.iter_mut());
                $(shorten!($form, result.$name, numbers, texts);)+
                Some(exited)
            }
        }
    };
}

/// A result as JSON. Its dates are milliseconds.
struct AsJson<'a>(&'a ExecutionResult);

result_fields!(crossing);

/// Returns a result as JSON text.
pub(super) fn result(result: &ExecutionResult) -> String {
    serde_json::to_string(&AsJson(result)).unwrap_or_default()
}

/// Returns a Buffer of its own, or a string; long ASCII is in memory once, for JavaScript and for the record.
pub(super) fn output<'env>(env: &'env Env, result: &Arc<ExecutionResult>, stderr: bool) -> napi::Result<Unknown<'env>> {
    let of: fn(&ExecutionResult) -> &Text = if stderr { |result| &result.stderr } else { |result| &result.stdout };
    let text = of(result);
    if text.encoding() == Encoding::Buffer {
        return Ok(BufferSlice::copy_from(env, text.raw())?.to_unknown());
    }
    // Plain ASCII needs no decoding.
    let is_ascii = text.raw().is_ascii();
    let string = if is_ascii && text.raw().len() >= SHORTEST_SHARED {
        shared_string(env, Arc::clone(result), |result| of(result).raw())?
    } else if is_ascii {
        env.create_string_latin1(text.raw())?
    } else {
        env.create_string(text.decode().as_ref())?
    };
    Ok(string.to_unknown())
}
