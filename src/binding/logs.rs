//! Reading logs, on a thread of Node's own for such things.

use napi::bindgen_prelude::{AsyncTask, Env};
use napi::{Result, Task};
use napi_derive::napi;
use uuid::Uuid;

use super::error::told;
use crate::engine::ExecutionEngine;

/// What came of reading a log: its text, or an error as the facade understands it.
#[napi(object)]
pub struct LogRead {
    pub text: Option<String>,
    pub code: Option<String>,
    pub message: Option<String>,
}

pub struct ReadLog {
    engine: ExecutionEngine,
    id: Uuid,
    tail_bytes: Option<u64>,
}

impl ReadLog {
    pub(super) fn start(engine: &ExecutionEngine, id: Uuid, tail_bytes: Option<u64>) -> AsyncTask<Self> {
        AsyncTask::new(Self { engine: engine.clone(), id, tail_bytes })
    }
}

impl Task for ReadLog {
    type Output = LogRead;
    type JsValue = LogRead;

    fn compute(&mut self) -> Result<LogRead> {
        Ok(match self.engine.read_log(self.id, self.tail_bytes) {
            Ok(text) => LogRead { text: Some(text), code: None, message: None },
            Err(error) => {
                let (code, message) = told(&error);
                LogRead { text: None, code: Some(code.to_owned()), message: Some(message) }
            }
        })
    }

    fn resolve(&mut self, _env: Env, output: LogRead) -> Result<LogRead> {
        Ok(output)
    }
}
