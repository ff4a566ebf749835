//! Defines the options for the kept output, and for its lines.

use super::words;

words! {
    /// The action on output above the limit.
    #[derive(Default)]
    #[non_exhaustive]
    pub enum OversizedOutputStrategy {
        /// A part of the output is kept, with a marker that has the number of missing bytes.
        #[default]
        #[serde(alias = "TruncateWithWarning")]
        TruncateWithWarning = "truncate_with_warning",
        /// The execution is ended with `OUTPUT_SIZE_EXCEEDED`.
        #[serde(alias = "FailExecution")]
        FailExecution = "fail_execution",
        /// A part of the output is kept in memory, and all of it in a file, which is removed with the record.
        #[serde(alias = "StreamToFile")]
        StreamToFile = "stream_to_file",
    }
}

words! {
    /// The part of the output that is kept above the limit.
    #[derive(Default)]
    #[non_exhaustive]
    pub enum TruncateKeep {
        /// The first bytes.
        Head = "head",
        /// The last bytes.
        Tail = "tail",
        /// Half of the limit from each end.
        #[default]
        Both = "both",
    }
}

words! {
    /// The time at which a line becomes an event.
    #[derive(Default)]
    #[non_exhaustive]
    pub enum LineMode {
        /// An unfinished line is emitted after 200 ms without output, and the rest of it later.
        #[default]
        Pieces = "pieces",
        /// A line is emitted when it is complete. Only a line above `max_line_bytes` comes in pieces.
        Whole = "whole",
    }
}
