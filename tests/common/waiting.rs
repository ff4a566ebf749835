//! Waiting for something that can be seen, never for luck; and bounds that tell a hang.

use std::future::Future;
use std::time::Instant;

use super::Duration;

/// Far above what anything here takes on a busy machine: beyond it, it hangs.
pub(crate) const HANG: Duration = Duration::from_secs(30);

/// Polls until the condition holds.
#[track_caller]
pub(crate) fn wait_until(what: &str, condition: impl FnMut() -> bool) -> impl Future<Output = ()> {
    poll(what.to_owned(), std::panic::Location::caller(), condition)
}

async fn poll(what: String, caller: &'static std::panic::Location<'static>, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < HANG, "{caller}: never came true: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// [`wait_until`] for a thread that must not yield.
#[track_caller]
pub(crate) fn block_until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < HANG, "never came true: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Awaits something that may hang.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    within(HANG, what, future).await
}

/// Awaits something that must not take longer.
pub(crate) async fn within<F: Future>(limit: Duration, what: &str, future: F) -> F::Output {
    let limited = tokio::time::timeout(limit, future).await;
    limited.unwrap_or_else(|_| panic!("took more than {limit:?}: {what}"))
}

/// Runs a future on a runtime of its own, for tests that are not async.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}
