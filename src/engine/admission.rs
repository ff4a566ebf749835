//! Turns a checked request into an execution.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::command::{self, EnvPolicy};
use crate::error::{ExecutionError, Invalid, Result};
use crate::event::EventSink;
use crate::output::LogPaths;
use crate::platform::{HostState, SpawnThread};
use crate::process::{Controls, TerminalControl};
use crate::redact::Vault;
use crate::registry::Record;
use crate::runtime;
use crate::scheduler::{Entry, Scheduler};
use crate::state::{EndControl, Pending, Stop};
use crate::supervise::Job;
use crate::types::{EnvSnapshot, ErrorInfo, ExecutionOptions, ExecutionRequest, Stdin};

use super::EngineCore;
use super::execution::{Accepted, OnSettled, execute};
use super::secrets::CommonSecrets;

/// A request that was checked, with the policies it runs under.
#[derive(Clone)]
pub(super) struct CheckedRequest {
    pub(super) request: Arc<ExecutionRequest>,
    pub(super) options: Arc<ExecutionOptions>,
    pub(super) policy: Arc<EnvPolicy>,
    pub(super) host: Arc<HostState>,
    pub(super) secrets: Arc<Vault>,
    pub(super) signal: Option<CancellationToken>,
}

impl CheckedRequest {
    /// Returns the command as a person would type it, without secrets.
    pub(super) fn command(&self) -> String {
        self.secrets.mask(&command::display(&self.request.command)).into_owned()
    }
}

/// The parameters that the requests of one call have in common.
pub(super) struct Terms {
    pub(super) options: Arc<ExecutionOptions>,
    pub(super) policy: Arc<EnvPolicy>,
    host: Arc<HostState>,
    signal: Option<CancellationToken>,
    secrets: CommonSecrets,
}

/// An execution that has its record and has not begun.
pub(super) struct Admitted {
    pub(super) record: Arc<Record>,
    end: Arc<EndControl>,
    /// The error with which the execution fails without being spawned.
    pub(super) refusal: Option<ErrorInfo>,
    work: CheckedRequest,
    log: LogPaths,
    command: String,
    pending: Pending,
    sink: Arc<dyn EventSink>,
}

impl Admitted {
    pub(super) fn new(work: CheckedRequest, shared: &EngineCore, pending: Pending, sink: Arc<dyn EventSink>) -> Self {
        let request = &work.request;
        // The command is masked where it is shown: the secrets are not made ready on the caller's thread.
        let command = command::display(&request.command);
        let log = LogPaths::of(request, &shared.config, &shared.log_bounds);
        let end = EndControl::new();
        let record = Arc::new(Record::new(
            request,
            &command,
            log.main(),
            pending.accepted_at(),
            Arc::clone(&work.secrets),
            controls_of(&work.options),
            Arc::clone(&end),
        ));
        Self { record, end, refusal: None, work, log, command, pending, sink }
    }

    /// Runs it in the background; its record is in the registry by now.
    pub(super) fn start(self, shared: &Arc<EngineCore>, entry: Entry, on_settled: Option<OnSettled>) -> Arc<Record> {
        let record = Arc::clone(&self.record);
        self.ready(shared, entry, on_settled).start();
        record
    }

    /// Counts it as accepted. It has to be started.
    fn ready(self, shared: &Arc<EngineCore>, entry: Entry, on_settled: Option<OnSettled>) -> Ready {
        let Self {
            record,
            end,
            refusal,
            work: CheckedRequest { request, options, policy, host, secrets, signal },
            log,
            command,
            pending,
            sink,
        } = self;
        shared.metrics.accepted();
        if let Some(signal) = signal {
            let (target, settling) = (Arc::clone(&record), Arc::clone(&record));
            let abort = move || target.request_stop(Stop::Aborted, None);
            stop_on_signal(signal, abort, async move { _ = settling.settled().await });
        }
        let spawn_thread = if matches!(entry, Entry::Now(_)) { SpawnThread::new() } else { SpawnThread::none() };
        let job = Job {
            request,
            options,
            config: Arc::clone(&shared.config),
            policy,
            host,
            secrets,
            log,
            controls: record.controls().clone(),
            end,
            spawn_thread,
        };
        let accepted = Accepted { shared: Arc::clone(shared), record, refusal, job, command, sink };
        Ready { accepted, pending, entry, on_settled }
    }
}

/// An accepted execution that nothing drives yet.
#[must_use = "what was accepted has to be started"]
pub(super) struct Ready {
    accepted: Accepted,
    pending: Pending,
    entry: Entry,
    on_settled: Option<OnSettled>,
}

impl Ready {
    pub(super) fn record(&self) -> &Arc<Record> {
        &self.accepted.record
    }

