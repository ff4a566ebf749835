//! A channel between two threads. It stands in for that of the standard library, of which each type of a message takes 8 KB of the
//! addon.

use std::collections::VecDeque;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Returns a channel with one sender and one receiver, in which any number of messages may wait.
pub(crate) fn thread_channel<T>() -> (ThreadSender<T>, ThreadReceiver<T>) {
    let state = ChannelState { messages: VecDeque::new(), is_closed: false };
    let channel = Arc::new(Channel { state: Mutex::new(state), changed: Condvar::new() });
    (ThreadSender(Arc::clone(&channel)), ThreadReceiver(channel))
}

struct Channel<T> {
    state: Mutex<ChannelState<T>>,
    changed: Condvar,
}

struct ChannelState<T> {
    messages: VecDeque<T>,
    /// Whether one of the two ends was dropped.
    is_closed: bool,
}

impl<T> Channel<T> {
    fn lock(&self) -> MutexGuard<'_, ChannelState<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_one();
    }
}

/// Gives messages. Dropping it ends the receiver's wait.
pub(crate) struct ThreadSender<T>(Arc<Channel<T>>);

impl<T> ThreadSender<T> {
    /// Returns the message if the receiver was dropped.
    pub(crate) fn send(&self, message: T) -> Result<(), T> {
        let mut state = self.0.lock();
        if state.is_closed {
            return Err(message);
        }
        state.messages.push_back(message);
        drop(state);
        self.0.changed.notify_one();
        Ok(())
    }
}

impl<T> Drop for ThreadSender<T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<T> std::fmt::Debug for ThreadSender<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ThreadSender")
    }
}

/// Takes messages in the order in which they were sent.
pub(crate) struct ThreadReceiver<T>(Arc<Channel<T>>);

impl<T> ThreadReceiver<T> {
    /// Waits for a message, but no longer than this: with zero, takes one that is there; with [`Duration::MAX`], waits until one comes or
    /// none will.
    pub(crate) fn recv(&self, longest: Duration) -> Result<T, RecvTimeoutError> {
        let deadline = Instant::now().checked_add(longest);
        let mut state = self.0.lock();
        loop {
            if let Some(message) = state.messages.pop_front() {
                return Ok(message);
            }
            if state.is_closed {
                return Err(RecvTimeoutError::Disconnected);
            }
            let Some(deadline) = deadline else {
                state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(RecvTimeoutError::Timeout);
            }
            state = self.0.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl<T> Drop for ThreadReceiver<T> {
    fn drop(&mut self) {
        self.0.close();
        // Messages that nothing will take are dropped now, and not with the sender.
        let unread = std::mem::take(&mut self.0.lock().messages);
        drop(unread);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_in_order_and_after_the_sender_is_gone() {
        let (sender, receiver) = thread_channel();
        std::thread::spawn(move || (0..1_000).for_each(|number| sender.send(number).unwrap()));
        let all: Vec<i32> = std::iter::from_fn(|| receiver.recv(Duration::MAX).ok()).collect();
        assert_eq!(all, (0..1_000).collect::<Vec<_>>());
        assert_eq!(receiver.recv(Duration::MAX), Err(RecvTimeoutError::Disconnected));
    }

    #[test]
    fn a_wait_ends_at_its_deadline() {
        let (sender, receiver) = thread_channel();
        assert_eq!(receiver.recv(Duration::from_millis(1)), Err(RecvTimeoutError::Timeout));
        assert_eq!(receiver.recv(Duration::ZERO), Err(RecvTimeoutError::Timeout));
        sender.send(7).unwrap();
        assert_eq!(receiver.recv(Duration::ZERO), Ok(7));
    }

    #[test]
    fn a_message_that_nothing_will_take_is_given_back_or_dropped() {
        let (sender, receiver) = thread_channel();
        let message = Arc::new(());
        sender.send(Arc::clone(&message)).unwrap();
        drop(receiver);
        assert_eq!(Arc::strong_count(&message), 1);
        assert!(sender.send(Arc::clone(&message)).is_err());
    }
}
