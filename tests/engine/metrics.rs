//! Totals, and the page that Prometheus reads, parsed by a library that is not part of this project.

use std::collections::HashMap;

use openmetrics_parser::prometheus::parse_prometheus;
use openmetrics_parser::{PrometheusType, PrometheusValue};

use crate::common::*;

/// A number of a page; of a histogram it is the count, and there is a sum.
#[derive(Debug)]
struct Sample {
    number: i64,
    sum: Option<f64>,
}

/// Returns every sample by its family and labels.
fn parsed(page: &str) -> HashMap<String, Sample> {
    let exposition = parse_prometheus(page).unwrap_or_else(|error| panic!("{error}\n{page}"));
    let mut found = HashMap::new();
    for (name, family) in exposition.families {
        assert!(!family.help.is_empty(), "{name} says nothing of itself");
        let is_histogram = family.family_type == PrometheusType::Histogram;
        for sample in family.iter_samples() {
            let labels = sample.get_labelset().unwrap();
            let labels: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            let value = match &sample.value {
                PrometheusValue::Counter(counter) => Sample { number: counter.value.as_i64().unwrap(), sum: None },
                PrometheusValue::Gauge(value) => Sample { number: value.as_i64().unwrap(), sum: None },
                PrometheusValue::Histogram(histogram) => {
                    let counts: Vec<_> = histogram.buckets.iter().map(|it| it.count.as_i64().unwrap()).collect();
                    assert!(counts.is_sorted() && counts.len() == 19, "{name}: {counts:?}");
                    assert!(histogram.buckets.last().unwrap().upper_bound.is_infinite());
                    let number = i64::try_from(histogram.count.unwrap()).unwrap();
                    assert_eq!(Some(&number), counts.last());
                    Sample { number, sum: Some(histogram.sum.unwrap().as_f64()) }
                }
                other => panic!("{name} is {other:?}"),
            };
            assert_eq!(value.sum.is_some(), is_histogram);
            found.insert([name.clone(), labels.join(",")].join(" ").trim().to_owned(), value);
        }
    }
    found
}

#[tokio::test]
async fn a_parser_finds_the_totals_in_the_page() {
    let engine = ExecutionEngine::new(ExecutionConfig { max_concurrent_executions: 2, ..Default::default() }).unwrap();
    let before = parsed(&engine.metrics_text());
    assert!(before.len() >= 17, "{before:?}");
    assert!(before.iter().all(|(name, sample)| name == "escher_slots" || sample.number == 0), "{before:?}");

    engine.run(shell("echo out; echo err >&2")).await.unwrap();
    engine.run(shell("exit 1")).await.unwrap();
    let retained = |page: &HashMap<String, Sample>| page["escher_retained_output_bytes"].number;
    assert_eq!(retained(&parsed(&engine.metrics_text())), 8, "the output of the first");
    let timed_out = engine.run(ExecutionRequest { timeout_ms: Some(20), ..shell("exec sleep 300") }).await.unwrap();
    engine.run(exec::<&str>("/no/such/program", &[])).await.unwrap_err();

    let stats = engine.get_stats().await;
    let page = parsed(&engine.metrics_text());
    let number = |name: &str| page[&format!("escher_{name}")].number;
    assert_eq!(number("executions_accepted_total"), 4);
    let ended = |status| number(&format!("executions_ended_total status={status}"));
    assert_eq!(["completed", "failed", "cancelled", "timeout"].map(ended), [1, 2, 0, 1]);
    assert_eq!((number("output_bytes_total stream=stdout"), number("output_bytes_total stream=stderr")), (4, 4));
    assert_eq!((number("slots"), number("records")), (2, 4));
    // The diagnosis of the third and the error of the fourth count too.
    assert!((9..4_096).contains(&retained(&page)), "{}", retained(&page));
    for (name, times) in [
        ("spawn_latency_seconds", stats.spawn_latency_ms),
        ("queue_time_seconds", stats.queue_time_ms),
        ("execution_duration_seconds", stats.duration_ms),
    ] {
        let sum = page[&format!("escher_{name}")].sum.expect("it is a histogram");
        assert_eq!((number(name), times.count), (3, 3), "{name}");
        assert!((sum * 1_000.0 - times.mean * 3.0).abs() < 0.001, "{name}: {sum} and {times:?}");
        assert!(times.p50 <= times.p99 && times.p99 <= times.max * 1.01 && times.max > 0.0, "{name}: {times:?}");
    }
    assert!(stats.duration_ms.max >= timed_out.duration_ms * 0.98);
}
