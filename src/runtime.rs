//! The runtime that drives every execution.
//!
//! It is the engine's own: a host that blocks its threads, or drops its runtime, delays no timeout and orphans no child.

use std::future::Future;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle, Runtime};

static RUNTIME: OnceLock<Runtime> = OnceLock::new();

fn handle() -> &'static Handle {
    RUNTIME
        .get_or_init(|| {
            let threads = std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, 4));
            Builder::new_multi_thread()
                .worker_threads(threads)
                .thread_name("escher-engine")
                .enable_all()
                .build()
                .expect("the operating system refuses to start threads")
        })
        .handle()
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

/// Waits for a future for so long. It may be awaited on any runtime: the clock is ours.
pub(crate) async fn timeout<F: Future>(limit: std::time::Duration, future: F) -> Option<F::Output> {
    let limited = {
        let _context = handle().enter();
        tokio::time::timeout(limit, future)
    };
    limited.await.ok()
}
