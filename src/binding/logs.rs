//! Reading logs, on a thread of the engine's: a log that hangs must not take one of the few that Node.js has for files.

use napi::bindgen_prelude::{Env, Object};
use napi_derive::napi;
use uuid::Uuid;

use super::error::code_and_message;
use crate::engine::ExecutionEngine;
use crate::error;
use crate::runtime;

/// The outcome of reading a log: its text, or an error in the form that the facade reads.
#[napi(object)]
pub(super) struct LogRead {
    pub text: Option<String>,
    pub code: Option<String>,
    pub message: Option<String>,
}

impl From<error::Result<String>> for LogRead {
    fn from(read: error::Result<String>) -> Self {
        match read {
            Ok(text) => Self { text: Some(text), code: None, message: None },
            Err(error) => {
                let (code, message) = code_and_message(&error);
                Self { text: None, code: Some(code.to_owned()), message: Some(message) }
            }
        }
    }
}

/// Reads a log; the promise is of a [`LogRead`].
pub(super) fn read<'env>(
    env: &'env Env,
    engine: &ExecutionEngine,
    id: Uuid,
    tail_bytes: Option<u64>,
) -> napi::Result<Object<'env>> {
    let (deferred, promise) = env.create_deferred()?;
    let engine = engine.clone();
    runtime::spawn(async move {
        let read = LogRead::from(engine.read_part_of_log(id, tail_bytes).await);
        deferred.resolve(move |_| Ok(read));
    });
    Ok(promise)
}
