//! The kinds of commands.

use std::path::PathBuf;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::absent;

/// The command of a request. The tag on the wire is `type`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(transform = strict_is_a_field))]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields, remote = "Self")]
#[non_exhaustive]
pub enum Command {
    /// A command line for a shell, with the full syntax of that shell.
    Shell {
        /// The command line, which is passed to the shell after `-c`.
        command: String,
        /// The shell: a path or a name on the child's `PATH`. Default, if it is empty: `/bin/bash`, else `/bin/sh`.
        #[serde(default, skip_serializing_if = "String::is_empty", deserialize_with = "absent::or_default")]
        shell: String,
    },
    /// A command line for bash that ends at the first command that fails, also within a pipeline, and at an unset variable: the options
    /// `errexit`, `nounset` and `pipefail`. On the wire it is `shell` with `"strict": true`.
    #[serde(skip)]
    StrictShell {
        /// The command line.
        command: String,
        /// The bash: a path or a name on the child's `PATH`. Default, if it is empty: `/bin/bash`, else the one on the child's `PATH`.
        shell: String,
    },
    /// A program and its arguments. No shell reads them.
    Exec {
        /// The program: a path (a relative one is resolved against the working directory) or a name on the child's `PATH`.
        program: String,
        /// The arguments after the program's own name. Default: none.
        #[serde(default, deserialize_with = "absent::or_default")]
        args: Vec<String>,
    },
    /// A script file, which the engine passes to its interpreter as a file.
    Script {
        /// The file. A relative path is resolved against the working directory.
        path: PathBuf,
        /// The interpreter. Default: the one that the script's `#!` line names, else the one for its extension.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        interpreter: Option<String>,
        /// The arguments of the script. Default: none.
        #[serde(default, deserialize_with = "absent::or_default")]
        args: Vec<String>,
    },
    /// A command of the AWS CLI, which runs without a pager and with unchanged output.
    AwsCli {
        /// The service, as in `aws <service>`: `s3`, `sts`, `ec2`.
        service: String,
        /// The operation, as in `aws s3 <command>`: `ls`, `describe-instances`.
        command: String,
        /// The arguments after the operation. Default: none.
        #[serde(default, deserialize_with = "absent::or_default")]
        args: Vec<String>,
        /// The value of `--profile`. Default: none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        profile: Option<String>,
        /// The value of `--region`. Default: none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        region: Option<String>,
    },
}

#[derive(Serialize)]
struct StrictLine<'a> {
    r#type: &'static str,
    command: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    shell: &'a str,
    strict: bool,
}

impl Serialize for Command {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::StrictShell { command, shell } => {
                StrictLine { r#type: "shell", command, shell, strict: true }.serialize(serializer)
            }
            // The function that serde derives is one of the type, which has precedence over that of the trait.
            other => Self::serialize(other, serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Command {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut value = serde_json::Value::deserialize(deserializer)?;
        let line = value.as_object_mut().filter(|fields| fields.get("type").is_some_and(|kind| kind == "shell"));
        let strict = line.and_then(|fields| fields.remove("strict"));
        let strict = absent::or_default(strict.unwrap_or_default()).map_err(D::Error::custom)?;
        Ok(match Self::deserialize(value).map_err(D::Error::custom)? {
            Self::Shell { command, shell } if strict => Self::StrictShell { command, shell },
            other => other,
        })
    }
}

/// Adds the field `strict` to the shell command of the schema, which has one kind of shell command.
#[cfg(feature = "schema")]
fn strict_is_a_field(schema: &mut schemars::Schema) {
    let kinds = schema.get_mut("oneOf").and_then(serde_json::Value::as_array_mut);
    let is_shell = |kind: &&mut serde_json::Value| kind["properties"]["type"]["const"] == "shell";
    if let Some(shell) = kinds.and_then(|kinds| kinds.iter_mut().find(is_shell)) {
        shell["properties"]["strict"] = serde_json::json!({
            "description": "Whether bash ends the line with the first command that fails, also within a pipeline, and at an unset variable.",
            "type": "boolean",
            "default": false,
        });
    }
}
