//! The runtime that drives every execution.
//!
//! It is the engine's own: a host that blocks its threads, or drops its runtime, delays no timeout and orphans no child.

use std::any::Any;
use std::cell::Cell;
use std::future::Future;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Barrier, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{Semaphore, oneshot};

use self::turns::Turn;

mod turns;

static RUNTIME: OnceLock<Runtime> = OnceLock::new();
/// For the code of Rust hosts, which may block: it must not hold up what ends trees on time.
static LISTENERS: OnceLock<Runtime> = OnceLock::new();

/// Where there are two processors, a second thread would only be woken to find that there is nothing to do.
const PROCESSORS_FOR_EACH_THREAD: usize = 2;
const MOST_THREADS: usize = 4;

/// Threads that may block and that are there from the start.
const BLOCKING_THREADS: usize = 4;
/// The most of them: what they do is short, and none of them ever goes.
const MOST_BLOCKING_THREADS: usize = 16;
/// Idle threads stay: on a machine that has no room for another one, spawning must still have its own.
const KEEP_IDLE: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);

/// While work begins, a thread of the runtime wakes at least so often. A timer wakes that thread to be set, unless the thread would
/// wake before the timer is due; and most timers of commands are farther away and never due.
const BEAT: Duration = Duration::from_secs(10);

/// Makes the runtime now. An engine that exists has its threads, however short the machine is of them, or of descriptors, when it
/// runs its first command.
pub(crate) fn prepare() {
    handle();
}

fn handle() -> &'static Handle {
    RUNTIME.get_or_init(start).handle()
}

fn start() -> Runtime {
    let threads = (processors() / PROCESSORS_FOR_EACH_THREAD).clamp(1, MOST_THREADS);
    let runtime = Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name("escher-engine")
        .thread_keep_alive(KEEP_IDLE)
        .max_blocking_threads(MOST_BLOCKING_THREADS)
        .enable_all()
        .build()
        .expect("the operating system refuses to start threads");
    // Each waits for the others, so that each needs a thread of its own.
    let all_there = Arc::new(Barrier::new(BLOCKING_THREADS));
    for _ in 0..BLOCKING_THREADS {
        let all_there = Arc::clone(&all_there);
        runtime.spawn_blocking(move || all_there.wait());
    }
    runtime
}

fn start_listeners() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(processors().clamp(2, MOST_THREADS))
        .thread_name("escher-listener")
        .enable_all()
        .build()
        .expect("the operating system refuses to start threads")
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Runs a future of which a part is the host's, apart from the engine's own.
pub(crate) fn spawn_listener(future: impl Future<Output = ()> + Send + 'static) {
    LISTENERS.get_or_init(start_listeners).handle().spawn(future);
}

/// Runs a future in the background.
pub(crate) fn spawn<F>(future: F) -> tokio::task::JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    handle().spawn(future)
}

thread_local! {
    /// A future is at its beginning on this thread, which may block.
    static MAY_BLOCK: Cell<bool> = Cell::default();
}

/// What is not over after so long, from its beginning on, becomes a task.
const LONGEST_ATTENDED: Duration = Duration::from_millis(5);
/// So many threads attend at a time. The others that may block are free for what has to block.
static ATTENDANTS: Semaphore = Semaphore::const_new(8);

/// Runs a future in the background. What it does first, it does when it is its turn on a thread that may block, where its first
/// function that is [`blocking`], or [`in_turn`], costs no hand-over. That thread then attends to it for a while, unless others wait
/// for the turn; after that, or when something has happened that the thread does not wait for, it becomes a task.
///
/// `attend` calls the function that it is given again and again, for as long as that says that the future pends, each time when
/// something has happened for which the future waits; and no longer than it is told.
///
/// A future that finds no end of what is ready must give way now and then: no budget makes it do so here.
pub(crate) fn spawn_blocking_first(
    future: impl Future<Output = ()> + Send + 'static,
    attend: impl FnOnce(Duration, &mut dyn FnMut() -> bool) + Send + 'static,
) {
    beat();
    turns::take(beginning(future, attend, &ATTENDANTS));
}

