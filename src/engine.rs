//! The engine: composes the modules, and is the only writer of the registry.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::command::{self, EnvPolicy, exhaustion_text};
use crate::config::ExecutionConfig;
use crate::error::{ExecutionError, Invalid, Result};
use crate::event::{EventHandler, EventSink, HandlerQueue, SilentSink};
use crate::feedback::{Feedback, FeedbackSink};
use crate::metrics::Metrics;
use crate::output::{LogBounds, OutputPolicy, Overflow};
use crate::plan::Plans;
use crate::platform;
use crate::platform::clock::{self, Instant};
use crate::redact::Vault;
use crate::registry::{Record, Registry};
use crate::runtime;
use crate::scheduler::{Entry, Scheduler};
use crate::state::Stop;
use crate::types::{ExecutionOptions, ExecutionRequest, ExecutionResult, OversizedOutputStrategy, Stdin};

use self::degradations::Degradations;
#[cfg(feature = "node")]
pub(crate) use self::execute_many::request_path;
#[cfg(feature = "node")]
pub(crate) use self::host_exit::end_unguarded;
#[cfg(feature = "node")]
pub(crate) use self::input::refusal as input_refusal;
pub use self::login_shell::LoginShell;
use self::retention_task::RetentionTask;
#[cfg(feature = "node")]
pub(crate) use self::secrets::SecretsOfCall;
pub use self::stream::EventStream;
use self::stream::StopOnDrop;

mod admission;
mod backoff;
mod degradations;
mod execute_many;
mod execution;
mod global;
mod host_exit;
mod input;
mod login_shell;
mod logs;
mod parse;
mod plan_host;
mod plans;
mod queries;
mod retention_task;
mod retry;
mod secrets;
mod step_inputs;
mod stream;
#[cfg(test)]
mod suspended;

/// A sink that hangs holds up a shutdown for no longer than this.
const LONGEST_FEEDBACK_FLUSH: Duration = Duration::from_secs(5);

/// Runs commands: bounded in number, streamed line by line, ended on time with their whole tree.
///
/// A clone is a handle to the same engine. When the last handle is dropped, the commands that still run are ended.
///
/// ```
/// # #[tokio::main] async fn main() -> execution_engine::Result<()> {
/// use execution_engine::{Command, ExecutionConfig, ExecutionEngine, ExecutionRequest};
///
/// let engine = ExecutionEngine::new(ExecutionConfig::default())?;
/// let command = Command::Exec { program: "echo".into(), args: vec!["hello".into()] };
/// let result = engine.run(ExecutionRequest::new(command)).await?;
/// assert_eq!(result.stdout, "hello\n");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct ExecutionEngine {
    handle: Arc<Handle>,
    /// The sink for the events of executions that are started through this handle.
    sink: Arc<dyn EventSink>,
}

/// The state that all handles share; the executions hold only [`EngineCore`], so that the drop of the last handle is
/// seen.
struct Handle {
    shared: Arc<EngineCore>,
}

/// The state that the running executions need.
struct EngineCore {
    config: Arc<ExecutionConfig>,
    policy: Arc<EnvPolicy>,
    /// The engine's own secrets.
    secrets: Arc<Vault>,
    /// Whether secrets were added after the start, to the engine or to an execution.
    has_added_secrets: AtomicBool,
    /// Whether the host exits, and the guardian ends the commands that run.
    is_left_to_guardian: AtomicBool,
    /// The number of reasons for the pass that masks the records; 0 when none is running.
    masking_passes: AtomicU64,
    /// Whether a thread of the engine masks the commands of a listing.
    is_masking_listing: AtomicBool,
    /// The overflow store, made for the first execution that may need it, or with the engine if each may.
    overflow: OnceLock<Arc<Overflow>>,
    log_bounds: Arc<LogBounds>,
    registry: Registry,
    scheduler: Arc<Scheduler>,
    metrics: Metrics,
    degradations: Degradations,
    feedback: Feedback,
    retention: RetentionTask,
    plans: Plans,
}

