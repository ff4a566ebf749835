//! The Node.js addon: each method converts, calls, and converts. The public JavaScript API is the facade in `lib/`.

use std::sync::Arc;
use std::time::Duration;

use napi::bindgen_prelude::{Env, External, Function, Object, Unknown};
use napi_derive::napi;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::engine::{ExecutionEngine, end_unguarded};
use crate::error::{ExecutionError, Invalid};
use crate::platform::clock::Instant;
use crate::platform::node::{ExternalMemory, environment_of_main_thread, own_environment};
use crate::protocol::submit;
use crate::redact::Allowance;
use crate::state::Stop;
use crate::types::{EnvSnapshot, ExecutionOptions, ExecutionRequest, StdinStream};
use crate::wire::{self, Case};

use self::error::{Thrown, raise, raise_as_is};
use self::input::Inputs;
use self::outbox::{JsSink, Outbox};
use self::result::HeldResult;

mod batch;
mod convert;
mod cross;
mod error;
mod input;
mod logs;
mod many;
mod masked;
mod outbox;
mod plans;
mod result;
mod running;
mod teardown;

type Result<T> = std::result::Result<T, Thrown>;

/// Returns the version of the addon. The facade refuses any version other than its own.
#[napi]
#[must_use]
pub(crate) fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// An engine and the queue of its events.
#[napi]
pub struct NativeEngine {
    engine: Arc<ExecutionEngine>,
    outbox: Arc<Outbox>,
    inputs: Inputs,
}

/// Ends the running executions when the engine is collected or its thread ends.
impl Drop for NativeEngine {
    fn drop(&mut self) {
        self.engine.close_and_stop();
    }
}

#[napi]
impl NativeEngine {
    /// Creates an engine. `wake` is called, without arguments, when a batch can be taken.
    #[napi(constructor, catch_unwind)]
    pub fn new(env: Env, config: Unknown<'_>, wake: Function<'_, (), ()>) -> Result<Self> {
        let config = convert::read(config)?;
        let config = wire::config(&config, Case::Camel).map_err(ExecutionError::InvalidConfig).map_err(raise_as_is)?;
        let engine = Arc::new(ExecutionEngine::new(config).map_err(raise)?);
        teardown::watch(env, &engine);
        let outbox = Outbox::new(&wake).map_err(error::of_napi)?;
        Ok(Self { engine, outbox: Arc::new(outbox), inputs: Inputs::default() })
    }

    /// Accepts a request. Its events come under `handle`. Without an `env` the variables are those of this process; `null` means that they
    /// cannot be read. `ways` is a sum of `protocol::submit`; with `FEEDS` its input comes through `feed`.
    #[napi(catch_unwind)]
    pub fn submit(
        &self,
        request: Unknown<'_>,
        options: Unknown<'_>,
        env: Option<String>,
        handle: u32,
        ways: u8,
    ) -> Result<Option<String>> {
        let Some(env) = env.map(|packed| packed.into_bytes().into()).or_else(own_environment) else { return Ok(None) };
        let (pull, feeds) = (ways & submit::PULLS != 0, ways & submit::FEEDS != 0);
        let (request, mut options) = decode(&self.engine, request, options, env, ways)?;
        let writer = feeds.then(|| {
            let (writer, stdin) = StdinStream::channel();
            options.stdin = stdin;
            writer
        });
        let sink = JsSink::new(Arc::clone(&self.outbox), handle, pull);
        let record = self.engine.submit(request, options, Arc::new(sink.clone())).map_err(raise)?;
        if let Some(writer) = writer {
            self.inputs.open(handle, writer, sink);
        }
        Ok(Some(record.id().to_string()))
    }

    /// Runs a request and blocks this thread until it has ended. The arguments are those of `submit`.
    #[napi(catch_unwind)]
    pub fn run_sync(
        &self,
        env: Env,
        request: Unknown<'_>,
        options: Unknown<'_>,
        variables: Option<String>,
        ways: u8,
    ) -> Result<Option<External<HeldResult>>> {
        let variables = variables.map(|packed| packed.into_bytes().into()).or_else(own_environment);
        let Some(variables) = variables else { return Ok(None) };
        let (request, options) = decode(&self.engine, request, options, variables, ways)?;
        let result = self.engine.run_sync_to_end(request, options).map_err(raise)?;
        Ok(Some(External::new(HeldResult::new(env, result))))
    }

