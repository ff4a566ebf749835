//! Queries: records, totals, and the load of an engine.

use std::sync::Arc;

use uuid::Uuid;

use super::ExecutionEngine;
use crate::config::ExecutionConfig;
use crate::error::{ExecutionError, Result};
#[cfg(feature = "node")]
use crate::feedback::{self, ShortName};
use crate::metrics::{self, Gauges};
use crate::redact::Allowance;
use crate::runtime;
#[cfg(feature = "node")]
use crate::types::EnvSnapshot;
use crate::types::{
    ConcurrencyMetrics, ExecutionFilter, ExecutionResult, ExecutionStats, ExecutionStatus, ExecutionSummary,
};

impl ExecutionEngine {
    /// Returns the status of an execution.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    #[expect(clippy::unused_async, reason = "the API is async throughout, so that a later wait breaks no caller")]
    pub async fn get_status(&self, id: Uuid) -> Result<ExecutionStatus> {
        self.status(id)
    }

    /// Does what [`ExecutionEngine::get_status`] does, without a future: it never waits.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub fn status(&self, id: Uuid) -> Result<ExecutionStatus> {
        self.record(id).map(|record| record.status())
    }

    /// Returns the result of an ended execution, whatever its outcome.
    ///
    /// # Errors
    /// `NOT_FOUND`, `NOT_COMPLETED`.
    pub async fn get_result(&self, id: Uuid) -> Result<Arc<ExecutionResult>> {
        self.shown(&self.record(id)?).await
    }

    /// Does what [`ExecutionEngine::get_result`] does, without a future: it never waits.
    ///
    /// # Errors
    /// `NOT_FOUND`, `NOT_COMPLETED`; `NOT_COMPLETED` too while a thread of the engine masks much output, after
    /// [`ExecutionEngine::add_secret`].
    pub fn result(&self, id: Uuid) -> Result<Arc<ExecutionResult>> {
        let Ok(result) = self.record(id)?.shown_result(&mut Allowance::of_caller()) else {
            self.shared().mask_records();
            return Err(ExecutionError::BeingMasked(id));
        };
        result.ok_or(ExecutionError::NotCompleted(id))
    }

    /// Returns the known executions, newest first.
    #[expect(clippy::unused_async, reason = "the API is async throughout, so that a later wait breaks no caller")]
    pub async fn list_executions(&self, filter: &ExecutionFilter) -> Vec<ExecutionSummary> {
        self.list(filter)
    }

    /// [`ExecutionEngine::list_executions`] without a future: it never waits. A command is `***` as long as a thread of the engine
    /// has not looked for secrets in it.
    #[must_use]
    pub fn list(&self, filter: &ExecutionFilter) -> Vec<ExecutionSummary> {
        self.shared().list(filter)
    }

    /// Forgets an ended execution.
    ///
    /// # Errors
    /// `NOT_FOUND`, `NOT_COMPLETED`.
    #[expect(clippy::unused_async, reason = "the API is async throughout, so that a later wait breaks no caller")]
    pub async fn remove_execution(&self, id: Uuid) -> Result<()> {
        self.remove(id)
    }

    pub(crate) fn remove(&self, id: Uuid) -> Result<()> {
        match self.shared().registry.remove(id) {
            Some(true) => Ok(()),
            Some(false) => Err(ExecutionError::NotCompleted(id)),
            None => Err(ExecutionError::NotFound(id)),
        }
    }

    /// Removes the records that retention allows to remove, now, and returns how many executions that were.
    #[expect(clippy::unused_async, reason = "the API is async throughout, so that a later wait breaks no caller")]
    pub async fn cleanup(&self) -> usize {
        self.clean_up()
    }

    pub(crate) fn clean_up(&self) -> usize {
        let (mut executions, mut plans) = (Vec::new(), Vec::new());
        let count = self.shared().registry.cleanup(|leaving| executions.push(leaving));
        // The output of the records is freed elsewhere: this thread may be the one that serves requests.
        if self.shared().plans.cleanup(|leaving| plans.push(leaving)) + count > 0 {
            runtime::start_blocking(move || drop((executions, plans)));
        }
        count
    }

    /// Does nothing: with `enable_auto_cleanup` the engine removes old records without a call.
    #[deprecated(since = "0.2.0", note = "the engine forgets old records by itself: remove the call")]
    pub fn start_cleanup_task(&self) {}

    /// [`ExecutionEngine::cleanup`].
    #[deprecated(since = "0.2.0", note = "use `cleanup`")]
    pub async fn cleanup_old_executions(&self) -> usize {
        self.cleanup().await
    }

    /// Returns the totals since the engine started.
    #[expect(clippy::unused_async, reason = "the API is async throughout, so that a later wait breaks no caller")]
    pub async fn get_stats(&self) -> ExecutionStats {
        self.stats()
    }

    /// [`ExecutionEngine::get_stats`] without a future: it never waits.
    #[must_use]
    pub fn stats(&self) -> ExecutionStats {
        let waiting_for_groups = self.shared().scheduler.held_back();
        ExecutionStats { waiting_for_groups, ..self.shared().metrics.snapshot() }
    }

    /// Returns a label as a status of feedback has it, if it may be there.
    #[cfg(feature = "node")]
    pub(crate) fn feedback_label(&self, id: Uuid, label: &str) -> Option<ShortName> {
        // The record may be gone; the secrets of the engine are known in any case.
        let record = self.record(id).ok();
        feedback::label_of(label, record.as_ref().map_or(&self.shared().secrets, |record| record.secrets()))
    }

    /// Returns how many statuses were dropped because a feedback sink was too slow.
    #[must_use]
    pub fn feedback_dropped(&self) -> u64 {
        self.shared().feedback.dropped()
    }

    /// Returns totals and current values of the engine, as Prometheus reads them (text exposition format 0.0.4).
    #[must_use]
    pub fn metrics_text(&self) -> String {
        let busy = self.get_concurrency_metrics();
        let (records, output_bytes) = self.shared().registry.usage();
        let gauges = Gauges {
            slots: busy.max_concurrent,
            running: busy.currently_running,
            queued: busy.currently_pending,
            waiting_for_groups: self.shared().scheduler.held_back(),
            records,
            output_bytes,
        };
        metrics::text(&self.shared().metrics, gauges)
    }

    /// Returns the current load of the engine.
    #[must_use]
    pub fn get_concurrency_metrics(&self) -> ConcurrencyMetrics {
        let (in_use, free, waiting) = self.shared().scheduler.load();
        ConcurrencyMetrics {
            max_concurrent: self.shared().config.max_concurrent_executions,
            currently_running: in_use,
            currently_pending: waiting,
            available_slots: free,
        }
    }

    /// Returns the number of executions that hold a slot.
    #[must_use]
    pub fn running_count(&self) -> usize {
        self.get_concurrency_metrics().currently_running
    }

    /// Returns the number of executions that have a record, ended ones included.
    #[must_use]
    pub fn total_count(&self) -> usize {
        self.shared().registry.len()
    }

    /// Returns the number of free slots.
    #[must_use]
    pub fn available_permits(&self) -> usize {
        self.get_concurrency_metrics().available_slots
    }

    /// Returns the configuration, with every default filled in.
    #[must_use]
    pub fn config(&self) -> &ExecutionConfig {
        &self.shared().config
    }

    /// Returns the variables to inherit: those of the configuration, or else these, which are the host's.
    #[cfg(feature = "node")]
    pub(crate) fn host_env(&self, of_host: impl FnOnce() -> EnvSnapshot) -> EnvSnapshot {
        self.shared().host_env(of_host)
    }
}
