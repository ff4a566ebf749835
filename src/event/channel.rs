//! Carries events from the core to one consumer.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::sync::mpsc;

use super::{Credit, EventSink, EventType, ExecutionEvent, LineBatch};

enum Item {
    Event(ExecutionEvent),
    Lines(VecDeque<ExecutionEvent>, Credit),
}

/// Returns the sink of a new channel, and its consumer. The credits of the executions bound its content.
pub(crate) fn channel() -> (Arc<dyn EventSink>, EventReceiver) {
    let (messages, queue) = mpsc::unbounded_channel();
    (Arc::new(ChannelSender(messages)), EventReceiver { queue, lines: VecDeque::new(), credit: None })
}

struct ChannelSender(mpsc::UnboundedSender<Item>);

// The consumer is gone: what is sent is dropped.
impl EventSink for ChannelSender {
    fn wants(&self, _event_type: EventType) -> bool {
        !self.0.is_closed()
    }

    fn lines(&self, batch: LineBatch<'_>, credit: Credit) {
        let _ = self.0.send(Item::Lines(batch.events().collect(), credit));
    }

    fn event(&self, event: ExecutionEvent) {
        let _ = self.0.send(Item::Event(event));
    }
}

/// Takes events, one at a time.
pub(crate) struct EventReceiver {
    queue: mpsc::UnboundedReceiver<Item>,
    /// The lines of one read that have not been taken.
    lines: VecDeque<ExecutionEvent>,
    /// The credit of these lines, returned when all of them have been taken.
    credit: Option<Credit>,
}

impl EventReceiver {
    /// Returns the next event; `None` when there is no more.
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<ExecutionEvent>> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Poll::Ready(Some(line));
            }
            self.credit = None;
            match ready!(self.queue.poll_recv(context)) {
                None => return Poll::Ready(None),
                Some(Item::Event(event)) => return Poll::Ready(Some(event)),
                Some(Item::Lines(lines, credit)) => {
                    self.lines = lines;
                    self.credit = Some(credit);
                }
            }
        }
    }
}
