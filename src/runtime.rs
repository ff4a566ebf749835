//! The runtime that drives every execution.
//!
//! It is the engine's own: a host that blocks its threads, or drops its runtime, delays no timeout and orphans no child.

use std::future::Future;
use std::io;
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{Semaphore, oneshot};

pub(crate) use self::disk::{DiskKey, DiskQueue};
use self::inline_start::InlineStart;
use self::spawn_limiter::{Limits, SpawnLimiter, Task, Turn};

mod blocking_call;
mod build;
mod disk;
mod inline_start;
mod spawn_limiter;

static RUNTIME: OnceLock<Runtime> = OnceLock::new();
/// For the code of Rust hosts, which may block: it must not hold up what ends trees on time.
static LISTENERS: OnceLock<Runtime> = OnceLock::new();

/// Where there are two processors, a second thread would only be woken to find that there is nothing to do.
const PROCESSORS_FOR_EACH_THREAD: usize = 2;
const MOST_THREADS: usize = 4;

/// Threads for the engine's own blocking work, that of ending trees above all. They are there from the start.
const BLOCKING_THREADS: usize = 2;
/// The most of them, while some take long.
const MOST_BLOCKING_THREADS: usize = 16;
/// What they do is short, except to free much memory.
const WORK_PATIENCE: Duration = Duration::from_millis(200);
/// How often a machine without room for a runtime is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// Threads that spawn beyond the number of processors: one works while another waits for a disk.
const BEYOND_PROCESSORS: usize = 1;
const MOST_AT_ONCE: usize = 8;
/// Threads that requests can block, those that hang included. The work of further requests waits, and can be cancelled.
const MOST_SPAWN_THREADS: usize = 1_024;
/// What has run for longer makes no progress: a program can be on a disk that does not answer.
const SPAWN_PATIENCE: Duration = Duration::from_millis(20);
/// So many threads attend to executions at a time. The others are free for what has to block.
const MOST_ATTENDANTS: usize = 8;
static ATTENDANTS: Semaphore = Semaphore::const_new(MOST_ATTENDANTS);

/// While work begins, a thread of the runtime wakes at least so often. A timer wakes that thread to be set, unless the thread would
/// wake before the timer is due; and most timers of commands are farther away and never due.
const BEAT: Duration = Duration::from_secs(10);

/// Makes the runtime and its threads now. An engine that exists has what it needs at the least, however short the machine is of
/// threads, or of descriptors, when it runs its first command. Fails where the machine is too short of them already.
pub(crate) fn prepare() -> io::Result<()> {
    try_handle()?;
    workers().prepare()?;
    spawn_limiter().prepare()
}

/// Exists once [`prepare`] has succeeded.
fn handle() -> &'static Handle {
    try_handle().expect("the operating system refuses to start threads")
}

fn try_handle() -> io::Result<&'static Handle> {
    get_or_try_build(&RUNTIME, |builder| {
        let threads = (processors() / PROCESSORS_FOR_EACH_THREAD).clamp(1, MOST_THREADS);
        builder.worker_threads(threads).thread_name("escher-engine");
    })
}

fn try_listeners() -> io::Result<&'static Handle> {
    get_or_try_build(&LISTENERS, |builder| {
        builder.worker_threads(processors().clamp(2, MOST_THREADS)).thread_name("escher-listener");
    })
}

fn get_or_try_build(slot: &'static OnceLock<Runtime>, configure: fn(&mut Builder)) -> io::Result<&'static Handle> {
    /// Held while a runtime is built: two threads must not both do it.
    static BUILDING: Mutex<()> = Mutex::new(());
    if let Some(runtime) = slot.get() {
        return Ok(runtime.handle());
    }
    let _building = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(runtime) = slot.get() {
        return Ok(runtime.handle());
    }
    let runtime = build::build(configure)?;
    Ok(slot.get_or_init(|| runtime).handle())
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Runs a future of which a part is the host's, apart from the engine's own. Where the machine has no room for the threads that it
/// needs, it begins when there is.
pub(crate) fn spawn_listener(future: impl Future<Output = ()> + Send + 'static) {
    if let Ok(listeners) = try_listeners() {
        listeners.spawn(future);
        return;
    }
    spawn(async move {
        loop {
            tokio::time::sleep(ASK_AGAIN).await;
            if let Ok(listeners) = try_listeners() {
                listeners.spawn(future);
                return;
            }
        }
    });
}

/// Runs a future in the background.
pub(crate) fn spawn<F>(future: F) -> tokio::task::JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    handle().spawn(future)
}

/// The threads for what a request can block: what it does not name never runs on them.
fn spawn_limiter() -> &'static SpawnLimiter {
    static LIMITER: OnceLock<SpawnLimiter> = OnceLock::new();
    LIMITER.get_or_init(|| {
        let at_once = (processors() + BEYOND_PROCESSORS).min(MOST_AT_ONCE);
        SpawnLimiter::new(Limits {
            thread_name: "escher-spawn",
            at_once,
            most_idle: at_once + MOST_ATTENDANTS,
            most: MOST_SPAWN_THREADS,
            patience: SPAWN_PATIENCE,
        })
    })
}

