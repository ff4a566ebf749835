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
/// The time after which work counts as hanging. Such work is short, except for freeing much memory.
const WORK_HANGS_AFTER: Duration = Duration::from_millis(200);
/// Threads that spawn beyond the number of processors: one works while another waits for a disk.
const BEYOND_PROCESSORS: usize = 1;
const MOST_AT_ONCE: usize = 8;
/// Threads that requests can block, those that hang included. The work of further requests waits, and can be cancelled.
const MOST_SPAWN_THREADS: usize = 1_024;
/// The time after which a spawn counts as hanging: its program can be on a disk that does not answer.
const SPAWN_HANGS_AFTER: Duration = Duration::from_millis(20);
/// The most threads that poll executions at a time. The others are free for calls that block.
pub(super) const MOST_INLINE: usize = 8;

/// Returns the threads for calls that a request can block; no other call runs on them.
pub(super) fn spawn_limiter() -> &'static SpawnLimiter {
    static LIMITER: OnceLock<SpawnLimiter> = OnceLock::new();
    LIMITER.get_or_init(|| {
        let at_once = (processors() + BEYOND_PROCESSORS).min(MOST_AT_ONCE);
        SpawnLimiter::new(ThreadLimits {
            thread_name: "escher-spawn",
            at_once,
            most_idle: at_once + MOST_INLINE,
            most: MOST_SPAWN_THREADS,
            hangs_after: SPAWN_HANGS_AFTER,
        })
    })
}

/// Returns the threads for the engine's own blocking work.
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

/// Calls [`start_blocking`], and waits for the result; `None` if the call has panicked.
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
