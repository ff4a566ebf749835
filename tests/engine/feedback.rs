//! A feedback sink gets how each execution ended, and nothing of what it ran or wrote.

use std::sync::Mutex;

use execution_engine::{ExecutionFeedback, ExecutionMetadata, FeedbackSink, Secret, async_trait};
use tokio::sync::Semaphore;

use crate::common::*;

/// Keeps what it gets.
#[derive(Default)]
struct Collector(Mutex<Vec<ExecutionFeedback>>);

impl Collector {
    fn all(&self) -> Vec<ExecutionFeedback> {
        self.0.lock().unwrap().clone()
    }
}

#[async_trait]
impl FeedbackSink for Collector {
    async fn feedback(&self, status: ExecutionFeedback) {
        self.0.lock().unwrap().push(status);
    }
}

/// Takes nothing before it is released.
struct Hanging(Semaphore);

#[async_trait]
impl FeedbackSink for Hanging {
    async fn feedback(&self, _status: ExecutionFeedback) {
        let _ = self.0.acquire().await;
    }
}

/// Panics each time.
struct Panicking;

#[async_trait]
impl FeedbackSink for Panicking {
    async fn feedback(&self, status: ExecutionFeedback) {
        panic!("a test's sink panics on purpose at {}", status.execution_id);
    }
}

fn engine_with(sink: Arc<dyn FeedbackSink>) -> ExecutionEngine {
    ExecutionEngine::new(ExecutionConfig::default()).unwrap().with_feedback_sink(sink)
}

fn labelled(line: &str, label: &str) -> ExecutionRequest {
    ExecutionRequest::new(Command::shell(line)).label(label)
}

#[tokio::test]
async fn every_end_is_one_status_with_its_numbers() {
    let sink = Arc::new(Collector::default());
    let engine = engine_with(sink.clone());
    let ok = engine.run(labelled("printf 12345; printf 123 >&2", "greeting #1")).await.unwrap();
    let failed = engine.run(labelled("exit 3", "failing")).await.unwrap();
    let killed = engine.run(ExecutionRequest::new(Command::shell("kill -9 $$"))).await.unwrap();
    let late = ExecutionRequest::new(Command::shell("exec sleep 600")).timeout(Duration::from_millis(50));
    let late = engine.run(late).await.unwrap();
    let missing = ExecutionRequest::new(Command::exec("no-such-program-here"));
    let missing_id = missing.id;
    engine.run(missing).await.unwrap_err();
    soon("the shutdown", engine.shutdown(Duration::ZERO)).await;

    let all = sink.all();
    let ids: Vec<_> = all.iter().map(|status| status.execution_id).collect();
    assert_eq!(ids, [ok.id, failed.id, killed.id, late.id, missing_id]);
    let endings: Vec<_> = all.iter().map(|status| (status.status, status.reason, status.exit_code)).collect();
    assert_eq!(
        endings,
        [
            (ExecutionStatus::Completed, Some(Reason::Exit), Some(0)),
            (ExecutionStatus::Failed, Some(Reason::Exit), Some(3)),
            (ExecutionStatus::Failed, Some(Reason::Signal), None),
            (ExecutionStatus::Timeout, Some(Reason::Timeout), None),
            (ExecutionStatus::Failed, Some(Reason::SpawnFailed), None),
        ]
    );
    let first = all[0];
    assert_eq!((first.stdout_bytes, first.stderr_bytes), (5, 3));
    assert_eq!((first.duration_ms, first.queued_ms), (ok.duration_ms, ok.queued_ms));
    assert_eq!(first.label.unwrap().as_str(), "greeting #1");
    assert_eq!(all[2].signal.unwrap().as_str(), "SIGKILL");
    assert!(all[2].label.is_none());
}

/// Each step of a plan and each stream is an execution; what a handle has as its event handler does not matter.
#[tokio::test]
async fn streams_and_handles_with_handlers_report_too() {
    let sink = Arc::new(Collector::default());
    let engine = engine_with(sink.clone());
    let listening = engine.clone().with_event_handler(Arc::new(Recorder::default()));
    listening.run(ExecutionRequest::new(Command::shell("true"))).await.unwrap();
    let id = engine.execute(ExecutionRequest::new(Command::shell("exec sleep 600"))).await.unwrap();
    engine.cancel(id).await.unwrap();
    soon("the shutdown", engine.shutdown(Duration::ZERO)).await;
    let statuses: Vec<_> = sink.all().iter().map(|status| status.status).collect();
    assert_eq!(statuses, [ExecutionStatus::Completed, ExecutionStatus::Cancelled]);
}

