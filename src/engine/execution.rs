//! Runs one execution, from its acceptance to its last event.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use chrono::Utc;

use super::EngineCore;
use super::backoff::Backoff;
use super::retention_task::RetentionTask;
use super::retry::Attempts;
use crate::catch_panic::{contain, contain_call};
use crate::event::{EventSink, ExecutionEvent};
use crate::output::{Captures, Channels, Keepsake, Output};
use crate::platform::Leader;
use crate::platform::clock::{self, Instant};
use crate::registry::Record;
use crate::scheduler::{Entry, Permit};
use crate::state::{Pending, Running, Stop, StopRequest};
use crate::supervise::{self, Finished, Job, Run};
use crate::types::{ErrorInfo, ExecutionResult};

/// A listener that hangs holds up the waiters of its own execution for no longer than this.
pub(super) const LONGEST_FLUSH: Duration = Duration::from_secs(1);

/// The function that is called when the end of an execution was emitted, before its slot is free; the argument is
/// whether it completed.
pub(super) type OnSettled = Box<dyn FnOnce(bool) + Send>;

/// An accepted execution.
pub(super) struct Accepted {
    pub(super) shared: Arc<EngineCore>,
    pub(super) record: Arc<Record>,
    /// The error with which the execution fails without being spawned.
    pub(super) refusal: Option<ErrorInfo>,
    pub(super) job: Job,
    /// The command as a person would type it, with its secrets.
    pub(super) command: String,
    pub(super) sink: Arc<dyn EventSink>,
}

/// Drives an execution to its end: whatever happens on the way, it has one result and one terminal event.
pub(super) async fn execute(accepted: Accepted, pending: Pending, entry: Entry, on_settled: Option<OnSettled>) {
    let Accepted { shared, record, job, sink, .. } = &accepted;
    let accepted_at = pending.accepted_at();
    let sequence = Arc::new(AtomicU64::new(0));
    let (ended, permit) = match contain(all_attempts(&accepted, pending, entry, &sequence)).await {
        Ok(ended) => ended,
        // The child was killed when the panic dropped it.
        Err(panic) => {
            (LastAttempt::of(supervise::broken(job, accepted_at, &panic, sequence.fetch_add(1, Relaxed))), None)
        }
    };
    if let Some(input) = &job.controls.input {
        input.close();
    }
    let LastAttempt { result, sequence, written: OutputTotals { stdout, stderr, lines }, files } = ended;
    let result = Arc::new(record.mask_ending(result));
    record.keep(files);
    shared.metrics.ended(&result, stdout, stderr, lines);
    shared.feedback.report(&result, &job.secrets);
    if shared.registry.complete(record, Arc::clone(&result)) {
        RetentionTask::clean_up(shared);
    }
    record.release();
    // A receiver of the end finds the slot free. Only a plan has to know first which of its steps are next: one of them may
    // be more urgent than those that wait.
    let permit = permit.filter(|_| on_settled.is_some());
    let completed = result.success;
    let flushed = contain_call(|| {
        sink.event(ExecutionEvent::ended(result, sequence));
        sink.flushed()
    });
    if let Some(on_settled) = on_settled {
        on_settled(completed);
    }
    drop(permit);
    if let Ok(flushed) = flushed {
        let _ = clock::timeout(LONGEST_FLUSH, contain(flushed)).await;
    }
    shared.registry.settle(record);
    shared.retention.watch(shared);
}

/// An execution that is over, after its last attempt.
struct LastAttempt {
    result: ExecutionResult,
    sequence: u64,
    written: OutputTotals,
    files: Vec<Keepsake>,
}

impl LastAttempt {
    fn of(finished: Finished) -> Self {
        let mut written = OutputTotals::default();
        written.add(&finished);
        Self { result: finished.result, sequence: finished.sequence, written, files: finished.files }
    }
}

/// The counts of the output of all attempts.
#[derive(Debug, Clone, Copy, Default)]
struct OutputTotals {
    stdout: u64,
    stderr: u64,
    lines: u64,
}

impl OutputTotals {
    fn add(&mut self, Finished { result, lines, .. }: &Finished) {
        self.stdout += result.stdout_bytes;
        self.stderr += result.stderr_bytes;
        self.lines += lines;
    }
}