    /// Returns the texts of refusals, such as a message and a field, with the secrets of the engine and of a call masked.
    #[napi(catch_unwind)]
    pub fn mask(&self, texts: Vec<String>, call: masked::RefusedCall) -> Vec<String> {
        self.engine.mask_texts(texts, &call.into())
    }

    /// Returns the texts of refusals with the secrets of a call masked, without an engine.
    #[napi(catch_unwind)]
    pub fn mask_with(texts: Vec<String>, call: masked::RefusedCall) -> Vec<String> {
        ExecutionEngine::mask_texts_with(texts, &call.into())
    }

    /// Masks one more secret from now on, in all executions or in one.
    #[napi(catch_unwind)]
    pub fn add_secret(&self, value: Unknown<'_>, id: Unknown<'_>) -> Result<()> {
        let value = convert::read(value)?;
        let wire::Value::Text(value) = value else {
            let problem = format!("it is {}: give a string", value.describe());
            return Err(raise(ExecutionError::InvalidRequest(Invalid::new("value", problem))));
        };
        let added = if convert::read(id)?.is_absent() {
            self.engine.add_secret(value)
        } else {
            self.engine.add_secret_of(id_of(id)?, value)
        };
        added.map_err(raise)
    }

    /// Returns the variables of this process, packed as `submit` takes them; `null` if they cannot be read, are not text, or are not those
    /// of this thread.
    #[napi(catch_unwind)]
    pub fn own_environment() -> Option<String> {
        String::from_utf8(environment_of_main_thread()?.to_vec()).ok()
    }

    /// Sends the requested chunk to the input of an execution.
    #[napi(catch_unwind)]
    pub fn feed(&self, handle: u32, chunk: &[u8]) {
        self.inputs.write(handle, chunk.to_vec());
    }

    /// Ends the input of an execution. With a `failure` the input is incomplete, and the execution ends too. `field` is the option with the
    /// input.
    #[napi(catch_unwind)]
    pub fn end_input(&self, handle: u32, field: String, failure: Option<String>) {
        self.inputs.end(handle, failure.map(|message| (field, message)));
    }

    /// Writes to an open input. Concurrent writes keep the order of the calls.
    #[napi(catch_unwind, ts_return_type = "Promise<WriteOutcome>")]
    pub fn write<'env>(&self, env: &'env Env, id: Unknown<'_>, bytes: &[u8]) -> Result<Object<'env>> {
        input::write(env, &self.engine, id_of(id)?, bytes.to_vec()).map_err(raise)?.map_err(error::of_napi)
    }

    /// Ends an open input, after the previous writes.
    #[napi(catch_unwind)]
    pub fn end_open_input(&self, id: Unknown<'_>) -> Result<()> {
        self.engine.end_input(id_of(id)?).map_err(raise)
    }

    /// Changes the size of a terminal.
    #[napi(catch_unwind)]
    pub fn resize(&self, id: Unknown<'_>, size: Unknown<'_>) -> Result<()> {
        let id = id_of(id)?;
        let size = convert::read(size)?;
        let size = wire::size(&size, Case::Camel).map_err(ExecutionError::InvalidRequest).map_err(raise_as_is)?;
        self.engine.resize(id, size).map_err(raise)
    }

    /// Requests the end of an execution; `aborted` means because of an abort signal. A `grace_ms` that is not negative is the longest time
    /// from now until the kill, in ms.
    #[napi(catch_unwind)]
    pub fn stop(&self, id: Unknown<'_>, aborted: bool, grace_ms: f64) -> Result<()> {
        let why = if aborted { Stop::Aborted } else { Stop::Cancelled };
        match self.engine.request_stop(id_of(id)?, why, grace_of(grace_ms)) {
            // A signal may fire when the execution is over and its record gone, and JavaScript does not know it yet.
            Err(ExecutionError::NotFound(_)) if aborted => Ok(()),
            stopped => stopped.map_err(raise),
        }
    }