impl std::fmt::Debug for ExecutionEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExecutionEngine").field("config", &self.shared().config).finish_non_exhaustive()
    }
}

fn no_room(error: &std::io::Error) -> ExecutionError {
    let what = format!("the threads of the engine cannot be started: {}", exhaustion_text(error));
    let would_block = (error.kind() == std::io::ErrorKind::WouldBlock).then_some("EAGAIN");
    ExecutionError::NotStarted { what, errno: platform::errno_name(error).or(would_block) }
}

impl ExecutionEngine {
    /// Returns an engine without listeners.
    ///
    /// # Errors
    /// `INVALID_CONFIG` with the field. `SPAWN_FAILED` with the errno when the machine has no resources for the engine's threads; a later
    /// call can succeed.
    pub fn new(config: ExecutionConfig) -> Result<Self> {
        config.validate()?;
        command::check_defaults(&config).map_err(ExecutionError::InvalidConfig)?;
        runtime::prepare().and_then(|()| platform::prepare()).map_err(|error| no_room(&error))?;
        let config = config.normalized();
        let policy = EnvPolicy::new(&config, &ExecutionOptions::default());
        let shared = EngineCore {
            registry: Registry::new(&config),
            retention: RetentionTask::new(Duration::from_secs(config.cleanup_interval_secs)),
            plans: Plans::new(&config),
            scheduler: Scheduler::new(&config),
            policy: Arc::new(policy),
            secrets: Vault::of_engine(config.secrets.iter().map(|secret| secret.reveal().as_bytes())),
            has_added_secrets: AtomicBool::new(false),
            is_left_to_guardian: AtomicBool::new(false),
            masking_passes: AtomicU64::new(0),
            is_masking_listing: AtomicBool::new(false),
            overflow: OnceLock::new(),
            log_bounds: Arc::new(LogBounds::new(&config)),
            config: Arc::new(config),
            metrics: Metrics::default(),
            degradations: Degradations::default(),
            feedback: Feedback::default(),
        };
        // Files that earlier hosts have left are removed, although this engine may write none.
        shared.overflow_of(&OutputPolicy::new(&ExecutionOptions::default(), &shared.config));
        let shared = Arc::new(shared);
        host_exit::watch(&shared);
        Ok(Self { handle: Arc::new(Handle { shared }), sink: Arc::new(SilentSink) })
    }

    /// Returns a handle to the same engine, with a listener for what is executed through this handle and its clones.
    #[must_use]
    pub fn with_event_handler(self, handler: Arc<dyn EventHandler>) -> Self {
        Self { handle: self.handle, sink: Arc::new(HandlerQueue::start(handler)) }
    }

    /// Returns a handle to the same engine, with a sink for the status of every execution that ends from now on,
    /// whichever handle started it. The sink is in addition to the existing ones.
    #[must_use]
    pub fn with_feedback_sink(self, sink: Arc<dyn FeedbackSink>) -> Self {
        self.shared().feedback.add(sink);
        self
    }

    /// Accepts a request and runs it in the background; returns the id of the execution. It accepts in the first poll and never waits
    /// for a slot, and dropping the future later changes nothing.
    ///
    /// # Errors
    /// `INVALID_REQUEST` with the field, `DUPLICATE_ID`, `CONCURRENCY_LIMIT_REACHED`, `QUEUE_FULL`, `ENGINE_SHUT_DOWN`.
    pub async fn execute(&self, request: ExecutionRequest) -> Result<Uuid> {
        self.execute_with(request, ExecutionOptions::default()).await
    }

    /// [`ExecutionEngine::execute`] with host policy for this one execution.
    ///
    /// # Errors
    /// As [`ExecutionEngine::execute`].
    #[expect(clippy::unused_async, reason = "the API is async throughout, so that a later wait breaks no caller")]
    pub async fn execute_with(&self, request: ExecutionRequest, options: ExecutionOptions) -> Result<Uuid> {
        self.submit(request, options, self.sink()).map(|record| record.id())
    }

