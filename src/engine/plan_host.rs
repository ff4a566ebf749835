//! The engine as a plan sees it.

use std::sync::Arc;
use std::task::{Context, Poll};

use chrono::{DateTime, Utc};
use tokio::sync::mpsc::UnboundedSender;
use uuid::Uuid;

use crate::catch_panic::contain_call;
use crate::event::{EventSink, ExecutionEvent};
use crate::plan::{Claim, Host, PlanState, Slot, StepEnd, StepState};
use crate::platform::clock::Instant;
use crate::registry::Record;
use crate::scheduler::{Entry, Permit, Ticket};
use crate::state::{Pending, Stop};
use crate::types::{
    ErrorCode, ErrorInfo, ExecutionMetadata, ExecutionRequest, ExecutionResult, ExecutionStatus, PlanExecutionResult,
    PlanStats, PlanStep, SkipReason, SkippedStep, StepInput, StepStatus,
};

use super::EngineCore;
use super::admission::{Admitted, CheckedRequest};
use super::secrets::CommonSecrets;
use super::step_inputs;

/// The longest name of a step, in characters.
const LONGEST_NAME: usize = 200;

/// The function that returns the sink for the events of a plan (`None`) or of one of its steps.
pub(crate) type Sinks = Box<dyn Fn(Option<usize>) -> Arc<dyn EventSink> + Send + Sync>;

/// The steps of one plan and their executions.
pub(super) struct Steps {
    pub(super) shared: Arc<EngineCore>,
    pub(super) plan_id: Uuid,
    pub(super) work: Vec<CheckedRequest>,
    /// The variables of each step that are outputs of others.
    pub(super) inputs: Vec<Vec<StepInput>>,
    /// The groups of the steps in each lane.
    pub(super) lanes: Vec<Vec<String>>,
    pub(super) sinks: Sinks,
    pub(super) ends: UnboundedSender<StepEnd>,
    /// The executions of the steps that have begun.
    pub(super) records: Vec<Option<Arc<Record>>>,
    /// The steps in the order in which they began; those at its end that have ended are gone.
    pub(super) begun: Vec<usize>,
    /// The number of the next event.
    pub(super) sequence: u64,
}

impl Host for Steps {
    type Permit = Permit;
    type Ticket = Ticket;

    fn claim(&self, lane: usize, priority: i32) -> Claim<Permit, Ticket> {
        match self.shared.scheduler.claim(priority, &self.lanes[lane]) {
            Entry::Now(permit) => Claim::Now(permit),
            Entry::Later(ticket) => Claim::Later(ticket),
        }
    }

    fn poll_turn(ticket: &mut Ticket, context: &mut Context<'_>) -> Poll<Permit> {
        ticket.poll_turn(context)
    }

    fn free(&self) -> usize {
        let (_, free, _) = self.shared.scheduler.load();
        free
    }

    fn begin(&mut self, index: usize, slot: Slot<Permit>, since: Instant) -> Result<(), SkipReason> {
        let (work, refusal) = self.with_inputs(index);
        let priority = work.options.priority;
        let mut admitted = Admitted::new(work, &self.shared, Pending::since(since), (self.sinks)(Some(index)));
        admitted.refusal = refusal;
        if !self.shared.registry.insert_accepted(Arc::clone(&admitted.record)) {
            return Err(SkipReason::DuplicateId);
        }
        let entry = match slot {
            Slot::Free(permit) => Entry::Now(permit),
            Slot::None => {
                admitted.record.request_stop(Stop::QueueTimeout, None);
                self.shared.scheduler.claim(priority, &[])
            }
        };
        let ends = self.ends.clone();
        let on_settled = move |completed| {
            // There is no receiver when a defect has ended the plan.
            let _ = ends.send(StepEnd { index, completed });
        };
        self.records[index] = Some(admitted.start(&self.shared, entry, Some(Box::new(on_settled))));
        self.begun.push(index);
        Ok(())
    }

    fn stop(&self, index: usize, why: Stop) {
        if let Some(record) = &self.records[index] {
            record.request_stop(why, None);
        }
    }

    fn report(&mut self, state: &PlanState) {
        // The last event has the result, and is emitted when there is one.
        if !state.is_over() {
            self.emit_progress(state, ExecutionStatus::Running, None);
        }
    }
}

impl Steps {
    /// Returns a step with its variables, or the reason for which it fails without being spawned.
    fn with_inputs(&self, index: usize) -> (CheckedRequest, Option<ErrorInfo>) {
        let work = self.work[index].clone();
        if self.inputs[index].is_empty() {
            return (work, None);
        }
        let mut request = ExecutionRequest::clone(&work.request);
        for input in &self.inputs[index] {
            match step_inputs::value(input, self.records[input.from].as_deref()) {
                Ok(value) => request.env.insert(input.name.clone(), value),
                Err(refusal) => return (work, Some(refusal)),
            };
        }
        // By its name, one of these variables may be secret.
        match self.shared.secrets_of(&request, &work.options, &work.policy, &CommonSecrets::new()) {
            Ok(secrets) => (CheckedRequest { request: Arc::new(request), secrets, ..work }, None),
            Err(invalid) => {
                let message = format!("invalid request: {invalid}");
                (work, Some(ErrorInfo { code: ErrorCode::InvalidRequest, message, errno: None }))
            }
        }
    }

