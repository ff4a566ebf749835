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
use tokio::sync::oneshot;

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

/// Runs a future in the background. What it does first, it does when it is its turn on a thread that may block, where its first
/// function that is [`blocking`], or [`in_turn`], costs no hand-over; it becomes a task when something that it waits for has happened.
///
/// A future that finds no end of what is ready must give way now and then: no budget makes it do so here.
pub(crate) fn spawn_blocking_first(future: impl Future<Output = ()> + Send + 'static) {
    let begin = move || {
        let mut future: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(future);
        let beginning = Arc::new(Beginning::default());
        let waker = Waker::from(Arc::clone(&beginning));
        MAY_BLOCK.set(true);
        let _reset = Reset;
        if future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            beginning.go_on_with(future);
        }
    };
    beat();
    turns::take(Box::new(begin));
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

/// A future that was polled where it may block, and goes on as a task once it is woken.
#[derive(Default)]
struct Beginning(Mutex<Waiting>);

#[derive(Default)]
enum Waiting {
    /// It is being polled.
    #[default]
    Polled,
    /// Woken while it was polled.
    Woken,
    Idle(Pin<Box<dyn Future<Output = ()> + Send>>),
    /// A task; its own waker counts.
    Gone,
}

impl Beginning {
    fn go_on_with(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        let mut waiting = self.lock();
        if matches!(*waiting, Waiting::Polled) {
            *waiting = Waiting::Idle(future);
            return;
        }
        *waiting = Waiting::Gone;
        drop(waiting);
        spawn(future);
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
        let mut waiting = self.lock();
        let next = if matches!(*waiting, Waiting::Polled | Waiting::Woken) { Waiting::Woken } else { Waiting::Gone };
        let before = std::mem::replace(&mut *waiting, next);
        drop(waiting);
        if let Waiting::Idle(future) = before {
            spawn(future);
        }
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
    turns::take(Box::new(move || drop(done.send(catch_unwind(AssertUnwindSafe(work))))));
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