    /// Sends a signal to the command itself, and returns whether there was a process.
    #[napi(catch_unwind)]
    pub fn signal(&self, id: Unknown<'_>, name: Unknown<'_>) -> Result<bool> {
        let id = id_of(id)?;
        let value = convert::read(name)?;
        let name = match &value {
            wire::Value::Text(name) => name,
            other => {
                let problem = format!("it is {}: give the name of a signal, such as \"SIGUSR1\"", other.describe());
                return Err(raise(ExecutionError::InvalidRequest(Invalid::new("signal", problem))));
            }
        };
        self.engine.signal(id, name).map_err(raise)
    }

    /// Closes the engine: it refuses further work.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.engine.close();
    }

    /// Ends the running executions of all engines that no guardian ends: first the stop signal, then the kill. It is for a host that exits
    /// on a system that does not call the addon (Windows). Returns when all processes are gone, after half a second at most.
    #[napi]
    pub fn end_unguarded() {
        end_unguarded();
    }

    /// Stops the delivery of events: all executions have ended, and the engine accepts no more.
    #[napi(catch_unwind)]
    pub fn detach(&self) {
        self.outbox.abandon();
    }

    /// Requests the end of all executions and plans, by a shutdown or a cancel, and returns the number of executions. `grace_ms` is that of
    /// `stop`.
    #[napi(catch_unwind)]
    pub fn stop_all(&self, shutdown: bool, grace_ms: f64) -> u32 {
        let why = if shutdown { Stop::Shutdown } else { Stop::Cancelled };
        let live = self.engine.request_stop_of_all(why, grace_of(grace_ms));
        u32::try_from(live.len()).unwrap_or(u32::MAX)
    }

    /// Returns the time of the clock of all deadlines, in ms. The clock does not advance while the machine sleeps.
    #[napi(catch_unwind)]
    pub fn clock_ms() -> f64 {
        Instant::now().uptime().as_secs_f64() * 1_000.0
    }

    /// Sets the types of events that have listeners: a bit for each type, by its number.
    #[napi(catch_unwind)]
    pub fn listen(&self, interest: u32) {
        self.outbox.listen(interest);
    }

    /// Returns the next batch; `null` when there is none, and then `wake` is called for the next one. The call releases the previous batch.
    /// A short batch is its text alone, and `shared` holds the count of its numbers and the numbers. A negative count means that there is
    /// no further batch, and `wake` is called for the next one.
    #[napi(
        catch_unwind,
        ts_args_type = "shared: Float64Array",
        ts_return_type = "string | { text: string; numbers: Float64Array; bytes?: Uint8Array } | null"
    )]
    pub fn take<'env>(&self, env: &'env Env, shared: Unknown<'_>) -> Result<Option<Unknown<'env>>> {
        ExternalMemory::settle(*env);
        self.outbox.take(env, convert::from(shared)?).map_err(error::of_napi)
    }

    /// Reports that `count` more groups of lines of a pulled execution were consumed.
    #[napi(catch_unwind)]
    pub fn release(&self, handle: u32, count: u32) {
        self.outbox.release(handle, count as usize);
    }

    /// Returns the result at a position of the batch that was taken last.
    #[napi(catch_unwind)]
    pub fn outcome(&self, env: Env, position: u32) -> Option<External<HeldResult>> {
        let result = self.outbox.outcome(position as usize)?;
        Some(External::new(HeldResult::new(env, self.engine.delivered(result))))
    }

    /// Returns a short output of an ended execution with all current secrets masked.
    #[napi(catch_unwind)]
    pub fn mask_output(&self, id: Unknown<'_>, text: String) -> Result<String> {
        let [masked] = self.engine.mask_output(id_of(id)?, text);
        Ok(masked)
    }

    /// Returns the status of an execution.
    #[napi(catch_unwind)]
    pub fn status(&self, id: Unknown<'_>) -> Result<&'static str> {
        Ok(self.engine.record(id_of(id)?).map_err(raise)?.status().as_str())
    }

    /// Returns the result of an ended execution.
    #[napi(catch_unwind)]
    pub fn result(&self, env: Env, id: Unknown<'_>) -> Result<External<HeldResult>> {
        self.engine.result(id_of(id)?).map(|result| External::new(HeldResult::new(env, result))).map_err(raise)
    }

    /// Returns the result of an ended execution if it is large and a thread of the engine has to mask it first; else `null`.
    #[napi(catch_unwind, ts_return_type = "Promise<ExternalObject<HeldResult>> | null")]
    pub fn masked_result<'env>(&self, env: &'env Env, id: Unknown<'_>) -> Result<Option<Object<'env>>> {
        masked::result(env, &self.engine, id_of(id)?)
    }

    /// Returns the path of the log of an execution; `null` when it has none.
    #[napi(catch_unwind)]
    pub fn log_path(&self, id: Unknown<'_>) -> Result<Option<String>> {
        let path = self.engine.get_log_path(id_of(id)?).map_err(raise)?;
        Ok(path.map(|path| path.to_string_lossy().into_owned()))
    }

    /// Reads a log, or its last `tail_bytes` bytes; all of it when `tail_bytes` is negative.
    #[napi(catch_unwind, ts_return_type = "Promise<LogRead>")]
    pub fn read_log<'env>(&self, env: &'env Env, id: Unknown<'_>, tail_bytes: i64) -> Result<Object<'env>> {
        logs::read(env, &self.engine, id_of(id)?, u64::try_from(tail_bytes).ok()).map_err(error::of_napi)
    }

    /// Returns the JSON text of a listing, with dates as text.
    #[napi(catch_unwind)]
    pub fn list(&self, filter: Unknown<'_>) -> Result<String> {
        let filter = convert::read(filter)?;
        let filter = wire::filter(&filter, Case::Camel).map_err(ExecutionError::InvalidRequest).map_err(raise_as_is)?;
        Ok(convert::summaries(&self.engine.list(&filter)))
    }

    /// Removes the record of an ended execution.
    #[napi(catch_unwind)]
    pub fn remove(&self, id: Unknown<'_>) -> Result<()> {
        self.engine.remove(id_of(id)?).map_err(raise)
    }

    /// Removes the records whose retention has ended, and returns the number of removed executions.
    #[napi(catch_unwind)]
    pub fn cleanup(&self) -> u32 {
        u32::try_from(self.engine.clean_up()).unwrap_or(u32::MAX)
    }

    /// Returns the totals since the engine started.
    #[napi(catch_unwind, ts_return_type = "object")]
    pub fn stats(&self) -> serde_json::Value {
        convert::camel_json(&self.engine.stats())
    }

    /// Returns the metrics in the text format of Prometheus.
    #[napi(catch_unwind)]
    pub fn metrics_text(&self) -> String {
        self.engine.metrics_text()
    }

    /// Returns the label of an execution for its feedback; `null` if the label is not permitted there.
    #[napi(catch_unwind)]
    pub fn feedback_label(&self, id: Unknown<'_>, label: Unknown<'_>) -> Result<Option<String>> {
        let wire::Value::Text(label) = convert::read(label)? else { return Ok(None) };
        Ok(self.engine.feedback_label(id_of(id)?, &label).map(|label| label.to_string()))
    }

    /// Returns the command of an execution as a person would type it, shortened.
    #[napi(catch_unwind)]
    pub fn command(&self, id: Unknown<'_>) -> Result<Option<String>> {
        let id = id_of(id)?;
        // The execution may have ended, and its record may have been removed, since it was accepted.
        Ok(self.engine.record(id).ok().map(|record| record.command(&mut Allowance::of_caller())))
    }

    /// Returns the current load of the engine.
    #[napi(catch_unwind, ts_return_type = "object")]
    pub fn concurrency(&self) -> serde_json::Value {
        convert::camel_json(&self.engine.get_concurrency_metrics())
    }

    /// Returns the effective configuration.
    #[napi(catch_unwind, ts_return_type = "object")]
    pub fn config(&self) -> serde_json::Value {
        convert::settings(self.engine.config())
    }

    /// Reads `EXEC_*` variables, and returns the settings that are given there.
    #[napi(catch_unwind, ts_return_type = "object")]
    pub fn config_from_env(vars: Unknown<'_>) -> Result<serde_json::Value> {
        let vars = convert::texts(&convert::read(vars)?)?;
        ExecutionEngine::config_from_vars(vars).map(|layer| convert::settings(&layer)).map_err(raise_as_is)
    }

    /// Reads a file, and returns the settings that are given there.
    #[napi(catch_unwind, ts_return_type = "object")]
    pub fn config_from_file(path: String) -> Result<serde_json::Value> {
        ExecutionEngine::config_from_file(path).map(|layer| convert::settings(&layer)).map_err(raise_as_is)
    }

    /// Returns a result as JSON text, with dates in milliseconds. Output that is `null` there is returned by `resultOutput`.
    #[napi(catch_unwind)]
    pub fn result_text(result: &External<HeldResult>) -> Result<String> {
        result.get().map(|result| result::result(result)).map_err(error::of_napi)
    }

    /// Returns the standard output, or the standard error, of a result.
    #[napi(catch_unwind, ts_return_type = "string | Buffer")]
    pub fn result_output<'env>(env: &'env Env, result: &External<HeldResult>, stderr: bool) -> Result<Unknown<'env>> {
        result.get().and_then(|result| result::output(env, result, stderr)).map_err(error::of_napi)
    }

    /// Returns the error that kept the engine from running the command of a result as requested, as the JSON text of an `ErrorInfo`; `null`
    /// if there is none.
    #[napi(catch_unwind)]
    pub fn result_error(result: &External<HeldResult>) -> Result<Option<String>> {
        let result = result.get().map_err(error::of_napi)?;
        Ok(result.error.as_ref().map(convert::error_info))
    }

    /// Releases the memory of a result that was read completely.
    #[napi(catch_unwind)]
    pub fn release_result(env: Env, result: &mut External<HeldResult>) {
        result.release();
        ExternalMemory::settle(env);
    }

    /// Reads a request in wire form, as JSON text or as the parsed object, and returns it as JSON text.
    #[napi(catch_unwind)]
    pub fn parse_request(wire: Unknown<'_>) -> Result<String> {
        let value = match convert::read(wire)? {
            wire::Value::Text(text) => {
                wire::parse_json(&text).map_err(ExecutionError::InvalidRequest).map_err(raise_as_is)?
            }
            other => other,
        };
        let parsed = ExecutionEngine::parse_wire(&value).map_err(raise_as_is)?;
        Ok(convert::request(&parsed).to_string())
    }
}

