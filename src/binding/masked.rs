//! Secrets in what JavaScript gets: in refusals, and in results that a thread of the engine masks first, since a secret was added
//! after they were made.

use std::sync::Arc;

use napi::bindgen_prelude::{Env, External, Object};
use napi_derive::napi;
use uuid::Uuid;

use super::Result;
use super::error::{of_napi, raise};
use super::result::HeldResult;
use crate::engine::{ExecutionEngine, SecretsOfCall};
use crate::redact::{Allowance, Beyond};
use crate::runtime;
use crate::types::{EnvSnapshot, PlanExecutionResult};

/// The data of a refused call in which secrets may be.
#[napi(object, object_to_js = false)]
pub struct RefusedCall {
    /// The secrets of the call's options.
    pub secrets: Vec<String>,
    /// The variables of the host and of the call's requests, packed as `submit` takes them.
    pub variables: String,
    /// Whether the call's options mask the values of variables with secret names.
    pub masks_variables: bool,
    /// The patterns of secret names that the configuration of the call adds.
    pub patterns: Vec<String>,
}

impl From<RefusedCall> for SecretsOfCall {
    fn from(call: RefusedCall) -> Self {
        let RefusedCall { secrets, variables, masks_variables, patterns } = call;
        Self { secrets, variables: EnvSnapshot::from_packed(variables.into_bytes()), masks_variables, patterns }
    }
}

/// Returns a promise of a result, if it is not to be masked here.
pub(super) fn result<'env>(env: &'env Env, engine: &ExecutionEngine, id: Uuid) -> Result<Option<Object<'env>>> {
    let record = engine.record(id).map_err(raise)?;
    let Err(Beyond) = record.shown_result(&mut Allowance::of_caller()) else { return Ok(None) };
    let (deferred, promise) = env.create_deferred().map_err(of_napi)?;
    let engine = engine.clone();
    runtime::spawn(async move {
        let shown = engine.shown(&record).await;
        deferred.resolve(move |env| Ok(shown.ok().map(|result| External::new(HeldResult::new(env, result)))));
    });
    Ok(Some(promise))
}

/// Masks the result of a plan.
pub(super) fn plan<'env>(env: &'env Env, engine: &ExecutionEngine, id: Uuid) -> Result<Option<Object<'env>>> {
    let record = engine.plan(id).map_err(raise)?;
    let Err(Beyond) = engine.plan_result(&record, &mut Allowance::of_caller()) else { return Ok(None) };
    let (deferred, promise) = env.create_deferred().map_err(of_napi)?;
    let engine = engine.clone();
    runtime::spawn(async move {
        let shown = engine.shown_plan(&record).await;
        deferred.resolve(move |_| Ok(shown.ok().map(External::<Arc<PlanExecutionResult>>::new)));
    });
    Ok(Some(promise))
}