    /// Returns the sink for the events of a new execution.
    fn sink(&self) -> Arc<dyn EventSink> {
        self.sink.nested().unwrap_or_else(|| Arc::clone(&self.sink))
    }

    /// Accepts a request whose events go to `sink`.
    pub(crate) fn submit(
        &self,
        request: ExecutionRequest,
        options: ExecutionOptions,
        sink: Arc<dyn EventSink>,
    ) -> Result<Arc<Record>> {
        self.submit_by(Scheduler::enter, request, options, sink)
    }

    /// Does what [`ExecutionEngine::submit`] does; `enter` takes the slot, or a place in the queue.
    fn submit_by(
        &self,
        enter: impl FnOnce(&Arc<Scheduler>, i32, &[String]) -> Result<Entry>,
        request: ExecutionRequest,
        options: ExecutionOptions,
        sink: Arc<dyn EventSink>,
    ) -> Result<Arc<Record>> {
        let shared = self.shared();
        let terms = shared.terms_of(options);
        let refused = |invalid, request: &ExecutionRequest| {
            shared.masked(invalid, shared.own_secrets(request, &terms.options, &terms.policy))
        };
        let ready = shared.admit(enter, request, &terms, refused, sink)?;
        let record = Arc::clone(ready.record());
        ready.start();
        Ok(record)
    }

    /// Waits for the end of an execution; any number of callers may wait, before or after the end. Cancel safe: dropping the future ends
    /// the wait, and the execution continues.
    ///
    /// # Errors
    /// `NOT_FOUND`; `SPAWN_FAILED`, `OUTPUT_SIZE_EXCEEDED`, `LOG_FAILED` or `INTERNAL` when the engine could not run the command as
    /// requested. A command that fails, times out or is cancelled is a result, not an error.
    pub async fn wait_for_completion(&self, id: Uuid) -> Result<Arc<ExecutionResult>> {
        let record = self.record(id)?;
        record.settled().await;
        let result = self.shown(&record).await?;
        ExecutionError::of_result(&result).map_or(Ok(result), Err)
    }

    /// Calls [`ExecutionEngine::execute`] and [`ExecutionEngine::wait_for_completion`]. Unlike with
    /// [`ExecutionEngine::execute`], dropping the future cancels the execution.
    ///
    /// # Errors
    /// As both.
    pub async fn run(&self, request: ExecutionRequest) -> Result<Arc<ExecutionResult>> {
        self.run_with(request, ExecutionOptions::default()).await
    }

    /// Does what [`ExecutionEngine::run`] does, with host policy for this one execution.
    ///
    /// # Errors
    /// As [`ExecutionEngine::run`].
    pub async fn run_with(&self, request: ExecutionRequest, options: ExecutionOptions) -> Result<Arc<ExecutionResult>> {
        let record = self.submit(request, options, self.sink())?;
        let _stop = StopOnDrop::Execution(Arc::clone(&record));
        record.settled().await;
        let result = self.shown(&record).await?;
        ExecutionError::of_result(&result).map_or(Ok(result), Err)
    }

    /// Runs a command and blocks this thread until it has ended: for programs without a runtime. No handler gets its events. It does not
    /// wait for a slot, since the executions that hold the slots may need this thread. Timeouts apply. Do not call it in a task of a
    /// runtime.
    ///
    /// # Errors
    /// As [`ExecutionEngine::run`]; `CONCURRENCY_LIMIT_REACHED` when no slot is free; `INVALID_REQUEST` (`options.stdin`) for a stream.
    pub fn run_sync(&self, request: ExecutionRequest, options: ExecutionOptions) -> Result<Arc<ExecutionResult>> {
        let result = self.run_sync_to_end(request, options)?;
        ExecutionError::of_result(&result).map_or(Ok(result), Err)
    }

