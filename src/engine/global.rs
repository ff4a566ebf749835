//! The one engine that all code of a process can share.

use std::sync::{Arc, OnceLock};

use super::ExecutionEngine;
use crate::config::{ConcurrencyPolicy, ExecutionConfig};
use crate::error::{ExecutionError, Result};
use crate::event::EventHandler;

static GLOBAL: OnceLock<ExecutionEngine> = OnceLock::new();

impl ExecutionEngine {
    /// Makes the global engine: it runs one command at a time, whatever the configuration has; the others wait.
    ///
    /// # Errors
    /// `ALREADY_INITIALIZED`, or `INVALID_CONFIG` with the field.
    pub fn init_global(config: ExecutionConfig) -> Result<&'static Self> {
        Self::set_global(config, |engine| engine)
    }

    /// Does what [`ExecutionEngine::init_global`] does, with a listener.
    ///
    /// # Errors
    /// `ALREADY_INITIALIZED`, or `INVALID_CONFIG` with the field.
    pub fn init_global_with_handler(config: ExecutionConfig, handler: Arc<dyn EventHandler>) -> Result<&'static Self> {
        Self::set_global(config, |engine| engine.with_event_handler(handler))
    }

    fn set_global(config: ExecutionConfig, finish: impl FnOnce(Self) -> Self) -> Result<&'static Self> {
        let serial =
            ExecutionConfig { max_concurrent_executions: 1, concurrency_policy: ConcurrencyPolicy::Queue, ..config };
        GLOBAL.set(finish(Self::new(serial)?)).map_err(|_| ExecutionError::AlreadyInitialized)?;
        Self::try_global()
    }

    /// Returns the global engine.
    ///
    /// # Panics
    /// Before [`ExecutionEngine::init_global`]; [`ExecutionEngine::try_global`] gives an error instead.
    #[must_use]
    pub fn global() -> &'static Self {
        GLOBAL.get().expect("there is no global engine: call ExecutionEngine::init_global first")
    }

    /// Returns the global engine.
    ///
    /// # Errors
    /// `NOT_INITIALIZED` before [`ExecutionEngine::init_global`].
    pub fn try_global() -> Result<&'static Self> {
        GLOBAL.get().ok_or(ExecutionError::NotInitialized)
    }
}
