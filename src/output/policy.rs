//! The policy for the output of one execution: its options have precedence over the configuration.

use crate::config::{ExecutionConfig, LogFormat};
use crate::types::{Encoding, ExecutionOptions, LineMode, OversizedOutputStrategy, Stdin, TruncateKeep};

/// The settings by which the output of one execution is split, kept and emitted.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent of each other")]
pub(crate) struct OutputPolicy {
    /// Bytes of each stream that are kept in memory.
    pub(crate) cap: usize,
    pub(crate) strategy: OversizedOutputStrategy,
    pub(crate) keep: TruncateKeep,
    /// Standard output is a terminal.
    pub(super) is_terminal: bool,
    /// Whether lines become events.
    pub(crate) is_streamed: bool,
    /// The type in which JavaScript gets the output.
    pub(crate) encoding: Encoding,
    /// Whether lines are made at all: for events, or for a log that has them.
    pub(super) has_lines: bool,
    pub(super) lines: LineMode,
    /// Whether the end of each stream is kept apart, for patterns of a retry and for prompts.
    pub(super) keeps_recent: bool,
    pub(super) max_line_bytes: usize,
}

impl OutputPolicy {
    pub(crate) fn new(options: &ExecutionOptions, config: &ExecutionConfig) -> Self {
        let is_streamed = options.stream_output.unwrap_or(config.stream_output);
        Self {
            cap: options.max_output_size_bytes.unwrap_or(config.max_output_size_bytes),
            strategy: options.oversized_output_strategy.unwrap_or(config.oversized_output_strategy),
            keep: options.truncate_keep.unwrap_or(config.truncate_keep),
            is_terminal: options.terminal_size().is_some(),
            is_streamed,
            encoding: options.encoding.unwrap_or(config.encoding),
            has_lines: is_streamed || config.log_format == LogFormat::Jsonl,
            keeps_recent: options.retry.as_ref().is_some_and(|retry| !retry.on_output.is_empty())
                || matches!(options.stdin, Stdin::Stream(_) | Stdin::Open)
                || options.terminal_size().is_some(),
            lines: options.lines.unwrap_or(config.lines),
            max_line_bytes: config.max_line_bytes,
        }
    }
}
