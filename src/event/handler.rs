//! The listener of a Rust application.

use std::sync::Arc;

use async_trait::async_trait;

use super::ExecutionEvent;
use crate::catch_panic::contain;
use crate::types::Reason;

/// Gets every event of an engine: those of one execution in order, one at a time.
///
/// A handler may execute commands on its own engine and await them: the events of what it executes itself are delivered beside the event
/// that it is handling. That does not hold for what another task executes while the handler waits for that task. A command whose lines
/// wait for the handler keeps its slot, so that with a single slot both wait until its time is up.
///
/// A slow handler slows the commands whose lines it has not taken yet; it delays no timeout, no cancel and no other
/// execution's end by more than a second. A panic in a handler is contained: that event is lost to it, nothing else.
#[async_trait]
pub trait EventHandler: Send + Sync {
    /// Takes one event.
    async fn handle_event(&self, event: ExecutionEvent);
}

/// Drops every event.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoopEventHandler;

#[async_trait]
impl EventHandler for NoopEventHandler {
    async fn handle_event(&self, _event: ExecutionEvent) {}
}

/// Logs every event with `tracing`: lines at `debug`, the rest at `info`, failures at `warn`. Output is never part of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct LoggingEventHandler;

#[async_trait]
impl EventHandler for LoggingEventHandler {
    async fn handle_event(&self, event: ExecutionEvent) {
        match event {
            ExecutionEvent::Degraded { execution_id, message, .. } => {
                tracing::warn!(%execution_id, message, "degraded");
            }
            ExecutionEvent::Retry { execution_id, attempt, delay_ms, .. } => {
                tracing::warn!(%execution_id, attempt, delay_ms, "retry");
            }
            ExecutionEvent::Progress { plan_id, completed, total, status, .. } => {
                tracing::info!(%plan_id, completed, total, status = status.as_str(), "progress");
            }
            ExecutionEvent::Stdout { execution_id, line, .. } => {
                tracing::debug!(%execution_id, bytes = line.raw().len(), "stdout");
            }
            ExecutionEvent::Stderr { execution_id, line, .. } => {
                tracing::debug!(%execution_id, bytes = line.raw().len(), "stderr");
            }
            ExecutionEvent::Data { execution_id, data, .. } => {
                tracing::debug!(%execution_id, bytes = data.raw().len(), "data");
            }
            ExecutionEvent::Completed { execution_id, result, .. } => {
                tracing::info!(%execution_id, duration_ms = result.duration_ms, "completed");
            }
            ExecutionEvent::Failed { execution_id, result, .. }
            | ExecutionEvent::Cancelled { execution_id, result, .. }
            | ExecutionEvent::Timeout { execution_id, result, .. } => {
                tracing::warn!(
                    %execution_id,
                    status = result.status.as_str(),
                    reason = result.reason.map(Reason::as_str),
                    exit_code = result.exit_code,
                    "ended",
                );
            }
            other => other.log(),
        }
    }
}

/// Hands every event to several handlers, in their order. A panic in one is contained: the others get the event.
#[derive(Clone, Default)]
pub struct MultiEventHandler {
    handlers: Vec<Arc<dyn EventHandler>>,
}

impl MultiEventHandler {
    /// Returns one handler that calls these handlers.
    #[must_use]
    pub fn new(handlers: Vec<Arc<dyn EventHandler>>) -> Self {
        Self { handlers }
    }
}

#[async_trait]
impl EventHandler for MultiEventHandler {
    async fn handle_event(&self, event: ExecutionEvent) {
        for handler in &self.handlers {
            let (id, copy) = (event.execution_id(), event.clone());
            if contain(async { handler.handle_event(copy).await }).await.is_err() {
                tracing::error!(execution_id = %id, "an event handler panicked");
            }
        }
    }
}
