//! Plans: checked as a whole before anything runs, then driven in the background.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::catch_panic::{contain, contain_call};
use crate::command;
use crate::config::bounds;
use crate::error::{ExecutionError, Invalid, Result};
use crate::plan::{self, Graph, Needs, Pace, PlanRecord, PlanState, Rules};
use crate::platform::HostState;
use crate::platform::clock::{self, Instant};
use crate::runtime;
use crate::state::Stop;
use crate::types::{
    ExecutionOptions, ExecutionPlan, ExecutionRequest, ExecutionStrategy, PlanExecutionResult, PlanOptions, Secret,
    SkipReason, StepInput, When,
};

use super::admission::{self, CheckedRequest};
use super::execution::LONGEST_FLUSH;
use super::plan_host::{About, Sinks, Steps};
use super::retention_task::RetentionTask;
use super::secrets::CommonSecrets;
use super::step_inputs;
use super::stream::StopOnDrop;
use super::{EngineCore, ExecutionEngine};

/// The most steps of a plan.
const MOST_STEPS: usize = 100_000;

impl ExecutionEngine {
    /// Accepts a plan and runs it in the background; returns the id of the plan. It accepts in the first poll, and dropping the future
    /// later changes nothing.
    ///
    /// # Errors
    /// `INVALID_PLAN` with the field, such as `commands[3].command.program`; `DUPLICATE_ID`, `ENGINE_SHUT_DOWN`. Nothing ran then.
    pub async fn execute_plan(&self, plan: ExecutionPlan) -> Result<Uuid> {
        self.execute_plan_with(plan, PlanOptions::default()).await
    }

    /// [`ExecutionEngine::execute_plan`] with host policy for this one plan.
    ///
    /// # Errors
    /// As [`ExecutionEngine::execute_plan`], and `INVALID_REQUEST` for an option.
    #[expect(clippy::unused_async, reason = "the API is async throughout, so that a later wait breaks no caller")]
    pub async fn execute_plan_with(&self, plan: ExecutionPlan, options: PlanOptions) -> Result<Uuid> {
        let sink = self.sink();
        self.submit_plan(plan, options, Box::new(move |_| Arc::clone(&sink))).map(|record| record.id())
    }

    /// Waits for the end of a plan; any number of callers may, before or after it. Cancel safe: dropping the future ends the wait, and
    /// the plan continues.
    ///
    /// # Errors
    /// `NOT_FOUND`. A plan that fails is a result, not an error, and so is a step that the engine could not run.
    pub async fn wait_for_plan(&self, id: Uuid) -> Result<Arc<PlanExecutionResult>> {
        let record = self.plan(id)?;
        record.settled().await;
        self.shown_plan(&record).await
    }

    /// Calls [`ExecutionEngine::execute_plan`] and [`ExecutionEngine::wait_for_plan`]. Dropping the future cancels the
    /// plan.
    ///
    /// # Errors
    /// As both.
    pub async fn run_plan(&self, plan: ExecutionPlan) -> Result<Arc<PlanExecutionResult>> {
        self.run_plan_with(plan, PlanOptions::default()).await
    }

    /// Does what [`ExecutionEngine::run_plan`] does, with host policy for this one plan.
    ///
    /// # Errors
    /// As [`ExecutionEngine::execute_plan_with`].
    pub async fn run_plan_with(&self, plan: ExecutionPlan, options: PlanOptions) -> Result<Arc<PlanExecutionResult>> {
        let sink = self.sink();
        let record = self.submit_plan(plan, options, Box::new(move |_| Arc::clone(&sink)))?;
        let _stop = StopOnDrop::Plan(Arc::clone(&record));
        record.settled().await;
        self.shown_plan(&record).await
    }