fn beginning(
    future: impl Future<Output = ()> + Send + 'static,
    attend: impl FnOnce(Duration, &mut dyn FnMut() -> bool) + Send + 'static,
    attendants: &'static Semaphore,
) -> Box<dyn FnOnce(&Turn) + Send> {
    Box::new(move |turn: &Turn| {
        let beginning = Arc::new(Beginning(Mutex::new(Waiting::Idle(Box::pin(future)))));
        let waker = Waker::from(Arc::clone(&beginning));
        let mut attendant = None;
        attend(LONGEST_ATTENDED, &mut || {
            let is_first = attendant.is_none();
            MAY_BLOCK.set(is_first);
            let _reset = Reset;
            let pends = beginning.poll(&mut Context::from_waker(&waker));
            if pends && is_first && turn.give_up() {
                attendant = attendants.try_acquire().ok();
            }
            pends && attendant.is_some()
        });
        beginning.become_a_task();
    })
}

/// Work begins: the beat goes on, or begins too.
fn beat() {
    static BEGUN: AtomicBool = AtomicBool::new(false);
    static BEATS: AtomicBool = AtomicBool::new(false);
    // Most of the time both say so already; who misses a change is woken once more, and nothing else.
    if !BEGUN.load(Ordering::Relaxed) {
        BEGUN.store(true, Ordering::Relaxed);
    }
    if BEATS.load(Ordering::Relaxed) || BEATS.swap(true, Ordering::Relaxed) {
        return;
    }
    spawn(async {
        while BEGUN.swap(false, Ordering::Relaxed) {
            tokio::time::sleep(BEAT).await;
        }
        BEATS.store(false, Ordering::Relaxed);
    });
}

/// A future that is polled where it may block, and goes on as a task once it is woken.
struct Beginning(Mutex<Waiting>);

enum Waiting {
    Idle(Pin<Box<dyn Future<Output = ()> + Send>>),
    /// It is being polled.
    Polled,
    /// Woken while it was polled.
    Woken,
    /// A task, whose own waker counts; or over.
    Gone,
}

impl Beginning {
    /// Polls it, if it still waits here, and says whether it waits here again.
    fn poll(&self, context: &mut Context<'_>) -> bool {
        let Waiting::Idle(mut future) = self.turn_into(Waiting::Polled) else { return false };
        let pends = future.as_mut().poll(context).is_pending();
        let mut waiting = self.lock();
        if pends && matches!(*waiting, Waiting::Polled) {
            *waiting = Waiting::Idle(future);
            return true;
        }
        *waiting = Waiting::Gone;
        drop(waiting);
        if pends {
            spawn(future);
        }
        false
    }

    /// Something has happened, or the time is up: what waits here does so as a task from now on.
    fn become_a_task(&self) {
        if let Waiting::Idle(future) = self.turn_into(Waiting::Gone) {
            spawn(future);
        }
    }

    /// Gives what it was.
    fn turn_into(&self, wanted: Waiting) -> Waiting {
        let mut waiting = self.lock();
        let next = match *waiting {
            Waiting::Idle(_) => wanted,
            Waiting::Polled | Waiting::Woken => Waiting::Woken,
            Waiting::Gone => Waiting::Gone,
        };
        std::mem::replace(&mut *waiting, next)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Held for moves of pointers.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Beginning {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.become_a_task();
    }
}

/// The thread is a common one again, even after a panic.
struct Reset;

impl Drop for Reset {
    fn drop(&mut self) {
        MAY_BLOCK.set(false);
    }
}

/// Runs a blocking function in the background.
pub(crate) fn start_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    handle().spawn_blocking(work)
}

/// Runs a blocking function on a thread of its own kind.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, tokio::task::JoinError> {
    if MAY_BLOCK.replace(false) {
        return Ok(work());
    }
    handle().spawn_blocking(work).await
}

/// Runs a blocking function when it is its turn: few of those that come here run at once. What it panicked with is an error.
pub(crate) async fn in_turn<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Box<dyn Any + Send>> {
    if MAY_BLOCK.replace(false) {
        return Ok(work());
    }
    let (done, ended) = oneshot::channel();
    turns::take(Box::new(move |_| drop(done.send(catch_unwind(AssertUnwindSafe(work))))));
    ended.await.unwrap_or_else(|_| Err(Box::new("the work was lost")))
}

