//! Reports how executions ended, to a host that collects it elsewhere: a type that cannot hold commands or output, the
//! trait that receives it, and the bounded queue between the two.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::catch_panic::contain;
use crate::redact::Vault;
use crate::runtime;
use crate::types::{ExecutionResult, ExecutionStatus, Reason};

#[cfg(feature = "server-feedback")]
pub use self::http::{HttpFeedback, HttpFeedbackOptions, HttpFeedbackTotals};
pub use self::short_name::ShortName;

#[cfg(feature = "server-feedback")]
mod http;
mod short_name;

/// Statuses that wait for a sink; each takes about 200 bytes.
const LONGEST_QUEUE: usize = 10_000;

/// The way in which one execution ended: its status, and no part of its command or output.
///
/// The type is `Copy`: its fields are numbers, fixed words and two [`ShortName`]s, so there is no place for output, an environment, a
/// command or the message of an error. It describes the last attempt of an execution.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ExecutionFeedback {
    /// Names the execution.
    pub execution_id: Uuid,
    /// `metadata.label` of the request, if it is a [`ShortName`] and has no secret in it.
    pub label: Option<ShortName>,
    /// The status of the execution.
    pub status: ExecutionStatus,
    /// Why it ended; `None` when a defect of the engine ended it.
    pub reason: Option<Reason>,
    /// The exit code; `None` when a signal ended the command or it never ran.
    pub exit_code: Option<i32>,
    /// The name of the signal that ended it, such as `SIGKILL`.
    pub signal: Option<ShortName>,
    /// Milliseconds from spawn to the end.
    pub duration_ms: f64,
    /// Milliseconds from acceptance to spawn.
    pub queued_ms: f64,
    /// The bytes that it wrote to standard output.
    pub stdout_bytes: u64,
    /// The bytes that it wrote to standard error.
    pub stderr_bytes: u64,
}

impl ExecutionFeedback {
    /// Returns the status of a result; a label with one of these secrets is left out.
    pub(crate) fn of(result: &ExecutionResult, secrets: &Vault) -> Self {
        Self {
            execution_id: result.id,
            label: result.metadata.label.as_deref().and_then(|label| label_of(label, secrets)),
            status: result.status,
            reason: result.reason,
            exit_code: result.exit_code,
            signal: result.signal.as_deref().and_then(ShortName::new),
            duration_ms: result.duration_ms,
            queued_ms: result.queued_ms,
            stdout_bytes: result.stdout_bytes,
            stderr_bytes: result.stderr_bytes,
        }
    }
}

/// Returns a label as a status has it. The mask of a secret is no part of a name.
pub(crate) fn label_of(label: &str, secrets: &Vault) -> Option<ShortName> {
    let [label] = secrets.mask_short([label.to_owned()], []);
    ShortName::new(&label)
}

/// Receives the status of every execution of an engine when it ends: those of one engine one at a time, in the order of their ends.
///
/// A slow sink delays no execution. At most 10 000 statuses wait for it; further ones are dropped and counted by
/// [`crate::ExecutionEngine::feedback_dropped`]. A panic in a sink is contained: that status is lost to it, nothing else.
#[async_trait]
pub trait FeedbackSink: Send + Sync {
    /// Takes the status of one execution.
    async fn feedback(&self, status: ExecutionFeedback);

    /// Resolves when everything that was taken has arrived where it goes. `shutdown` of the engine waits for it, 5 s at the most.
    async fn flush(&self) {}
}

enum QueuedFeedback {
    Status(ExecutionFeedback),
    Flush(oneshot::Sender<()>),
}

/// The sinks of an engine, each behind a queue of its own.
#[derive(Debug, Default)]
pub(crate) struct Feedback {
    /// The queues of the sinks. The lock is held for a look at the list, which is changed when a sink is added.
    queues: RwLock<Vec<mpsc::Sender<QueuedFeedback>>>,
    dropped: AtomicU64,
}

impl Feedback {
    pub(crate) fn add(&self, sink: Arc<dyn FeedbackSink>) {
        let (messages, mut queue) = mpsc::channel(LONGEST_QUEUE);
        runtime::spawn_listener(async move {
            while let Some(message) = queue.recv().await {
                match message {
                    QueuedFeedback::Status(status) => {
                        if contain(async { sink.feedback(status).await }).await.is_err() {
                            tracing::error!(execution_id = %status.execution_id, "a feedback sink panicked");
                        }
                    }
                    QueuedFeedback::Flush(done) => {
                        if contain(async { sink.flush().await }).await.is_err() {
                            tracing::error!("a feedback sink panicked");
                        }
                        let _ = done.send(());
                    }
                }
            }
        });
        self.queues.write().unwrap_or_else(PoisonError::into_inner).push(messages);
    }

    /// Reports an end to every sink. It never waits.
    pub(crate) fn report(&self, result: &ExecutionResult, secrets: &Vault) {
        let queues = self.queues.read().unwrap_or_else(PoisonError::into_inner);
        for queue in queues.iter() {
            if queue.try_send(QueuedFeedback::Status(ExecutionFeedback::of(result, secrets))).is_err() {
                self.dropped.fetch_add(1, Relaxed);
            }
        }
    }

    /// Returns how many statuses were dropped because a sink was too slow.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Resolves when the sinks have taken and flushed what was reported so far.
    pub(crate) async fn flush(&self) {
        let queues = self.queues.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut waits = Vec::with_capacity(queues.len());
        for queue in queues {
            let (done, wait) = oneshot::channel();
            // All sinks are flushed at once: one that hangs must not delay the others.
            runtime::spawn(async move {
                let _ = queue.send(QueuedFeedback::Flush(done)).await;
            });
            waits.push(wait);
        }
        for wait in waits {
            let _ = wait.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ExecutionFeedback;

    /// A `Copy` type owns no memory, so it cannot hold a text of any length.
    #[test]
    fn a_status_can_hold_no_text() {
        fn is_copy<T: Copy + 'static>() {}
        is_copy::<ExecutionFeedback>();
        assert!(size_of::<ExecutionFeedback>() <= 256, "{}", size_of::<ExecutionFeedback>());
    }
}
