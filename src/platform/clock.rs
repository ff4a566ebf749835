//! The clock of all deadlines and durations. It stops while the machine sleeps: no command times out because a laptop was closed.
//!
//! The clock of the standard library includes that time on Windows, and guarantees nothing elsewhere. Timers of the runtime follow it,
//! so they only wake the code that reads this clock again.

use std::ops::{Add, AddAssign, Sub};
use std::pin::Pin;
use std::time::Duration;

use tokio::time::Sleep;

use super::system;
use crate::runtime;

/// The distance of a deadline that is not set.
pub(crate) const FAR_FUTURE: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);

/// A time on this clock, as [`std::time::Instant`] is a time on the standard library's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(Duration);

impl Instant {
    pub(crate) fn now() -> Self {
        let uptime = system::uptime();
        #[cfg(test)]
        let uptime = asleep::without_sleep(uptime);
        Self(uptime)
    }

    /// Returns the time since then; zero for a time in the future.
    pub(crate) fn elapsed(self) -> Duration {
        Self::now() - self
    }

    pub(crate) fn saturating_duration_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    pub(crate) fn checked_add(self, duration: Duration) -> Option<Self> {
        self.0.checked_add(duration).map(Self)
    }

    /// Returns the time since the machine was started, without the time in which it slept.
    #[cfg(feature = "node")]
    pub(crate) fn uptime(self) -> Duration {
        self.0
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub for Instant {
    type Output = Duration;

    /// Does what [`Instant::saturating_duration_since`] does.
    fn sub(self, earlier: Self) -> Duration {
        self.saturating_duration_since(earlier)
    }
}

/// Waits until a deadline. May be awaited on any runtime.
pub(crate) async fn sleep_until(deadline: Instant) {
    Timer::new().reaches(Some(deadline)).await;
}

/// Waits for a duration. May be awaited on any runtime.
pub(crate) async fn sleep(duration: Duration) {
    sleep_until(Instant::now() + duration).await;
}

/// Waits for a future; returns `None` after `limit`. May be awaited on any runtime.
pub(crate) async fn timeout<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    tokio::select! {
        biased;
        output = future => Some(output),
        () = sleep(limit) => None,
    }
}

/// The timer for all deadlines of a task. It is reset only for an earlier deadline: a later one is noticed when the
/// timer fires. Timers fire rarely, while every read moves a deadline.
#[derive(Debug)]
pub(crate) struct Timer {
    /// Created on first use.
    wake_up: Option<Pin<Box<Sleep>>>,
    armed: Instant,
}

impl Timer {
    pub(crate) fn new() -> Self {
        Self { wake_up: None, armed: Instant::now() + FAR_FUTURE }
    }

    /// Waits until the deadline, or an earlier one from a previous call. Cancel-safe.
    pub(crate) async fn reaches(&mut self, deadline: Option<Instant>) {
        let now = Instant::now();
        let deadline = deadline.unwrap_or(now + FAR_FUTURE);
        if self.wake_up.is_none() || deadline < self.armed || self.armed <= now {
            self.arm(deadline, now);
        }
        loop {
            if let Some(wake_up) = &mut self.wake_up {
                wake_up.as_mut().await;
            }
            let now = Instant::now();
            if self.armed <= now {
                return;
            }
            // The timer includes a time in which the machine slept.
            self.arm(self.armed, now);
        }
    }

    fn arm(&mut self, deadline: Instant, now: Instant) {
        self.armed = deadline;
        let left = deadline - now;
        match &mut self.wake_up {
            Some(wake_up) => wake_up.as_mut().reset(tokio::time::Instant::now() + left),
            None => self.wake_up = Some(Box::pin(runtime::wake_after(left))),
        }
    }
}

/// A simulated sleep of the machine: this clock stops, and the others continue.
#[cfg(test)]
pub(crate) mod asleep {
    use std::sync::{Mutex, PoisonError};
    use std::time::Duration;

    use super::system;