/// The caller names an execution; a name is no place for a command, an output or a secret.
#[tokio::test]
async fn a_label_that_is_no_name_or_has_a_secret_is_left_out() {
    let sink = Arc::new(Collector::default());
    let config = ExecutionConfig { secrets: vec![Secret::from("hunter2hunter2")], ..ExecutionConfig::default() };
    let engine = ExecutionEngine::new(config).unwrap().with_feedback_sink(sink.clone());
    for label in ["echo $HOME > /tmp/x", "two\nlines", "deploy hunter2hunter2", &"x".repeat(65), "deploy"] {
        engine.run(labelled("true", label)).await.unwrap();
    }
    soon("the shutdown", engine.shutdown(Duration::ZERO)).await;
    let labels: Vec<_> = sink.all().iter().map(|status| status.label.map(|label| label.to_string())).collect();
    assert_eq!(labels, [None, None, None, None, Some("deploy".to_owned())]);
}

#[tokio::test]
async fn a_status_has_exactly_these_fields_and_nothing_of_the_command() {
    const MARKER: &str = "marker-that-must-stay";
    let sink = Arc::new(Collector::default());
    let engine = engine_with(sink.clone());
    let mut request = ExecutionRequest::new(Command::shell(format!("echo {MARKER}; echo {MARKER} >&2; exit 1")));
    request.env.insert("SOME_NAME".into(), MARKER.into());
    request.metadata = ExecutionMetadata { source: Some(MARKER.into()), ..ExecutionMetadata::default() };
    engine.run(request).await.unwrap();
    soon("the shutdown", engine.shutdown(Duration::ZERO)).await;
    let json = serde_json::to_value(sink.all()[0]).unwrap();
    let fields: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        fields,
        [
            "duration_ms",
            "execution_id",
            "exit_code",
            "label",
            "queued_ms",
            "reason",
            "signal",
            "status",
            "stderr_bytes",
            "stdout_bytes"
        ]
    );
    assert!(!json.to_string().contains(MARKER), "{json}");
}

#[tokio::test]
async fn a_sink_that_panics_affects_nothing_else() {
    let sink = Arc::new(Collector::default());
    let engine = engine_with(Arc::new(Panicking)).with_feedback_sink(sink.clone());
    for _ in 0..3 {
        assert!(engine.run(ExecutionRequest::new(Command::shell("true"))).await.unwrap().success);
    }
    soon("the shutdown", engine.shutdown(Duration::ZERO)).await;
    assert_eq!(sink.all().len(), 3);
}

#[tokio::test]
async fn a_sink_that_hangs_delays_no_execution_and_a_shutdown_by_a_bound() {
    let sink = Arc::new(Hanging(Semaphore::new(0)));
    let engine = engine_with(sink.clone());
    for _ in 0..3 {
        assert!(soon("a command", engine.run(ExecutionRequest::new(Command::shell("true")))).await.unwrap().success);
    }
    soon("the shutdown", engine.shutdown(Duration::ZERO)).await;
    assert_eq!(engine.feedback_dropped(), 0, "they wait");
    sink.0.close();
}

/// A sink that sends anything to another machine has to be asked for.
#[test]
fn feedback_by_http_is_off_by_default() {
    let manifest = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let features = manifest["features"].as_table().unwrap();
    assert!(!features.contains_key("default"));
    assert_eq!(features["server-feedback"].as_array().unwrap(), &[toml::Value::from("dep:ureq")]);
    assert!(manifest["dependencies"]["ureq"]["optional"].as_bool().unwrap());
    let others = features.iter().filter(|(name, _)| *name != "server-feedback");
    for (name, parts) in others {
        assert!(!parts.to_string().contains("ureq") && !parts.to_string().contains("server-feedback"), "{name}");
    }
}
