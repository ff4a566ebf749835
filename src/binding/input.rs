//! Standard inputs that JavaScript sends in chunks: each on request, or by calls.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use napi::bindgen_prelude::{Env, Object};
use napi_derive::napi;
use uuid::Uuid;

use super::error::code_and_message;
use super::outbox::JsSink;
use crate::engine::{ExecutionEngine, input_refusal};
use crate::error::Result;
use crate::runtime;
use crate::types::StdinWriter;

/// The writers of the executions whose input has not ended, by handle.
#[derive(Default)]
pub(super) struct Inputs(Mutex<HashMap<u32, StdinWriter>>);

impl Inputs {
    /// Asks JavaScript for a chunk whenever the child has taken the one before, until there is no reader any more.
    pub(super) fn open(&self, handle: u32, writer: StdinWriter, sink: JsSink) {
        let demand = writer.demand();
        runtime::spawn(async move {
            while demand.next().await.is_ok() {
                sink.input(true);
            }
            sink.input(false);
        });
        self.with(|writers| writers.insert(handle, writer));
    }

    pub(super) fn write(&self, handle: u32, bytes: Vec<u8>) {
        self.with(|writers| {
            if let Some(writer) = writers.get(&handle) {
                writer.hand_over(bytes);
            }
        });
    }

    /// Ends an input, because there is no more or because it failed: the option, and why.
    pub(super) fn end(&self, handle: u32, failure: Option<(String, String)>) {
        let writer = self.with(|writers| writers.remove(&handle));
        if let (Some(writer), Some((field, message))) = (writer, failure) {
            writer.fail_as(&field, &message);
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut HashMap<u32, StdinWriter>) -> T) -> T {
        // Every change is complete before anything that could panic.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The outcome of a write: an error in the form that the facade reads, or none if the data was accepted.
#[napi(object)]
pub(super) struct WriteOutcome {
    pub code: Option<String>,
    pub message: Option<String>,
}

/// Writes to an open input. Its place in the order is taken at once; the promise is of a [`WriteOutcome`].
pub(super) fn write<'env>(
    env: &'env Env,
    engine: &ExecutionEngine,
    id: Uuid,
    bytes: Vec<u8>,
) -> Result<napi::Result<Object<'env>>> {
    let pending = engine.begin_write(id, bytes)?;
    Ok(env.create_deferred().map(|(deferred, promise)| {
        runtime::spawn(async move {
            let refused = pending.accepted().await.err().map(|refused| code_and_message(&input_refusal(refused)));
            let (code, message) = refused.map(|(code, message)| (code.to_owned(), message)).unzip();
            deferred.resolve(move |_| Ok(WriteOutcome { code, message }));
        });
        promise
    }))
}
