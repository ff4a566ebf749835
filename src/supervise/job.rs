//! The job of an execution, fixed when it is accepted, and the times that follow from it.

use std::sync::Arc;
use std::time::Duration;

use super::terminate::StopPlan;
use crate::command::EnvPolicy;
use crate::config::ExecutionConfig;
use crate::output::{LogPaths, OutputPolicy};
use crate::platform::{HostState, SpawnThread};
use crate::process::Controls;
use crate::redact::Vault;
use crate::state::EndControl;
use crate::types::{ExecutionOptions, ExecutionRequest};

/// The job of an execution, fixed when it is accepted.
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
    /// The controls of the execution while it runs.
    pub(crate) controls: Controls,
    /// The requests to end the execution, and its time limit.
    pub(crate) end: Arc<EndControl>,
    /// The thread on which it begins.
    pub(crate) spawn_thread: SpawnThread,
}

impl Job {
    /// Returns the job of the next attempt.
    pub(crate) fn next_attempt(&self) -> Self {
        Self { log: self.log.next_attempt(), ..self.clone() }
    }

    pub(crate) fn output_policy(&self) -> OutputPolicy {
        OutputPolicy::new(&self.options, &self.config)
    }
}

/// The times of one execution. The request has precedence, then the options, then the configuration.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// The time limit, from the attempt to spawn.
    pub(super) timeout: Duration,
    /// The longest time without output.
    pub(super) idle: Option<Duration>,
    pub(super) stop_plan: StopPlan,
    /// The grace period when the host is gone.
    pub(super) host_exit_grace: Duration,
    /// The longest time without output after the exit of the command.
    pub(super) drain: Duration,
}

impl Times {
    pub(super) fn of(job: &Job) -> Self {
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
            drain: Duration::from_millis(job.options.drain_timeout_ms.unwrap_or(config.drain_timeout_ms)),
        }
    }
}
