//! One execution from a free slot to its result: spawn, watch, end, drain.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::command::{EnvPolicy, SpawnFailure, resolve};
use crate::config::ExecutionConfig;
use crate::latch::Latch;
use crate::output::Output;
use crate::process::{self, Process};
use crate::runtime;
use crate::state::{Pending, Running, Stop};
use crate::types::{ErrorCode, ErrorInfo, ExecutionOptions, ExecutionRequest, ExecutionResult, Stdin};

use self::outcome::Outcome;
use self::watch::Watch;

mod outcome;
mod terminate;
mod watch;

/// What an execution is, settled when it was accepted.
pub(crate) struct Job {
    pub(crate) request: Arc<ExecutionRequest>,
    pub(crate) options: Arc<ExecutionOptions>,
    pub(crate) config: Arc<ExecutionConfig>,
    pub(crate) policy: Arc<EnvPolicy>,
    /// Set by whoever wants the execution to end.
    pub(crate) stop: Arc<Latch<Stop>>,
}

/// The times of one execution, from the request, the options and the configuration in this order.
#[derive(Debug, Clone, Copy)]
struct Times {
    timeout: Duration,
    idle: Option<Duration>,
    grace: Duration,
    drain: Duration,
}

impl Times {
    fn of(job: &Job) -> Self {
        let config = &job.config;
        let idle = job.options.idle_timeout_ms.or(config.idle_timeout_ms);
        Self {
            timeout: Duration::from_millis(job.request.timeout_ms.unwrap_or(config.default_timeout_ms)),
            idle: idle.map(Duration::from_millis),
            grace: Duration::from_millis(job.options.kill_grace_ms.unwrap_or(config.kill_grace_ms)),
            drain: Duration::from_millis(config.drain_timeout_ms),
        }
    }
}

/// An execution that is over, with what its terminal event and the counters need.
pub(crate) struct Finished {
    pub(crate) result: ExecutionResult,
    pub(crate) sequence: u64,
    pub(crate) lines: u64,
}

/// Runs a job to its end. `started` is called once the child runs, with its process id.
pub(crate) async fn run(
    job: &Job,
    pending: Pending,
    mut output: Output,
    started: impl FnOnce(&Running, u32, &mut Output),
) -> Finished {
    match spawn(job).await {
        Ok(process) => {
            let running = pending.started();
            started(&running, process.leader.id(), &mut output);
            Watch::new(job, running, process, output).run().await.finish(job)
        }
        Err(error) => Outcome::not_spawned(pending, output, error).finish(job),
    }
}

/// An execution that ends before it is spawned.
pub(crate) fn never_ran(job: &Job, pending: Pending, output: Output, why: Stop) -> Finished {
    Outcome::stopped_before_spawn(pending, output, why).finish(job)
}

/// An execution that a defect of the engine ended.
pub(crate) fn broken(job: &Job, accepted_at: DateTime<Utc>, panic: &str, sequence: u64) -> Finished {
    outcome::broken(job, accepted_at, panic, sequence)
}

/// Starts the child on a thread that may block: looking a program up reads the file system, and `posix_spawn` returns
/// only when the program runs.
async fn spawn(job: &Job) -> Result<Process, ErrorInfo> {
    let (request, options, policy) = (Arc::clone(&job.request), Arc::clone(&job.options), Arc::clone(&job.policy));
    let input = match &job.options.stdin {
        Stdin::Bytes(bytes) => Some(bytes.clone()),
        Stdin::Empty | Stdin::Inherit => None,
    };
    runtime::blocking(move || {
        let launch = resolve(&request, &options, &policy)?;
        process::spawn(&launch, input)
    })
    .await
    .map_err(|panic| ErrorInfo {
        code: ErrorCode::Internal,
        message: format!("starting the command failed: {panic}"),
        errno: None,
    })?
    .map_err(SpawnFailure::into_info)
}