/// Runs attempt after attempt, until one needs no other.
async fn all_attempts(
    accepted: &Accepted,
    mut pending: Pending,
    mut entry: Entry,
    sequence: &Arc<AtomicU64>,
) -> (LastAttempt, Option<Permit>) {
    let Accepted { shared, record, job, sink, .. } = accepted;
    let policy = job.output_policy();
    let overflow = shared.overflow_of(&policy);
    let mut attempts = Attempts::new(job.options.retry.as_ref());
    let mut written = OutputTotals::default();
    let mut backpressure = None;
    let mut last: Option<Arc<ExecutionResult>> = None;
    // The counts of all attempts: the events of the retries report them.
    let mut files = Vec::new();
    let mut again = None;
    loop {
        let captures = Arc::new(Captures::new(&policy));
        record.set_captures(&captures);
        let output = Output::new(Channels {
            captures: Arc::clone(&captures),
            id: record.id(),
            policy,
            sink: Arc::clone(sink),
            sequence: Arc::clone(sequence),
            secrets: Arc::clone(&job.secrets),
            overflow: overflow.clone(),
        });
        let this = again.as_ref().unwrap_or(job);
        let (mut finished, permit) = match (
            attempt(accepted, this, pending, entry, Box::new(output.with_backpressure(backpressure))).await,
            last,
        ) {
            (Attempt::Finished(finished, permit), _) => (finished, permit),
            (Attempt::Stopped(why, pending, output), None) => {
                (supervise::never_ran(job, pending, output, why).await, None)
            }
            // The result of the last attempt stays.
            (Attempt::Stopped(why, ..), Some(last)) => {
                return (stopped_before_retry(last, why, sequence, written, files), None);
            }
        };
        written.add(&finished);
        files.append(&mut finished.files);
        attempts.sign(&mut finished.result);
        let attempt = attempts.attempt();
        let Some(pause) = attempts.next(&finished.result, &captures, &job.end.stop).await else {
            let Finished { result, sequence, .. } = *finished;
            return (LastAttempt { result, sequence, written, files }, permit);
        };
        if let Some(why) = job.end.stop.reason() {
            let Finished { result, sequence, .. } = *finished;
            let result = supervise::stopped_before_retry(result, why);
            return (LastAttempt { result, sequence, written, files }, permit);
        }
        backpressure = finished.backpressure;
        let failed = Arc::new(record.mask_ending(finished.result));
        // This is before the event: a listener may write to the next attempt.
        if let Some(input) = &job.controls.input {
            input.reopen();
        }
        captures.set_result(&failed);
        sink.event(ExecutionEvent::Retry {
            execution_id: record.id(),
            timestamp: failed.completed_at,
            sequence: finished.sequence,
            attempt,
            attempts: attempts.most(),
            delay_ms: u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
            result: Arc::clone(&failed),
        });
        // Others run during the pause.
        drop(permit);
        job.end.deadline.reopen();
        if let Some(why) = clock::timeout(pause, job.end.stop.requested()).await {
            return (stopped_before_retry(failed, why, sequence, written, files), None);
        }
        last = Some(failed);
        again.get_or_insert_with(|| job.next_attempt());
        pending = Pending::new();
        entry = shared.scheduler.claim(job.options.priority, job.options.group_names());
    }
}

/// Ends an execution that was to be tried again and may not be.
fn stopped_before_retry(
    last: Arc<ExecutionResult>,
    why: Stop,
    sequence: &AtomicU64,
    written: OutputTotals,
    files: Vec<Keepsake>,
) -> LastAttempt {
    let result = supervise::stopped_before_retry(Arc::unwrap_or_clone(last), why);
    LastAttempt { result, sequence: sequence.fetch_add(1, Relaxed), written, files }
}

/// The outcome of one attempt.
enum Attempt {
    Finished(Box<Finished>, Option<Permit>),
    /// The execution never ran.
    Stopped(Stop, Pending, Box<Output>),
}

