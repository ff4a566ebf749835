//! Waiting for a visible condition instead of a fixed time, and bounds that detect a hang.

use std::future::Future;
use std::time::Instant;

use super::Duration;

/// The time after which something hangs, far above what anything here takes on a busy machine.
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

/// Awaits an end that is promised a second after what was given, and returns how long it took.
pub(crate) async fn a_second_after<F: Future>(given: Duration, what: &str, future: F) -> F::Output {
    let begun = Instant::now();
    let output = soon(what, future).await;
    assert_a_second_after(given, what, begun.elapsed());
    output
}

/// Asserts that something took the given time, and a second more at most. A machine that was too busy for it shows that
/// by being busy still.
pub(crate) fn assert_a_second_after(given: Duration, what: &str, took: Duration) {
    let limit = given + Duration::from_secs(1);
    if took > limit {
        let look = one_look();
        assert!(
            took < limit + look * 5,
            "{what} took {took:?}, not {limit:?}; one look at all processes takes {look:?}"
        );
    }
}

/// Returns how long one look at all processes takes now: some 10 ms on an idle machine.
fn one_look() -> Duration {
    let begun = Instant::now();
    let look = "for file in /proc/[0-9]*/stat; do read -r line <$file; done 2>/dev/null; grep -ls no-process-has-this /proc/[0-9]*/environ; :";
    std::process::Command::new("/bin/sh").args(["-c", look]).output().expect("a shell");
    begun.elapsed()
}

/// Runs a future on a runtime of its own, for tests that are not async.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}
