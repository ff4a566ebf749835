//! The methods of a caller for an execution that runs.

use napi::bindgen_prelude::{Env, Object, Uint8Array, Unknown};
use napi_derive::napi;

use super::error::{code_and_message, raise, raise_as_is};
use super::{NativeEngine, Result, convert, error, id_of};
use crate::engine::{ExecutionEngine, LoginShell};
use crate::error::ExecutionError;
use crate::runtime;
use crate::types::{Encoding, EnvSnapshot};
use crate::wire::{self, Case};

/// The outcome of reading output: text or bytes, or an error in the form that the facade reads.
#[napi(object)]
#[derive(Default)]
pub(super) struct OutputRead {
    pub text: Option<String>,
    pub bytes: Option<Uint8Array>,
    pub code: Option<String>,
    pub message: Option<String>,
}

impl OutputRead {
    fn failed(error: &ExecutionError) -> Self {
        let (code, message) = code_and_message(error);
        Self { code: Some(code.to_owned()), message: Some(message), ..Self::default() }
    }
}

#[napi]
impl NativeEngine {
    /// Reads the output that an execution has written so far.
    #[napi(catch_unwind, ts_return_type = "Promise<OutputRead>")]
    pub fn read_output<'env>(&self, env: &'env Env, id: Unknown<'_>, options: Unknown<'_>) -> Result<Object<'env>> {
        let id = id_of(id)?;
        let part = wire::output_part(&convert::read(options)?, Case::Camel);
        let (stream, tail_bytes) = part.map_err(ExecutionError::InvalidRequest).map_err(raise_as_is)?;
        let (deferred, promise) = env.create_deferred().map_err(error::of_napi)?;
        let engine = self.engine.clone();
        runtime::spawn(async move {
            let read = match engine.read_output(id, stream, tail_bytes).await {
                Ok(output) if output.encoding() == Encoding::Buffer => {
                    OutputRead { bytes: Some(Uint8Array::new(output.raw().to_vec())), ..OutputRead::default() }
                }
                Ok(output) => OutputRead { text: Some(output.decode().into_owned()), ..OutputRead::default() },
                Err(error) => OutputRead::failed(&error),
            };
            deferred.resolve(move |_| Ok(read));
        });
        Ok(promise)
    }

    /// Reads the environment of the user's login shell. Without `env` it starts with the variables of this process.
    #[napi(catch_unwind, ts_return_type = "Promise<OutputRead>")]
    pub fn login_shell_env<'env>(
        env: &'env Env,
        options: Unknown<'_>,
        variables: Option<String>,
    ) -> Result<Object<'env>> {
        let (shell, timeout) = wire::login_shell(&convert::read(options)?, Case::Camel)
            .map_err(ExecutionError::InvalidRequest)
            .map_err(raise_as_is)?;
        let host_env = variables.map(|packed| EnvSnapshot::from_packed(packed.into_bytes()));
        let (deferred, promise) = env.create_deferred().map_err(error::of_napi)?;
        runtime::spawn(async move {
            let how = LoginShell { shell, timeout, host_env };
            let read = match ExecutionEngine::login_shell_env(how).await {
                Ok(found) => OutputRead { text: Some(serde_json::json!(found).to_string()), ..OutputRead::default() },
                Err(error) => OutputRead::failed(&error),
            };
            deferred.resolve(move |_| Ok(read));
        });
        Ok(promise)
    }

    /// Moves the deadline of an execution, and returns the new one in ms since 1970.
    #[napi(catch_unwind)]
    pub fn extend_timeout(&self, id: Unknown<'_>, ms: Unknown<'_>) -> Result<f64> {
        let id = id_of(id)?;
        let time = wire::time_left(&convert::read(ms)?);
        let time = time.map_err(ExecutionError::InvalidRequest).map_err(raise_as_is)?;
        self.engine.move_deadline(id, time).map(convert::milliseconds).map_err(raise)
    }
}
