//! Data from outside, decoded strictly: what is unknown, mistyped or out of range is refused by name.
//!
//! JavaScript objects and JSON text become the same [`Value`] first, so that both get the same checks and messages.

pub(crate) use self::config::{camel_settings, config};
pub(crate) use self::config_env::{config_env, texts};
pub(crate) use self::config_file::config_file;
pub(crate) use self::filter::{filter, login_shell, output_part, time_left};
pub(crate) use self::json::parse_json;
#[cfg(feature = "node")]
pub(crate) use self::json::{map_members, parse_two};
pub(crate) use self::options::{options, size};
pub(crate) use self::plan::{plan, plan_options};
pub(crate) use self::request::{ParsedRequest, id, request, request_of_list};

mod config;
mod config_env;
mod config_file;
mod fields;
mod filter;
mod json;
mod message;
mod metadata;
mod options;
mod plan;
mod regexp;
mod request;

/// A value as it came.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// JavaScript's; it means absent, as null does, and in free-form data nothing at all.
    Undefined,
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
    Bytes(Vec<u8>),
    /// A value that has no place in data, by its kind: `a function`, `a symbol`.
    Other(&'static str),
}

/// The spelling of the names of fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    /// The names of JavaScript: `workingDir`.
    Camel,
    /// The names on the wire and in Rust: `working_dir`.
    Snake,
}

impl Case {
    /// Returns a name of the engine, which is written in snake case, as the sender writes it.
    pub(crate) fn name(self, snake: &str) -> String {
        match self {
            Self::Snake => snake.to_owned(),
            Self::Camel => camel(snake),
        }
    }

    /// Whether a name is this one of ours, as the sender writes it.
    fn is(self, snake: &str, given: &str) -> bool {
        if self == Self::Snake {
            return snake == given;
        }
        let mut given = given.bytes();
        let mut begins_word = false;
        for byte in snake.bytes() {
            if byte == b'_' {
                begins_word = true;
                continue;
            }
            let expected = if std::mem::take(&mut begins_word) { byte.to_ascii_uppercase() } else { byte };
            if given.next() != Some(expected) {
                return false;
            }
        }
        given.next().is_none()
    }
}

/// Returns `workingDir` for `working_dir`.
pub(crate) fn camel(snake: &str) -> String {
    let mut name = String::with_capacity(snake.len());
    let mut words = snake.split('_');
    name.push_str(words.next().unwrap_or_default());
    for word in words {
        let mut letters = word.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(letters.as_str());
    }
    name
}

impl From<serde_json::Value> for Value {
    fn from(json: serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(flag) => Self::Bool(flag),
            serde_json::Value::Number(number) => Self::Number(number.as_f64().unwrap_or(f64::NAN)),
            serde_json::Value::String(text) => Self::Text(text),
            serde_json::Value::Array(items) => Self::List(items.into_iter().map(Self::from).collect()),
            serde_json::Value::Object(entries) => {
                Self::Map(entries.into_iter().map(|(key, value)| (key, Self::from(value))).collect())
            }
        }
    }
}

/// Describes a text that is not shown.
pub(crate) fn of_length(text: &str) -> String {
    format!("a string of length {}", text.chars().count())
}

/// Describes a number that is not shown.
fn kind_of(number: f64) -> &'static str {
    match number {
        _ if number.is_nan() => "a number (NaN)",
        _ if number.is_infinite() => "a number (infinite)",
        _ if number < 0.0 => "a number (negative)",
        _ if number.fract() != 0.0 => "a number (with a fraction)",
        _ => "a number",
    }
}

