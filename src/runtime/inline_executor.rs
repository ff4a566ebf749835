//! The executor of short commands: a future begins on the thread that spawns its child, and becomes a task of the runtime when it
//! needs longer.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use self::blocking_call::Call;
pub(crate) use self::spawn_thread::{SpawnThread, WaitSet};
use super::async_pools::{beat, spawn};
use super::blocking_pools::{MOST_INLINE, spawn_limiter};
use super::spawn_limiter::{Task, Turn};

mod blocking_call;
mod spawn_thread;

/// The time from its beginning after which an unfinished future becomes a task.
const LONGEST_INLINE: Duration = Duration::from_millis(5);
static INLINE_PERMITS: Semaphore = Semaphore::const_new(MOST_INLINE);

/// Runs a future in the background. What it does first, it does when it is its turn on a thread that may block, where the blocking
/// calls that it makes through `thread` cost no hand-over. That thread then polls it for a while, unless others wait for the turn: it
/// waits for what the future has left to it. After that, or when something has happened that the thread does not wait for, or
/// when a call hangs, the future becomes a task.
///
/// A future that finds no end of what is ready must yield now and then: no budget makes it do so here.
pub(crate) fn spawn_blocking_first<W: WaitSet>(
    thread: SpawnThread<W>,
    future: impl Future<Output = ()> + Send + 'static,
) {
    beat();
    spawn_limiter().take(Arc::new(InlineStart::new(thread, future, &INLINE_PERMITS)));
}

/// Runs a function that can block forever, because of what a request names, on a thread that only such functions wait for.
///
/// Returns its result. If it takes longer than usual (some 30 ms), and `limit` resolves before it ends, returns the output of `limit`; the
/// result is dropped when it comes, on that thread. A panic of the function is continued here. Dropped, it drops the result too.
pub(crate) async fn call_blocking<T: Send + 'static, L>(
    work: impl FnOnce() -> T + Send + 'static,
    limit: impl Future<Output = L>,
) -> Result<T, L> {
    blocking_call::call(work, limit, |call| spawn_limiter().take(call)).await
}

/// A future that is polled on a thread that may block.
///
/// While it waits for a blocking call, that thread executes the call outside of any poll. So another thread can poll the future
/// when the call hangs.
struct InlineStart<W> {
    state: Mutex<FutureState>,
    current: Mutex<Current>,
    thread: SpawnThread<W>,
    permits: &'static Semaphore,
}

/// The place of the future.
enum FutureState {
    Here(Pin<Box<dyn Future<Output = ()> + Send>>),
    /// The future is being polled here.
    Polled,
    /// Woken while it was polled here.
    Woken,
    /// A task, whose own waker counts; or over.
    Gone,
}

/// The blocking call that is executed now.
#[derive(Default)]
struct Current {
    call: Option<Arc<dyn Call>>,
    is_overdue: bool,
}

impl<W: WaitSet> InlineStart<W> {
    fn new(
        thread: SpawnThread<W>,
        future: impl Future<Output = ()> + Send + 'static,
        permits: &'static Semaphore,
    ) -> Self {
        Self { state: Mutex::new(FutureState::Here(Box::pin(future))), current: Mutex::default(), thread, permits }
    }

    /// Polls the future and executes its blocking calls, until it waits for something else. Returns whether it waits here.
    fn poll_with_calls(&self, context: &mut Context<'_>) -> bool {
        loop {
            let mut call = None;
            let waits_here = self.poll_by(|future| {
                let (polled, taken) = self.thread.polling_with_call(|| future.poll(context));
                call = taken;
                polled
            });
            let Some(call) = call else { return waits_here };
            self.set_current(Some(Arc::clone(&call)));
            let waker = call.execute();
            self.set_current(None);
            if !self.is_here() {
                // The future has become a task, which may have looked for the result too early.
                if let Some(waker) = waker {
                    waker.wake();
                }
                return false;
            }
        }
    }

    /// Polls the future, if it still waits here. Returns whether it waits here again.
    fn poll(&self, context: &mut Context<'_>) -> bool {
        self.poll_by(|future| self.thread.polling(|| future.poll(context)))
    }

