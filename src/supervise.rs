//! One execution from a free slot to its result: spawn, watch, end, drain.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::command::{EnvPolicy, SpawnFailure, resolve};
use crate::config::ExecutionConfig;
use crate::event::Backpressure;
use crate::guardian::{self, Guard};
use crate::output::{Keepsake, Log, LogFailure, LogPaths, Output};
use crate::platform::clock::{self, Instant};
use crate::platform::{self, Guarded, HostState, Leader};
use crate::process::{self, Process};
use crate::redact::Vault;
use crate::runtime;
use crate::state::{Pending, Running, Stop, StopRequest};
use crate::types::{Encoding, ErrorInfo, ExecutionOptions, ExecutionRequest, ExecutionResult, StopOrder};

use self::outcome::Outcome;
use self::terminate::StopPlan;
use self::watch::Watch;

mod outcome;
mod terminate;
mod watch;

/// A log that takes longer to open is on a disk that does not answer.
const LONGEST_OPEN: Duration = Duration::from_secs(10);

/// What an execution is, settled when it was accepted.
#[derive(Clone)]
pub(crate) struct Job {
    pub(crate) request: Arc<ExecutionRequest>,
    pub(crate) options: Arc<ExecutionOptions>,
    pub(crate) config: Arc<ExecutionConfig>,
    pub(crate) policy: Arc<EnvPolicy>,
    /// The host when the execution was accepted.
    pub(crate) host: Arc<HostState>,
    /// Masked in whatever leaves the engine.
    pub(crate) secrets: Arc<Vault>,
    pub(crate) log: LogPaths,
    /// Set by whoever wants the execution to end.
    pub(crate) stop: Arc<StopRequest>,
}

/// The times of one execution, from the request, the options and the configuration in this order.
#[derive(Debug, Clone, Copy)]
struct Times {
    timeout: Duration,
    idle: Option<Duration>,
    stop_plan: StopPlan,
    host_exit_grace: Duration,
    drain: Duration,
}

impl Job {
    /// For another attempt.
    pub(crate) fn again(&self) -> Self {
        Self { log: self.log.again(), ..self.clone() }
    }

    /// As what JavaScript gets the output.
    pub(crate) fn encoding(&self) -> Encoding {
        self.options.encoding.unwrap_or(self.config.encoding)
    }
}

impl Times {
    fn of(job: &Job) -> Self {
        let config = &job.config;
        let grace = job.options.kill_grace_ms.unwrap_or(config.kill_grace_ms);
        let idle = job.options.idle_timeout_ms.or(config.idle_timeout_ms);
        Self {
            timeout: Duration::from_millis(job.request.timeout_ms.unwrap_or(config.default_timeout_ms)),
            idle: idle.map(Duration::from_millis),
            stop_plan: StopPlan {
                signal: job.options.stop_signal.unwrap_or(config.stop_signal),
                order: job.options.stop_order.unwrap_or(config.stop_order),
                grace: Duration::from_millis(grace),
            },
            host_exit_grace: Duration::from_millis(config.host_exit_grace_ms.unwrap_or(grace)),
            drain: Duration::from_millis(config.drain_timeout_ms),
        }
    }
}

/// An execution that is over, with what its terminal event and the counters need.
pub(crate) struct Finished {
    pub(crate) result: ExecutionResult,
    pub(crate) sequence: u64,
    pub(crate) lines: u64,
    /// The bound on what is still under way to the listener.
    pub(crate) backpressure: Option<Arc<Backpressure>>,
    /// They go when nobody keeps them.
    pub(crate) files: Vec<Keepsake>,
}

/// What became of an attempt to run a job.
#[must_use]
pub(crate) enum Run {
    Finished(Finished),
    /// The machine had no room for another process: the job can be tried again.
    Exhausted {
        pending: Pending,
        output: Output,
        error: ErrorInfo,
    },
}

/// A child that runs, or nearly so. Dropped, it is killed, and its guard goes after it.
struct Started {
    process: Process,
    /// When it was spawned.
    at: Instant,
    /// `None` without a guardian.
    guard: Option<Guard>,
    /// Why there is no guardian although there should be one.
    unguarded: Option<String>,
}

/// Reports what an execution has to do without.
pub(crate) type Degraded<'a> = dyn Fn(&mut Output, String) + Send + Sync + 'a;

