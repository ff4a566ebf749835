//! Submits many requests by one call from Node.js.

use std::sync::Arc;

use napi::bindgen_prelude::Unknown;
use napi_derive::napi;
use serde_json::Value as Json;
use uuid::Uuid;

use super::error::{Thrown, raise, raise_as_is};
use super::outbox::JsSink;
use super::{NativeEngine, Result, convert, options_of};
use crate::engine::request_path;
use crate::error::{ExecutionError, Invalid};
use crate::platform::node::own_environment;
use crate::protocol::submit;
use crate::wire::{self, Case, Value};

#[napi]
impl NativeEngine {
    /// Accepts or refuses each of many requests, with the arguments of `submit`. The events of the first request come under `handle`, those
    /// of the others under the numbers that follow. Returns the JSON text of a list: the id of each request, or the code and the message of
    /// its error.
    #[napi(catch_unwind)]
    pub fn submit_many(
        &self,
        requests: Unknown<'_>,
        options: Unknown<'_>,
        env: Option<String>,
        handle: u32,
        ways: u8,
    ) -> Result<Option<String>> {
        let Some(env) = env.map(|packed| packed.into_bytes().into()).or_else(own_environment) else { return Ok(None) };
        let [requests, options] =
            convert::given(requests, options, ways & submit::AS_TEXT != 0, ExecutionError::InvalidRequest)?;
        let mut many = self.engine.submissions(options_of(&self.engine, &options, env, ways)?);
        let Value::List(requests) = requests else {
            let problem = format!("it is {}: give an array of requests", requests.describe());
            return Err(raise_as_is(ExecutionError::InvalidRequest(Invalid::new("requests", problem))));
        };
        let mut handle = handle;
        let mut submit = |(index, request): (usize, &Value)| -> Submission {
            let sink = JsSink::new(Arc::clone(&self.outbox), handle, false);
            handle = handle.wrapping_add(1);
            let request = wire::request_of_list(request, Case::Camel, &request_path(index))
                .map_err(|invalid| (ExecutionError::InvalidRequest(invalid), raise_as_is as Raise))?;
            many.submit(index, request, Arc::new(sink)).map_err(|error| (error, raise as Raise))
        };
        let mut outcomes: Vec<_> = requests.iter().enumerate().map(&mut submit).collect();
        many.mask(outcomes.iter_mut().filter_map(|outcome| outcome.as_mut().err()).map(|(error, _)| error));
        let entry = |outcome: Submission| match outcome {
            Ok(id) => Json::String(id.to_string()),
            Err((error, raise)) => refusal(raise(error)),
        };
        Ok(Some(Json::Array(outcomes.into_iter().map(entry).collect()).to_string()))
    }
}

/// The conversion of an error into one of JavaScript.
type Raise = fn(ExecutionError) -> Thrown;

/// The id of an accepted request, or why it was refused.
type Submission = std::result::Result<Uuid, (ExecutionError, Raise)>;

/// Returns a refusal that is not thrown.
fn refusal(thrown: Thrown) -> Json {
    Json::Array(vec![Json::String(thrown.status), Json::String(thrown.reason)])
}