impl Value {
    /// Whether a field with it counts as not given.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Undefined | Self::Null)
    }

    /// Describes a value for people: the type and the length. A value is not shown: it may be a secret in the wrong
    /// place.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Undefined => "undefined".to_owned(),
            Self::Null => "null".to_owned(),
            Self::Bool(_) => "a boolean".to_owned(),
            Self::Number(number) => kind_of(*number).to_owned(),
            Self::Text(text) => of_length(text),
            Self::List(_) => "an array".to_owned(),
            Self::Map(_) => "an object".to_owned(),
            Self::Bytes(_) => "a byte array".to_owned(),
            Self::Other(kind) => (*kind).to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Invalid;
    use crate::types::Command;

    fn refused(json: &str, case: Case) -> Invalid {
        request(&parse_json(json).unwrap(), case).unwrap_err()
    }

    #[test]
    fn each_refusal_names_the_field_the_type_and_the_mend() {
        let table = [
            (r#"{"comand": {}}"#, "comand", "did you mean `command`?"),
            (
                r#"{"working_dir": "/", "command": {"type": "exec", "program": "a"}}"#,
                "working_dir",
                "did you mean `workingDir`?",
            ),
            (r"{}", "command", "it is missing"),
            (r#"{"command": "ls"}"#, "command", "it is a string of length 2: give an object"),
            (r#"{"command": {"type": "exec"}}"#, "command.program", "it is missing: give a string"),
            (
                r#"{"command": {"type": "exek", "program": "a"}}"#,
                "command.type",
                "give \"shell\", \"exec\", \"script\" or \"aws_cli\"",
            ),
            (
                r#"{"command": {"type": "exec", "program": "a", "args": ["b", 1]}}"#,
                "command.args[1]",
                "it is a number: give a string",
            ),
            (r#"{"command": {"type": "exec", "program": "a", "shell": "b"}}"#, "command.shell", "unknown field"),
            (
                r#"{"command": {"type": "exec", "program": "a"}, "timeoutMs": -1}"#,
                "timeoutMs",
                "it is a number (negative)",
            ),
            (r#"{"command": {"type": "exec", "program": "a"}, "timeoutMs": 1.5}"#, "timeoutMs", "give a whole number"),
            (r#"{"command": {"type": "exec", "program": "a"}, "timeoutMs": 9007199254740993}"#, "timeoutMs", "2^53"),
            (r#"{"command": {"type": "exec", "program": "a"}, "id": "x"}"#, "id", "not a UUID"),
            (r#"{"command": {"type": "exec", "program": "a"}, "env": {"A B": 1}}"#, "env[\"A B\"]", "give a string"),
            (
                r#"{"command": {"type": "exec", "program": "a"}, "metadata": {"label": 1}}"#,
                "metadata.label",
                "give a string",
            ),
        ];
        for (json, field, hint) in table {
            let invalid = refused(json, Case::Camel);
            assert_eq!(invalid.field, field, "{json}");
            assert!(invalid.problem.contains(hint), "{json}: {}", invalid.problem);
        }
    }

    #[test]
    fn null_means_absent_and_the_wire_form_is_snake_case() {
        let json = r#"{"id": null, "command": {"type": "script", "path": "a.sh", "interpreter": null},
            "working_dir": "/tmp", "timeout_ms": 5, "env": null, "output_log_path": null,
            "metadata": {"conversation_id": "c", "deep": [1, 2.5, {"a": null}]}}"#;
        let ParsedRequest { request, has_id } = request(&parse_json(json).unwrap(), Case::Snake).unwrap();
        assert!(!has_id);
        assert_eq!(request.command, Command::Script { path: "a.sh".into(), interpreter: None, args: Vec::new() });
        assert_eq!(request.timeout_ms, Some(5));
        assert_eq!(request.metadata.conversation_id.as_deref(), Some("c"));
        assert_eq!(request.metadata.extra["deep"], serde_json::json!([1, 2.5, {"a": null}]));
    }

    /// The data that serde writes is the data that the wire form reads.
    #[test]
    fn a_serialised_request_comes_back() {
        let sent = crate::types::ExecutionRequest {
            timeout_ms: Some(7),
            working_dir: Some("/".into()),
            env: [("A".to_owned(), "b".to_owned())].into(),
            ..crate::types::ExecutionRequest::new(Command::Shell { command: "ls".into(), shell: String::new() })
        };
        let json = serde_json::to_string(&sent).unwrap();
        let parsed = request(&parse_json(&json).unwrap(), Case::Snake).unwrap();
        assert!(parsed.has_id);
        assert_eq!(parsed.request, sent);
        assert_eq!(serde_json::from_str::<crate::types::ExecutionRequest>(&json).unwrap(), sent);
    }

    #[test]
    fn a_name_is_compared_as_it_is_written() {
        for snake in ["id", "working_dir", "max_output_size_bytes"] {
            assert!(Case::Camel.is(snake, &camel(snake)) && Case::Snake.is(snake, snake), "{snake}");
        }
        for other in ["working_dir", "workingdir", "workingDi", "workingDirs", "WorkingDir", ""] {
            assert!(!Case::Camel.is("working_dir", other), "{other}");
        }
        assert!(!Case::Snake.is("working_dir", "workingDir"));
    }

    #[test]
    fn the_last_of_several_equal_keys_counts_where_the_first_was() {
        let many = (0..40).map(|number| format!(r#", "key{number}": 0"#)).collect::<Vec<_>>().concat();
        for more in ["", &many] {
            let json = format!(r#"{{"a": 1, "b": 2, "a": 3{more}}}"#);
            let Value::Map(entries) = parse_json(&json).unwrap() else { panic!("it is an object") };
            assert_eq!(entries[..2], [("a".to_owned(), Value::Number(3.0)), ("b".to_owned(), Value::Number(2.0))]);
        }
    }
}