    static STATE: Mutex<State> = Mutex::new(State { since: None, slept: Duration::ZERO });

    struct State {
        since: Option<Duration>,
        slept: Duration,
    }

    pub(super) fn without_sleep(uptime: Duration) -> Duration {
        let state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
        state.since.unwrap_or(uptime).saturating_sub(state.slept)
    }

    /// Simulates a sleep until the future ends. The state belongs to the process, so such a test needs a process of its own.
    pub(crate) async fn during<T>(future: impl Future<Output = T>) -> T {
        set(|state, now| state.since = Some(now));
        let output = future.await;
        set(|state, now| state.slept += now.saturating_sub(state.since.take().expect("it sleeps")));
        output
    }

    fn set(change: impl FnOnce(&mut State, Duration)) {
        let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state, system::uptime());
    }

    /// Runs a test in a process of its own; `name` is its path in this crate.
    pub(crate) fn alone(name: &str, body: impl Future<Output = ()>) {
        const INNER: &str = "ESCHER_TEST_ASLEEP";
        if std::env::var_os(INNER).is_some() {
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(body);
            return;
        }
        let mut again = std::process::Command::new(std::env::current_exe().unwrap());
        let ended = again.args([name, "--exact", "--nocapture", "--test-threads=1"]).env(INNER, "1").output().unwrap();
        let said = String::from_utf8_lossy(&ended.stdout);
        assert!(
            ended.status.success() && said.contains("1 passed"),
            "{said}{}",
            String::from_utf8_lossy(&ended.stderr)
        );
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant as Outside;

    use super::*;

    const SLEEP: Duration = Duration::from_millis(600);
    const LIMIT: Duration = Duration::from_millis(200);

    #[test]
    fn a_wait_does_not_end_while_the_machine_sleeps() {
        asleep::alone("platform::clock::tests::a_wait_does_not_end_while_the_machine_sleeps", async {
            // Both begin within the sleep: a busy machine may take longer than the limit to reach it.
            let (begun, outside, wait, limited) = asleep::during(async {
                let (begun, outside) = (Instant::now(), Outside::now());
                let wait = tokio::spawn(sleep(LIMIT));
                let limited = tokio::spawn(timeout(LIMIT, std::future::pending::<()>()));
                tokio::time::sleep(SLEEP).await;
                assert!(!wait.is_finished() && !limited.is_finished());
                (begun, outside, wait, limited)
            })
            .await;
            wait.await.unwrap();
            assert_eq!(limited.await.unwrap(), None);
            assert!(begun.elapsed() >= LIMIT && outside.elapsed() >= LIMIT + SLEEP);
        });
    }

    #[tokio::test]
    async fn a_timer_is_set_anew_when_a_deadline_comes_nearer_or_has_passed() {
        let begun = Instant::now();
        let mut timer = Timer::new();
        let far = timer.reaches(Some(begun + Duration::from_secs(3_600)));
        assert!(timeout(Duration::ZERO, far).await.is_none());
        timer.reaches(Some(begun + LIMIT)).await;
        assert!(begun.elapsed() >= LIMIT);
        timer.reaches(Some(begun + LIMIT * 2)).await;
        assert!(begun.elapsed() >= LIMIT * 2);
        assert!(timeout(Duration::from_millis(50), timer.reaches(None)).await.is_none());
        timer.reaches(Some(begun)).await;
    }

    #[tokio::test]
    async fn moments_have_an_order_and_distances() {
        let now = Instant::now();
        let later = now + Duration::from_secs(5);
        assert!(later > now);
        assert_eq!((later - now, now - later), (Duration::from_secs(5), Duration::ZERO));
        assert_eq!(later.elapsed(), Duration::ZERO);
        assert_eq!(now.checked_add(Duration::MAX), None);
        assert_eq!(
            timeout(Duration::ZERO, std::future::ready(3)).await,
            Some(3),
            "what is ready goes before a limit of nothing"
        );
    }
}
