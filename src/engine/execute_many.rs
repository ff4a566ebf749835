//! Submits many requests by one call, each of them accepted or refused by itself.

use std::collections::HashSet;
use std::sync::Arc;

use uuid::Uuid;

use super::admission::{Ready, Terms};
use super::{EngineCore, ExecutionEngine};
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
    /// The errors of an entry are those of [`ExecutionEngine::execute`]; the path of a field of a request begins with
    /// `requests[index]`.
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
        let mut outcomes: Vec<_> = requests.into_iter().enumerate().map(submit).collect();
        many.mask(outcomes.iter_mut().filter_map(|outcome| outcome.as_mut().err()));
        outcomes
    }

    /// Begins a call with many requests.
    pub(crate) fn submissions(&self, options: ExecutionOptions) -> Submissions<'_> {
        let shared = self.shared();
        Submissions { shared, terms: shared.terms_of(options), waiting: Vec::new(), of_refused: HashSet::new() }
    }
}

/// The number of waiting executions that one task starts: to hand over each by itself would wake a thread of the
/// runtime for each.
const STARTED_AT_ONCE: usize = 256;

/// The requests of one call.
pub(crate) struct Submissions<'a> {
    shared: &'a Arc<EngineCore>,
    terms: Terms,
    /// Accepted, and not started yet.
    waiting: Vec<Ready>,
    /// The secrets that only the refused ones have.
    of_refused: HashSet<Box<[u8]>>,
}

impl Submissions<'_> {
    /// Accepts the request at an index; returns its id. [`Submissions::mask`] is for its errors.
    pub(crate) fn submit(&mut self, index: usize, request: ExecutionRequest, sink: Arc<dyn EventSink>) -> Result<Uuid> {
        if matches!(self.terms.options.stdin, Stdin::Stream(_)) {
            let problem = "only one command could read a stream: give it as text or bytes";
            return Err(ExecutionError::InvalidRequest(Invalid::new("options.stdin", problem)));
        }
        let Self { shared, terms, of_refused, .. } = self;
        let refused = |invalid, request: &ExecutionRequest| {
            for secret in shared.secret_variables(request, &terms.options, &terms.policy) {
                if !of_refused.contains(secret) {
                    of_refused.insert(secret.into());
                }
            }
            invalid
        };
        let admitted = shared.admit(Scheduler::enter, request, terms, refused, sink);
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

    /// Masks the secrets in the errors of the call, all at once: to look for each of many secrets in each of many errors by itself
    /// would take the product of the two.
    pub(crate) fn mask<'e>(&self, errors: impl IntoIterator<Item = &'e mut ExecutionError>) {
        let refusals = errors.into_iter().filter_map(|error| match error {
            ExecutionError::InvalidRequest(invalid) => Some(invalid),
            _ => None,
        });
        let Terms { options, policy, .. } = &self.terms;
        let more = self.shared.common_secrets(options, policy).chain(self.of_refused.iter().map(|secret| &**secret));
        self.shared.mask_refusals(refusals, more);
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

/// Returns the path of a request of the call.
pub(crate) fn request_path(index: usize) -> String {
    format!("requests[{index}]")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ExecutionConfig;
    use crate::redact::READ_HERE;
    use crate::types::{Command, ErrorCode, Secret};

    const MANY: usize = 500;

    fn secrets(of: &str) -> Vec<Secret> {
        (0..MANY).map(|number| Secret::from(format!("{number}-is-a-s3cret-of-{of}"))).collect()
    }

    /// An event loop waits while a call is read.
    #[tokio::test]
    async fn a_call_goes_through_its_secrets_a_few_times_however_many_requests_it_has() {
        let config = ExecutionConfig {
            secrets: secrets("the-engine"),
            max_concurrent_executions: 1,
            mask_env_secrets: true,
            ..ExecutionConfig::default()
        };
        let engine = ExecutionEngine::new(config).unwrap();
        engine.execute(Command::shell("sleep 60").into()).await.unwrap();
        let options = ExecutionOptions { secrets: secrets("the-call"), ..ExecutionOptions::default() };
        let accepted = |_| ExecutionRequest::new(Command::exec("true"));
        let refused = |number: usize| {
            let own = format!("{}-is-a-s3cret-of-a-variable", number / 2);
            let name = format!("{own} {number}-is-a-s3cret-of-the-call 7-is-a-s3cret-of-the-engine {number}\0");
            ExecutionRequest::new(Command::exec("true")).env("TOKEN", own).env(name, "value")
        };
        let requests: [Vec<ExecutionRequest>; 2] =
            [(0..MANY).map(accepted).collect(), (0..MANY).map(refused).collect()];
        for requests in requests {
            let before = READ_HERE.get();
            let outcomes = engine.execute_many_with(requests, options.clone()).await;
            assert!(READ_HERE.get() - before < 5 * MANY, "{} secrets", READ_HERE.get() - before);
            for (number, refusal) in outcomes.iter().enumerate().filter_map(|(at, it)| Some((at, it.as_ref().err()?))) {
                assert_eq!(refusal.code(), ErrorCode::InvalidRequest);
                assert_eq!(refusal.field(), Some(&*format!("requests[{number}].env[\"*** *** *** {number}\"]")));
                assert!(!refusal.to_string().contains("s3cret"), "{refusal}");
            }
        }
        engine.cancel_all().await;
    }
}
