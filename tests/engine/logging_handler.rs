//! The handler that passes events to `tracing`.

use std::io::Write;
use std::sync::{Mutex, PoisonError};

use execution_engine::{EventHandler, LoggingEventHandler};
use tracing_subscriber::fmt::MakeWriter;

use crate::common::*;

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()).unwrap()
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Written {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn each_event_is_traced_without_the_output() {
    let engine = Listened::new();
    assert_completed(&engine.run(shell("printf '%s-%s\n' out one; printf '%s-%s\n' err two >&2")).await.unwrap());
    engine.run(shell("exit 3")).await.unwrap();
    let mut events = engine.recorder.all();
    let waiting = serde_json::json!({
        "type": "waiting",
        "execution_id": events[0].execution_id(),
        "timestamp": events[0].timestamp(),
        "sequence": 1,
        "for": "stdin",
        "prompt": "out-one: ",
    });
    events.push(serde_json::from_value(waiting).unwrap());

    let written = Written::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(written.clone())
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    for event in &events {
        LoggingEventHandler.handle_event(event.clone()).await;
    }
    drop(guard);

    let text = written.text();
    let debug = format!("{events:?}");
    assert_eq!(text.lines().count(), events.len(), "a line for each event: {text}");
    for part in [" INFO ", "DEBUG ", " WARN ", "started", "waiting", "stdout", "stderr", "completed", "exit_code=3"] {
        assert!(text.contains(part), "{part:?} is missing in {text}");
    }
    assert!(!text.contains("out-one") && !text.contains("err-two"), "output is traced: {text}");
    assert!(!debug.contains("out-one") && !debug.contains("err-two"), "a debug text has output: {debug}");
    engine.finish().await;
}