    /// Does what [`ExecutionEngine::run_sync`] does, but failures of the engine are results too.
    pub(crate) fn run_sync_to_end(
        &self,
        request: ExecutionRequest,
        mut options: ExecutionOptions,
    ) -> Result<Arc<ExecutionResult>> {
        self.shared().add_defaults(&mut options);
        let problem = match options.stdin {
            Stdin::Stream(_) => {
                Some("a stream may need the thread that waits for the command: give it as text or bytes")
            }
            Stdin::Open => Some("no call can write while this thread waits for the command: give it as text or bytes"),
            Stdin::Empty if options.terminal_size().is_some() => Some(
                "a terminal stays open for input, and no call can write while this thread waits: give text or bytes, or set `terminal` to false",
            ),
            _ => None,
        };
        if let Some(problem) = problem {
            return Err(ExecutionError::InvalidRequest(Invalid::new("options.stdin", problem)));
        }
        let record = self.submit_by(Scheduler::enter_now, request, options, Arc::new(SilentSink))?;
        Ok(runtime::wait_here(async { record.settled().await }))
    }

    /// Ends an execution and resolves when its tree is gone, at most `kill_grace_ms` and about 8 s later. An ended execution does not
    /// change. Cancel safe: dropping the future ends only the wait.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub async fn cancel(&self, id: Uuid) -> Result<()> {
        self.cancel_with(id, None).await
    }

    /// Does what [`ExecutionEngine::cancel`] does, with a grace period of its own. An execution that is being ended
    /// already, for whatever reason, is killed after `grace` from now if that is sooner.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub async fn cancel_with(&self, id: Uuid, grace: Option<Duration>) -> Result<()> {
        let record = self.record(id)?;
        record.request_stop(Stop::Cancelled, grace);
        record.settled().await;
        Ok(())
    }

    /// Sends a signal to the command itself, without ending the execution. `name` is the name of a signal, such as `SIGUSR1`. Returns
    /// whether there was a process to signal: an execution that waits, or whose command has exited, has none.
    ///
    /// # Errors
    /// `NOT_FOUND`; `INVALID_REQUEST` (`signal`) for a name that is no signal on this system; `INTERNAL` when the system refuses.
    pub fn signal(&self, id: Uuid, name: &str) -> Result<bool> {
        let record = self.record(id)?;
        let signal = command::signal("signal", name).map_err(ExecutionError::InvalidRequest)?;
        record.signal(signal).map_err(|error| ExecutionError::Internal {
            message: format!("the signal was refused by the system ({error})"),
            result: None,
        })
    }

    /// Moves the deadline of an execution to `timeout` from now: later or earlier than before, but not beyond `max_timeout_ms` from
    /// the attempt to spawn. Returns the new deadline. It applies to the running attempt, or, while the execution waits for a slot or
    /// between two attempts, to the next one. The idle timeout does not change.
    ///
    /// # Errors
    /// `NOT_FOUND`; `INVALID_REQUEST` (`ms`) for less than 1 ms or more than 365 days, and (`id`) when the command has exited or is
    /// being ended.
    #[expect(clippy::unused_async, reason = "the API is async throughout, so that a later wait breaks no caller")]
    pub async fn extend_timeout(&self, id: Uuid, timeout: Duration) -> Result<DateTime<Utc>> {
        self.move_deadline(id, timeout)
    }

    pub(crate) fn move_deadline(&self, id: Uuid, timeout: Duration) -> Result<DateTime<Utc>> {
        let record = self.record(id)?;
        command::check_time_left(timeout).map_err(ExecutionError::InvalidRequest)?;
        let most = Duration::from_millis(self.shared().config.max_timeout_ms);
        let moved = record.move_deadline(timeout, most);
        let over = "its command has exited or is being ended, so that no timeout is left: start it again for more time";
        let at = moved.ok_or_else(|| ExecutionError::InvalidRequest(Invalid::new("id", over)))?;
        Ok(Utc::now() + at.saturating_duration_since(Instant::now()))
    }

    /// Ends all executions and plans that have not ended, and returns the number of those executions. Cancel safe: dropping the future
    /// ends only the wait.
    pub async fn cancel_all(&self) -> usize {
        self.cancel_all_with(None).await
    }

    /// Does what [`ExecutionEngine::cancel_all`] does, with a grace period as in [`ExecutionEngine::cancel_with`].
    pub async fn cancel_all_with(&self, grace: Option<Duration>) -> usize {
        let plans = self.shared().plans.unsettled();
        let live = self.request_stop_of_all(Stop::Cancelled, grace);
        for record in &live {
            record.settled().await;
        }
        for plan in plans {
            plan.settled().await;
        }
        live.len()
    }

    pub(crate) fn request_stop_of_all(&self, why: Stop, grace: Option<Duration>) -> Vec<Arc<Record>> {
        self.shared().request_stop_of_all(why, grace)
    }

    /// Asks an execution to end, without waiting for it.
    #[cfg_attr(not(feature = "node"), expect(dead_code, reason = "only the binding does not wait"))]
    pub(crate) fn request_stop(&self, id: Uuid, why: Stop, grace: Option<Duration>) -> Result<()> {
        self.record(id)?.request_stop(why, grace);
        Ok(())
    }

    /// Shuts the engine down: refuses further work, waits up to `grace` for running executions to finish, ends the others, and resolves
    /// when all have ended. Feedback sinks get up to 5 s more to flush.
    ///
    /// Not cancel safe: when the future is dropped before `grace` has passed, the engine refuses further work, and running executions
    /// continue.
    pub async fn shutdown(&self, grace: Duration) {
        self.close();
        let live = self.shared().registry.unsettled();
        let plans = self.shared().plans.unsettled();
        if !grace.is_zero() {
            let all = pin!(async {
                for record in &live {
                    record.settled().await;
                }
                for plan in &plans {
                    plan.settled().await;
                }
            });
            let _ = clock::timeout(grace, all).await;
        }
        for record in self.request_stop_of_all(Stop::Shutdown, None) {
            record.settled().await;
        }
        for record in live {
            record.settled().await;
        }
        for plan in plans {
            plan.settled().await;
        }
        let _ = clock::timeout(LONGEST_FEEDBACK_FLUSH, self.shared().feedback.flush()).await;
    }

    pub(crate) fn close(&self) {
        self.shared().close();
    }

    pub(crate) fn record(&self, id: Uuid) -> Result<Arc<Record>> {
        self.shared().registry.get(id).ok_or(ExecutionError::NotFound(id))
    }

    fn shared(&self) -> &Arc<EngineCore> {
        &self.handle.shared
    }
}

