//! The events of one execution or plan as a stream.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use uuid::Uuid;

use super::ExecutionEngine;
use crate::error::Result;
use crate::event::{EventReceiver, ExecutionEvent, channel};
use crate::plan::PlanRecord;
use crate::registry::Record;
use crate::state::Stop;
use crate::types::{ExecutionOptions, ExecutionPlan, ExecutionRequest, PlanOptions};

/// Ends what it belongs to when it is dropped, without waiting for the end. What has ended stays as it is.
pub(super) enum StopOnDrop {
    Execution(Arc<Record>),
    Plan(Arc<PlanRecord>),
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        match self {
            Self::Execution(record) if record.result().is_none() => record.request_stop(Stop::Cancelled, None),
            Self::Plan(record) if record.result().is_none() => record.request_stop(Stop::Cancelled),
            Self::Execution(_) | Self::Plan(_) => {}
        }
    }
}

/// The events of one execution, or of one plan with its steps: to the terminal event, in their order, none lost.
///
/// A command whose events are not taken stops being read, and waits when its pipe is full. Dropping the stream cancels the
/// execution or plan; its record stays. The stream is cancel safe: a future of [`EventStream::next`] that is dropped loses no
/// event.
pub struct EventStream {
    id: Uuid,
    events: EventReceiver,
    _stop: StopOnDrop,
    is_over: bool,
}

impl std::fmt::Debug for EventStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventStream").field("id", &self.id).field("is_over", &self.is_over).finish_non_exhaustive()
    }
}

impl EventStream {
    /// Returns the id of the execution or plan.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Returns the next event; `None` after the last one. Cancel safe: a future that is dropped takes no event.
    pub async fn next(&mut self) -> Option<ExecutionEvent> {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<ExecutionEvent>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let event = ready!(self.events.poll_next(context));
        self.is_over = event.as_ref().is_none_or(|event| event.is_terminal() && event.execution_id() == self.id);
        Poll::Ready(event)
    }
}

impl Stream for EventStream {
    type Item = ExecutionEvent;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<ExecutionEvent>> {
        self.get_mut().poll(context)
    }
}

impl ExecutionEngine {
    /// Accepts a request; its events come from the returned stream, and go to no handler.
    ///
    /// ```
    /// # #[tokio::main] async fn main() -> execution_engine::Result<()> {
    /// # use execution_engine::{Command, ExecutionConfig, ExecutionEngine};
    /// let engine = ExecutionEngine::new(ExecutionConfig::default())?;
    /// let mut events = engine.stream(Command::shell("echo one; echo two").into())?;
    /// let mut lines = Vec::new();
    /// while let Some(event) = events.next().await {
    ///     lines.extend(event.line().map(str::to_owned));
    /// }
    /// assert_eq!(lines, ["one", "two"]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`ExecutionEngine::execute`].
    pub fn stream(&self, request: ExecutionRequest) -> Result<EventStream> {
        self.stream_with(request, ExecutionOptions::default())
    }

    /// Does what [`ExecutionEngine::stream`] does, with host policy for this one execution.
    ///
    /// # Errors
    /// As [`ExecutionEngine::execute_with`].
    pub fn stream_with(&self, request: ExecutionRequest, options: ExecutionOptions) -> Result<EventStream> {
        let (sink, events) = channel();
        let record = self.submit(request, options, sink)?;
        Ok(EventStream { id: record.id(), events, _stop: StopOnDrop::Execution(record), is_over: false })
    }

    /// Accepts a plan; its events and those of its steps come from the returned stream, and go to no handler.
    ///
    /// # Errors
    /// As [`ExecutionEngine::execute_plan`].
    pub fn stream_plan(&self, plan: ExecutionPlan) -> Result<EventStream> {
        self.stream_plan_with(plan, PlanOptions::default())
    }

    /// Does what [`ExecutionEngine::stream_plan`] does, with host policy for this one plan.
    ///
    /// # Errors
    /// As [`ExecutionEngine::execute_plan_with`].
    pub fn stream_plan_with(&self, plan: ExecutionPlan, options: PlanOptions) -> Result<EventStream> {
        let (sink, events) = channel();
        let record = self.submit_plan(plan, options, Box::new(move |_| Arc::clone(&sink)))?;
        Ok(EventStream { id: record.id(), events, _stop: StopOnDrop::Plan(record), is_over: false })
    }
}
