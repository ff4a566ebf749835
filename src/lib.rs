//! Runs system commands: streams their lines, ends them on time with their whole process tree, bounds the memory and disk space
//! that their output takes, and returns a result with the exact outcome.
//!
//! ```
//! use std::time::Duration;
//!
//! use execution_engine::{Command, ExecutionConfig, ExecutionEngine, ExecutionEvent, ExecutionRequest};
//!
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = ExecutionEngine::new(ExecutionConfig::default())?;
//!
//! // A command that fails is a result; `into_success` makes it an error.
//! let request = ExecutionRequest::new(Command::exec("echo").arg("hello")).timeout(Duration::from_secs(5));
//! let result = engine.run(request).await?.into_success()?;
//! assert_eq!(result.stdout, "hello\n");
//!
//! // Its events, as they happen. Dropping the stream cancels the command.
//! let mut events = engine.stream(Command::shell("echo one; echo two >&2").into())?;
//! while let Some(event) = events.next().await {
//!     match event {
//!         ExecutionEvent::Stdout { line, .. } => println!("{line}"),
//!         ExecutionEvent::Stderr { line, .. } => eprintln!("{line}"),
//!         _ => {}
//!     }
//! }
//! # Ok(()) }
//! ```
//!
//! # Where to look
//!
//! | To | see |
//! | --- | --- |
//! | run commands, wait for them, cancel them | [`ExecutionEngine`] |
//! | describe what to run | [`Command`], [`ExecutionRequest`] |
//! | set how this host runs it | [`ExecutionOptions`], [`Retry`], [`Stdin`] |
//! | run several in an order | [`ExecutionPlan`], [`ExecutionStrategy`], [`PlanOptions`] |
//! | set limits, logs, secrets, retention | [`ExecutionConfig`] |
//! | follow what happens | [`EventStream`], [`EventHandler`], [`ExecutionEvent`] |
//! | read the result | [`ExecutionResult`], [`ExecutionStatus`], [`Reason`] |
//! | handle errors | [`ExecutionError`], [`ErrorCode`] |
//! | report how executions end | [`FeedbackSink`], [`ExecutionFeedback`] |
//! | look at the engine | [`ExecutionFilter`], [`ExecutionStats`], [`ConcurrencyMetrics`] |
//!
//! # Modules
//!
//! All names are in the root too.
//!
//! | Module | Contents |
//! | --- | --- |
//! | [`prelude`] | what most programs import |
//! | [`types`] | requests, options, plans, results, listings |
//! | [`config`] | the configuration of an engine |
//! | [`event`] | events and their handlers |
//! | [`error`] | errors |
//!
//! # Features
//!
//! None is on by default.
//!
//! | Feature | What it adds |
//! | --- | --- |
//! | `schema` | `schemars::JsonSchema` for the types that are data |
//! | `server-feedback` | `HttpFeedback`, which sends the status of executions to a server, and nothing of what they ran or wrote |
//! | `node` | the binding of the Node.js package; no API of Rust |
//! | `bench` | what the benchmarks of this crate measure; no API, and it changes at any time |
//!
//! # What holds everywhere
//!
//! - **Executors.** Commands, timers and files are handled by threads of the engine, so a busy runtime delays no command and no timeout.
//!   The futures may be awaited on any executor.
//! - **Cancel safety.** A future that only waits can be dropped, and nothing changes. The exceptions say so in their documentation:
//!   dropping the future of [`ExecutionEngine::run`] or [`ExecutionEngine::run_plan`], or an [`EventStream`], cancels the execution or
//!   plan.
//! - **Units** are in the names: `_ms`, `_secs`, `_bytes`.
//! - **New fields.** Results, events and most lists are `#[non_exhaustive]`. Requests, plans, options and the configuration can be
//!   written as literals: end those of options and the configuration with `..Default::default()`, since fields may be added.
//! - **Nothing prints output.** No `Debug` text and no message of an error contains output of a command.
//!
//! It runs on Linux, macOS and Windows.

// `docs/architecture.md` lists the modules, the private ones too. A module uses only modules above it in that table; `tests/structure`
// checks this.

pub mod config;
pub mod error;
pub mod event;
pub mod types;

mod catch_panic;
mod command;
mod engine;
mod feedback;
mod globs;
mod guardian;
mod metrics;
mod output;
mod output_patterns;
mod plan;
mod platform;
mod process;
mod redact;
mod registry;
mod retained_store;
mod runtime;
mod scheduler;
mod state;
mod supervise;
#[cfg_attr(
    not(feature = "node"),
    expect(dead_code, unused_imports, reason = "options, configuration and filters come as data only from Node.js")
)]
mod wire;

