//! What is kept of output, and how it becomes lines.

use serde::{Deserialize, Serialize};

/// What happens to output above the cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OversizedOutputStrategy {
    /// Keep a part, with a marker that says how much is missing.
    #[default]
    #[serde(alias = "TruncateWithWarning")]
    TruncateWithWarning,
    /// End the execution with `OUTPUT_SIZE_EXCEEDED`.
    #[serde(alias = "FailExecution")]
    FailExecution,
    /// Keep a part, and all of it in a file that goes with the record.
    #[serde(alias = "StreamToFile")]
    StreamToFile,
}

/// Which part of too much output is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TruncateKeep {
    /// The first bytes.
    Head,
    /// The last bytes.
    Tail,
    /// Half of the cap from either end.
    #[default]
    Both,
}

/// When a line becomes an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LineMode {
    /// What there is of an unfinished line after 200 ms of silence, and its rest later.
    #[default]
    Pieces,
    /// A line when it is complete. Only one above `max_line_bytes` comes in pieces.
    Whole,
}
