//! Measures the distribution of a repeated duration.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::types::Percentiles;

/// Two digits: values are off by 1 % at most.
const DIGITS: u8 = 2;

/// The longest time that is counted, in microseconds; longer ones count as this. It bounds the memory: the counters take 20 KB at most.
const LARGEST: u64 = 2 * 365 * 24 * 3_600 * 1_000_000;

#[derive(Debug)]
pub(super) struct DurationHistogram {
    /// The histogram. The lock is held while one number is counted or a few are read.
    inner: Mutex<Recorded>,
}

#[derive(Debug)]
struct Recorded {
    /// The times, in microseconds.
    histogram: Histogram<u32>,
    sum: Duration,
}

impl Default for DurationHistogram {
    fn default() -> Self {
        let histogram = Histogram::new(DIGITS).expect("so many digits are allowed");
        Self { inner: Mutex::new(Recorded { histogram, sum: Duration::ZERO }) }
    }
}

impl DurationHistogram {
    pub(super) fn record(&self, time: Duration) {
        let mut inner = self.lock();
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).min(LARGEST);
        // The histogram grows with its values, so this does not fail.
        let _ = inner.histogram.record(micros);
        inner.sum = inner.sum.saturating_add(time);
    }

    /// Returns a percentile in milliseconds.
    pub(super) fn percentiles(&self) -> Percentiles {
        let inner = self.lock();
        let count = inner.histogram.len();
        if count == 0 {
            return Percentiles::default();
        }
        let at = |quantile| in_ms(inner.histogram.value_at_quantile(quantile).min(inner.histogram.max()));
        Percentiles {
            count,
            mean: inner.sum.as_secs_f64() * 1_000.0 / as_float(count),
            p50: at(0.5),
            p90: at(0.9),
            p95: at(0.95),
            p99: at(0.99),
            max: in_ms(inner.histogram.max()),
        }
    }

    /// Returns how many values were no longer than each of `bounds`, the number of all values, and their sum in
    /// seconds.
    pub(super) fn cumulative(&self, bounds: &[Duration]) -> (Vec<u64>, u64, f64) {
        let inner = self.lock();
        let micros = bounds.iter().map(|bound| u64::try_from(bound.as_micros()).unwrap_or(u64::MAX));
        let counts = micros.map(|most| inner.histogram.count_between(0, most)).collect();
        (counts, inner.histogram.len(), inner.sum.as_secs_f64())
    }

    fn lock(&self) -> MutexGuard<'_, Recorded> {
        // Statistics: a half-counted number does no harm.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn in_ms(micros: u64) -> f64 {
    as_float(micros) / 1_000.0
}

#[expect(clippy::cast_precision_loss, reason = "statistics: the last digits do not matter")]
fn as_float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_one_in_a_hundred() {
        let times = DurationHistogram::default();
        assert_eq!(times.percentiles(), Percentiles::default());
        for ms in 1..=1_000 {
            times.record(Duration::from_millis(ms));
        }
        let found = times.percentiles();
        let wanted =
            [(found.mean, 500.5), (found.p50, 500.0), (found.p90, 900.0), (found.p99, 990.0), (found.max, 1_000.0)];
        for (found, wanted) in wanted {
            assert!((found - wanted).abs() <= wanted / 100.0, "{found} for {wanted}");
        }
        assert_eq!(found.count, 1_000);
        let bounds = [Duration::from_millis(10), Duration::from_secs(5)];
        let (counts, count, sum) = times.cumulative(&bounds);
        assert!(counts[0].abs_diff(10) <= 1 && counts[1] == 1_000, "{counts:?}");
        assert!(count == 1_000 && (sum - 500.5).abs() < 0.001, "{count} in {sum} s");
    }

    #[test]
    fn a_year_is_counted_too() {
        let times = DurationHistogram::default();
        times.record(Duration::from_secs(365 * 24 * 3_600));
        times.record(Duration::MAX);
        times.record(Duration::ZERO);
        assert_eq!(times.percentiles().count, 3);
    }
}