    /// Ends a plan: what runs is ended with its tree, the rest is skipped. Resolves when all of it is over; a plan that is over
    /// stays as it is. Cancel safe: dropping the future ends the wait alone.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub async fn cancel_plan(&self, id: Uuid) -> Result<()> {
        let record = self.plan(id)?;
        record.request_stop(Stop::Cancelled);
        record.settled().await;
        Ok(())
    }

    pub(crate) fn plan(&self, id: Uuid) -> Result<Arc<PlanRecord>> {
        self.shared().plans.get(id).ok_or(ExecutionError::PlanNotFound(id))
    }

    /// Accepts a plan whose events go to `sinks`.
    pub(crate) fn submit_plan(
        &self,
        plan: ExecutionPlan,
        options: PlanOptions,
        sinks: Sinks,
    ) -> Result<Arc<PlanRecord>> {
        let shared = self.shared();
        let since = Instant::now();
        if shared.registry.is_closed() {
            return Err(ExecutionError::EngineShutDown);
        }
        let PlanOptions { options: mut common, continue_on_error, deadline_ms, steps: mut own, when } = options;
        let ExecutionPlan { id, description, strategy, mut commands, metadata } = plan;
        let secrets: Vec<_> =
            own.values().chain([&common]).flat_map(|options| options.secrets.iter().cloned()).collect();
        let plan_error = |invalid| {
            ExecutionError::InvalidPlan(shared.masked(invalid, secrets.iter().map(|secret| secret.reveal().as_bytes())))
        };
        let last_step = own.keys().chain(when.keys()).max();
        check_options(deadline_ms, last_step, commands.len()).map_err(ExecutionError::InvalidRequest)?;
        let signal = common.signal.take();
        let inputs = step_inputs::take(&mut commands).map_err(plan_error)?;
        let graph = check_plan(&strategy, &commands, &inputs, shared).map_err(plan_error)?;
        command::check_metadata(&metadata, &shared.config).map_err(plan_error)?;
        for options in own.values_mut().chain([&mut common]) {
            shared.add_defaults(options);
        }
        let work = work_of(shared, commands, common, own.into_iter().collect(), &secrets)?;

        let rules = rules_of(&strategy, continue_on_error);
        let (needs, lanes) = needs_of(&work, &when);
        let state = PlanState::new(graph, rules, needs, since);
        let record = Arc::new(PlanRecord::new(id, shared.secrets.version()));
        shared.plans.insert(Arc::clone(&record))?;
        if let Some(signal) = signal {
            let (target, settling) = (Arc::clone(&record), Arc::clone(&record));
            let abort = move || target.request_stop(Stop::Aborted);
            admission::stop_on_signal(signal, abort, async move { _ = settling.settled().await });
        }
        let (ends, end_receiver) = mpsc::unbounded_channel();
        let steps = Steps {
            shared: Arc::clone(shared),
            plan_id: id,
            records: vec![None; work.len()],
            work,
            lanes,
            inputs,
            sinks,
            ends,
            begun: Vec::new(),
            sequence: 0,
        };
        let pace = Pace {
            deadline: deadline_ms.map(|ms| since + Duration::from_millis(ms)),
            queue_timeout: shared.config.queue_timeout_ms.map(Duration::from_millis),
        };
        let about = About { description, metadata, since, accepted_at: Utc::now() };
        runtime::spawn(drive(Arc::clone(&record), steps, state, end_receiver, pace, about));
        Ok(record)
    }
}

/// Drives a plan to its end: whatever happens on the way, it has one result and one last event.
async fn drive(
    record: Arc<PlanRecord>,
    mut steps: Steps,
    mut state: PlanState,
    ends: mpsc::UnboundedReceiver<plan::StepEnd>,
    pace: Pace,
    about: About,
) {
    let shared = Arc::clone(&steps.shared);
    let stopped = match contain(plan::run(&mut steps, &mut state, record.stop(), ends, pace)).await {
        Ok(stopped) => stopped,
        Err(panic) => {
            tracing::error!(plan_id = %record.id(), panic, "the engine failed at this plan and has ended it");
            steps.give_up();
            state.stop(SkipReason::Cancelled, true, Instant::now());
            Some(Stop::Cancelled)
        }
    };
    steps.settled().await;
    let result = Arc::new(steps.freeze(&state, stopped, about));
    if shared.plans.complete(&record, Arc::clone(&result)) {
        RetentionTask::clean_up(&shared);
    }
    let sink = steps.emit_end(&state, &result);
    if let Ok(flushed) = contain_call(|| sink.flushed()) {
        let _ = clock::timeout(LONGEST_FLUSH, contain(flushed)).await;
    }
    shared.plans.settle(&record);
    shared.retention.watch(&shared);
}

fn rules_of(strategy: &ExecutionStrategy, continue_on_error: bool) -> Rules {
    let (most_at_once, on_failure) = match strategy {
        ExecutionStrategy::Serial { stop_on_error } => (1, stop_on_error.then_some(SkipReason::StopOnError)),
        ExecutionStrategy::Parallel { max_concurrency } => {
            // A step depends on another one only if it takes that one's output.
            (max_concurrency.unwrap_or(usize::MAX), Some(SkipReason::Dependency))
        }
        ExecutionStrategy::DependencyGraph { .. } => (usize::MAX, Some(SkipReason::Dependency)),
    };
    let is_serial = matches!(strategy, ExecutionStrategy::Serial { .. });
    Rules { most_at_once, on_failure: on_failure.filter(|_| !continue_on_error), is_serial }
}

/// Returns what each step needs to begin, and the groups of each lane.
fn needs_of(work: &[CheckedRequest], when: &BTreeMap<usize, When>) -> (Vec<Needs>, Vec<Vec<String>>) {
    let mut lanes: HashMap<BTreeSet<&str>, usize> = HashMap::new();
    let mut groups = Vec::new();
    let mut needs = Vec::with_capacity(work.len());
    for (index, CheckedRequest { options, .. }) in work.iter().enumerate() {
        let names = options.group_names().iter().map(String::as_str).collect();
        let lane = *lanes.entry(names).or_insert_with(|| {
            groups.push(options.group_names().to_vec());
            groups.len() - 1
        });
        needs.push(Needs { priority: options.priority, lane, when: when.get(&index).copied().unwrap_or_default() });
    }
    (needs, groups)
}