    fn set_current(&self, call: Option<Arc<dyn Call>>) {
        let mut current = lock(&self.current);
        current.call.clone_from(&call);
        let is_overdue = current.is_overdue;
        drop(current);
        if let Some(call) = call.filter(|_| is_overdue) {
            call.overdue();
        }
    }

    fn poll_by(&self, poll: impl FnOnce(Pin<&mut (dyn Future<Output = ()> + Send)>) -> Poll<()>) -> bool {
        let FutureState::Here(mut future) = self.turn_into(FutureState::Polled) else { return false };
        let pends = poll(future.as_mut()).is_pending();
        let mut state = lock(&self.state);
        if pends && matches!(*state, FutureState::Polled) {
            *state = FutureState::Here(future);
            return true;
        }
        *state = FutureState::Gone;
        drop(state);
        if pends {
            spawn(future);
        }
        false
    }

    fn is_here(&self) -> bool {
        matches!(*lock(&self.state), FutureState::Here(_))
    }

    /// Makes a waiting future a task from now on: something has happened, or the time is up.
    fn become_task(&self) {
        if let FutureState::Here(future) = self.turn_into(FutureState::Gone) {
            spawn(future);
        }
    }

    /// Returns the state before.
    fn turn_into(&self, wanted: FutureState) -> FutureState {
        let mut state = lock(&self.state);
        let next = match *state {
            FutureState::Here(_) => wanted,
            FutureState::Polled | FutureState::Woken => FutureState::Woken,
            FutureState::Gone => FutureState::Gone,
        };
        std::mem::replace(&mut *state, next)
    }
}

impl<W: WaitSet> Task for InlineStart<W> {
    fn run(self: Arc<Self>, turn: &Turn) {
        let waker = Waker::from(Arc::clone(&self));
        let context = &mut Context::from_waker(&waker);
        if self.poll_with_calls(context)
            && turn.give_up()
            && let Ok(_permit) = self.permits.try_acquire()
        {
            let until = Instant::now() + LONGEST_INLINE;
            while self.thread.wait(until) && self.poll(context) {}
        }
        self.become_task();
    }

    fn overdue(&self) {
        let mut current = lock(&self.current);
        current.is_overdue = true;
        let call = current.call.clone();
        drop(current);
        if let Some(call) = call {
            call.overdue();
        }
        self.become_task();
    }

    fn is_wanted(&self) -> bool {
        self.is_here()
    }
}