/// Converts a grace period from JavaScript; a negative number means none.
fn grace_of(grace_ms: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(grace_ms / 1_000.0).ok()
}

/// Converts an id from JavaScript.
fn id_of(id: Unknown<'_>) -> Result<Uuid> {
    let value = convert::read(id)?;
    match &value {
        wire::Value::Text(text) => wire::id("id", text).map_err(|_| error::not_an_id(&value)),
        _ => Err(error::not_an_id(&value)),
    }
}

/// Decodes a request and its options from the data of a call.
fn decode(
    engine: &ExecutionEngine,
    request: Unknown<'_>,
    options: Unknown<'_>,
    env: Arc<[u8]>,
    ways: u8,
) -> Result<(ExecutionRequest, ExecutionOptions)> {
    let [request, options] =
        convert::given(request, options, ways & submit::AS_TEXT != 0, ExecutionError::InvalidRequest)?;
    let invalid = |invalid| raise_as_is(ExecutionError::InvalidRequest(invalid));
    let parsed = wire::request(&request, Case::Camel).map_err(invalid)?;
    Ok((parsed.request, options_of(engine, &options, env, ways)?))
}

/// Decodes the options of a call.
fn options_of(engine: &ExecutionEngine, options: &wire::Value, env: Arc<[u8]>, ways: u8) -> Result<ExecutionOptions> {
    let mut options =
        wire::options(options, Case::Camel).map_err(ExecutionError::InvalidRequest).map_err(raise_as_is)?;
    options.host_env.get_or_insert_with(|| engine.host_env(|| EnvSnapshot::from_packed(env)));
    if ways & submit::ABORTED != 0 {
        let fired = CancellationToken::new();
        fired.cancel();
        options.signal = Some(fired);
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn the_addon_has_the_version_of_the_package() {
        let package = include_str!("../package.json");
        assert!(package.contains(&format!("\"version\": \"{}\"", version())), "package.json and Cargo.toml differ");
    }
}
