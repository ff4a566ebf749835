//! Plans for Node.js.

use std::collections::HashMap;
use std::sync::Arc;

use napi::bindgen_prelude::{Env, External, Object, Unknown};
use napi_derive::napi;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::error::{self, raise, raise_as_is};
use super::outbox::JsSink;
use super::result::HeldResult;
use super::{NativeEngine, Result, convert, masked};
use crate::error::ExecutionError;
use crate::redact::Allowance;
use crate::state::Stop;
use crate::types::{EnvSnapshot, PlanExecutionResult};
use crate::wire::{self, Case};

/// A plan that was accepted.
pub struct AcceptedPlan {
    /// The id of the plan, and those of its steps by index.
    ids: Vec<Uuid>,
    /// The abort signals of the steps that have one, by index.
    signals: HashMap<u32, CancellationToken>,
}

/// The arguments of a plan's submission.
#[napi(object, object_to_js = false)]
pub struct PlanCall {
    /// The variables of the host.
    pub env: String,
    /// The handle of the plan's events. Those of its steps come under the handles that follow, in the order of the steps.
    pub handle: u32,
    /// Whether the plan is the JSON text of a list of the plan and the options.
    pub as_text: bool,
    /// Whether lines are delivered only as JavaScript releases them.
    pub pull: bool,
    /// Whether the plan's abort signal has fired.
    pub aborted: bool,
    /// The indexes of the steps that have an abort signal.
    pub signals: Vec<u32>,
    /// The indexes of the steps whose abort signal has fired.
    pub fired: Vec<u32>,
}

#[napi]
impl NativeEngine {
    /// Accepts a plan.
    #[napi(catch_unwind, ts_return_type = "ExternalObject<AcceptedPlan>")]
    pub fn submit_plan(
        &self,
        plan: Unknown<'_>,
        options: Unknown<'_>,
        call: PlanCall,
    ) -> Result<External<AcceptedPlan>> {
        let PlanCall { env, handle, as_text, pull, aborted, signals, fired } = call;
        let [plan, options] = convert::given(plan, options, as_text, ExecutionError::InvalidPlan)?;
        let plan = wire::plan(&plan, Case::Camel).map_err(ExecutionError::InvalidPlan).map_err(raise_as_is)?;
        let mut options =
            wire::plan_options(&options, Case::Camel).map_err(ExecutionError::InvalidRequest).map_err(raise_as_is)?;
        let env = self.engine.host_env(|| EnvSnapshot::from_packed(env.into_bytes()));
        options.options.host_env.get_or_insert_with(|| env.clone());
        options.options.signal = aborted.then(fired_signal);
        let signals: HashMap<u32, CancellationToken> =
            signals.into_iter().map(|index| (index, CancellationToken::new())).collect();
        for (index, step) in &mut options.steps {
            step.host_env.get_or_insert_with(|| env.clone());
            step.signal = u32::try_from(*index).ok().and_then(|index| signals.get(&index).cloned());
        }
        for index in &fired {
            signals.get(index).inspect(|signal| signal.cancel());
        }
        let ids = std::iter::once(plan.id).chain(plan.commands.iter().map(|request| request.id)).collect();
        let outbox = Arc::clone(&self.outbox);
        let sinks = move |step: Option<usize>| {
            let offset = step.map_or(0, |index| u32::try_from(index + 1).unwrap_or(u32::MAX));
            Arc::new(JsSink::new(Arc::clone(&outbox), handle.wrapping_add(offset), pull)) as _
        };
        self.engine.submit_plan(plan, options, Box::new(sinks)).map_err(raise)?;
        Ok(External::new(AcceptedPlan { ids, signals }))
    }

    /// Returns the JSON text of a list: the id of a plan, and the ids of its steps by index.
    #[napi(catch_unwind, ts_args_type = "plan: ExternalObject<AcceptedPlan>")]
    pub fn plan_ids(plan: &External<AcceptedPlan>) -> String {
        serde_json::json!(plan.ids).to_string()
    }

    /// Requests the end of a plan; `aborted` means because of an abort signal.
    #[napi(catch_unwind)]
    pub fn stop_plan(&self, id: Unknown<'_>, aborted: bool) -> Result<()> {
        let why = if aborted { Stop::Aborted } else { Stop::Cancelled };
        let plan = self.engine.plan(plan_id(id)?);
        // A signal may fire when the plan is over and its record removed, and JavaScript has not been notified yet.
        if aborted && plan.is_err() {
            return Ok(());
        }
        plan.map_err(raise)?.request_stop(why);
        Ok(())
    }

    /// Reports that the abort signal of a step has fired.
    #[napi(catch_unwind, ts_args_type = "plan: ExternalObject<AcceptedPlan>, index: number")]
    pub fn abort_step(plan: &External<AcceptedPlan>, index: u32) {
        plan.signals.get(&index).inspect(|signal| signal.cancel());
    }

    /// Returns the result of a plan that has ended; `null` while it runs.
    #[napi(catch_unwind)]
    pub fn plan_result(&self, id: Unknown<'_>) -> Result<Option<External<Arc<PlanExecutionResult>>>> {
        let record = self.engine.plan(plan_id(id)?).map_err(raise)?;
        // A large result is masked by `masked_plan`.
        let shown = self.engine.plan_result(&record, &mut Allowance::unlimited()).ok().flatten();
        Ok(shown.map(External::new))
    }

    /// Returns the result of a plan that has ended if a thread of the engine has to mask it first; else `null`.
    #[napi(catch_unwind, ts_return_type = "Promise<ExternalObject<Arc<PlanExecutionResult>>> | null")]
    pub fn masked_plan<'env>(&self, env: &'env Env, id: Unknown<'_>) -> Result<Option<Object<'env>>> {
        masked::plan(env, &self.engine, plan_id(id)?)
    }

    /// Returns the plan result at a position of the batch that was taken last.
    #[napi(catch_unwind)]
    pub fn plan_outcome(&self, position: u32) -> Option<External<Arc<PlanExecutionResult>>> {
        self.outbox.plan_outcome(position as usize).map(|result| External::new(self.engine.delivered_plan(result)))
    }

    /// Returns a plan's result as JSON text, without the results of its steps.
    #[napi(catch_unwind)]
    pub fn plan_text(result: &External<Arc<PlanExecutionResult>>) -> String {
        convert::plan(result)
    }

    /// Returns the results of the steps that began, in the order of their indexes.
    #[napi(catch_unwind)]
    pub fn plan_steps(env: Env, result: &External<Arc<PlanExecutionResult>>) -> Vec<External<HeldResult>> {
        result.results.iter().map(|result| External::new(HeldResult::new(env, Arc::clone(result)))).collect()
    }
}

fn fired_signal() -> CancellationToken {
    let signal = CancellationToken::new();
    signal.cancel();
    signal
}

/// Converts the id of a plan from JavaScript.
fn plan_id(id: Unknown<'_>) -> Result<Uuid> {
    let value = convert::read(id)?;
    match &value {
        wire::Value::Text(text) => wire::id("id", text).map_err(|_| error::not_a_plan_id(&value)),
        _ => Err(error::not_a_plan_id(&value)),
    }
}