#[cfg(feature = "node")]
mod binding;

/// The interface for `tests/generated`.
#[cfg(any(feature = "node", feature = "schema"))]
#[doc(hidden)]
pub mod protocol;

/// The interface for the measurements in `benches/core/`.
#[cfg(any(test, feature = "bench"))]
#[doc(hidden)]
pub mod bench;

pub use async_trait::async_trait;

pub use config::{ConcurrencyPolicy, ConfigLayer, ExecutionConfig, LogFormat};
pub use engine::{EventStream, ExecutionEngine, LoginShell};
pub use error::{ExecutionError, Invalid, Result};
pub use event::{EventHandler, ExecutionEvent, LoggingEventHandler, MultiEventHandler, NoopEventHandler};
pub use feedback::{ExecutionFeedback, FeedbackSink, ShortName};
#[cfg(feature = "server-feedback")]
pub use feedback::{HttpFeedback, HttpFeedbackOptions, HttpFeedbackTotals};
pub use types::{
    Command, ConcurrencyMetrics, Diagnosis, Encoding, EnvSnapshot, ErrorCode, ErrorInfo, ExecutionFilter,
    ExecutionMetadata, ExecutionOptions, ExecutionPlan, ExecutionRequest, ExecutionResult, ExecutionStats,
    ExecutionStatus, ExecutionStrategy, ExecutionSummary, FailedAttempt, InheritEnv, Leftovers, LineMode,
    OutputPattern, OversizedOutputStrategy, Percentiles, PlanExecutionResult, PlanOptions, PlanStats, PlanStep, Reason,
    ResourceLimits, Retry, RetryOn, Secret, SkipReason, SkippedStep, Stdin, StdinClosed, StdinStream, StdinWriter,
    StepInput, StepStatus, StopOrder, StopSignal, Stream, TerminalMode, TerminalSize, Text, TruncateKeep, UNSET,
    Unsuccessful, WaitsFor, When, output_of,
};

/// The names that most programs need: `use execution_engine::prelude::*`. It has no name of the standard library's own
/// prelude.
pub mod prelude {
    #[doc(no_inline)]
    pub use crate::{
        Command, EventHandler, EventStream, ExecutionConfig, ExecutionEngine, ExecutionError, ExecutionEvent,
        ExecutionOptions, ExecutionPlan, ExecutionRequest, ExecutionResult, ExecutionStatus,
    };
}

/// The interface for the fuzzer in `fuzz/`.
#[cfg(fuzzing)]
#[doc(hidden)]
pub use output::fuzz_output;
#[cfg(fuzzing)]
pub use redact::fuzz_redact;

// Types of other crates that the API has, so that a program needs none of these crates, nor the same versions of them.
#[doc(no_inline)]
pub use chrono::{DateTime, Utc};
#[doc(no_inline)]
pub use std::collections::HashMap;
#[doc(no_inline)]
pub use tokio_util::sync::CancellationToken;
#[doc(no_inline)]
pub use uuid::Uuid;

/// The documentation's own examples, as tests.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../README.md")]
    struct Readme;
    #[doc = include_str!("../docs/api.md")]
    struct Api;
    #[doc = include_str!("../docs/architecture.md")]
    struct Architecture;
    #[doc = include_str!("../docs/cargo.md")]
    struct Cargo;
    #[doc = include_str!("../docs/configuration.md")]
    struct Configuration;
    #[doc = include_str!("../docs/configure.md")]
    struct Configure;
    #[doc = include_str!("../docs/desktop.md")]
    struct Desktop;
    #[doc = include_str!("../docs/error-handling.md")]
    struct ErrorHandling;
    #[doc = include_str!("../docs/groups.md")]
    struct Groups;
    #[doc = include_str!("../docs/migrate-from-0.1.md")]
    struct MigrateFrom01;
    #[doc = include_str!("../docs/operations.md")]
    struct Operations;
    #[doc = include_str!("../docs/output.md")]
    struct Output;
    #[doc = include_str!("../docs/plans.md")]
    struct Plans;
    #[cfg(feature = "server-feedback")]
    #[doc = include_str!("../docs/privacy.md")]
    struct Privacy;
    #[doc = include_str!("../docs/supervision.md")]
    struct Supervision;
    #[doc = include_str!("../docs/terminals.md")]
    struct Terminals;
    #[doc = include_str!("../docs/types.md")]
    struct Types;
}
