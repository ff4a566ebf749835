//! Waits for a future on a thread that belongs to the caller.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

struct ThreadWaker(Thread);

impl Wake for ThreadWaker {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Blocks this thread until the future is done. The future must need nothing of this thread, and no runtime around it.
pub(crate) fn wait_here<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(ThreadWaker(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut context) {
            return done;
        }
        std::thread::park();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_for_another_thread() {
        let (answer, wait) = tokio::sync::oneshot::channel();
        let other = std::thread::spawn(move || answer.send(7));
        assert_eq!(wait_here(wait), Ok(7));
        other.join().unwrap().unwrap();
    }
}
