//! The options for the kept output, and for its lines.

use super::words;

words! {
    /// What happens to output above the cap.
    #[derive(Default)]
    #[non_exhaustive]
    pub enum OversizedOutputStrategy {
        /// Keep a part, with a marker that gives the number of missing bytes.
        #[default]
        #[serde(alias = "TruncateWithWarning")]
        TruncateWithWarning = "truncate_with_warning",
        /// End the execution with `OUTPUT_SIZE_EXCEEDED`.
        #[serde(alias = "FailExecution")]
        FailExecution = "fail_execution",
        /// Keep a part, and all of it in a file that goes with the record.
        #[serde(alias = "StreamToFile")]
        StreamToFile = "stream_to_file",
    }
}

words! {
    /// Which part of too much output is kept.
    #[derive(Default)]
    #[non_exhaustive]
    pub enum TruncateKeep {
        /// The first bytes.
        Head = "head",
        /// The last bytes.
        Tail = "tail",
        /// Half of the cap from either end.
        #[default]
        Both = "both",
    }
}

words! {
    /// When a line becomes an event.
    #[derive(Default)]
    #[non_exhaustive]
    pub enum LineMode {
        /// What there is of an unfinished line after 200 ms of silence, and its rest later.
        #[default]
        Pieces = "pieces",
        /// A line when it is complete. Only one above `max_line_bytes` comes in pieces.
        Whole = "whole",
    }
}
