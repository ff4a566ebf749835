//! A function that can block forever, and a future that waits for its result no longer than it has to.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;

use crate::runtime::spawn_limiter::{Task, Turn};

/// A call whose result type is erased.
pub(super) trait Call: Task {
    /// Runs the function, unless no future waits for it any more, and returns the waker of the future that waits.
    #[must_use = "the future that waits has to be woken, or polled"]
    fn execute(&self) -> Option<Waker>;
}

/// Runs `work` on the thread to which `hand_over` gives it.
///
/// Returns its result, however long it takes, unless the call is overdue and `limit` resolves first: then returns its output, and
/// the result is dropped on that thread when it comes. `limit` is polled only once the call is overdue. A panic of `work` is
/// continued here. Dropped, it abandons the call.
pub(super) async fn call<T: Send + 'static, L>(
    work: impl FnOnce() -> T + Send + 'static,
    limit: impl Future<Output = L>,
    hand_over: impl FnOnce(Arc<dyn Call>),
) -> Result<T, L> {
    let call = Abandon(Arc::new(BlockingCall::new(work)));
    hand_over(Arc::clone(&call.0) as Arc<dyn Call>);
    let done = if let Some(done) = poll_fn(|context| call.poll_until_overdue(context)).await {
        done
    } else {
        tokio::select! {
            biased;
            done = poll_fn(|context| call.poll(context)) => done,
            ended = limit => return Err(ended),
        }
    };
    drop(call);
    done.map_or_else(|panic| resume_unwind(panic), Ok)
}

struct BlockingCall<F, T> {
    /// The lock is held for moves, never while the function runs.
    state: Mutex<CallState<F, T>>,
}

struct CallState<F, T> {
    work: Option<F>,
    result: Option<thread::Result<T>>,
    /// The waker of the future that waits.
    waker: Option<Waker>,
    is_overdue: bool,
    is_abandoned: bool,
}

impl<F: FnOnce() -> T + Send + 'static, T: Send + 'static> BlockingCall<F, T> {
    fn new(work: F) -> Self {
        let state = CallState { work: Some(work), result: None, waker: None, is_overdue: false, is_abandoned: false };
        Self { state: Mutex::new(state) }
    }

    fn poll(&self, context: &Context<'_>) -> Poll<thread::Result<T>> {
        let mut state = self.lock();
        if let Some(result) = state.result.take() {
            return Poll::Ready(result);
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, CallState<F, T>> {
        // Every change is complete before anything that could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F: FnOnce() -> T + Send + 'static, T: Send + 'static> Call for BlockingCall<F, T> {
    fn execute(&self) -> Option<Waker> {
        let work = self.lock().work.take()?;
        let result = catch_unwind(AssertUnwindSafe(work));
        let mut state = self.lock();
        if state.is_abandoned {
            drop(state);
            // A child is killed and a log is closed here, where that may block.
            drop(result);
            return None;
        }
        state.result = Some(result);
        state.waker.take()
    }
}

impl<F: FnOnce() -> T + Send + 'static, T: Send + 'static> Task for BlockingCall<F, T> {
    fn run(self: Arc<Self>, _turn: &Turn) {
        if let Some(waker) = self.execute() {
            waker.wake();
        }
    }

    fn overdue(&self) {
        let mut state = self.lock();
        state.is_overdue = true;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn is_wanted(&self) -> bool {
        !self.lock().is_abandoned
    }
}

/// The future's side of a call. Dropped, it abandons the call: what was not begun is not begun any more.
struct Abandon<F: FnOnce() -> T + Send + 'static, T: Send + 'static>(Arc<BlockingCall<F, T>>);

impl<F: FnOnce() -> T + Send + 'static, T: Send + 'static> Abandon<F, T> {
    fn poll(&self, context: &Context<'_>) -> Poll<thread::Result<T>> {
        self.0.poll(context)
    }

    /// Polls the call. `None`: it is overdue.
    fn poll_until_overdue(&self, context: &Context<'_>) -> Poll<Option<thread::Result<T>>> {
        if let Poll::Ready(result) = self.poll(context) {
            return Poll::Ready(Some(result));
        }
        if self.0.lock().is_overdue { Poll::Ready(None) } else { Poll::Pending }
    }
}

impl<F: FnOnce() -> T + Send + 'static, T: Send + 'static> Drop for Abandon<F, T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.is_abandoned = true;
        let unused = (state.work.take(), state.result.take());
        drop(state);
        drop(unused);
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Future, pending, ready};
    use std::pin::pin;
    use std::sync::mpsc;

    use super::*;

    const LOST: std::time::Duration = std::time::Duration::from_secs(20);

    /// Counts its drops.
    struct Dropped(mpsc::Sender<()>);

    impl Drop for Dropped {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }

    fn on_a_thread(call: Arc<dyn Call>) {
        crate::runtime::blocking_pools::spawn_limiter().take(call);
    }

    #[test]
    fn a_call_that_is_executed_after_the_poll_returns_the_waker_and_wakes_nothing() {
        let (hand_over, handed) = mpsc::channel();
        let mut future = pin!(call(|| thread::current().id(), pending::<()>(), |call| hand_over.send(call).unwrap()));
        let mut context = Context::from_waker(Waker::noop());
        assert!(future.as_mut().poll(&mut context).is_pending());
        assert!(handed.try_recv().expect("the call is handed over").execute().is_some(), "the future waits");
        assert_eq!(future.poll(&mut context), Poll::Ready(Ok(thread::current().id())));
    }

    #[test]
    fn a_limit_counts_only_once_the_call_is_overdue_and_an_abandoned_call_does_not_begin() {
        let (report, dropped) = mpsc::channel();
        let (hand_over, handed) = mpsc::channel();
        let mut future = pin!(call(move || Dropped(report), ready("limit"), |call| hand_over.send(call).unwrap()));
        let mut context = Context::from_waker(Waker::noop());
        assert!(future.as_mut().poll(&mut context).is_pending());
        let handed = handed.try_recv().expect("the call is handed over");
        assert!(future.as_mut().poll(&mut context).is_pending(), "the limit is not looked at");
        handed.overdue();
        let Poll::Ready(Err("limit")) = future.as_mut().poll(&mut context) else { panic!("the limit has come") };
        assert!(handed.execute().is_none());
        assert!(dropped.recv_timeout(LOST).is_err(), "the function is dropped and has not run");
    }

    #[tokio::test]
    async fn a_call_that_hangs_is_abandoned_and_its_result_dropped_on_its_thread() {
        let (release, go) = mpsc::channel::<()>();
        let (report, dropped) = mpsc::channel();
        let hang = move || {
            let _ = go.recv();
            Dropped(report)
        };
        let given = call(hang, ready("limit"), on_a_thread).await;
        assert_eq!(given.map(|_| ()), Err("limit"));
        assert!(dropped.try_recv().is_err(), "there is no result yet");
        drop(release);
        dropped.recv_timeout(LOST).expect("the late result is dropped");
    }

    #[tokio::test]
    async fn a_panic_is_continued_where_the_result_is_awaited() {
        let waits = tokio::spawn(call(|| std::panic::panic_any("on purpose"), pending::<()>(), on_a_thread));
        assert!(waits.await.unwrap_err().is_panic());
    }
}
