//! The deadline of one execution, which callers may move.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::platform::clock::{self, Instant};

/// The deadline of the attempt that runs, or of the next one.
#[derive(Debug)]
pub(crate) struct Deadline {
    /// The lock is held for a few comparisons.
    phase: Mutex<DeadlinePhase>,
    /// Wakes the one task that waits for the deadline when it was moved.
    moved: Notify,
}

/// | from | to | by |
/// | --- | --- | --- |
/// | `Ahead` | `Runs` | the attempt to spawn begins |
/// | `Runs` | `Over` | the command has exited, or is being ended |
/// | `Over` | `Ahead` | another attempt follows |
#[derive(Debug, Clone, Copy)]
enum DeadlinePhase {
    /// No attempt has begun. The caller may have chosen a deadline.
    Ahead(Option<Instant>),
    Runs {
        attempted: Instant,
        at: Instant,
        chosen: bool,
    },
    Over,
}

impl Deadline {
    pub(crate) fn new() -> Self {
        Self { phase: Mutex::new(DeadlinePhase::Ahead(None)), moved: Notify::new() }
    }

    /// Begins an attempt to spawn, with its timeout unless a caller has chosen a deadline.
    pub(crate) fn begin(&self, attempted: Instant, timeout: Duration) {
        let mut phase = self.lock();
        let chosen = match *phase {
            DeadlinePhase::Ahead(chosen) => chosen,
            // The machine had no room for the process, and it is tried again.
            DeadlinePhase::Runs { at, chosen, .. } => chosen.then_some(at),
            DeadlinePhase::Over => None,
        };
        let at = chosen.unwrap_or(attempted + timeout);
        *phase = DeadlinePhase::Runs { attempted, at, chosen: chosen.is_some() };
    }

    /// Returns the deadline of the attempt that runs; `None` if it is over.
    pub(crate) fn at(&self) -> Option<Instant> {
        match *self.lock() {
            DeadlinePhase::Runs { at, .. } => Some(at),
            DeadlinePhase::Ahead(_) | DeadlinePhase::Over => None,
        }
    }

    /// Ends the time of the command, which has exited or is being ended.
    pub(crate) fn close(&self) {
        *self.lock() = DeadlinePhase::Over;
    }

    /// Prepares for another attempt.
    pub(crate) fn reopen(&self) {
        *self.lock() = DeadlinePhase::Ahead(None);
    }

    /// Moves the deadline to `time` from now, but not beyond `most` from the attempt to spawn. Returns the new deadline; `None` if the
    /// time is over.
    pub(crate) fn extend(&self, time: Duration, most: Duration) -> Option<Instant> {
        let now = Instant::now();
        let at = {
            let mut phase = self.lock();
            let (next, at) = match *phase {
                DeadlinePhase::Ahead(_) => {
                    let at = now + time.min(most);
                    (DeadlinePhase::Ahead(Some(at)), at)
                }
                DeadlinePhase::Runs { attempted, .. } => {
                    let at = (now + time).min(attempted + most);
                    (DeadlinePhase::Runs { attempted, at, chosen: true }, at)
                }
                DeadlinePhase::Over => return None,
            };
            *phase = next;
            at
        };
        self.moved.notify_one();
        Some(at)
    }

    /// Waits until the deadline was moved. Cancel-safe; one waits at a time.
    pub(crate) async fn moved(&self) {
        self.moved.notified().await;
    }

    /// Waits for the deadline of the attempt that runs, wherever it is moved. Cancel-safe.
    pub(crate) async fn passed(&self) {
        while let Some(at) = self.at() {
            tokio::select! {
                biased;
                () = self.moved() => {}
                () = clock::sleep_until(at) => return,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, DeadlinePhase> {
        // Every change is one assignment.
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn it_counts_from_now_and_stays_below_the_maximum() {
        let deadline = Deadline::new();
        let attempted = Instant::now();
        deadline.begin(attempted, SECOND);
        assert_eq!(deadline.at(), Some(attempted + SECOND));
        let later = deadline.extend(SECOND * 5, SECOND * 10).unwrap();
        assert!(later >= attempted + SECOND * 5);
        assert_eq!(deadline.at(), Some(later));
        assert_eq!(deadline.extend(SECOND * 60, SECOND * 10), Some(attempted + SECOND * 10), "clipped");
        assert!(deadline.extend(SECOND / 2, SECOND * 10).unwrap() < later, "shortened");
    }

    #[test]
    fn one_that_is_chosen_before_the_spawn_counts_for_the_next_attempt_alone() {
        let deadline = Deadline::new();
        assert_eq!(deadline.at(), None);
        let chosen = deadline.extend(SECOND * 7, SECOND * 10).unwrap();
        deadline.begin(Instant::now(), SECOND);
        assert_eq!(deadline.at(), Some(chosen));
        // A second spawn of the same attempt.
        deadline.begin(Instant::now(), SECOND);
        assert_eq!(deadline.at(), Some(chosen));
        deadline.close();
        assert_eq!((deadline.at(), deadline.extend(SECOND, SECOND)), (None, None));
        deadline.reopen();
        let attempted = Instant::now();
        deadline.begin(attempted, SECOND);
        assert_eq!(deadline.at(), Some(attempted + SECOND));
    }
}
