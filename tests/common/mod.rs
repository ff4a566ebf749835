//! Helpers of the tests: child programs, an engine with a recorder of its events, outcomes, and processes.

pub(crate) mod children;
pub(crate) mod listened;
pub(crate) mod outcomes;
pub(crate) mod processes;
pub(crate) mod recorder;
pub(crate) mod repeats;
pub(crate) mod waiting;

pub(crate) use std::sync::Arc;
pub(crate) use std::time::Duration;

pub(crate) use execution_engine::{
    Command, ErrorCode, ExecutionConfig, ExecutionEngine, ExecutionError, ExecutionEvent, ExecutionOptions,
    ExecutionRequest, ExecutionResult, ExecutionStatus, Reason, Uuid,
};

pub(crate) use self::children::*;
pub(crate) use self::listened::*;
pub(crate) use self::outcomes::*;
pub(crate) use self::processes::*;
pub(crate) use self::recorder::*;
pub(crate) use self::repeats::*;
pub(crate) use self::waiting::*;
