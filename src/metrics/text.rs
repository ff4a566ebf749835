//! Totals in the text format that Prometheus reads.

use std::fmt::Write as _;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::Metrics;
use super::times::DurationHistogram;

/// The current values of an engine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gauges {
    pub(crate) slots: usize,
    pub(crate) running: usize,
    pub(crate) queued: usize,
    pub(crate) waiting_for_groups: usize,
    pub(crate) records: usize,
    pub(crate) output_bytes: u64,
}

/// Upper bounds of the buckets, in microseconds: from half a millisecond to an hour.
const BOUNDS_US: [u64; 18] = [
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    600_000_000,
    3_600_000_000,
];

/// Returns the metrics in the text exposition format 0.0.4.
pub(crate) fn text(metrics: &Metrics, gauges: Gauges) -> String {
    let mut page = Page(String::new());
    let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Relaxed);
    page.family("escher_executions_accepted_total", "counter", "Executions accepted.", &[("", load(&metrics.total))]);
    page.family(
        "escher_executions_ended_total",
        "counter",
        "Executions ended, by their final status.",
        &[
            ("{status=\"completed\"}", load(&metrics.completed)),
            ("{status=\"failed\"}", load(&metrics.failed)),
            ("{status=\"cancelled\"}", load(&metrics.cancelled)),
            ("{status=\"timeout\"}", load(&metrics.timeout)),
        ],
    );
    page.family(
        "escher_output_bytes_total",
        "counter",
        "Bytes read from ended executions.",
        &[("{stream=\"stdout\"}", load(&metrics.stdout_bytes)), ("{stream=\"stderr\"}", load(&metrics.stderr_bytes))],
    );
    let counters = [
        ("escher_output_lines_total", "Lines, or pieces of lines, read from ended executions.", &metrics.lines),
        ("escher_spawn_backoffs_total", "Spawns that had to wait because the machine had no room.", &metrics.backoffs),
        (
            "escher_executions_truncated_total",
            "Executions whose result lacks output because of the cap.",
            &metrics.truncated,
        ),
        ("escher_log_lost_bytes_total", "Bytes that logs should have got and did not.", &metrics.log_lost_bytes),
        (
            "escher_overflow_lost_bytes_total",
            "Bytes that overflow files should have got and did not.",
            &metrics.overflow_lost_bytes,
        ),
        ("escher_retention_scans_total", "Searches for records that are too old.", &metrics.retention_scans),
    ];
    for (name, help, counter) in counters {
        page.family(name, "counter", help, &[("", load(counter))]);
    }
    let gauges = [
        ("escher_slots", "How many executions may run at once.", gauges.slots as u64),
        ("escher_executions_running", "Executions that hold a slot.", gauges.running as u64),
        ("escher_executions_queued", "Executions that wait for a slot or a group.", gauges.queued as u64),
        ("escher_executions_waiting_for_groups", "Executions that wait for a group.", gauges.waiting_for_groups as u64),
        ("escher_records", "Executions that the engine knows, ended ones included.", gauges.records as u64),
        (
            "escher_retained_output_bytes",
            "Bytes of output, metadata, errors and diagnoses kept of ended executions.",
            gauges.output_bytes,
        ),
    ];
    for (name, help, value) in gauges {
        page.family(name, "gauge", help, &[("", value)]);
    }
    page.histogram("escher_spawn_latency_seconds", "From having a slot to being spawned.", &metrics.spawn_latency);
    page.histogram("escher_queue_time_seconds", "From acceptance to spawn.", &metrics.queue_time);
    page.histogram("escher_execution_duration_seconds", "From spawn to the end.", &metrics.duration);
    page.0
}

/// The text so far. Writing to a string does not fail.
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn family(&mut self, name: &str, kind: &str, help: &str, samples: &[(&str, u64)]) {
        self.head(name, kind, help);
        for (labels, value) in samples {
            let _ = writeln!(self.0, "{name}{labels} {value}");
        }
    }

    fn histogram(&mut self, name: &str, help: &str, times: &DurationHistogram) {
        let bounds = BOUNDS_US.map(Duration::from_micros);
        let (counts, count, sum) = times.cumulative(&bounds);
        self.head(name, "histogram", help);
        for (bound, below) in bounds.iter().zip(counts) {
            let _ = writeln!(self.0, "{name}_bucket{{le=\"{}\"}} {below}", bound.as_secs_f64());
        }
        let _ = writeln!(self.0, "{name}_bucket{{le=\"+Inf\"}} {count}\n{name}_sum {sum}\n{name}_count {count}");
    }
}
