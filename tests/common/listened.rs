//! An engine whose every event is recorded.

use std::ops::Deref;

use super::{Arc, Duration, ExecutionConfig, ExecutionEngine, ExecutionOptions, ExecutionRequest, Recorder, Uuid};

/// An engine and the recorder of its events. [`Listened::finish`] ends every test: it checks what holds for every
/// execution (exactly one terminal event and nothing after it).
pub(crate) struct Listened {
    engine: ExecutionEngine,
    pub(crate) recorder: Arc<Recorder>,
    finished: bool,
}

impl Listened {
    pub(crate) fn new() -> Self {
        Self::with(ExecutionConfig::default())
    }

    pub(crate) fn with(config: ExecutionConfig) -> Self {
        let recorder = Recorder::new();
        let handler: Arc<Recorder> = Arc::clone(&recorder);
        let engine = ExecutionEngine::new(config).expect("a valid configuration").with_event_handler(handler);
        Self { engine, recorder, finished: false }
    }

    /// Returns an engine with so many slots.
    pub(crate) fn with_slots(slots: usize) -> Self {
        Self::with(ExecutionConfig { max_concurrent_executions: slots, ..ExecutionConfig::default() })
    }

    /// Starts a child and waits until it has said `ready`.
    pub(crate) async fn start(&self, request: ExecutionRequest, options: ExecutionOptions) -> Uuid {
        let id = self.engine.execute_with(request, options).await.expect("the request is accepted");
        self.recorder.saw_line(id, "ready").await;
        id
    }

    /// Ends what still runs and checks the record.
    pub(crate) async fn finish(mut self) {
        self.finished = true;
        self.engine.shutdown(Duration::ZERO).await;
        self.recorder.check();
    }
}

impl Deref for Listened {
    type Target = ExecutionEngine;

    fn deref(&self) -> &ExecutionEngine {
        &self.engine
    }
}

impl Drop for Listened {
    fn drop(&mut self) {
        assert!(self.finished || std::thread::panicking(), "a test ends with `engine.finish().await`");
    }
}
