//! Supervises one execution from a free slot to its result: open the logs, spawn, supervise, end the tree, drain the
//! pipes.
//!
//! `start` spawns the command, `supervision` is the loop while it runs, `terminate` ends its tree, and `outcome` makes the result.

use std::pin::Pin;
use std::sync::Arc;

use crate::output::Output;
use crate::platform::clock::Instant;
use crate::platform::{self, Leader};
use crate::state::{Pending, Running, Stop};
use crate::types::ErrorInfo;

pub(crate) use self::job::Job;
use self::job::Times;
use self::outcome::Outcome;
pub(crate) use self::outcome::{Finished, broken, stopped_before_retry};
use self::start::{Started, open_log, spawn};
pub(crate) use self::supervision::Degraded;
use self::supervision::Supervision;

mod job;
mod outcome;
mod start;
mod supervision;
mod terminate;
mod waiting;

/// The end of an attempt to run a job.
#[must_use]
pub(crate) enum Run {
    Finished(Box<Finished>),
    /// The machine had no room for another process: the job can be tried again.
    Exhausted {
        pending: Pending,
        output: Box<Output>,
        error: ErrorInfo,
    },
}

/// Runs a job to its end. `started` is called once the child runs, and `degraded` with what the execution has to do without.
pub(crate) async fn run(
    job: &Job,
    pending: Pending,
    mut output: Box<Output>,
    started: impl FnOnce(&Running, &Arc<Leader>, &mut Output),
    degraded: &Degraded<'_>,
) -> Run {
    let attempted = Instant::now();
    job.end.deadline.begin(attempted, Times::of(job).timeout);
    if !job.log.is_empty() && !output.has_open_log() {
        let paths = if output.has_log() { job.log.next_attempt() } else { job.log.clone() };
        match Box::pin(open_log(job, paths, attempted)).await {
            Ok(Ok(log)) => output.set_log(log),
            Ok(Err(failure)) if failure.is_exhaustion() => {
                return Run::Exhausted { pending, output, error: failure.into_info() };
            }
            Ok(Err(failure)) => {
                return Run::Finished(never_spawned(job, pending, output, failure.into_info()).await);
            }
            Err(why) => return Run::Finished(never_ran(job, pending, output, why).await),
        }
    }
    match spawn(job).await {
        Ok(Ok(Started { process, at, guard, unguarded })) => {
            let running = pending.started(at);
            started(&running, &process.leader, &mut output);
            for message in unguarded.into_iter().chain(platform::limited_sight().map(str::to_owned)) {
                degraded(&mut output, message);
            }
            let supervision = Box::new(Supervision::new(job, running, process, guard, output));
            Run::Finished(supervision.run(degraded).await.finish(job).await)
        }
        Ok(Err(failure)) if failure.is_exhaustion() => {
            output.suspend_log();
            Run::Exhausted { pending, output, error: failure.into_info() }
        }
        Ok(Err(failure)) => Run::Finished(never_spawned(job, pending, output, failure.into_info()).await),
        Err(why) => Run::Finished(never_ran(job, pending, output, why).await),
    }
}

/// Returns the end of an execution whose command could not be started. It is boxed, as is everything else that is rare:
/// a future has room for the largest of those that it may await, and is copied with it.
pub(crate) fn never_spawned(
    job: &Job,
    pending: Pending,
    output: Box<Output>,
    error: ErrorInfo,
) -> Pin<Box<impl Future<Output = Box<Finished>>>> {
    Box::pin(Outcome::not_spawned(pending, output, error).finish(job))
}

/// Returns the end of an execution that was stopped before it was spawned.
pub(crate) fn never_ran(
    job: &Job,
    pending: Pending,
    output: Box<Output>,
    why: Stop,
) -> Pin<Box<impl Future<Output = Box<Finished>>>> {
    Box::pin(Outcome::stopped_before_spawn(pending, output, why).finish(job))
}
