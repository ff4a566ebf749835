//! Owns the task that removes records that are too old.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::task::AbortHandle;

use super::EngineCore;
use crate::platform::clock::{self, Instant};
use crate::runtime;

/// The task that removes old records: at most one, which sleeps until the oldest record is too old. There is none while
/// no record will become too old.
#[derive(Debug)]
pub(super) struct RetentionTask {
    /// The time between two checks.
    interval: Duration,
    is_running: AtomicBool,
    task: Mutex<RetentionState>,
}

#[derive(Debug, Default)]
struct RetentionState {
    handle: Option<AbortHandle>,
    last_look: Option<Instant>,
}

impl RetentionTask {
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, is_running: AtomicBool::new(false), task: Mutex::default() }
    }

    /// Starts the task if it does not run; called when there is a record that will become too old.
    pub(super) fn watch(&self, shared: &Arc<EngineCore>) {
        // A record that ends later becomes too old later: the task that waits already wakes in time.
        if self.is_running.load(SeqCst) {
            return;
        }
        let Some(expiry) = shared.next_expiry() else { return };
        if self.is_running.swap(true, SeqCst) {
            return;
        }
        let mut inner = self.lock();
        let due = self.rate_limited(expiry, inner.last_look);
        inner.handle = Some(runtime::spawn(remove_when_due(Arc::downgrade(shared), due)).abort_handle());
    }

    /// Removes the records that retention no longer keeps, in the background.
    pub(super) fn clean_up(shared: &Arc<EngineCore>) {
        let shared = Arc::clone(shared);
        runtime::start_blocking(move || shared.remove_expired());
    }

    fn rate_limited(&self, due: Instant, last: Option<Instant>) -> Instant {
        last.map_or(due, |last| due.max(last + self.interval))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, RetentionState> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RetentionTask {
    fn drop(&mut self) {
        if let Some(handle) = self.lock().handle.take() {
            handle.abort();
        }
    }
}

async fn remove_when_due(engine: Weak<EngineCore>, mut due: Instant) {
    loop {
        clock::sleep_until(due).await;
        let Some(shared) = engine.upgrade() else { return };
        shared.metrics.count_retention_scan();
        let looked = Instant::now();
        let working = Arc::clone(&shared);
        // Freeing large records takes long, so a thread for blocking calls does it.
        let _ = runtime::blocking(move || working.remove_expired()).await;
        let retention = &shared.retention;
        retention.lock().last_look = Some(looked);
        if let Some(expiry) = shared.next_expiry() {
            due = retention.rate_limited(expiry, Some(looked));
            continue;
        }
        retention.is_running.store(false, SeqCst);
        // An execution that ended before this store has started no task, since this one existed: check once more.
        retention.watch(&shared);
        return;
    }
}
