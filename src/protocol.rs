//! Declares once the protocol between Rust and JavaScript.
//!
//! `binding` uses the numbers. `tests/generated` writes `lib/protocol.js` of them, and of the fields of results and events.

#[cfg(feature = "schema")]
use chrono::DateTime;
#[cfg(feature = "schema")]
use serde_json::Value as Json;
#[cfg(feature = "schema")]
use uuid::Uuid;

#[cfg(feature = "schema")]
use crate::event::{EventType, event_types};
#[cfg(feature = "schema")]
use crate::types::{ExecutionResult, ExecutionStatus, Reason, result_fields};

/// Generates constants for a list of named numbers, and a list of them.
macro_rules! numbers {
    ($(#[$attribute:meta])* $module:ident: $type:ty { $($(#[doc = $help:literal])+ $name:ident = $number:expr;)+ }) => {
        $(#[$attribute])*
        pub mod $module {
            $($(#[doc = $help])+ pub const $name: $type = $number;)+

            /// Each number with its name and its meaning.
            #[cfg(feature = "schema")]
            pub const ALL: &[(&str, u32, &str)] = &[$((stringify!($name), $name as u32, concat!($($help),+)),)+];
        }
    };
}

numbers! {
    /// The kind of a group of numbers in a batch, for a group that is not an event. An event has the number of its type.
    group: u8 {
        /// Lines of standard output as bytes.
        STDOUT_BYTES = 32;
        /// Lines of standard error as bytes.
        STDERR_BYTES = 33;
        /// The event `completed`, with the short form of its result.
        COMPLETED_BY_EXIT = 34;
        /// The event `failed`, with the short form of its result.
        FAILED_BY_EXIT = 35;
        /// The demand for standard input: the child can take more of it, or takes no more.
        INPUT = 36;
        /// The output of a terminal, as bytes.
        DATA_BYTES = 37;
    }
}

numbers! {
    /// The flags of a line. The number of a line in a batch is its length × `FLAGS` plus the sum of its flags.
    line: u8 {
        /// The line was unfinished after a time without output.
        PARTIAL = 1;
        /// The line is longer than a piece of a line may be.
        CONTINUED = 2;
        /// A single carriage return ended the line.
        CARRIAGE_RETURN = 4;
        /// The number of possible sums of the other flags.
        FLAGS = 8;
    }
}

numbers! {
    /// The flags of a submission.
    submit: u8 {
        /// JavaScript gets all events of the execution, and lines only as it releases them.
        PULLS = 1;
        /// The abort signal of the execution has fired already.
        ABORTED = 2;
        /// The input of the execution comes in pieces.
        FEEDS = 4;
        /// The request is the JSON text of a list of the request and the options.
        AS_TEXT = 8;
    }
}

/// Stands for an absent length or position.
pub const ABSENT: i8 = -1;

/// A field, as Rust declares it.
#[cfg(feature = "schema")]
#[derive(Debug, Clone)]
pub struct DeclaredField {
    /// The name in Rust.
    pub name: &'static str,
    /// The type in Rust, without blanks.
    pub kind: String,
    /// The documentation.
    pub help: &'static str,
}

/// A field of a result.
#[cfg(feature = "schema")]
#[derive(Debug, Clone)]
pub struct ResultField {
    /// The field as it is declared.
    pub field: DeclaredField,
    /// `always`, `nullable` or `optional`.
    pub presence: &'static str,
    /// The form of the field in the short form of a result.
    pub form: &'static str,
    /// The value in the short form, if the form is `usual`.
    pub usual: Option<Json>,
}

/// A type of event.
#[cfg(feature = "schema")]
#[derive(Debug, Clone)]
pub struct DeclaredEvent {
    /// The name on the wire.
    pub name: &'static str,
    /// The documentation.
    pub help: &'static str,
    /// `plain`, `carrying`, `line`, `data` or `end`.
    pub kind: &'static str,
    /// The name of the field with the id.
    pub id: &'static str,
    /// Whether JavaScript gets the event only while a listener to that very type exists.
    pub needs_own_listener: bool,
    /// The fields, except for those that all events have, in their order.
    pub fields: Vec<DeclaredField>,
}

/// Returns the fields of a result, in their order.
#[cfg(feature = "schema")]
#[must_use]
pub fn result() -> Vec<ResultField> {
    macro_rules! describe {
        ($(
            $(#[doc = $help:literal])+ $name:ident: $type:ty = $blank:expr, $presence:ident $form:ident $(($usual:expr))?;
        )+) => {
            vec![$(ResultField {
                field: DeclaredField { name: stringify!($name), kind: tight(stringify!($type)), help: concat!($($help),+) },
                presence: stringify!($presence),
                form: stringify!($form),
                usual: None $(.or_else(|| {
                    let mut result = ExecutionResult::blank(Uuid::nil(), ExecutionStatus::Completed, DateTime::UNIX_EPOCH);
                    result.$name = $usual;
                    serde_json::to_value(result.$name).ok()
                }))?,
            },)+]
        };
    }
    result_fields!(describe)
}

/// Returns the types of events. The number of a type is its place in the list.
#[cfg(feature = "schema")]
#[must_use]
pub fn events() -> Vec<DeclaredEvent> {
    macro_rules! describe {
        ($(
            $(#[doc = $help:literal])+ $name:ident = $word:literal, $kind:ident of $id:ident {
                $($(#[doc = $field_help:literal])+ $field:ident: $type:ty,)+
            }
        )+) => {
            vec![$(DeclaredEvent {
                name: $word,
                help: concat!($($help),+),
                kind: stringify!($kind),
                id: stringify!($id),
                needs_own_listener: EventType::$name.needs_own_listener(),
                fields: vec![$(DeclaredField {
                    name: stringify!($field),
                    kind: in_javascript(stringify!($kind), stringify!($type)),
                    help: concat!($($field_help),+),
                },)+],
            },)+]
        };
    }
    event_types!(describe)
}

/// Returns the type of a field in JavaScript. A text of a plain event, such as a prompt, is a string there whatever the encoding is.
#[cfg(feature = "schema")]
fn in_javascript(event: &str, kind: &str) -> String {
    let kind = tight(kind);
    if event == "plain" && kind == "Text" { "String".to_owned() } else { kind }
}

#[cfg(feature = "schema")]
fn tight(kind: &str) -> String {
    kind.replace(' ', "")
}