type Work = Box<dyn FnOnce() + Send>;

/// Runs a function on the one thread that writes files, after those that were given before. Not one of the threads that may
/// block: a disk that hangs must take none of those that spawn and that end trees.
pub(crate) fn on_disk(work: impl FnOnce() + Send + 'static) {
    static DISK: OnceLock<Option<Sender<Work>>> = OnceLock::new();
    let disk = DISK.get_or_init(|| {
        let (give, given) = mpsc::channel::<Work>();
        let run = move || {
            for work in given {
                // A panic was told by the hook already; the others go on.
                let _ = catch_unwind(AssertUnwindSafe(work));
            }
        };
        std::thread::Builder::new().name("escher-disk".into()).spawn(run).is_ok().then_some(give)
    });
    match disk {
        Some(disk) => drop(disk.send(Box::new(work))),
        // A machine without room for another thread.
        None => drop(start_blocking(work)),
    }
}

/// Waits for a future for so long. It may be awaited on any runtime: the clock is ours.
pub(crate) async fn timeout<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    let limited = {
        let _context = handle().enter();
        tokio::time::timeout(limit, future)
    };
    limited.await.ok()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;
    use std::thread::{self, ThreadId};

    use tokio::sync::Notify;

    use super::*;

    /// Not that of the other tests, which may take all attendants.
    fn start(
        future: impl Future<Output = ()> + Send + 'static,
        attend: impl FnOnce(Duration, &mut dyn FnMut() -> bool) + Send + 'static,
    ) {
        static ATTENDANTS: Semaphore = Semaphore::const_new(8);
        turns::take(beginning(future, attend, &ATTENDANTS));
    }

    /// Says on which thread it is polled, and ends when it has been polled so often; wakes itself after each poll if `wakes`.
    fn polled(times: u32, wakes: bool) -> (impl Future<Output = ()> + Send, mpsc::Receiver<ThreadId>) {
        let (tell, told) = mpsc::channel();
        let count = AtomicU32::new(0);
        let future = std::future::poll_fn(move |context| {
            tell.send(thread::current().id()).unwrap();
            if count.fetch_add(1, Ordering::Relaxed) + 1 == times {
                return std::task::Poll::Ready(());
            }
            if wakes {
                context.waker().wake_by_ref();
            }
            std::task::Poll::Pending
        });
        (future, told)
    }

    #[test]
    fn a_future_that_is_attended_to_stays_on_its_thread() {
        let (future, told) = polled(3, false);
        start(future, |_, step| while step() {});
        let threads: Vec<_> = told.iter().collect();
        assert_eq!(threads, [threads[0]; 3]);
    }

    #[test]
    fn a_future_that_nobody_attends_to_for_longer_is_a_task() {
        let (future, told) = polled(3, true);
        // The first step has it woken while it is polled: it is a task from then on, and nothing to attend to.
        start(future, |_, step| assert!(!step()));
        let threads: Vec<_> = told.iter().collect();
        assert_eq!(threads.len(), 3);
        assert_ne!(threads[1], threads[0]);

        let (future, told) = polled(2, false);
        start(future, |_, step| assert!(step()));
        let threads: Vec<_> = told.iter().collect();
        assert_eq!(threads.len(), 2);
        assert_ne!(threads[1], threads[0]);
    }

    #[test]
    fn what_is_woken_while_a_thread_attends_to_it_leaves_that_thread() {
        let stop = Arc::new(Notify::new());
        let stopping = Arc::clone(&stop);
        let (over, is_over) = mpsc::channel();
        let future = async move {
            stopping.notified().await;
            over.send(thread::current().id()).unwrap();
        };
        let (attends, attending) = mpsc::channel();
        let (let_go, go) = mpsc::channel::<()>();
        start(future, move |_, step| {
            assert!(step());
            attends.send(thread::current().id()).unwrap();
            let _ = go.recv();
            assert!(!step(), "it is not here any more");
        });
        let attendant = attending.recv().unwrap();
        stop.notify_one();
        let ended_on = is_over.recv_timeout(Duration::from_secs(20)).expect("it does not wait for the attendant");
        assert_ne!(ended_on, attendant);
        drop(let_go);
    }
}
