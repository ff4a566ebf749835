//! One execution, from its acceptance to its last event.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::Shared;
use crate::contain::{contain, contain_call};
use crate::event::{EventSink, ExecutionEvent};
use crate::output::Output;
use crate::registry::Record;
use crate::runtime;
use crate::scheduler::{Entry, Permit};
use crate::state::{Pending, Stop};
use crate::supervise::{self, Finished, Job};

/// A listener that hangs holds up the waiters of its own execution for no longer than this.
const LONGEST_FLUSH: Duration = Duration::from_secs(1);

/// An accepted execution.
pub(super) struct Accepted {
    pub(super) shared: Arc<Shared>,
    pub(super) record: Arc<Record>,
    pub(super) job: Job,
    /// The command as a person would type it.
    pub(super) command: String,
    pub(super) sink: Arc<dyn EventSink>,
}

/// Drives an execution to its end: whatever happens on the way, it has one result and one terminal event.
pub(super) async fn drive(accepted: Accepted, pending: Pending, entry: Entry) {
    let Accepted { shared, record, job, sink, .. } = &accepted;
    let accepted_at = pending.accepted_at();
    let sequence = Arc::new(AtomicU64::new(0));
    let output = Output::new(record.id(), &shared.config, Arc::clone(sink), Arc::clone(&sequence));
    let course = course(&accepted, pending, entry, output);
    let (finished, permit) = match contain(course).await {
        Ok(ended) => ended,
        // The child was killed when the panic dropped it.
        Err(panic) => (supervise::broken(job, accepted_at, &panic, sequence.fetch_add(1, Relaxed)), None),
    };
    let Finished { result, sequence, lines } = finished;
    let result = Arc::new(result);
    shared.metrics.ended(result.status, result.stdout_bytes, result.stderr_bytes, lines);
    shared.registry.complete(record, Arc::clone(&result));
    drop(permit);
    let told = contain_call(|| {
        sink.event(ExecutionEvent::ended(result, sequence));
        sink.flushed()
    });
    if let Ok(flushed) = told {
        let _ = runtime::timeout(LONGEST_FLUSH, contain(flushed)).await;
    }
    record.settle();
}

/// Queue, then supervision. The permit outlives the tree.
async fn course(accepted: &Accepted, pending: Pending, entry: Entry, mut output: Output) -> (Finished, Option<Permit>) {
    let Accepted { shared, record, job, command, sink } = accepted;
    let turn = match entry {
        Entry::Now(permit) => Ok(permit),
        Entry::Later(mut ticket) => {
            sink.event(ExecutionEvent::Queued {
                execution_id: record.id(),
                timestamp: pending.accepted_at(),
                sequence: output.take_sequence(),
                command: command.clone(),
            });
            let patience = shared.config.queue_timeout_ms.map(Duration::from_millis);
            tokio::select! {
                biased;
                why = record.stop().wait() => Err(*why),
                permit = ticket.turn() => Ok(permit),
                () = sleep_or_forever(patience) => Err(Stop::QueueTimeout),
            }
        }
    };
    let permit = match turn {
        Ok(permit) => permit,
        Err(why) => return (supervise::never_ran(job, pending, output, why), None),
    };
    if let Some(why) = record.stop().get() {
        return (supervise::never_ran(job, pending, output, *why), Some(permit));
    }
    let finished = supervise::run(job, pending, output, |running, pid, output| {
        record.set_running();
        sink.event(ExecutionEvent::Started {
            execution_id: record.id(),
            timestamp: running.started_at(),
            sequence: output.take_sequence(),
            command: command.clone(),
            pid,
        });
    })
    .await;
    (finished, Some(permit))
}

async fn sleep_or_forever(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use crate::event::{Credit, LineBatch, SilentSink};
    use crate::types::{Command, ErrorCode, ExecutionOptions, ExecutionRequest, ExecutionStatus, Stream};
    use crate::{ExecutionConfig, ExecutionEngine};

    use super::*;

    /// Panics inside the supervision, once the child runs.
    #[derive(Default)]
    struct Defect {
        pid: AtomicU32,
    }

    impl EventSink for Defect {
        fn wants_lines(&self, _stream: Stream) -> bool {
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

    /// F60: a panic in the core ends one execution with `INTERNAL`, with its child; the engine goes on.
    #[tokio::test]
    async fn f60_a_panic_costs_one_execution() {
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

        assert_eq!(other.settled().await.stdout, "fine\n");
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