/// Waits in the queue, supervises the command, and repeats both if the machine had no room. The permit outlives the
/// tree.
async fn attempt(
    accepted: &Accepted,
    job: &Job,
    mut pending: Pending,
    mut entry: Entry,
    mut output: Box<Output>,
) -> Attempt {
    if let Some(refusal) = &accepted.refusal {
        let permit = if let Entry::Now(permit) = entry { Some(permit) } else { None };
        return Attempt::Finished(supervise::never_spawned(job, pending, output, refusal.clone()).await, permit);
    }
    let Accepted { shared, record, command, sink, .. } = accepted;
    if let Entry::Later(ticket) = &entry {
        sink.event(ExecutionEvent::Queued {
            execution_id: record.id(),
            timestamp: pending.accepted_at(),
            sequence: output.take_sequence(),
            command: job.secrets.mask(command).into_owned(),
            group: ticket.obstacle().map(|group| job.secrets.mask(group).into_owned()),
        });
    }
    let queue_timeout = shared.config.queue_timeout_ms.map(Duration::from_millis);
    let queue_deadline = queue_timeout.map(|limit| pending.accepted() + limit);
    let mut backoff = Backoff::new(queue_timeout);
    loop {
        let permit = match turn(&job.end.stop, entry, queue_deadline).await {
            Ok(permit) => permit,
            // With the last slot that is given back, a shortage is over: the one that came too late is given back after this.
            Err((why, _late)) => {
                // An execution that never got resources of the machine reports which resource is missing.
                let shortage = backoff.shortage().or_else(|| shared.scheduler.shortage());
                let shortage = shortage.filter(|_| why == Stop::QueueTimeout);
                let Some(error) = shortage else { return Attempt::Stopped(why, pending, output) };
                return Attempt::Finished(supervise::never_spawned(job, pending, output, error).await, None);
            }
        };
        let has_slot = Instant::now();
        let started = |running: &Running, leader: &Arc<Leader>, output: &mut Output| {
            shared.metrics.spawned(has_slot.elapsed());
            shared.scheduler.grow();
            record.set_running(leader);
            sink.event(ExecutionEvent::Started {
                execution_id: record.id(),
                timestamp: running.started_at(),
                sequence: output.take_sequence(),
                command: job.secrets.mask(command).into_owned(),
                pid: leader.id(),
            });
        };
        let degraded = |output: &mut Output, message: String| {
            if !shared.degradations.is_new(&message) {
                return;
            }
            let message = job.secrets.mask(&message).into_owned();
            sink.event(ExecutionEvent::Degraded {
                execution_id: record.id(),
                timestamp: Utc::now(),
                sequence: output.take_sequence(),
                message,
            });
        };
        match supervise::run(job, pending, output, started, &degraded).await {
            Run::Finished(finished) => return Attempt::Finished(finished, Some(permit)),
            Run::Exhausted { pending: back, output: output_back, error } => {
                shared.metrics.count_backoff();
                shared.scheduler.shrink(&error);
                let Some(pause) = backoff.next(&error) else {
                    let finished = supervise::never_spawned(job, back, output_back, error).await;
                    return Attempt::Finished(finished, Some(permit));
                };
                (pending, output) = (back, output_back);
                drop(permit);
                let _ = clock::timeout(pause, job.end.stop.requested()).await;
                entry = Entry::Later(shared.scheduler.enter_again(job.options.priority, job.options.group_names()));
            }
        }
    }
}

/// Waits for a slot, or for a reason not to. A slot that comes too late is returned with the reason.
async fn turn(stop: &StopRequest, entry: Entry, deadline: Option<Instant>) -> Result<Permit, (Stop, Option<Permit>)> {
    let permit = match entry {
        Entry::Now(permit) => permit,
        Entry::Later(mut ticket) => {
            let permit = tokio::select! {
                biased;
                why = stop.requested() => return Err((why, None)),
                permit = ticket.turn() => permit,
                () = sleep_or_forever(deadline) => return Err((Stop::QueueTimeout, None)),
            };
            // The host may have been stopped: a slot can be seen before the timer of the queue, although both are due.
            if deadline.is_some_and(|at| Instant::now() >= at) {
                return Err((Stop::QueueTimeout, Some(permit)));
            }
            permit
        }
    };
    match stop.reason() {
        Some(why) => Err((why, Some(permit))),
        None => Ok(permit),
    }
}

