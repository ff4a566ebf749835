//! Events: by their patterns, by methods, in handlers, as data.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use execution_engine::{
    Command, EventHandler, ExecutionConfig, ExecutionEngine, ExecutionEvent, ExecutionOptions, LoggingEventHandler,
    MultiEventHandler, NoopEventHandler, Retry,
};

#[derive(Default)]
struct Recorder(Mutex<Vec<ExecutionEvent>>);

#[async_trait]
impl EventHandler for Recorder {
    async fn handle_event(&self, event: ExecutionEvent) {
        self.0.lock().unwrap().push(event);
    }
}

impl Recorder {
    fn take(&self) -> Vec<ExecutionEvent> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn recorded() -> (ExecutionEngine, Arc<Recorder>) {
    let recorder = Arc::new(Recorder::default());
    let handlers: Vec<Arc<dyn EventHandler>> =
        vec![Arc::new(NoopEventHandler), Arc::new(LoggingEventHandler), recorder.clone()];
    let engine = ExecutionEngine::new(ExecutionConfig::default()).unwrap();
    (engine.with_event_handler(Arc::new(MultiEventHandler::new(handlers))), recorder)
}

/// Returns a row for each event, from the fields that a pattern names.
fn row(event: &ExecutionEvent) -> String {
    match event {
        ExecutionEvent::Started { execution_id, timestamp, .. } => {
            assert_eq!((event.execution_id(), event.timestamp()), (*execution_id, *timestamp));
            "started".to_string()
        }
        ExecutionEvent::Stdout { execution_id, line, timestamp, .. } => {
            assert_eq!((event.execution_id(), event.timestamp()), (*execution_id, *timestamp));
            assert_eq!(event.line(), Some(line.as_str()));
            format!("out {line}")
        }
        ExecutionEvent::Stderr { line, .. } => format!("err {line}"),
        ExecutionEvent::Completed { result, timestamp, .. } => {
            assert_eq!((event.result(), result.completed_at), (Some(result), *timestamp));
            format!("completed {:?}", result.exit_code)
        }
        ExecutionEvent::Failed { error, result, .. } => {
            let code = error.as_ref().map(|error| error.code.as_str());
            format!("failed {:?} {code:?}", result.exit_code)
        }
        ExecutionEvent::Cancelled { execution_id, .. } => {
            format!("cancelled {}", *execution_id == event.execution_id())
        }
        ExecutionEvent::Timeout { execution_id, .. } => format!("timeout {}", *execution_id == event.execution_id()),
        ExecutionEvent::Retry { attempt, attempts, .. } => format!("retry {attempt}/{attempts}"),
        ExecutionEvent::Queued { command, .. } => format!("queued {command}"),
        ExecutionEvent::Progress { completed, total, .. } => format!("progress {completed}/{total}"),
        ExecutionEvent::Degraded { message, .. } => format!("degraded {message}"),
        ExecutionEvent::Exited { exit_code, .. } => format!("exited {exit_code:?}"),
        _ => "another".to_string(),
    }
}

/// Returns the rows without those that come at any place among the lines.
fn rows(recorder: &Recorder) -> Vec<String> {
    let is_in_order = |row: &String| !row.starts_with("degraded") && !row.starts_with("exited");
    recorder.take().iter().map(row).filter(is_in_order).collect()
}

#[tokio::test]
async fn each_kind_of_event_is_a_pattern() {
    let (engine, recorder) = recorded();
    engine.run(Command::shell("echo one; sleep 0.1; echo two >&2").into()).await.unwrap();
    assert_eq!(rows(&recorder), ["started", "out one", "err two", "completed Some(0)"]);

    engine.run(Command::shell("exit 3").into()).await.unwrap();
    assert_eq!(rows(&recorder), ["started", "failed Some(3) None"]);

    engine.run(Command::exec("/no/such/program").into()).await.unwrap_err();
    assert_eq!(rows(&recorder), ["failed None Some(\"SPAWN_FAILED\")"]);

    let sleeping = execution_engine::ExecutionRequest::new(Command::exec("sleep").arg("60"));
    engine.run(sleeping.clone().timeout(Duration::from_millis(50))).await.unwrap();
    assert_eq!(rows(&recorder), ["started", "timeout true"]);

    let id =
        engine.execute(execution_engine::ExecutionRequest { id: execution_engine::Uuid::new_v4(), ..sleeping }).await;
    engine.cancel(id.unwrap()).await.unwrap();
    assert_eq!(rows(&recorder).last().unwrap(), "cancelled true");

    let options = ExecutionOptions::new().retry(Retry::new(2).backoff(Duration::from_millis(1)));
    engine.run_with(Command::exec("false").into(), options).await.unwrap();
    assert_eq!(rows(&recorder), ["started", "retry 1/2", "started", "failed Some(1) None"]);
}

#[tokio::test]
async fn events_are_data_in_both_directions() {
    let (engine, recorder) = recorded();
    engine.run(Command::shell("echo one; echo two >&2; exit 3").into()).await.unwrap();
    for event in recorder.take() {
        let json = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<ExecutionEvent>(&json).unwrap(), event, "{json}");
    }
}

#[tokio::test]
async fn an_event_without_output_is_small() {
    let (engine, recorder) = recorded();
    engine.run(Command::shell("head -c 1000000 /dev/zero | tr '\\0' x").into()).await.unwrap();
    let end = recorder.take().pop().unwrap().without_output();
    assert_eq!(end.result().unwrap().stdout_bytes, 1_000_000);
    assert!(serde_json::to_string(&end).unwrap().len() < 2_000);
}

/// Runs a command on its own engine for the first line that it gets.
struct Nested {
    engine: OnceLock<ExecutionEngine>,
    answer: Mutex<Option<String>>,
}

#[async_trait]
impl EventHandler for Nested {
    async fn handle_event(&self, event: ExecutionEvent) {
        if event.line() == Some("ask") {
            let engine = self.engine.get().unwrap();
            let result = engine.run(Command::shell("echo answer").into()).await.unwrap();
            *self.answer.lock().unwrap() = Some(result.stdout.trim().to_string());
        }
    }
}

#[tokio::test]
async fn a_handler_that_awaits_a_command_on_its_own_engine_does_not_stall() {
    let nested = Arc::new(Nested { engine: OnceLock::new(), answer: Mutex::default() });
    let engine = ExecutionEngine::new(ExecutionConfig::default()).unwrap().with_event_handler(nested.clone());
    nested.engine.set(engine.clone()).expect("once");
    let run = engine.run(Command::shell("echo ask").into());
    let result = tokio::time::timeout(Duration::from_secs(60), run).await.expect("it does not stall").unwrap();
    assert!(result.success);
    let answered = async {
        while nested.answer.lock().unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), answered).await.expect("the handler gets its result");
    assert_eq!(nested.answer.lock().unwrap().as_deref(), Some("answer"));
}
