//! Pauses between the attempts to start a command on a machine without room for it.

use std::time::Duration;

use crate::platform::clock::Instant;
use crate::types::ErrorInfo;

/// The growing pauses of one execution, up to a total time.
pub(super) struct Backoff {
    give_up_after: Duration,
    first_failure: Option<Instant>,
    pause: Duration,
    shortage: Option<ErrorInfo>,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(5);
    const LONGEST: Duration = Duration::from_millis(500);
    /// The longest wait of an execution without a queue timeout.
    const GIVE_UP_AFTER: Duration = Duration::from_secs(30);

    pub(super) fn new(queue_timeout: Option<Duration>) -> Self {
        let give_up_after = queue_timeout.unwrap_or(Self::GIVE_UP_AFTER);
        Self { give_up_after, first_failure: None, pause: Self::FIRST, shortage: None }
    }

    /// Returns the pause after an attempt that failed for lack of a resource; `None` if it was the last one.
    pub(super) fn next(&mut self, shortage: &ErrorInfo) -> Option<Duration> {
        self.shortage = Some(shortage.clone());
        let since = *self.first_failure.get_or_insert_with(Instant::now);
        if since.elapsed() >= self.give_up_after {
            return None;
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(Self::LONGEST);
        Some(pause)
    }

    /// Returns the resource that was missing at the last attempt.
    pub(super) fn shortage(&self) -> Option<ErrorInfo> {
        self.shortage.clone()
    }
}
