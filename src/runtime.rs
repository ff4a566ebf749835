//! The runtime that drives every execution.
//!
//! It is the engine's own: a host that blocks its threads, or drops its runtime, delays no timeout and orphans no child.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Barrier, OnceLock};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

static RUNTIME: OnceLock<Runtime> = OnceLock::new();

/// Threads that may block and that are there from the start.
const BLOCKING_THREADS: usize = 4;
/// The most of them: what they do is short, and none of them ever goes.
const MOST_BLOCKING_THREADS: usize = 16;
/// Idle threads stay: on a machine that has no room for another one, spawning must still have its own.
const KEEP_IDLE: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);

fn handle() -> &'static Handle {
    RUNTIME.get_or_init(start).handle()
}

fn start() -> Runtime {
    let threads = std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, 4));
    let runtime = Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name("escher-engine")
        .thread_keep_alive(KEEP_IDLE)
        .max_blocking_threads(MOST_BLOCKING_THREADS)
        .enable_all()
        .build()
        .expect("the operating system refuses to start threads");
    // Each waits for the others, so that each needs a thread of its own.
    let all_there = Arc::new(Barrier::new(BLOCKING_THREADS));
    for _ in 0..BLOCKING_THREADS {
        let all_there = Arc::clone(&all_there);
        runtime.spawn_blocking(move || all_there.wait());
    }
    runtime
}

/// Runs a future in the background.
pub(crate) fn spawn<F>(future: F) -> tokio::task::JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    handle().spawn(future)
}

/// Runs a blocking function in the background.
pub(crate) fn start_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    handle().spawn_blocking(work)
}

/// Runs a blocking function on a thread of its own kind.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, tokio::task::JoinError> {
    handle().spawn_blocking(work).await
}

type Work = Box<dyn FnOnce() + Send>;

/// Runs a function on the one thread that writes files, after those that were given before. Not one of the threads that may
/// block: a disk that hangs must take none of those that spawn and that end trees.
pub(crate) fn on_disk(work: impl FnOnce() + Send + 'static) {
    static DISK: OnceLock<Option<Sender<Work>>> = OnceLock::new();
    let disk = DISK.get_or_init(|| {
        let (give, given) = mpsc::channel::<Work>();
        let run = move || {
            for work in given {
                // A panic was told by the hook already; the others go on.
                let _ = catch_unwind(AssertUnwindSafe(work));
            }
        };
        std::thread::Builder::new().name("escher-disk".into()).spawn(run).is_ok().then_some(give)
    });
    match disk {
        Some(disk) => drop(disk.send(Box::new(work))),
        // A machine without room for another thread.
        None => drop(start_blocking(work)),
    }
}

/// Waits for a future for so long. It may be awaited on any runtime: the clock is ours.
pub(crate) async fn timeout<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    let limited = {
        let _context = handle().enter();
        tokio::time::timeout(limit, future)
    };
    limited.await.ok()
}