    /// Emits the end of the plan, its last event.
    pub(super) fn emit_end(&mut self, state: &PlanState, result: &Arc<PlanExecutionResult>) -> Arc<dyn EventSink> {
        self.emit_progress(state, result.status, Some(Arc::clone(result)))
    }

    fn emit_progress(
        &mut self,
        state: &PlanState,
        status: ExecutionStatus,
        result: Option<Arc<PlanExecutionResult>>,
    ) -> Arc<dyn EventSink> {
        while self.begun.last().is_some_and(|index| state.step(*index) != StepState::Running) {
            self.begun.pop();
        }
        let (completed, failed, skipped) = state.tally();
        let progress = ExecutionEvent::Progress {
            plan_id: self.plan_id,
            timestamp: Utc::now(),
            sequence: self.sequence,
            completed,
            failed,
            skipped,
            total: self.work.len(),
            current_command: self.begun.last().map(|index| self.command(*index)),
            current_when: self.begun.last().map(|index| state.when(*index).as_str().to_owned()),
            status,
            result,
        };
        self.sequence += 1;
        let sink = (self.sinks)(None);
        if let Err(panic) = contain_call(|| sink.event(progress)) {
            tracing::error!(plan_id = %self.plan_id, panic, "a listener panicked");
        }
        sink
    }

    /// Ends what still runs after a defect in the driving of the plan.
    pub(super) fn give_up(&self) {
        for record in self.records.iter().flatten() {
            record.request_stop(Stop::Cancelled, None);
        }
    }

    /// Waits until nothing of any step comes any more.
    pub(super) async fn settled(&self) {
        for record in self.records.iter().flatten() {
            record.settled().await;
        }
    }

    fn command(&self, index: usize) -> String {
        self.work[index].command()
    }

    /// Returns the result of a plan that is over.
    pub(super) fn freeze(&self, state: &PlanState, stopped: Option<Stop>, about: About) -> PlanExecutionResult {
        let mut counts = PlanStats { total: self.work.len(), ..PlanStats::default() };
        let mut steps = Vec::with_capacity(self.work.len());
        let mut results = Vec::new();
        let mut skipped = Vec::new();
        for index in 0..self.work.len() {
            let result = self.records[index].as_ref().and_then(|record| record.result());
            let status = result.as_ref().map_or(StepStatus::Skipped, |result| result.status.into());
            match status {
                StepStatus::Completed => counts.completed += 1,
                StepStatus::Failed => counts.failed += 1,
                StepStatus::Cancelled => counts.cancelled += 1,
                StepStatus::Timeout => counts.timeout += 1,
                StepStatus::Skipped => counts.skipped += 1,
            }
            counts.retries += result.as_ref().map_or(0, |result| result.retries.len());
            results.extend(result);
            if let StepState::Skipped(step) = state.step(index) {
                skipped.push(step);
            }
            steps.push(self.step(state, index, status));
        }
        let status = status(&counts, stopped, &results, &skipped);
        PlanExecutionResult {
            plan_id: self.plan_id,
            status,
            success: status == ExecutionStatus::Completed,
            description: about.description,
            results,
            steps,
            skipped,
            stats: counts,
            total_duration_ms: about.since.elapsed().as_secs_f64() * 1_000.0,
            started_at: about.accepted_at,
            completed_at: Utc::now(),
            metadata: about.metadata,
        }
    }

    fn step(&self, state: &PlanState, index: usize, status: StepStatus) -> PlanStep {
        let request = &self.work[index].request;
        let mut name = request.metadata.label.clone().unwrap_or_else(|| self.command(index));
        if let Some((end, _)) = name.char_indices().nth(LONGEST_NAME) {
            name.truncate(end);
        }
        let depends_on = state.graph().dependencies(index).to_vec();
        PlanStep {
            index,
            id: request.id,
            name,
            status,
            depends_on,
            when: state.when(index),
            inputs: self.inputs[index].clone(),
        }
    }
}

/// The parts of a plan that its progress and its result contain.
pub(super) struct About {
    pub(super) description: String,
    pub(super) metadata: ExecutionMetadata,
    pub(super) since: Instant,
    pub(super) accepted_at: DateTime<Utc>,
}

/// Returns the status of a plan. A requested end determines the status only if it had an effect: if every step
/// completed or was not needed, the plan has completed.
fn status(
    stats: &PlanStats,
    stopped: Option<Stop>,
    results: &[Arc<ExecutionResult>],
    skipped: &[SkippedStep],
) -> ExecutionStatus {
    let not_needed = |step: &SkippedStep| step.reason == SkipReason::NoFailure;
    if stats.completed + skipped.iter().filter(|step| not_needed(step)).count() == stats.total {
        return ExecutionStatus::Completed;
    }
    let had_effect = |why: &Stop| {
        let was_skipped = skipped.iter().any(|step| step.because.is_none() && !not_needed(step));
        was_skipped || results.iter().any(|result| result.reason == Some(why.reason()))
    };
    stopped.filter(had_effect).map_or(ExecutionStatus::Failed, Stop::status)
}
