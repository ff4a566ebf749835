//! Measures how long a stream has been silent by itself.

use std::time::Duration;

use crate::platform::clock::Instant;

/// An unfinished line is shown after so much silence: it may be a prompt.
const PARTIAL_AFTER: Duration = Duration::from_millis(200);
/// A check that is later than this shows that the engine did not run for a while, and perhaps the command did not either. Of such a time
/// only this much counts as silence; it is not 0, so that a prompt is shown on a machine that is always late.
const LATE: Duration = Duration::from_millis(50);

/// Counts the time in which the engine wanted to read a stream and found nothing.
#[derive(Debug)]
pub(super) struct Silence {
    since: Instant,
    /// The counted part of the time before `since`.
    counted: Duration,
}

impl Silence {
    pub(super) fn new(since: Instant) -> Self {
        Self { since, counted: Duration::ZERO }
    }

    /// Returns when [`Silence::is_long`] has to be called next.
    pub(super) fn deadline(&self) -> Instant {
        self.since + PARTIAL_AFTER.saturating_sub(self.counted)
    }

    /// Leaves out a time in which the stream was not read. It pauses the silence and does not end it: a prompt is
    /// shown although the other stream writes much and its reader is slow.
    pub(super) fn skip(&mut self, from: Instant, to: Instant) {
        self.since += to.saturating_duration_since(from.max(self.since));
    }

    /// Whether the stream has been silent for so long that an unfinished line is shown. Must be called only when a read has just
    /// found nothing.
    pub(super) fn is_long(&mut self, now: Instant) -> bool {
        let deadline = self.deadline();
        if now < deadline {
            return false;
        }
        if now - deadline < LATE {
            return true;
        }
        self.counted += LATE;
        self.since = now;
        self.counted >= PARTIAL_AFTER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_in_time_ends_the_silence() {
        let start = Instant::now();
        let mut silence = Silence::new(start);
        assert!(!silence.is_long(start + Duration::from_millis(199)));
        assert!(silence.is_long(start + PARTIAL_AFTER));
    }

    #[test]
    fn a_time_without_reads_is_left_out_of_it() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut silence = Silence::new(start);
        silence.skip(at(150), at(1_150));
        assert_eq!(silence.deadline(), at(1_200));
        // The stream is held up from before the beginning of the silence on.
        let mut silence = Silence::new(at(1_000));
        silence.skip(start, at(3_000));
        assert_eq!(silence.deadline(), at(3_200));
    }

    #[test]
    fn time_in_which_the_engine_did_not_run_counts_little_and_never_for_ever() {
        let start = Instant::now();
        let mut silence = Silence::new(start);
        let late = start + Duration::from_secs(3_600);
        assert!(!silence.is_long(late));
        assert_eq!(silence.deadline(), late + Duration::from_millis(150));
        assert!(silence.is_long(silence.deadline()), "the rest is counted in time");

        let mut silence = Silence::new(start);
        let looks = (1..9).find(|look| silence.is_long(start + Duration::from_secs(3_600) * *look));
        assert_eq!(looks, Some(4), "a machine that is always late comes to an end too");
    }

    #[test]
    fn a_look_is_late_from_50_ms_on() {
        let start = Instant::now();
        let deadline = start + PARTIAL_AFTER;
        assert!(Silence::new(start).is_long(deadline + LATE.saturating_sub(Duration::from_nanos(1))));
        assert!(!Silence::new(start).is_long(deadline + LATE));
    }
}
