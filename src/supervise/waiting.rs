//! Notices that a command waits for input.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::platform::clock::Instant;
use crate::platform::{Act, InputId, Leader, Look, ScanPriority, Sight};
use crate::types::WaitsFor;

/// The first look comes so long after the last activity, or a quarter of the threshold if that is less: a command that continues at
/// once costs no look.
const FIRST_LOOK: Duration = Duration::from_millis(100);

/// Watches one command whose input is open.
///
/// | from | to | by |
/// | --- | --- | --- |
/// | `Rests` | `Looks` | the time of a look has come |
/// | `Looks` | `Rests` | the look is done: the next one follows after the threshold |
/// | `Rests`, `Looks` | `Reported` | two looks with the threshold between them found no use of the processor, and a reader of the input |
/// | any | `Rests` | the command has written, or has got input |
pub(super) struct InputWatch {
    after: Duration,
    state: WaitingState,
    /// The result of the last look.
    before: Option<Look>,
    /// The bytes of input that the command had been given when it was reported.
    given: u64,
}

enum WaitingState {
    Rests {
        until: Instant,
    },
    Looks(oneshot::Receiver<Sight>),
    /// At `until` it is checked whether the command was given input.
    Reported {
        until: Instant,
    },
}

impl InputWatch {
    pub(super) fn new(after: Duration, now: Instant) -> Self {
        let mut watch = Self { after, state: WaitingState::Rests { until: now }, before: None, given: 0 };
        watch.restart(now);
        watch
    }

    fn restart(&mut self, now: Instant) {
        self.before = None;
        self.state = WaitingState::Rests { until: now + FIRST_LOOK.min(self.after / 4) };
    }

    /// Records that the command has written.
    pub(super) fn has_written(&mut self, now: Instant) {
        self.restart(now);
    }

    /// Returns when [`InputWatch::tick`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.state {
            WaitingState::Rests { until } | WaitingState::Reported { until } => Some(until),
            WaitingState::Looks(_) => None,
        }
    }

    /// Begins a look if it is time. `input` is the pipe or terminal of the input if it is open and empty, and has a listener.
    pub(super) fn tick(&mut self, leader: &Arc<Leader>, input: Option<InputId>, now: Instant) {
        if self.deadline().is_none_or(|until| now < until) {
            return;
        }
        if let WaitingState::Reported { until } = &mut self.state {
            *until = now + self.after;
            return;
        }
        if let Some(input) = input {
            self.state = WaitingState::Looks(leader.scan(Act::Look { input }, false, ScanPriority::Normal));
        } else {
            self.before = None;
            self.state = WaitingState::Rests { until: now + self.after };
        }
    }

    /// Records that the command was given input: it may wait again.
    pub(super) fn was_given(&mut self, given: u64, now: Instant) {
        if self.given != given {
            self.given = given;
            self.restart(now);
        }
    }

    /// Waits for the end of a look. Pends forever without one. Cancel-safe.
    pub(super) async fn looked(&mut self) -> Option<Look> {
        match &mut self.state {
            WaitingState::Looks(answer) => answer.await.ok().map(|sight| sight.look),
            WaitingState::Rests { .. } | WaitingState::Reported { .. } => std::future::pending().await,
        }
    }

    /// Takes what a look has found. Returns what the command waits for, if it has not used the processor since the look before.
    pub(super) fn take(&mut self, look: Option<Look>, now: Instant) -> Option<WaitsFor> {
        self.state = WaitingState::Rests { until: now + self.after };
        let before = std::mem::replace(&mut self.before, look);
        let now_seen = self.before.as_ref()?;
        if now_seen.used.is_empty() || before?.used != now_seen.used {
            return None;
        }
        let waits_for = now_seen.waits_for?;
        self.state = WaitingState::Reported { until: now + self.after };
        Some(waits_for)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(used: u64, waits_for: Option<WaitsFor>) -> Look {
        Look { used: vec![(7, used)], waits_for }
    }

    #[test]
    fn two_looks_without_use_of_the_processor_find_a_wait_once() {
        let now = Instant::now();
        let mut watch = InputWatch::new(Duration::from_secs(1), now);
        assert_eq!(watch.deadline(), Some(now + FIRST_LOOK));
        assert_eq!(watch.take(Some(look(5, Some(WaitsFor::Stdin))), now), None, "the first look");
        assert_eq!(watch.take(Some(look(6, Some(WaitsFor::Stdin))), now), None, "it has worked");
        assert_eq!(watch.take(Some(look(6, None)), now), None, "it sleeps");
        assert_eq!(watch.deadline(), Some(now + Duration::from_secs(1)));
        assert_eq!(watch.take(Some(look(6, Some(WaitsFor::Stdin))), now), Some(WaitsFor::Stdin));
        assert_eq!(watch.deadline(), Some(now + Duration::from_secs(1)), "whether input was given is checked");
        watch.was_given(0, now);
        assert!(matches!(watch.state, WaitingState::Reported { .. }), "nothing was given");
        watch.was_given(3, now);
        assert!(matches!(watch.state, WaitingState::Rests { .. }));
        assert_eq!(watch.take(Some(look(6, Some(WaitsFor::Stdin))), now), None, "counted anew");
    }

    #[test]
    fn output_and_a_look_that_failed_begin_anew() {
        let now = Instant::now();
        let mut watch = InputWatch::new(Duration::from_millis(200), now);
        assert_eq!(watch.deadline(), Some(now + Duration::from_millis(50)));
        assert_eq!(watch.take(Some(look(5, Some(WaitsFor::Stdin))), now), None);
        watch.has_written(now);
        assert_eq!(watch.take(Some(look(5, Some(WaitsFor::Stdin))), now), None);
        assert_eq!(watch.take(None, now), None);
        assert_eq!(watch.take(Some(look(5, Some(WaitsFor::Stdin))), now), None);
        assert_eq!(watch.take(Some(look(5, Some(WaitsFor::Stdin))), now), Some(WaitsFor::Stdin));
    }
}
