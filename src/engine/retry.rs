//! Whether a failed command is run again, and when.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::output::Captures;
use crate::output_patterns::OutputPatterns;
use crate::runtime;
use crate::state::StopRequest;
use crate::types::{
    ErrorCode, ExecutionResult, ExecutionStatus, FailedAttempt, OutputPattern, Reason, Retry, RetryOn, Stream,
};

/// The attempts of one execution.
pub(super) struct Attempts<'a> {
    retry: Option<&'a Retry>,
    failed: Vec<FailedAttempt>,
}

impl<'a> Attempts<'a> {
    pub(super) fn new(retry: Option<&'a Retry>) -> Self {
        Self { retry, failed: Vec::new() }
    }

    /// Returns the pause before another attempt; `None` if no attempt follows this result.
    pub(super) async fn next(
        &mut self,
        result: &ExecutionResult,
        output: &Arc<Captures>,
        stop: &StopRequest,
    ) -> Option<Duration> {
        let retry = self.retry?;
        let attempt = self.attempt();
        if attempt >= retry.attempts || !is_retryable(result, &retry.on) {
            return None;
        }
        if !retry.on_output.is_empty() && !has_output(output, &retry.on_output, stop).await {
            return None;
        }
        let pause = pause(retry, attempt, random());
        self.failed.push(FailedAttempt {
            attempt,
            status: result.status,
            exit_code: result.exit_code,
            signal: result.signal.clone(),
            reason: result.reason,
            error: result.error.clone(),
            started_at: result.started_at,
            queued_ms: result.queued_ms,
            duration_ms: result.duration_ms,
            delay_ms: u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
        });
        Some(pause)
    }

    /// Returns the number of the current attempt, and the most attempts.
    pub(super) fn attempt(&self) -> u32 {
        u32::try_from(self.failed.len()).map_or(u32::MAX, |failed| failed.saturating_add(1))
    }

    pub(super) fn most(&self) -> u32 {
        self.retry.map_or(1, |retry| retry.attempts)
    }

    /// Writes into a result which attempt it describes, and those before it.
    pub(super) fn sign(&self, result: &mut ExecutionResult) {
        result.attempt = self.attempt();
        result.retries.clone_from(&self.failed);
    }
}

fn is_retryable(result: &ExecutionResult, on: &[RetryOn]) -> bool {
    match (result.status, result.reason) {
        (ExecutionStatus::Failed, Some(Reason::Exit)) => {
            on.contains(&RetryOn::Exit) || result.exit_code.is_some_and(|code| on.contains(&RetryOn::Code(code)))
        }
        (ExecutionStatus::Failed, Some(Reason::Signal)) => on.contains(&RetryOn::Signal),
        // An invalid request stays invalid.
        (ExecutionStatus::Failed, Some(Reason::SpawnFailed)) => {
            let is_invalid = result.error.as_ref().is_some_and(|error| error.code == ErrorCode::InvalidRequest);
            on.contains(&RetryOn::Spawn) && !is_invalid
        }
        (ExecutionStatus::Timeout, Some(Reason::Timeout | Reason::IdleTimeout)) => on.contains(&RetryOn::Timeout),
        _ => false,
    }
}

/// Whether the last output of an attempt has one of these patterns; also true if the execution is stopped before that is known. The search
/// may take seconds, so that no thread that other executions need does it.
async fn has_output(output: &Arc<Captures>, patterns: &[OutputPattern], stop: &StopRequest) -> bool {
    let (output, patterns) = (Arc::clone(output), patterns.to_vec());
    let search = move || {
        // The patterns were checked when the execution was accepted.
        let Ok(compiled) = OutputPatterns::new("on_output", &patterns) else { return false };
        [Stream::Stdout, Stream::Stderr].iter().any(|stream| compiled.are_in(&output.recent(*stream)))
    };
    runtime::call_blocking(search, stop.requested()).await.unwrap_or(true)
}

/// Returns the pause after an attempt; `random` is from 0 to 1.
fn pause(retry: &Retry, attempt: u32, random: f64) -> Duration {
    let doublings = 2_u64.saturating_pow(attempt - 1);
    let longest = retry.backoff_ms.saturating_mul(doublings).min(retry.max_backoff_ms);
    Duration::from_millis(longest).mul_f64(0.5 + random / 2.0)
}

/// Returns a number from 0 to 1, which need not be unpredictable.
fn random() -> f64 {
    let (_, bits) = Uuid::new_v4().as_u64_pair();
    #[expect(clippy::cast_possible_truncation, reason = "the low half is random in a version 4 UUID")]
    let low = bits as u32;
    f64::from(low) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_its_bound_and_half_of_it_is_random() {
        let retry = Retry { backoff_ms: 100, max_backoff_ms: 1_000, ..Retry::new(1_000) };
        let ms = |attempt, random| pause(&retry, attempt, random).as_millis();
        assert_eq!([1, 2, 3, 4, 5, 6, 999].map(|attempt| ms(attempt, 1.0)), [100, 200, 400, 800, 1_000, 1_000, 1_000]);
        assert_eq!([1, 2, 3, 4, 5, 6, 999].map(|attempt| ms(attempt, 0.0)), [50, 100, 200, 400, 500, 500, 500]);
        let none = Retry { backoff_ms: 0, ..retry };
        assert_eq!(pause(&none, 999, 1.0), Duration::ZERO);
        let most = Retry { backoff_ms: u64::MAX, max_backoff_ms: 5, ..none };
        assert_eq!(pause(&most, 999, 1.0), Duration::from_millis(5));
    }

    #[test]
    fn chance_stays_within_its_bounds() {
        let all: Vec<f64> = (0..1_000).map(|_| random()).collect();
        assert!(all.iter().all(|chance| (0.0..=1.0).contains(chance)));
        assert!(all.iter().any(|chance| *chance < 0.2) && all.iter().any(|chance| *chance > 0.8), "{all:?}");
    }
}