fn check_options(deadline_ms: Option<u64>, last_step: Option<&usize>, steps: usize) -> Result<(), Invalid> {
    if let Some(ms) = deadline_ms {
        bounds::milliseconds("options.deadline_ms", ms, 1)?;
    }
    match last_step.filter(|index| **index >= steps) {
        Some(index) => {
            let problem = format!("there is no step {index}, the plan has {steps}: give indexes of `commands`");
            Err(Invalid::new(format!("options.steps[{index}]"), problem))
        }
        None => Ok(()),
    }
}

/// Checks a plan apart from its requests.
fn check_plan(
    strategy: &ExecutionStrategy,
    commands: &[ExecutionRequest],
    inputs: &[Vec<StepInput>],
    shared: &EngineCore,
) -> Result<Graph, Invalid> {
    if commands.is_empty() || commands.len() > MOST_STEPS {
        let problem = format!("it has {} commands: give 1 to {MOST_STEPS}", commands.len());
        return Err(Invalid::new("commands", problem));
    }
    if matches!(strategy, ExecutionStrategy::Parallel { max_concurrency: Some(0) }) {
        return Err(Invalid::new(
            "strategy.max_concurrency",
            "it is a number out of range: give 1 or more, or leave it out",
        ));
    }
    let mut seen = HashMap::with_capacity(commands.len());
    for (index, request) in commands.iter().enumerate() {
        let field = || format!("commands[{index}].id");
        if let Some(first) = seen.insert(request.id, index) {
            let problem =
                format!("{} is also the id of commands[{first}]: leave it out, or give each its own", request.id);
            return Err(Invalid::new(field(), problem));
        }
        if shared.registry.get(request.id).is_some() {
            let problem = format!("execution {} is known already: leave it out, or give each its own", request.id);
            return Err(Invalid::new(field(), problem));
        }
    }
    if matches!(strategy, ExecutionStrategy::Serial { .. }) {
        for (index, inputs) in inputs.iter().enumerate() {
            if let Some(StepInput { name, from, .. }) = inputs.iter().find(|input| input.from > index) {
                let problem = format!("step {from} runs after step {index}: give an earlier step");
                return Err(Invalid::new(format!("commands[{index}].{}.from", command::path_of(name)), problem));
            }
        }
    }
    let further: Vec<Vec<usize>> = inputs.iter().map(|inputs| inputs.iter().map(|it| it.from).collect()).collect();
    Graph::new(strategy, &further)
}

/// Checks each request with the options that it runs under.
fn work_of(
    shared: &EngineCore,
    commands: Vec<ExecutionRequest>,
    common: ExecutionOptions,
    mut own: HashMap<usize, ExecutionOptions>,
    secrets: &[Secret],
) -> Result<Vec<CheckedRequest>> {
    let common = Arc::new(common);
    let common_policy = shared.policy_of(&common);
    let common_secrets = CommonSecrets::new();
    let host = HostState::capture();
    let work = |(index, request): (usize, ExecutionRequest)| {
        let own = own.remove(&index);
        let has_own = own.is_some();
        let (options, signal) = match own {
            Some(mut own) => {
                let signal = own.signal.take();
                (Arc::new(own), signal)
            }
            None => (Arc::clone(&common), None),
        };
        let policy = if has_own { shared.policy_of(&options) } else { Arc::clone(&common_policy) };
        command::check(&request, &options, &shared.config, &policy).map_err(|invalid| {
            let of_plan = secrets.iter().map(|secret| secret.reveal().as_bytes());
            let own = shared.own_secrets(&request, &options, &policy);
            step_error(shared.masked(invalid, of_plan.chain(own)), index, has_own)
        })?;
        let secrets = if has_own { &CommonSecrets::new() } else { &common_secrets };
        let secrets = shared
            .secrets_of(&request, &options, &policy, secrets)
            .map_err(|invalid| step_error(invalid, index, has_own))?;
        Ok(CheckedRequest { request: Arc::new(request), options, policy, host: Arc::clone(&host), secrets, signal })
    };
    commands.into_iter().enumerate().map(work).collect()
}

/// Returns the error of a step, as seen from the plan.
fn step_error(invalid: Invalid, index: usize, has_own_options: bool) -> ExecutionError {
    match invalid.field.strip_prefix("options.") {
        Some(option) if has_own_options => {
            ExecutionError::InvalidRequest(Invalid::new(format!("options.steps[{index}].{option}"), invalid.problem))
        }
        Some(_) => ExecutionError::InvalidRequest(invalid),
        None => ExecutionError::InvalidPlan(invalid.under(&format!("commands[{index}]"))),
    }
}
