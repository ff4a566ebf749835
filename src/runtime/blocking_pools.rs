//! The threads for blocking work: few for the engine's own, and others for what a request can block.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::async_pools::processors;
use super::spawn_limiter::{SpawnLimiter, Task, ThreadLimits, Turn};

/// Threads for the engine's own blocking work, that of ending trees above all. They are there from the start.
const BLOCKING_THREADS: usize = 2;
/// The most of them, while some take long.
const MOST_BLOCKING_THREADS: usize = 16;
/// What they do is short, except to free much memory.
const WORK_HANGS_AFTER: Duration = Duration::from_millis(200);
/// Threads that spawn beyond the number of processors: one works while another waits for a disk.
const BEYOND_PROCESSORS: usize = 1;
const MOST_AT_ONCE: usize = 8;
/// Threads that requests can block, those that hang included. The work of further requests waits, and can be cancelled.
const MOST_SPAWN_THREADS: usize = 1_024;
/// What has run for longer makes no progress: a program can be on a disk that does not answer.
const SPAWN_HANGS_AFTER: Duration = Duration::from_millis(20);
/// How many threads attend to executions at a time. The others are free for calls that block.
pub(super) const MOST_ATTENDANTS: usize = 8;

/// The threads for what a request can block: what it does not name never runs on them.
pub(super) fn spawn_limiter() -> &'static SpawnLimiter {
    static LIMITER: OnceLock<SpawnLimiter> = OnceLock::new();
    LIMITER.get_or_init(|| {
        let at_once = (processors() + BEYOND_PROCESSORS).min(MOST_AT_ONCE);
        SpawnLimiter::new(ThreadLimits {
            thread_name: "escher-spawn",
            at_once,
            most_idle: at_once + MOST_ATTENDANTS,
            most: MOST_SPAWN_THREADS,
            hangs_after: SPAWN_HANGS_AFTER,
        })
    })
}

/// The threads for the engine's own blocking work.
pub(super) fn workers() -> &'static SpawnLimiter {
    static WORKERS: OnceLock<SpawnLimiter> = OnceLock::new();
    WORKERS.get_or_init(|| {
        SpawnLimiter::new(ThreadLimits {
            thread_name: "escher-work",
            at_once: BLOCKING_THREADS,
            most_idle: BLOCKING_THREADS,
            most: MOST_BLOCKING_THREADS,
            hangs_after: WORK_HANGS_AFTER,
        })
    })
}

/// Runs a blocking function of the engine's own in the background. Nothing that a request names may block it: the threads are few,
/// and those that end trees wait for them.
pub(crate) fn start_blocking(work: impl FnOnce() + Send + 'static) {
    workers().take(Arc::new(DetachedCall(Mutex::new(Some(work)))));
}

/// [`start_blocking`], and waits for it; `None` if it has panicked.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (give, given) = oneshot::channel();
    start_blocking(move || drop(give.send(work())));
    given.await.ok()
}

/// A function that nothing waits for, or only with a deadline of its own.
struct DetachedCall<F>(Mutex<Option<F>>);

impl<F: FnOnce() + Send> Task for DetachedCall<F> {
    fn run(self: Arc<Self>, _turn: &Turn) {
        let work = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(work) = work {
            work();
        }
    }

    fn overdue(&self) {}

    fn is_wanted(&self) -> bool {
        true
    }
}