    /// Whether it has to wait for a slot.
    pub(super) fn waits(&self) -> bool {
        matches!(self.entry, Entry::Later(_))
    }

    /// Drives it in the background.
    pub(super) fn start(self) {
        let waits = self.waits();
        let Self { accepted, pending, entry, on_settled } = self;
        let spawn_thread = accepted.job.spawn_thread.clone();
        let driven = execute(accepted, pending, entry, on_settled);
        if waits {
            runtime::spawn(driven);
        } else {
            // The execution spawns next.
            runtime::spawn_blocking_first(spawn_thread, driven);
        }
    }
}

impl EngineCore {
    /// Returns the state of the host and its policy, as they are at a call with these options.
    pub(super) fn terms_of(&self, mut options: ExecutionOptions) -> Terms {
        self.add_defaults(&mut options);
        let (policy, signal) = (self.policy_of(&options), options.signal.take());
        Terms { options: Arc::new(options), policy, host: HostState::capture(), signal, secrets: CommonSecrets::new() }
    }

    /// Accepts a request, which is to be started; `enter` takes the slot, or a place in the queue. `refused` masks the secrets in what is
    /// wrong with the request, or has them masked later.
    pub(super) fn admit(
        self: &Arc<Self>,
        enter: impl FnOnce(&Arc<Scheduler>, i32, &[String]) -> Result<Entry>,
        request: ExecutionRequest,
        terms: &Terms,
        refused: impl FnOnce(Invalid, &ExecutionRequest) -> Invalid,
        sink: Arc<dyn EventSink>,
    ) -> Result<Ready> {
        if self.registry.is_closed() {
            return Err(ExecutionError::EngineShutDown);
        }
        let Terms { options, policy, host, signal, secrets } = terms;
        command::check(&request, options, &self.config, policy)
            .map_err(|invalid| ExecutionError::InvalidRequest(refused(invalid, &request)))?;
        let entry = enter(&self.scheduler, options.priority, options.group_names())?;
        let secrets = self.secrets_of(&request, options, policy, secrets).map_err(ExecutionError::InvalidRequest)?;
        let work = CheckedRequest {
            request: Arc::new(request),
            options: Arc::clone(options),
            policy: Arc::clone(policy),
            host: Arc::clone(host),
            secrets,
            signal: signal.clone(),
        };
        let admitted = Admitted::new(work, self, Pending::new(), sink);
        self.registry.insert(Arc::clone(&admitted.record))?;
        Ok(admitted.ready(self, entry, None))
    }

    /// Adds what the engine has for options that are absent. The child gets the variables of the moment of the call, however long it waits.
    pub(super) fn add_defaults(&self, options: &mut ExecutionOptions) {
        let config = &self.config;
        options.host_env.get_or_insert_with(|| self.host_env(EnvSnapshot::of_this_process));
        options.limits.get_or_insert(config.limits);
        options.terminal.get_or_insert(config.terminal);
        options.groups.get_or_insert_with(|| config.groups.clone());
        if options.retry.is_none() {
            options.retry.clone_from(&config.retry);
        }
    }

    /// Returns the variables to inherit: those of the configuration, or else the host's.
    pub(super) fn host_env(&self, of_host: impl FnOnce() -> EnvSnapshot) -> EnvSnapshot {
        self.config.host_env.clone().unwrap_or_else(of_host)
    }

    /// Returns the environment policy under some options.
    pub(super) fn policy_of(&self, options: &ExecutionOptions) -> Arc<EnvPolicy> {
        let own_policy = options.inherit_env.is_some() || !options.env_allow.is_empty() || !options.env_deny.is_empty();
        if own_policy { Arc::new(EnvPolicy::new(&self.config, options)) } else { Arc::clone(&self.policy) }
    }
}

/// Returns the controls of a running command for its callers. The input of a terminal is open unless there is another.
fn controls_of(options: &ExecutionOptions) -> Controls {
    let size = options.terminal_size();
    let is_open = options.stdin == Stdin::Open || (size.is_some() && options.stdin == Stdin::Empty);
    let terminal = size.map(|size| Arc::new(TerminalControl::new(size)));
    Controls { input: is_open.then(Arc::default), terminal }
}

/// Calls `abort` when a signal fires, unless all is over before; one that fired already takes effect at once.
pub(super) fn stop_on_signal(
    signal: CancellationToken,
    abort: impl FnOnce() + Send + 'static,
    over: impl Future<Output = ()> + Send + 'static,
) {
    if signal.is_cancelled() {
        abort();
        return;
    }
    runtime::spawn(async move {
        tokio::select! {
            () = signal.cancelled() => abort(),
            () = over => {}
        }
    });
}
