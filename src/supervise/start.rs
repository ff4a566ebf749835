//! Opens the logs of an execution and starts its command, on threads that may block.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::job::{Job, Times};
use super::terminate::{Cause, StopPlan, Termination};
use crate::command::{SpawnFailure, resolve};
use crate::guardian::{self, Guard};
use crate::output::{Log, LogFailure, LogPaths};
use crate::platform::clock::{self, Instant};
use crate::platform::{self, Guarded, Launch};
use crate::process::{self, Process};
use crate::runtime;
use crate::state::Stop;
use crate::types::{StopOrder, StopSignal};

/// A log that takes longer to open is on a disk that does not answer.
const LONGEST_OPEN: Duration = Duration::from_secs(10);

/// The longest wait for a child that is being created when the execution is to end. Where processors are busy, it may
/// have run for some time before the thread that has created it continues: such a child is ended as a tree, and its
/// result has its start time and its process id.
const LONGEST_CREATION: Duration = Duration::from_millis(500);

/// The next action of an execution. It is decided once: by the thread that spawns, or by the end of the execution.
#[derive(Debug, Clone, Copy)]
enum SpawnDecision {
    CreateChild,
    GiveUp,
}

/// A child that runs, or nearly so.
pub(super) struct Started {
    pub(super) process: Process,
    /// The time when it was spawned.
    pub(super) at: Instant,
    /// `None` without a guardian.
    pub(super) guard: Option<Guard>,
    /// Why there is no guardian although the configuration enables it.
    pub(super) unguarded: Option<String>,
}

/// A child that was just created. If it is dropped, its execution was given up meanwhile, and its tree is ended in the background: it may
/// have started processes in sessions of their own.
struct Created(Option<Started>);

impl Created {
    fn take(mut self) -> Option<Started> {
        self.0.take()
    }
}

impl Drop for Created {
    fn drop(&mut self) {
        if let Some(late) = self.0.take() {
            runtime::spawn(end_tree(late));
        }
    }
}

/// Kills a tree without a grace period, and reaps its leader. If it is dropped, only the process group and the control group are killed.
async fn end_tree(mut started: Started) {
    let leader = Arc::clone(&started.process.leader);
    let plan = StopPlan { signal: StopSignal::default(), order: StopOrder::default(), grace: Duration::ZERO };
    let mut termination = Termination::begin(&leader, Cause::Stop(Stop::Cancelled), plan, None);
    loop {
        let deadline = termination.deadline();
        let scanned = tokio::select! {
            sight = termination.scanned() => Some(sight),
            () = clock::sleep_until(deadline) => None,
        };
        let (exited, now) = (leader.has_exited(), Instant::now());
        let is_over = match scanned {
            Some(sight) => termination.take(sight, exited, now),
            None => termination.tick(exited, now),
        };
        if is_over {
            break;
        }
    }
    // This comes before the pid can be reused: the guardian must not kill another process.
    drop(started.guard.take());
    leader.reap();
}

/// Opens the logs. If the execution is to end before they are open, returns the reason for that. A log on a disk that does not
/// answer cannot be opened.
pub(super) async fn open_log(job: &Job, paths: LogPaths, attempted: Instant) -> Result<Result<Log, LogFailure>, Stop> {
    let format = job.config.log_format;
    let limit = async {
        tokio::select! {
            biased;
            why = end_before_spawn(job) => Some(why),
            () = clock::sleep_until(attempted + LONGEST_OPEN) => None,
        }
    };
    match job.spawn_thread.call_blocking(move || Log::open(&paths, format), limit).await {
        Ok(opened) => Ok(opened),
        Err(Some(why)) => Err(why),
        Err(None) => Ok(Err(LogFailure::no_answer(&job.log))),
    }
}

/// Starts the child: a look-up of the program reads the file system, and a spawn returns only when the program runs. If the
/// execution is to end before the child is created, or creating it takes too long, returns the reason for that.
pub(super) async fn spawn(job: &Job) -> Result<Result<Started, SpawnFailure>, Stop> {
    let Job { request, options, config, policy, host, controls, spawn_thread, .. } = job.clone();
    let is_guarded = job.config.guardian;
    let times = Times::of(job);
    let decided = Arc::new(OnceLock::new());
    let limit = {
        let decided = Arc::clone(&decided);
        async move {
            let why = end_before_spawn(job).await;
            if decided.set(SpawnDecision::GiveUp).is_err() {
                clock::sleep_until(Instant::now() + LONGEST_CREATION).await;
            }
            why
        }
    };
    let start = move || {
        let terminal = controls.terminal.as_ref().map(|terminal| terminal.size());
        let launch = Launch { terminal, ..resolve(&request, &options, &config, &policy, &host)? };
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
        if decided.set(SpawnDecision::CreateChild).is_err() {
            return Ok(Created(None));
        }
        let at = Instant::now();
        let process = process::spawn(&launch, &options.stdin, &controls, &spawn_thread)?;
        if let Some(guard) = &guard {
            guard.started(&process.leader);
        }
        Ok(Created(Some(Started { process, at, guard, unguarded })))
    };
    match job.spawn_thread.call_blocking(start, limit).await?.map(Created::take).transpose() {
        Some(started) => Ok(started),
        None => Err(end_before_spawn(job).await),
    }
}

/// Resolves when the execution is to end although its command was not spawned yet: a file system that hangs must not delay that.
async fn end_before_spawn(job: &Job) -> Stop {
    tokio::select! {
        biased;
        why = job.end.stop.requested() => why,
        () = job.end.deadline.passed() => Stop::Timeout,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::{Act, ScanPriority, ShellArgs, SpawnThread};
    use crate::process::Controls;
    use crate::types::Stdin;

    const LOST: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn a_child_that_comes_too_late_is_ended_with_its_daemons() {
        let shell = platform::default_shell();
        // Where the system is known to have the program for it, the command starts a daemon.
        let (line, members) =
            if platform::HAS_LIMITS { ("setsid sleep 300 & sleep 300", 3) } else { (platform::LONG_COMMAND, 1) };
        let ShellArgs { args, verbatim, .. } = platform::shell_args(&shell, line, false);
        let launch = Launch { verbatim, ..Launch::plain(shell, args) };
        let process = process::spawn(&launch, &Stdin::default(), &Controls::default(), &SpawnThread::none()).unwrap();
        let leader = Arc::clone(&process.leader);
        let started = Started { process, at: Instant::now(), guard: None, unguarded: None };
        let created = Created(Some(started));
        let look = || leader.scan(Act::Describe { then: None }, leader.has_exited(), ScanPriority::Normal);
        let until = Instant::now() + LOST;
        while look().await.unwrap().processes.len() < members {
            assert!(Instant::now() < until, "its processes run");
        }
        drop(created);
        while !(leader.has_exited() && look().await.unwrap().is_gone) {
            assert!(Instant::now() < until, "its processes are gone");
        }
    }
}
