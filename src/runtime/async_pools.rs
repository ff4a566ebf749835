//! The async runtimes: one that drives every execution, and one for the code of Rust hosts.

use std::future::Future;
use std::io;
use std::num::NonZero;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

use super::build;

static RUNTIME: OnceLock<Runtime> = OnceLock::new();
/// The runtime for the code of Rust hosts, which may block: it must not hold up the work that ends trees on time.
static LISTENERS: OnceLock<Runtime> = OnceLock::new();

/// The processors for each thread: with two processors, a second thread would only be woken to find that there is
/// nothing to do.
const PROCESSORS_FOR_EACH_THREAD: usize = 2;
const MOST_THREADS: usize = 4;

/// The pause between attempts to create a runtime on a machine without room for one.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// The longest sleep of a thread of the runtime while work begins. A timer wakes that thread to be set, unless the
/// thread would wake before the timer is due; and most timers of commands are due later, and are cancelled before.
const BEAT: Duration = Duration::from_secs(10);

/// Exists once [`super::prepare`] has succeeded.
pub(super) fn handle() -> &'static Handle {
    try_handle().expect("the operating system refuses to start threads")
}

pub(super) fn try_handle() -> io::Result<&'static Handle> {
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
    /// The lock is held while a runtime is built: two threads must not both build it.
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

pub(super) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Runs a future of which a part is the host's, apart from the engine's own. Where the machine has no room for the threads that it
/// needs, it begins when there is.
pub(crate) fn spawn_listener(future: impl Future<Output = ()> + Send + 'static) {
    let future = Box::pin(future) as Pin<Box<dyn Future<Output = ()> + Send>>;
    if let Ok(listeners) = try_listeners() {
        listeners.spawn(future);
        return;
    }
    spawn(async move {
        loop {
            tokio::time::sleep(RETRY_PAUSE).await;
            if let Ok(listeners) = try_listeners() {
                listeners.spawn(future);
                return;
            }
        }
    });
}

/// Runs a future in the background. In a box: each type of a task is 2 KB of machine code.
pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) -> tokio::task::JoinHandle<()> {
    spawn_boxed(Box::pin(future))
}

fn spawn_boxed(future: Pin<Box<dyn Future<Output = ()> + Send>>) -> tokio::task::JoinHandle<()> {
    handle().spawn(future)
}

/// Records that work begins, which starts or continues the beat.
pub(super) fn beat() {
    static BEGUN: AtomicBool = AtomicBool::new(false);
    static BEATS: AtomicBool = AtomicBool::new(false);
    // Most of the time both flags are set already; a future that misses a change is woken once more, and nothing else.
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

/// Returns a timer of this runtime, which may be awaited on any. Its clock may count a time in which the machine
/// sleeps: deadlines are for `platform::clock`.
pub(crate) fn wake_after(duration: Duration) -> tokio::time::Sleep {
    let _context = handle().enter();
    tokio::time::sleep(duration)
}