/// Runs a future in the background. What it does first, it does when it is its turn on a thread that may block, where its
/// [`call_blocking`] costs no hand-over. That thread then attends to it for a while, unless others wait for the turn; after that, or
/// when something has happened that the thread does not wait for, or when a call hangs, the future becomes a task.
///
/// `attend` calls the function that it is given again and again, for as long as that says that the future pends, each time when
/// something has happened for which the future waits; and no longer than the given time.
///
/// A future that finds no end of what is ready must give way now and then: no budget makes it do so here.
pub(crate) fn spawn_blocking_first(
    future: impl Future<Output = ()> + Send + 'static,
    attend: impl FnOnce(Duration, &mut dyn FnMut() -> bool) + Send + 'static,
) {
    beat();
    spawn_limiter().take(Arc::new(InlineStart::new(future, attend, &ATTENDANTS)));
}

/// Runs a function that can block for ever, because of what a request names, on a thread that only such functions wait for.
///
/// Gives its result. If it takes longer than usual (some 30 ms), and `limit` resolves before it ends, gives what `limit` gave; the
/// result is dropped when it comes, on that thread. A panic of the function is continued here. Dropped, it drops the result too.
pub(crate) async fn call_blocking<T: Send + 'static, L>(
    work: impl FnOnce() -> T + Send + 'static,
    limit: impl Future<Output = L>,
) -> Result<T, L> {
    blocking_call::call(work, limit, |task| spawn_limiter().take(task)).await
}

/// Work begins: the beat goes on, or begins too.
fn beat() {
    static BEGUN: AtomicBool = AtomicBool::new(false);
    static BEATS: AtomicBool = AtomicBool::new(false);
    // Most of the time both say so already; a future that misses a change is woken once more, and nothing else.
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

/// The threads for the engine's own blocking work.
fn workers() -> &'static SpawnLimiter {
    static WORKERS: OnceLock<SpawnLimiter> = OnceLock::new();
    WORKERS.get_or_init(|| {
        SpawnLimiter::new(Limits {
            thread_name: "escher-work",
            at_once: BLOCKING_THREADS,
            most_idle: BLOCKING_THREADS,
            most: MOST_BLOCKING_THREADS,
            patience: WORK_PATIENCE,
        })
    })
}

/// Runs a blocking function of the engine's own in the background. Nothing that a request names may block it: the threads are few,
/// and those that end trees wait for them.
pub(crate) fn start_blocking(work: impl FnOnce() + Send + 'static) {
    workers().take(Arc::new(Work(Mutex::new(Some(work)))));
}

/// [`start_blocking`], and waits for it; `None` if it has panicked.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (give, given) = oneshot::channel();
    start_blocking(move || drop(give.send(work())));
    given.await.ok()
}

/// A function that nothing waits for, or only with a deadline of its own.
struct Work<F>(Mutex<Option<F>>);

impl<F: FnOnce() + Send> Task for Work<F> {
    fn run(self: Arc<Self>, _turn: &Turn) {
        let work = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(work) = work {
            work();
        }
    }

    fn overdue(&self) {}

    fn is_wanted(&self) -> bool {
        true
    }
}

/// A timer of this runtime, which may be awaited on any. Its clock may count a time in which the machine sleeps: deadlines are for
/// `platform::clock`.
pub(crate) fn wake_after(duration: Duration) -> tokio::time::Sleep {
    let _context = handle().enter();
    tokio::time::sleep(duration)
}
