//! Defines the request for an execution.

use std::collections::HashMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Command, absent};

/// The value in [`ExecutionRequest::env`] that removes an inherited variable; on the wire it is `null`. No environment can hold it.
pub const UNSET: &str = "\0";

/// The start of the value of a variable that is the output of a step; on the wire it is `{ "from": step }`.
const OUTPUT_OF: &str = "\0output of ";

/// Returns the value in [`ExecutionRequest::env`] of a step of a plan that stands for the trimmed standard output of another step, given by
/// its index or its id. The step then depends on that one.
///
/// ```
/// # use execution_engine::{Command, ExecutionRequest, output_of};
/// let publish = ExecutionRequest::new(Command::shell("publish \"$VERSION\"")).env("VERSION", output_of(0));
/// ```
#[must_use]
pub fn output_of(step: impl std::fmt::Display) -> String {
    format!("{OUTPUT_OF}{step}")
}

/// Returns the step whose output is the value of a variable; `None` for any other value.
pub(crate) fn step_of_output(value: &str) -> Option<&str> {
    value.strip_prefix(OUTPUT_OF)
}

/// A request: the command to run and the data about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(transform = remove_default_id))]
#[serde(deny_unknown_fields)]
pub struct ExecutionRequest {
    /// The id of the execution. If the wire form has none, a new one is generated.
    #[serde(default = "Uuid::new_v4", deserialize_with = "absent::or_fresh")]
    pub id: Uuid,
    /// The command to run.
    pub command: Command,
    /// Environment variables that are added to those that `inherit_env` selects. [`UNSET`] removes a variable that would be inherited.
    #[serde(default, skip_serializing_if = "HashMap::is_empty", with = "variables")]
    #[cfg_attr(feature = "schema", schemars(with = "HashMap<String, Option<String>>"))]
    pub env: HashMap<String, String>,
    /// The working directory of the command. A relative path is resolved against the host's working directory when the request is accepted,
    /// which is the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<PathBuf>,
    /// The timeout from the attempt to spawn to the end, in ms. Default: `default_timeout_ms` of the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// The file of an additional log, besides the one in `log_dir`: an absolute path. The engine creates the file for this user only, or
    /// appends to an existing regular file of this user. Links, pipes and devices are refused with `LOG_FAILED`. The file stays when the
    /// record is removed. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_log_path: Option<PathBuf>,
    /// The caller's data, which the result has too.
    #[serde(default, deserialize_with = "absent::or_default")]
    pub metadata: ExecutionMetadata,
}

/// Variables on the wire, where `null` is [`UNSET`].
mod variables {
    use std::collections::HashMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use uuid::Uuid;

    use super::{UNSET, output_of, step_of_output};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Variable {
        Text(String),
        Output(Output),
    }

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Output {
        from: StepReference,
    }

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum StepReference {
        Index(usize),
        Id(Uuid),
    }

    fn given(value: &str) -> Option<Variable> {
        if value == UNSET {
            return None;
        }
        let index = |step: &str| step.parse().ok().map(StepReference::Index);
        let step =
            step_of_output(value).and_then(|step| index(step).or_else(|| step.parse().ok().map(StepReference::Id)));
        Some(step.map_or_else(|| Variable::Text(value.to_owned()), |from| Variable::Output(Output { from })))
    }

    fn taken(value: Option<Variable>) -> String {
        match value {
            None => UNSET.to_owned(),
            Some(Variable::Text(text)) => text,
            Some(Variable::Output(Output { from: StepReference::Index(index) })) => output_of(index),
            Some(Variable::Output(Output { from: StepReference::Id(id) })) => output_of(id),
        }
    }

    pub(super) fn serialize<S: Serializer>(env: &HashMap<String, String>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(env.iter().map(|(name, value)| (name, given(value))))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HashMap<String, String>, D::Error> {
        let env = Option::<HashMap<String, Option<Variable>>>::deserialize(deserializer)?.unwrap_or_default();
        Ok(env.into_iter().map(|(name, value)| (name, taken(value))).collect())
    }
}

/// Removes the default of the id from the schema, since it differs each time.
#[cfg(feature = "schema")]
pub(super) fn remove_default_id(schema: &mut schemars::Schema) {
    if let Some(id) = schema.pointer_mut("/properties/id").and_then(serde_json::Value::as_object_mut) {
        id.remove("default");
    }
}

/// The caller's data, which the result has too. The engine keeps all of it. Listings show `label`, `source` and `conversation_id` and
/// filter by `label` and `source`; the `label` is the name of a step of a plan.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExecutionMetadata {
    /// The origin of the request: a playbook, a person, a schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The conversation to which the request belongs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<String>,
    /// A short name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Tags, which the engine does not interpret.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "absent::or_default")]
    pub tags: Vec<String>,
    /// Any other data that the caller keeps with the execution.
    #[serde(flatten)]
    pub extra: serde_json::Map<String, serde_json::Value>,
}

impl ExecutionMetadata {
    /// Returns the number of bytes that the data takes in memory.
    pub(crate) fn kept_bytes(&self) -> usize {
        let texts = [&self.source, &self.conversation_id, &self.label].into_iter().flatten().map(String::len);
        let tags = self.tags.iter().map(|tag| size_of::<String>() + tag.len());
        texts.sum::<usize>() + tags.sum::<usize>() + entries(&self.extra)
    }
}

fn entries(map: &serde_json::Map<String, serde_json::Value>) -> usize {
    map.iter().map(|(key, value)| size_of::<String>() + key.len() + size_of_val(value) + beyond(value)).sum()
}

/// Returns the number of bytes that a value takes on the heap.
fn beyond(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::String(text) => text.len(),
        serde_json::Value::Array(items) => items.iter().map(|item| size_of_val(item) + beyond(item)).sum(),
        serde_json::Value::Object(map) => entries(map),
        _ => 0,
    }
}