async fn sleep_or_forever(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => clock::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::sync::atomic::AtomicU32;

    use crate::config::ExecutionConfig;
    use crate::engine::ExecutionEngine;
    use crate::event::{Credit, EventType, LineBatch, SilentSink};
    use crate::scheduler::Scheduler;
    use crate::types::{Command, ErrorCode, ExecutionOptions, ExecutionRequest, ExecutionStatus};

    use super::*;

    /// Panics inside the supervision, once the child runs.
    #[derive(Default)]
    struct Defect {
        pid: AtomicU32,
    }

    impl EventSink for Defect {
        fn wants(&self, _event_type: EventType) -> bool {
            true
        }
        fn lines(&self, _batch: LineBatch<'_>, _credit: Credit) {
            panic!("a defect in the middle of the output");
        }
        fn event(&self, event: ExecutionEvent) {
            if let ExecutionEvent::Started { pid, .. } = event {
                self.pid.store(pid, Relaxed);
            }
        }
    }

    fn shell(line: &str) -> ExecutionRequest {
        ExecutionRequest::new(Command::Shell { command: line.into(), shell: String::new() })
    }

    /// Queued executions are stopped first, so that no slot that falls free is given to one that could still spawn.
    #[tokio::test]
    async fn queued_executions_are_stopped_before_running_ones() {
        let config = ExecutionConfig { max_concurrent_executions: 2, ..ExecutionConfig::default() };
        let engine = ExecutionEngine::new(config).unwrap();
        let submit = || {
            engine
                .submit(shell(crate::platform::LONG_COMMAND), ExecutionOptions::default(), Arc::new(SilentSink))
                .unwrap()
        };
        let records: Vec<_> = (0..20).map(|_| submit()).collect();
        let runs = |record: &Record| record.status() == ExecutionStatus::Running;
        while records.iter().filter(|record| runs(record)).count() < 2 {
            tokio::task::yield_now().await;
        }
        let stopped = engine.request_stop_of_all(Stop::Cancelled, None);
        let last: Vec<_> = stopped[18..].iter().map(|record| record.id()).collect();
        assert!(records[..2].iter().all(|record| last.contains(&record.id())), "the first two ran");
        for record in &records {
            assert_eq!(record.settled().await.status, ExecutionStatus::Cancelled);
        }
        assert!(records[2..].iter().all(|record| record.result().unwrap().pid.is_none()), "none of them spawned");
    }

    #[tokio::test]
    async fn a_slot_that_comes_too_late_is_not_taken() {
        let config = ExecutionConfig { max_concurrent_executions: 1, ..ExecutionConfig::default() };
        let scheduler = Scheduler::new(&config);
        let first = scheduler.enter(0, &[]).unwrap();
        let second = scheduler.enter(0, &[]).unwrap();
        drop(first);
        let (why, late) = turn(&StopRequest::new(), second, Some(Instant::now())).await.unwrap_err();
        assert_eq!(why, Stop::QueueTimeout);
        drop(late);
        assert!(matches!(scheduler.enter(0, &[]).unwrap(), Entry::Now(_)), "the slot is free for another one");
    }

    /// A handler whose last event is handled when the test notifies it.
    #[derive(Default)]
    struct Slow(Arc<tokio::sync::Notify>);

    impl EventSink for Slow {
        fn wants(&self, _event_type: EventType) -> bool {
            true
        }
        fn lines(&self, _batch: LineBatch<'_>, _credit: Credit) {}
        fn event(&self, _event: ExecutionEvent) {}
        fn flushed(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
            let handled = Arc::clone(&self.0);
            Box::pin(async move { handled.notified().await })
        }
    }

    /// However low the retention limits are, no record is removed before its last event was handled.
    #[tokio::test]
    async fn a_shutdown_waits_for_the_last_event_of_what_is_not_kept() {
        let config = ExecutionConfig { max_in_memory_executions: 0, ..ExecutionConfig::default() };
        let engine = ExecutionEngine::new(config).unwrap();
        let handled = Arc::new(tokio::sync::Notify::new());
        let slow = Arc::new(Slow(Arc::clone(&handled)));
        let record = engine.submit(shell("true"), ExecutionOptions::default(), slow).unwrap();
        while record.result().is_none() {
            tokio::task::yield_now().await;
        }
        engine.clean_up();
        let unsettled = engine.shared().registry.unsettled();
        assert_eq!(unsettled.len(), 1, "the result is there and its event is not handled");
        handled.notify_one();
        engine.shutdown(Duration::ZERO).await;
        assert_eq!(engine.total_count(), 0);
    }

    /// A panic in the core ends one execution with `INTERNAL`, with its child; the engine continues.
    #[tokio::test]
    async fn a_panic_fails_one_execution_only() {
        let config = ExecutionConfig { max_concurrent_executions: 1, ..ExecutionConfig::default() };
        let engine = ExecutionEngine::new(config).unwrap();
        let defect = Arc::new(Defect::default());
        let options = ExecutionOptions::default;
        let broken = engine.submit(shell("echo line; exec sleep 600"), options(), defect.clone()).unwrap();
        let other = engine.submit(shell("echo fine"), options(), Arc::new(SilentSink)).unwrap();

        let result = broken.settled().await;
        assert_eq!(result.status, ExecutionStatus::Failed);
        let error = result.error.as_ref().unwrap();
        assert_eq!(error.code, ErrorCode::Internal);
        assert!(error.message.contains("a defect in the middle of the output"), "{}", error.message);
        assert!(result.reason.is_none());

        // A line of `cmd.exe` ends with `\r\n`.
        assert_eq!(other.settled().await.stdout.trim_end(), "fine");
        assert_eq!(engine.available_permits(), 1);

        // The child is killed and reaped, at the latest by the thread that waits for it.
        let process = format!("/proc/{}", defect.pid.load(Relaxed));
        assert_ne!(process, "/proc/0", "the child had started");
        for _ in 0..500 {
            if !std::path::Path::new(&process).exists() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{process} is still there");
    }
}