impl<W: WaitSet> Wake for InlineStart<W> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.become_task();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The lock is held for moves of pointers.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc;
    use std::thread::{self, ThreadId};

    use tokio::sync::Notify;

    use super::*;
    use crate::runtime::spawn_limiter::{SpawnLimiter, ThreadLimits};

    const LOST: Duration = Duration::from_secs(20);
    const HANGS_AFTER: Duration = Duration::from_millis(20);

    /// A wait whose result the test determines.
    #[derive(Default)]
    struct Scripted(Option<Box<dyn FnMut() -> bool + Send>>);

    impl WaitSet for Scripted {
        fn wait(&mut self, _until: Instant) -> bool {
            self.0.as_mut().expect("a script")()
        }
    }

    fn thread_that_waits(wait: impl FnMut() -> bool + Send + 'static) -> SpawnThread<Scripted> {
        SpawnThread::with(Scripted(Some(Box::new(wait))))
    }

    /// Runs on threads of its own: the other tests may take all threads and permits. On a busy machine every call
    /// that stands still for longer than `hangs_after` counts as hanging.
    fn start_with(
        hangs_after: Duration,
        thread: SpawnThread<Scripted>,
        future: impl Future<Output = ()> + Send + 'static,
    ) {
        static INLINE_PERMITS: Semaphore = Semaphore::const_new(8);
        let limits = ThreadLimits { thread_name: "test-spawn", at_once: 1, most_idle: 1, most: 8, hangs_after };
        let limiter = Box::leak(Box::new(SpawnLimiter::new(limits)));
        limiter.take(Arc::new(InlineStart::new(thread, future, &INLINE_PERMITS)));
    }

    fn start(future: impl Future<Output = ()> + Send + 'static, wait: impl FnMut() -> bool + Send + 'static) {
        start_with(LOST, thread_that_waits(wait), future);
    }

    /// Reports on which thread it is polled, and ends when it has been polled so often; wakes itself after each poll if `wakes`.
    fn polled(times: u32, wakes: bool) -> (impl Future<Output = ()> + Send, mpsc::Receiver<ThreadId>) {
        let (report, polled_on) = mpsc::channel();
        let count = AtomicU32::new(0);
        let future = std::future::poll_fn(move |context| {
            report.send(thread::current().id()).unwrap();
            if count.fetch_add(1, Ordering::Relaxed) + 1 == times {
                return Poll::Ready(());
            }
            if wakes {
                context.waker().wake_by_ref();
            }
            Poll::Pending
        });
        (future, polled_on)
    }

    #[test]
    fn a_future_that_its_thread_polls_stays_there() {
        let (future, polled_on) = polled(3, false);
        start(future, || true);
        let threads: Vec<_> = polled_on.iter().collect();
        assert_eq!(threads, [threads[0]; 3]);
    }

    #[test]
    fn a_future_that_takes_longer_than_the_limit_becomes_a_task() {
        let (future, polled_on) = polled(3, true);
        // The first poll has it woken while it is polled: it is a task from then on, and its thread polls it no more.
        let (waits, waited) = mpsc::channel();
        start(future, move || waits.send(()).is_err());
        let threads: Vec<_> = polled_on.iter().collect();
        assert_eq!(threads.len(), 3);
        assert_ne!(threads[1], threads[0]);
        assert!(waited.recv().is_err(), "the thread has not waited");

        let (future, polled_on) = polled(2, false);
        start(future, || false);
        let threads: Vec<_> = polled_on.iter().collect();
        assert_eq!(threads.len(), 2);
        assert_ne!(threads[1], threads[0]);
    }

    #[test]
    fn a_future_woken_by_another_thread_leaves_the_thread_that_polls_it() {
        let stop = Arc::new(Notify::new());
        let stopping = Arc::clone(&stop);
        let (over, is_over) = mpsc::channel();
        let future = async move {
            stopping.notified().await;
            over.send(thread::current().id()).unwrap();
        };
        let (polls, polling) = mpsc::channel();
        let (release, go) = mpsc::channel::<()>();
        start(future, move || {
            // This is reached once: after this wait, the future is not here any more.
            polls.send(thread::current().id()).unwrap();
            let _ = go.recv();
            true
        });
        let thread = polling.recv().unwrap();
        stop.notify_one();
        let ended_on = is_over.recv_timeout(LOST).expect("it does not wait for that thread");
        assert_ne!(ended_on, thread);
        drop(release);
        assert!(polling.recv().is_err(), "the thread waits no more");
    }

    #[test]
    fn a_call_that_returns_in_time_costs_no_hand_over() {
        let (report, threads) = mpsc::channel();
        let handle = thread_that_waits(|| true);
        let spawn_thread = handle.clone();
        let future = async move {
            for _ in 0..2 {
                let here = thread::current().id();
                let there = spawn_thread.call_blocking(|| thread::current().id(), std::future::pending::<()>()).await;
                report.send((here, there.unwrap(), thread::current().id())).unwrap();
            }
        };
        start_with(LOST, handle, future);
        let threads: Vec<_> = threads.iter().collect();
        let (first, ..) = threads[0];
        assert_eq!(threads, [(first, first, first); 2]);
    }

    #[test]
    fn a_future_whose_call_hangs_goes_on_elsewhere() {
        let (release, go) = mpsc::channel::<()>();
        let (report, ended) = mpsc::channel();
        let handle = thread_that_waits(|| true);
        let spawn_thread = handle.clone();
        let future = async move {
            let hang = move || _ = go.recv();
            let limit = std::future::ready("limit");
            report.send(spawn_thread.call_blocking(hang, limit).await).unwrap();
        };
        start_with(HANGS_AFTER, handle, future);
        let given = ended.recv_timeout(LOST).expect("it does not wait for the call");
        assert_eq!(given, Err("limit"));
        drop(release);
    }
}
