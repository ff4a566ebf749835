//! The behaviour of the engine, seen from its public API: one behaviour a file. `docs/faults.md` lists what is guaranteed.
//!
//! All of them are one program: it is linked once, and a test that needs a process of its own starts it again.

#[path = "../common/mod.rs"]
mod common;

// The tree of a command, and how it ends.
mod cancel_race;
mod cancel_twice;
mod cancel_while_queued;
mod exit_at_timeout;
mod grandchildren;
mod held_pipe;
mod ignored_sigterm;
mod stopped_child;
mod time_left;
mod timeouts;
mod zombies;

// The output of a command.
mod closed_output;
mod encoding;
mod event_stream;
mod feedback;
#[cfg(feature = "server-feedback")]
mod feedback_http;
mod floods;
mod handlers;
mod in_flight;
mod line_ends;
mod logging_handler;
mod nested_handlers;
mod odd_bytes;
mod open_stdin;
mod output_cap;
mod oversized_output;
mod secrets;

// The start of a command.
mod api;
mod arguments;
mod aws;
mod descriptors;
mod environment;
mod execute_many;
mod invalid_requests;
mod not_executable;
mod not_found;
mod program_lookup;
mod questions;
mod scripts;
mod shells;
mod signals;
mod special_files;
mod stdin;
mod terminal;
mod terminals;
mod working_dir;

// The engine around it.
mod any_executor;
mod at_the_limit;
mod blocked_host;
mod config;
mod configurations;
mod global;
mod groups;
mod limit;
mod logs;
mod metrics;
mod option_defaults;
mod options_of_one;
mod records;
mod results;
mod run_sync;
mod serde_forms;
mod shutdown;
