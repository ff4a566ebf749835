//! Removes records that are too old, and wakes for nothing else.

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
    is_there: AtomicBool,
    task: Mutex<RetentionState>,
}

#[derive(Debug, Default)]
struct RetentionState {
    handle: Option<AbortHandle>,
    last_look: Option<Instant>,
}

impl RetentionTask {
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, is_there: AtomicBool::new(false), task: Mutex::default() }
    }

    /// Starts the task if it does not run; called when there is a record that will become too old.
    pub(super) fn watch(&self, shared: &Arc<EngineCore>) {
        // A record that ends later becomes too old later: the task that waits already wakes in time.
        if self.is_there.load(SeqCst) {
            return;
        }
        let Some(expiry) = shared.next_expiry() else { return };
        if self.is_there.swap(true, SeqCst) {
            return;
        }
        let mut inner = self.lock();
        let due = self.rate_limited(expiry, inner.last_look);
        inner.handle = Some(runtime::spawn(keep(Arc::downgrade(shared), due)).abort_handle());
    }

    /// Lets go of what retention allows, in the background.
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

async fn keep(engine: Weak<EngineCore>, mut due: Instant) {
    loop {
        clock::sleep_until(due).await;
        let Some(shared) = engine.upgrade() else { return };
        shared.metrics.count_retention_look();
        let looked = Instant::now();
        let working = Arc::clone(&shared);
        // Records may hold much: freeing them is nothing for a thread that serves requests.
        let _ = runtime::blocking(move || working.remove_expired()).await;
        let retention = &shared.retention;
        retention.lock().last_look = Some(looked);
        if let Some(expiry) = shared.next_expiry() {
            due = retention.rate_limited(expiry, Some(looked));
            continue;
        }
        retention.is_there.store(false, SeqCst);
        // An execution that has ended since then saw that the task waits.
        retention.watch(&shared);
        return;
    }
}
