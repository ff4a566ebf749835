//! A queue between the core, which never waits for a listener, and an [`EventHandler`], which may be slow.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::{Credit, EventHandler, EventSink, EventType, ExecutionEvent, LineBatch};
use crate::catch_panic::contain;
use crate::runtime;

enum HandlerCall {
    Event(ExecutionEvent),
    Lines { events: Vec<ExecutionEvent>, credit: Credit },
    Flush(oneshot::Sender<()>),
}

tokio::task_local! {
    /// The marker of a task that handles an event.
    static IS_HANDLING: ();
}

/// Hands the events of all executions of an engine to its handler. The queue is bounded by the executions' credits.
///
/// An execution that a handler starts gets a queue of its own: behind the event that is being handled, its events would
/// wait for the handler, and the handler for it.
#[derive(Clone)]
pub(crate) struct HandlerQueue {
    handler: Arc<dyn EventHandler>,
    messages: mpsc::UnboundedSender<HandlerCall>,
}

impl HandlerQueue {
    pub(crate) fn start(handler: Arc<dyn EventHandler>) -> Self {
        let (messages, mut queue) = mpsc::unbounded_channel();
        let queued = Self { handler: Arc::clone(&handler), messages };
        runtime::spawn_listener(async move {
            while let Some(message) = queue.recv().await {
                match message {
                    HandlerCall::Event(event) => deliver(&*handler, event).await,
                    HandlerCall::Lines { events, credit } => {
                        for event in events {
                            deliver(&*handler, event).await;
                        }
                        drop(credit);
                    }
                    HandlerCall::Flush(done) => {
                        let _ = done.send(());
                    }
                }
            }
        });
        queued
    }

    fn send(&self, message: HandlerCall) {
        // The queue is gone only with the runtime, at the end of the process.
        let _ = self.messages.send(message);
    }
}

/// Calls one handler with one event, and catches its panic.
async fn deliver(handler: &dyn EventHandler, event: ExecutionEvent) {
    let id = event.execution_id();
    if contain(IS_HANDLING.scope((), async { handler.handle_event(event).await })).await.is_err() {
        tracing::error!(execution_id = %id, "an event handler panicked");
    }
}

impl EventSink for HandlerQueue {
    fn nested(&self) -> Option<Arc<dyn EventSink>> {
        let is_handling = IS_HANDLING.try_with(|()| ()).is_ok();
        is_handling.then(|| Arc::new(Self::start(Arc::clone(&self.handler))) as Arc<dyn EventSink>)
    }

    fn wants(&self, _event_type: EventType) -> bool {
        true
    }

    fn lines(&self, batch: LineBatch<'_>, credit: Credit) {
        let events = batch.events().collect();
        self.send(HandlerCall::Lines { events, credit });
    }

    fn event(&self, event: ExecutionEvent) {
        self.send(HandlerCall::Event(event));
    }

    fn flushed(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let (done, wait) = oneshot::channel();
        self.send(HandlerCall::Flush(done));
        Box::pin(async move {
            let _ = wait.await;
        })
    }
}