/// Runs a job to its end. `started` is called once the child runs.
pub(crate) async fn run(
    job: &Job,
    pending: Pending,
    mut output: Output,
    started: impl FnOnce(&Running, &Arc<Leader>, &mut Output),
    degraded: &Degraded<'_>,
) -> Run {
    let attempted = Instant::now();
    // Opened once, however often the spawn is tried.
    if !job.log.is_empty() && !output.has_log() {
        match open_log(job, attempted).await {
            Ok(Ok(log)) => output.set_log(log),
            Ok(Err(failure)) if failure.is_exhaustion() => {
                return Run::Exhausted { pending, output, error: failure.into_info() };
            }
            Ok(Err(failure)) => return Run::Finished(never_spawned(job, pending, output, failure.into_info()).await),
            Err(why) => return Run::Finished(never_ran(job, pending, output, why).await),
        }
    }
    match spawn(job, attempted).await {
        Ok(Ok(Started { process, at, guard, unguarded })) => {
            let running = pending.started(attempted, at);
            started(&running, &process.leader, &mut output);
            for message in unguarded.into_iter().chain(platform::limited_sight().map(str::to_owned)) {
                degraded(&mut output, message);
            }
            Run::Finished(Watch::new(job, running, process, guard, output).run(degraded).await.finish(job).await)
        }
        Ok(Err(failure)) if failure.is_exhaustion() => Run::Exhausted { pending, output, error: failure.into_info() },
        Ok(Err(failure)) => Run::Finished(never_spawned(job, pending, output, failure.into_info()).await),
        Err(why) => Run::Finished(never_ran(job, pending, output, why).await),
    }
}

/// An execution whose command could not be started.
pub(crate) async fn never_spawned(job: &Job, pending: Pending, output: Output, error: ErrorInfo) -> Finished {
    Outcome::not_spawned(pending, output, error).finish(job).await
}

/// An execution that ends before it is spawned.
pub(crate) async fn never_ran(job: &Job, pending: Pending, output: Output, why: Stop) -> Finished {
    Outcome::stopped_before_spawn(pending, output, why).finish(job).await
}

/// An execution that was to be tried again and was asked to end before that.
pub(crate) fn stopped_before_retry(last: ExecutionResult, why: Stop) -> ExecutionResult {
    outcome::stopped_before_retry(last, why)
}

/// An execution that a defect of the engine ended.
pub(crate) fn broken(job: &Job, accepted_at: DateTime<Utc>, panic: &str, sequence: u64) -> Finished {
    outcome::broken(job, accepted_at, panic, sequence)
}

/// Opens the logs on a thread that may block. Gives why the execution is to end when that comes before they are open. A disk that
/// does not answer is a log that cannot be opened.
async fn open_log(job: &Job, attempted: Instant) -> Result<Result<Log, LogFailure>, Stop> {
    let (paths, format) = (job.log.clone(), job.config.log_format);
    let limit = async {
        tokio::select! {
            biased;
            why = end_before_spawn(job, attempted) => Some(why),
            () = clock::sleep_until(attempted + LONGEST_OPEN) => None,
        }
    };
    match runtime::call_blocking(move || Log::open(&paths, format), limit).await {
        Ok(opened) => Ok(opened),
        Err(Some(why)) => Err(why),
        Err(None) => Ok(Err(LogFailure::no_answer(&job.log))),
    }
}

/// Resolves when the execution is to end although nothing has been spawned: a file system that hangs must not delay that.
async fn end_before_spawn(job: &Job, attempted: Instant) -> Stop {
    tokio::select! {
        biased;
        why = job.stop.requested() => why,
        () = clock::sleep_until(attempted + Times::of(job).timeout) => Stop::Timeout,
    }
}

/// Starts the child on a thread that may block: looking a program up reads the file system, and a spawn returns only when the
/// program runs. Gives why the execution is to end when that comes before the spawn returns.
async fn spawn(job: &Job, attempted: Instant) -> Result<Result<Started, SpawnFailure>, Stop> {
    let Job { request, options, config, policy, host, .. } = job.clone();
    let is_guarded = job.config.guardian;
    let times = Times::of(job);
    let start = move || {
        let launch = resolve(&request, &options, &config, &policy, &host)?;
        let guarded = Guarded {
            segment: &launch.mark.segment,
            stop_signal: times.stop_plan.signal,
            leader_first: times.stop_plan.order == StopOrder::Leader,
            grace: times.host_exit_grace,
            allow_detached: launch.mark.allow_detached,
            earliest_start: platform::start_clock(),
        };
        let (guard, unguarded) = match is_guarded.then(|| guardian::watch(&guarded)).transpose() {
            Ok(guard) => (guard.flatten(), None),
            // A machine without room for the guardian has none for the command: both are tried again.
            Err(why) if platform::is_exhaustion(&why.error) => {
                return Err(SpawnFailure::exhausted(why.what, &why.error));
            }
            Err(why) => (None, Some(why.to_string())),
        };
        let at = Instant::now();
        let process = process::spawn(&launch, &options.stdin)?;
        if let Some(guard) = &guard {
            guard.started(&process.leader);
        }
        Ok(Started { process, at, guard, unguarded })
    };
    // If it ends the wait early, or panics, the child, if there is one, is killed when it is dropped.
    runtime::call_blocking(start, end_before_spawn(job, attempted)).await
}
