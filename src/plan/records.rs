//! The records of an engine's plans.

use std::sync::{Arc, Mutex};

use uuid::Uuid;

use crate::error::ExecutionError;
use crate::retained_store::{Completion, Retained, RetainedStore};
use crate::state::Stop;
use crate::types::PlanExecutionResult;

use super::run::PlanStop;

/// The record of a plan, from its acceptance to its removal.
#[derive(Debug)]
pub(crate) struct PlanRecord {
    id: Uuid,
    /// The stop request, set by every request to end the plan.
    stop: PlanStop,
    completion: Completion<PlanExecutionResult>,
    /// The version of the engine's secrets that its result was masked with. The lock is held while the result is masked
    /// again.
    pub(crate) masked_with: Mutex<u64>,
}

impl PlanRecord {
    pub(crate) fn new(id: Uuid, secrets_version: u64) -> Self {
        let stop = PlanStop::default();
        Self { id, stop, completion: Completion::new(), masked_with: Mutex::new(secrets_version) }
    }

    pub(crate) fn id(&self) -> Uuid {
        self.id
    }

    /// Requests the end; the first reason counts, and a shutdown in addition to it.
    pub(crate) fn request_stop(&self, why: Stop) {
        self.stop.request(why);
    }

    pub(crate) fn stop(&self) -> &PlanStop {
        &self.stop
    }

    /// Returns the result of a plan that is over.
    pub(crate) fn result(&self) -> Option<Arc<PlanExecutionResult>> {
        self.completion.result()
    }

    /// Puts another form of the result in its place.
    pub(crate) fn replace(&self, result: PlanExecutionResult) -> Arc<PlanExecutionResult> {
        self.completion.replace(result)
    }

    /// Waits for the end and returns the result.
    pub(crate) async fn settled(&self) -> Arc<PlanExecutionResult> {
        self.completion.settled().await
    }
}

/// The plans of an engine. The bounds are those on executions: age, number, bytes.
pub(crate) type Plans = RetainedStore<PlanRecord>;

impl Retained for PlanRecord {
    type Result = PlanExecutionResult;

    fn id(&self) -> Uuid {
        self.id
    }

    fn completion(&self) -> &Completion<PlanExecutionResult> {
        &self.completion
    }

    fn retained_bytes(&self) -> u64 {
        self.result().map_or(0, |result| result.kept_bytes())
    }

    fn duplicate(id: Uuid) -> ExecutionError {
        ExecutionError::DuplicatePlan(id)
    }
}