impl EngineCore {
    /// Returns the store for output beyond its cap. `None` when such output is dropped.
    fn overflow_of(&self, policy: &OutputPolicy) -> Option<Arc<Overflow>> {
        let goes_to_file = policy.strategy == OversizedOutputStrategy::StreamToFile;
        goes_to_file.then(|| Arc::clone(self.overflow.get_or_init(|| Overflow::new(&self.config))))
    }

    /// Asks every plan to begin nothing more, and every execution that has not ended to end: those that wait before those that
    /// run, since a slot that a running one gives up must find no execution that could still spawn.
    fn request_stop_of_all(&self, why: Stop, grace: Option<Duration>) -> Vec<Arc<Record>> {
        for plan in self.plans.unfinished() {
            plan.request_stop(why);
        }
        let mut live = self.registry.unfinished();
        // Each record is checked once: one that starts meanwhile must not confuse the sorting.
        live.sort_by_cached_key(|record| record.has_process());
        for record in &live {
            record.request_stop(why, grace);
        }
        live
    }

    /// Returns the time when the oldest record of an execution or a plan will be too old.
    fn next_expiry(&self) -> Option<Instant> {
        self.registry.next_expiry().into_iter().chain(self.plans.next_expiry()).min()
    }

    /// Removes the records of executions and plans that retention allows to remove.
    fn remove_expired(&self) {
        self.registry.cleanup(drop);
        self.plans.cleanup(drop);
    }

    /// Takes no more work.
    fn close(&self) {
        self.plans.close();
        self.registry.close();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.close_and_stop();
    }
}
