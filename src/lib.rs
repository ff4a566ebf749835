//! Runs system commands: streams their lines, ends them on time with their whole process tree, bounds what their output
//! may cost, and reports exactly what happened.
//!
//! `docs/architecture.md` lists the modules. A module uses only modules above it in that table; `tests/house.rs` checks this.

pub mod config;
pub mod error;
pub mod event;
pub mod types;

mod catch_panic;
mod command;
mod engine;
mod globs;
mod guardian;
mod latch;
mod metrics;
mod output;
mod plan;
mod platform;
mod process;
mod redact;
mod registry;
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

/// For `tests/generated`.
#[cfg(any(feature = "node", feature = "schema"))]
#[doc(hidden)]
pub mod protocol;

/// For the measurements in `benches/core/`.
#[cfg(any(test, feature = "bench"))]
#[doc(hidden)]
pub mod bench;

pub use async_trait::async_trait;

pub use config::{ConcurrencyPolicy, ConfigLayer, ExecutionConfig, LogFormat, OversizedOutputStrategy, TruncateKeep};
pub use engine::{EventStream, ExecutionEngine};
pub use error::{ExecutionError, Invalid, Result};
pub use event::{
    EventHandler, ExecutionEvent, LoggingEventHandler, MultiEventHandler, NoopEventHandler, OutputLine, PlanProgress,
    Retried,
};
pub use types::{
    Command, ConcurrencyMetrics, Diagnosis, Encoding, EnvSnapshot, ErrorCode, ErrorInfo, ExecutionFilter,
    ExecutionMetadata, ExecutionOptions, ExecutionPlan, ExecutionRequest, ExecutionResult, ExecutionStats,
    ExecutionStatus, ExecutionStrategy, ExecutionSummary, FailedAttempt, InheritEnv, Leftovers, Percentiles,
    PlanExecutionResult, PlanOptions, PlanStats, PlanStep, Reason, Retry, RetryOn, Secret, SkipReason, SkippedStep,
    Stdin, StdinClosed, StdinStream, StdinWriter, StepStatus, StopOrder, StopSignal, Stream, Text, UNSET, Unsuccessful,
};

/// What most programs need: `use execution_engine::prelude::*`. It has no name of the standard library's own prelude.
pub mod prelude {
    #[doc(no_inline)]
    pub use crate::{
        Command, EventHandler, EventStream, ExecutionConfig, ExecutionEngine, ExecutionError, ExecutionEvent,
        ExecutionOptions, ExecutionPlan, ExecutionRequest, ExecutionResult, ExecutionStatus,
    };
}

/// For the fuzzer in `fuzz/`.
#[cfg(fuzzing)]
#[doc(hidden)]
pub use output::fuzz_output;
#[cfg(fuzzing)]
pub use redact::fuzz_redact;

/// Here so that one `use execution_engine::*` is enough to write a request.
#[doc(no_inline)]
pub use std::collections::HashMap;
/// Here so that one `use execution_engine::*` is enough to write a request.
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
    #[doc = include_str!("../docs/configuration.md")]
    struct Configuration;
    #[doc = include_str!("../docs/error-handling.md")]
    struct ErrorHandling;
    #[doc = include_str!("../docs/migrate-from-0.1.md")]
    struct MigrateFrom01;
    #[doc = include_str!("../docs/operations.md")]
    struct Operations;
    #[doc = include_str!("../docs/output.md")]
    struct Output;
    #[doc = include_str!("../docs/plans.md")]
    struct Plans;
    #[doc = include_str!("../docs/supervision.md")]
    struct Supervision;
    #[doc = include_str!("../docs/types.md")]
    struct Types;
}
