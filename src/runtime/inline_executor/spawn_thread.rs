//! The handle by which the parts of a future reach the spawning thread on which the future begins.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::blocking_call::{self, Call};
use crate::runtime::blocking_pools::spawn_limiter;

/// The set of things that a spawning thread waits for on behalf of a future.
pub(crate) trait WaitSet: Default + Send + 'static {
    /// Blocks until one of its members is ready. Returns `false` if it has none, or none is ready in time.
    fn wait(&mut self, until: Instant) -> bool;

    /// Called after each poll of the future: clears the readiness that was not polled again, since the future does not wait for it any more.
    fn end_poll(&mut self) {}
}

/// A handle to the spawning thread on which a future begins. The future passes it to its parts, and they leave to that thread what blocks
/// and what they wait for.
///
/// It has an effect only while that thread polls the future. When the future has become a task, everything is done elsewhere.
pub(crate) struct SpawnThread<W>(Option<Arc<Mutex<SpawnThreadState<W>>>>);

struct SpawnThreadState<W> {
    /// Whether the thread polls the future now.
    is_polled: bool,
    offer: Offer,
    /// Empty while the thread waits.
    waits: W,
}

/// Whether the thread executes a blocking call as soon as the current poll has returned.
#[derive(Default)]
enum Offer {
    #[default]
    None,
    Open,
    Taken(Arc<dyn Call>),
}

impl<W> Clone for SpawnThread<W> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<W> fmt::Debug for SpawnThread<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpawnThread").finish_non_exhaustive()
    }
}

impl<W: WaitSet> SpawnThread<W> {
    /// Returns a handle for one future: that of [`spawn_blocking_first`](super::spawn_blocking_first).
    pub(crate) fn new() -> Self {
        Self::with(W::default())
    }

    /// Returns the handle of a future that is a task from its beginning on.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    pub(super) fn with(waits: W) -> Self {
        Self(Some(Arc::new(Mutex::new(SpawnThreadState { is_polled: false, offer: Offer::None, waits }))))
    }

    /// Runs a function that can block forever, because of what a request names: on the spawning thread after the current poll, else as
    /// [`call_blocking`](super::call_blocking) does. The result is the same.
    pub(crate) async fn call_blocking<T: Send + 'static, L>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
        limit: impl Future<Output = L>,
    ) -> Result<T, L> {
        let hand_over = |call| {
            if let Some(call) = self.leave(call) {
                spawn_limiter().take(call);
            }
        };
        blocking_call::call(work, limit, hand_over).await
    }

    /// Calls `change` with what the thread waits for after the current poll. Returns `None`, without a call, if the thread does not poll the
    /// future now.
    pub(crate) fn with_waits<R>(&self, change: impl FnOnce(&mut W) -> R) -> Option<R> {
        let mut state = self.lock()?;
        state.is_polled.then(|| change(&mut state.waits))
    }

    /// Polls the future by `poll`, on the spawning thread. No other thread may poll the future meanwhile.
    pub(crate) fn polling<R>(&self, poll: impl FnOnce() -> R) -> R {
        /// Ends the poll, even after a panic.
        struct EndOfPoll<'a, W: WaitSet>(&'a SpawnThread<W>);
        impl<W: WaitSet> Drop for EndOfPoll<'_, W> {
            fn drop(&mut self) {
                self.0.set_polled(false);
            }
        }
        self.set_polled(true);
        let _end = EndOfPoll(self);
        let polled = poll();
        self.with_waits(W::end_poll);
        polled
    }

    /// Does what [`polling`](Self::polling) does, and returns the blocking call that the thread is to execute now.
    pub(super) fn polling_with_call<R>(&self, poll: impl FnOnce() -> R) -> (R, Option<Arc<dyn Call>>) {
        if let Some(mut state) = self.lock() {
            state.offer = Offer::Open;
        }
        let polled = self.polling(poll);
        let offer = self.lock().map(|mut state| std::mem::take(&mut state.offer));
        (polled, offer.and_then(Offer::into_call))
    }

    /// Waits, on the spawning thread and between polls; as [`WaitSet::wait`].
    pub(crate) fn wait(&self, until: Instant) -> bool {
        let Some(mut waits) = self.lock().map(|mut state| std::mem::take(&mut state.waits)) else { return false };
        // The wait is not under the lock: the future may become a task meanwhile.
        let is_ready = waits.wait(until);
        if let Some(mut state) = self.lock() {
            state.waits = waits;
        }
        is_ready
    }

    /// Leaves a call to the thread. Returns the call if the thread does not take it.
    fn leave(&self, call: Arc<dyn Call>) -> Option<Arc<dyn Call>> {
        let Some(mut state) = self.lock() else { return Some(call) };
        // At most one call is executed after a poll.
        if !state.is_polled || !matches!(state.offer, Offer::Open) {
            return Some(call);
        }
        state.offer = Offer::Taken(call);
        None
    }

    fn set_polled(&self, is_polled: bool) {
        if let Some(mut state) = self.lock() {
            state.is_polled = is_polled;
        }
    }

    fn lock(&self) -> Option<MutexGuard<'_, SpawnThreadState<W>>> {
        // The lock is held for moves of pointers.
        self.0.as_deref().map(|state| state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Offer {
    fn into_call(self) -> Option<Arc<dyn Call>> {
        if let Self::Taken(call) = self { Some(call) } else { None }
    }
}
