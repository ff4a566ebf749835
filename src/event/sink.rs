//! Carries events from the core to listeners: one sink for each execution, bounded by credit.

use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;

use super::backpressure::Credit;
use super::line_batch::LineBatch;
use super::{EventType, ExecutionEvent};

/// Takes the events of one execution. No method may block: each is called by the task that supervises the child.
pub(crate) trait EventSink: Send + Sync {
    /// Returns the sink for the events of a new execution, if the caller is handling an event of this sink.
    fn nested(&self) -> Option<Arc<dyn EventSink>> {
        None
    }
    /// Whether events of this type have a listener now. It is checked before an event that is made only for a listener, and at each read
    /// for lines and data.
    fn wants(&self, event_type: EventType) -> bool;
    /// Takes lines, or the bytes of a terminal. The child may be read further while the credits of its execution are below the bound.
    fn lines(&self, batch: LineBatch<'_>, credit: Credit);
    /// Takes any other event.
    fn event(&self, event: ExecutionEvent);
    /// Resolves when what was taken so far has been handled.
    fn flushed(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(ready(()))
    }
}

/// The sink of an execution without a listener.
#[derive(Debug)]
pub(crate) struct SilentSink;

impl EventSink for SilentSink {
    fn wants(&self, _event_type: EventType) -> bool {
        false
    }
    fn lines(&self, _batch: LineBatch<'_>, _credit: Credit) {}
    fn event(&self, _event: ExecutionEvent) {}
}
