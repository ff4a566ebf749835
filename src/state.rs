//! The states of one execution as types: a transition takes one state and returns the next.
//!
//! | from | to | by |
//! | --- | --- | --- |
//! | [`Pending`] | [`Running`] | [`Pending::started`]: a slot was free and the spawn worked |
//! | [`Pending`] | [`Over`] | [`Pending::over`]: cancelled, out of time, or not spawned |
//! | [`Running`] | [`Over`] | [`Running::over`]: the command exited or was ended |

pub(crate) use self::deadline::Deadline;

mod deadline;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::{Notify, SetOnce};

use crate::platform::clock::Instant;
use crate::types::{ExecutionStatus, Reason};

/// Why an execution is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    Timeout,
    IdleTimeout,
    QueueTimeout,
    Cancelled,
    Aborted,
    Shutdown,
    OutputLimit,
}

impl Stop {
    /// Returns the status of an execution that was ended for this reason.
    pub(crate) const fn status(self) -> ExecutionStatus {
        match self {
            Self::Timeout | Self::IdleTimeout | Self::QueueTimeout => ExecutionStatus::Timeout,
            Self::Cancelled | Self::Aborted | Self::Shutdown => ExecutionStatus::Cancelled,
            Self::OutputLimit => ExecutionStatus::Failed,
        }
    }

    pub(crate) const fn reason(self) -> Reason {
        match self {
            Self::Timeout => Reason::Timeout,
            Self::IdleTimeout => Reason::IdleTimeout,
            Self::QueueTimeout => Reason::QueueTimeout,
            Self::Cancelled => Reason::Cancelled,
            Self::Aborted => Reason::Aborted,
            Self::Shutdown => Reason::Shutdown,
            Self::OutputLimit => Reason::OutputLimit,
        }
    }
}

/// What ends an execution from outside: requests, and its time limit. It goes when there is a result.
#[derive(Debug)]
pub(crate) struct EndControl {
    pub(crate) stop: StopRequest,
    /// The time at which the command times out.
    pub(crate) deadline: Deadline,
}

impl EndControl {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { stop: StopRequest::new(), deadline: Deadline::new() })
    }
}

/// The requests to end one execution. The first reason counts; of several grace periods, the one that ends first.
#[derive(Debug)]
pub(crate) struct StopRequest {
    reason: SetOnce<Stop>,
    /// The latest time at which the tree is killed, by request of a caller. Held for a comparison.
    kill_at: Mutex<Option<Instant>>,
    /// Wakes the one supervisor when `kill_at` has come nearer.
    sooner: Notify,
}

impl StopRequest {
    pub(crate) fn new() -> Self {
        Self { reason: SetOnce::new(), kill_at: Mutex::default(), sooner: Notify::new() }
    }

    /// Requests the end; a `grace` shorter than what is left of the present one takes effect, however late it comes.
    pub(crate) fn request(&self, reason: Stop, grace: Option<Duration>) {
        // The deadline comes first: a supervisor that is woken by the reason finds it.
        if let Some(kill_at) = grace.and_then(|grace| Instant::now().checked_add(grace)) {
            let mut slot = self.lock();
            if slot.is_none_or(|before| kill_at < before) {
                *slot = Some(kill_at);
                drop(slot);
                self.sooner.notify_one();
            }
        }
        // The first reason counts.
        let _ = self.reason.set(reason);
    }

    pub(crate) fn reason(&self) -> Option<Stop> {
        self.reason.get().copied()
    }

    /// Waits for the first request. Cancel-safe.
    pub(crate) async fn requested(&self) -> Stop {
        *self.reason.wait().await
    }

    /// Returns the latest time at which the tree is killed, by request of a caller.
    pub(crate) fn kill_at(&self) -> Option<Instant> {
        *self.lock()
    }

    /// Waits until [`StopRequest::kill_at`] has come nearer. Cancel-safe; one waits at a time.
    pub(crate) async fn kills_sooner(&self) {
        self.sooner.notified().await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.kill_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Accepted and not spawned.
#[derive(Debug)]
#[must_use]
pub(crate) struct Pending {
    accepted: Instant,
    accepted_at: DateTime<Utc>,
}

impl Pending {
    pub(crate) fn new() -> Self {
        Self { accepted: Instant::now(), accepted_at: Utc::now() }
    }

    /// Returns the state of an execution that was accepted earlier.
    pub(crate) fn since(accepted: Instant) -> Self {
        Self { accepted, accepted_at: Utc::now() - accepted.elapsed() }
    }

    /// Returns when the wait in the queue began.
    pub(crate) fn accepted(&self) -> Instant {
        self.accepted
    }

    pub(crate) fn accepted_at(&self) -> DateTime<Utc> {
        self.accepted_at
    }

    /// Records that the child was spawned at `started`. It may have done some of its work by now.
    pub(crate) fn started(self, started: Instant) -> Running {
        Running { queued: started - self.accepted, started, started_at: Utc::now() - started.elapsed() }
    }

    pub(crate) fn over(self) -> Over {
        Over {
            queued: self.accepted.elapsed(),
            duration: Duration::ZERO,
            started_at: self.accepted_at,
            completed_at: Utc::now(),
        }
    }
}

/// Spawned.
#[derive(Debug)]
#[must_use]
pub(crate) struct Running {
    queued: Duration,
    started: Instant,
    started_at: DateTime<Utc>,
}

impl Running {
    /// Returns when the child was spawned.
    pub(crate) fn since(&self) -> Instant {
        self.started
    }

    pub(crate) fn started_at(&self) -> DateTime<Utc> {
        self.started_at
    }

    pub(crate) fn over(self) -> Over {
        Over {
            queued: self.queued,
            duration: self.started.elapsed(),
            started_at: self.started_at,
            completed_at: Utc::now(),
        }
    }
}

/// Ended; the times of the result.
#[derive(Debug)]
#[must_use]
pub(crate) struct Over {
    pub(crate) queued: Duration,
    pub(crate) duration: Duration,
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) completed_at: DateTime<Utc>,
}
