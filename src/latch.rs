//! A value that is set once and can be waited for by anyone.

use std::sync::OnceLock;

use tokio::sync::Notify;

/// Empty until the one [`Latch::set`] that wins.
#[derive(Debug)]
pub(crate) struct Latch<T> {
    value: OnceLock<T>,
    notify: Notify,
}

impl<T> Latch<T> {
    pub(crate) fn new() -> Self {
        Self { value: OnceLock::new(), notify: Notify::new() }
    }

    /// Sets the value and wakes all waiters; `false` if it was set already.
    pub(crate) fn set(&self, value: T) -> bool {
        let first = self.value.set(value).is_ok();
        self.notify.notify_waiters();
        first
    }

    pub(crate) fn get(&self) -> Option<&T> {
        self.value.get()
    }

    /// Waits for the value. Cancel-safe.
    pub(crate) async fn wait(&self) -> &T {
        loop {
            // Made before the look: a `notify_waiters` between the look and the await is not missed.
            let notified = self.notify.notified();
            if let Some(value) = self.value.get() {
                return value;
            }
            notified.await;
        }
    }
}
