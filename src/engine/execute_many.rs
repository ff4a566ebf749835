//! Many requests by one call, each of them accepted or refused by itself.

use std::sync::Arc;

use uuid::Uuid;

use super::admission::{Ready, Terms};
use super::{ExecutionEngine, Shared};
use crate::error::{ExecutionError, Invalid, Result};
use crate::event::EventSink;
use crate::runtime;
use crate::scheduler::Scheduler;
use crate::types::{ExecutionOptions, ExecutionRequest, Stdin};

impl ExecutionEngine {
    /// Accepts many requests and runs them in the background. Each is accepted or refused by itself, in their order: one entry for each
    /// request, its id or why it was refused. It accepts in the first poll and never waits for a slot, and dropping the future later
    /// changes nothing.
    ///
    /// ```
    /// # #[tokio::main] async fn main() -> execution_engine::Result<()> {
    /// use execution_engine::{Command, ExecutionConfig, ExecutionEngine};
    ///
    /// let engine = ExecutionEngine::new(ExecutionConfig::default())?;
    /// let accepted = engine.execute_many([Command::exec("true").into(), Command::exec("").into()]).await;
    /// engine.wait_for_completion(accepted[0].clone()?).await?;
    /// assert_eq!(accepted[1].as_ref().unwrap_err().field(), Some("requests[1].command.program"));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Those of an entry are as of [`ExecutionEngine::execute`]; the path of a field of a request begins with `requests[index]`.
    pub async fn execute_many(&self, requests: impl IntoIterator<Item = ExecutionRequest>) -> Vec<Result<Uuid>> {
        self.execute_many_with(requests, ExecutionOptions::default()).await
    }

    /// [`ExecutionEngine::execute_many`] with host policy for each of these executions.
    ///
    /// # Errors
    /// As [`ExecutionEngine::execute_many`]; `INVALID_REQUEST` (`options.stdin`) for a stream, which only one of them could read.
    #[expect(clippy::unused_async, reason = "the API is async throughout, so that a later wait breaks no caller")]
    pub async fn execute_many_with(
        &self,
        requests: impl IntoIterator<Item = ExecutionRequest>,
        options: ExecutionOptions,
    ) -> Vec<Result<Uuid>> {
        let mut many = self.submissions(options);
        let sink = self.sink();
        let submit = |(index, request)| many.submit(index, request, Arc::clone(&sink));
        requests.into_iter().enumerate().map(submit).collect()
    }

    /// Begins a call with many requests.
    pub(crate) fn submissions(&self, options: ExecutionOptions) -> Submissions<'_> {
        let shared = self.shared();
        Submissions { shared, terms: shared.terms_of(options), waiting: Vec::new() }
    }
}

/// So many executions that wait are started by one task: to hand over each by itself would wake a thread of the runtime for each.
const STARTED_AT_ONCE: usize = 256;

/// The requests of one call.
pub(crate) struct Submissions<'a> {
    shared: &'a Arc<Shared>,
    terms: Terms,
    /// Accepted, and not started yet.
    waiting: Vec<Ready>,
}

impl Submissions<'_> {
    /// Accepts the request at an index; returns its id.
    pub(crate) fn submit(&mut self, index: usize, request: ExecutionRequest, sink: Arc<dyn EventSink>) -> Result<Uuid> {
        if matches!(self.terms.options.stdin, Stdin::Stream(_)) {
            let problem = "only one command could read a stream: give it as text or bytes";
            return Err(ExecutionError::InvalidRequest(Invalid::new("options.stdin", problem)));
        }
        let admitted = self.shared.admit(Scheduler::enter, request, &self.terms, sink);
        let ready = admitted.map_err(|error| match error {
            ExecutionError::InvalidRequest(invalid) if !invalid.field.starts_with("options.") => {
                ExecutionError::InvalidRequest(invalid.under(&request_path(index)))
            }
            other => other,
        })?;
        let id = ready.record().id();
        if ready.waits() {
            self.waiting.push(ready);
        } else {
            ready.start();
        }
        if self.waiting.len() == STARTED_AT_ONCE {
            self.start_waiting();
        }
        Ok(id)
    }

    fn start_waiting(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        if !waiting.is_empty() {
            runtime::spawn(async { waiting.into_iter().for_each(Ready::start) });
        }
    }
}

impl Drop for Submissions<'_> {
    fn drop(&mut self) {
        self.start_waiting();
    }
}

/// The path of a request of the call.
pub(crate) fn request_path(index: usize) -> String {
    format!("requests[{index}]")
}
