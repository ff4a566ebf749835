//! Queues of file work: one for each device or directory, served by a thread of its own while there is work.
//!
//! A file system that does not answer takes the thread of its own queue, and delays no file on another one.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::async_pools::spawn;
use super::thread_channel::thread_channel;

/// A thread without work exits after so long.
const KEEP_IDLE: Duration = Duration::from_secs(1);
const STACK_BYTES: usize = 512 * 1024;
/// The most threads, those that hang included.
const MOST_THREADS: usize = 256;
/// The pause between two attempts to create a thread that the system has no room for.
const NEXT_ATTEMPT: Duration = Duration::from_millis(50);
/// [`DiskQueue::finish_soon`] waits no longer than this for a disk that answers.
const LONGEST_FINISH: Duration = Duration::from_millis(200);
/// Work that has run for so long is not waited for at all.
const LONG: Duration = Duration::from_millis(50);

static THREADS: AtomicUsize = AtomicUsize::new(0);
static QUEUES: Mutex<BTreeMap<DiskKey, Weak<DiskQueue>>> = Mutex::new(BTreeMap::new());

thread_local! {
    /// The queue that this thread serves.
    static SERVED: Cell<*const DiskQueue> = const { Cell::new(std::ptr::null()) };
}

/// The disk or folder that one queue serves.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum DiskKey {
    /// The number of a device, known from an open file.
    Device(u64),
    /// A directory that nothing has touched yet: to look at it could block.
    Directory(PathBuf),
}

type DiskWork = Box<dyn FnOnce() + Send>;

/// Work in order.
#[derive(Debug)]
pub(crate) struct DiskQueue {
    /// The lock is held for moves of pointers.
    state: Mutex<DiskState>,
    has_work: Condvar,
}

struct DiskState {
    waiting: VecDeque<DiskWork>,
    is_busy: bool,
    /// The time when something was last completed, or the first of the waiting work was added.
    progress_at: Instant,
    /// Whether there is a thread, or one is being started.
    has_thread: bool,
}

impl std::fmt::Debug for DiskState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DiskState").field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}

impl DiskQueue {
    /// Returns the queue for a device or a directory.
    pub(crate) fn of(key: DiskKey) -> Arc<Self> {
        let mut queues = QUEUES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = queues.get(&key).and_then(Weak::upgrade) {
            return queue;
        }
        queues.retain(|_, queue| queue.strong_count() > 0);
        let state =
            DiskState { waiting: VecDeque::new(), is_busy: false, progress_at: Instant::now(), has_thread: false };
        let queue = Arc::new(Self { state: Mutex::new(state), has_work: Condvar::new() });
        queues.insert(key, Arc::downgrade(&queue));
        queue
    }

    /// Does work after what was added before. Never blocks, never fails: without a thread the work waits.
    pub(crate) fn push(self: &Arc<Self>, work: impl FnOnce() + Send + 'static) {
        let mut state = self.lock();
        if !state.is_busy && state.waiting.is_empty() {
            state.progress_at = Instant::now();
        }
        state.waiting.push_back(Box::new(work));
        let had_thread = std::mem::replace(&mut state.has_thread, true);
        drop(state);
        if had_thread {
            self.has_work.notify_one();
        } else {
            self.start_thread();
        }
    }

    /// Calls [`DiskQueue::push`], and waits a little for a disk that answers, unless this is a thread of the engine. So
    /// a host that removes a record finds its files gone, and one whose disk hangs is not held up.
    pub(crate) fn finish_soon(self: &Arc<Self>, work: impl FnOnce() + Send + 'static) {
        if SERVED.get() == Arc::as_ptr(self) {
            work();
            return;
        }
        if Handle::try_current().is_ok() || self.stalled_for() > LONG {
            self.push(work);
            return;
        }
        let (report, done) = thread_channel();
        self.push(move || {
            work();
            let _ = report.send(());
        });
        let _ = done.recv(LONGEST_FINISH);
    }

    /// Returns how long nothing has been completed although there is work.
    pub(crate) fn stalled_for(&self) -> Duration {
        let state = self.lock();
        if state.is_busy || !state.waiting.is_empty() { state.progress_at.elapsed() } else { Duration::ZERO }
    }

    fn start_thread(self: &Arc<Self>) {
        let queue = Arc::clone(self);
        let has_room = THREADS.fetch_add(1, Relaxed) < MOST_THREADS;
        let thread = std::thread::Builder::new().name("escher-disk".into()).stack_size(STACK_BYTES);
        if has_room && thread.spawn(move || queue.work()).is_ok() {
            return;
        }
        THREADS.fetch_sub(1, Relaxed);
        let queue = Arc::clone(self);
        spawn(async move {
            tokio::time::sleep(NEXT_ATTEMPT).await;
            queue.start_thread();
        });
    }

    fn work(self: Arc<Self>) {
        SERVED.set(Arc::as_ptr(&self));
        while let Some(work) = self.next() {
            // The panic hook has reported a panic; the thread continues.
            let _ = catch_unwind(AssertUnwindSafe(work));
        }
        THREADS.fetch_sub(1, Relaxed);
    }

    /// Returns the next work; `None` once there has been none for a while.
    fn next(&self) -> Option<DiskWork> {
        let mut state = self.lock();
        if state.is_busy {
            state.progress_at = Instant::now();
            state.is_busy = false;
        }
        loop {
            if let Some(work) = state.waiting.pop_front() {
                state.is_busy = true;
                return Some(work);
            }
            let (again, waited) = self.has_work.wait_timeout(state, KEEP_IDLE).unwrap_or_else(PoisonError::into_inner);
            state = again;
            if waited.timed_out() && state.waiting.is_empty() {
                state.has_thread = false;
                return None;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, DiskState> {
        // Every change is complete before anything that could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const LOST: Duration = Duration::from_secs(60);

    fn queue(name: &str) -> Arc<DiskQueue> {
        DiskQueue::of(DiskKey::Directory(PathBuf::from(name)))
    }

    #[test]
    fn work_is_done_in_order_by_a_thread_that_ends_and_comes_again() {
        let queue = queue("order");
        assert!(Arc::ptr_eq(&queue, &DiskQueue::of(DiskKey::Directory("order".into()))));
        let (report, done) = mpsc::channel();
        for round in 0..2 {
            for number in 0..1_000 {
                let report = report.clone();
                queue.push(move || report.send((round, number)).unwrap());
            }
            for number in 0..1_000 {
                assert_eq!(done.recv_timeout(LOST), Ok((round, number)));
            }
            let until = Instant::now() + LOST;
            while queue.lock().has_thread {
                assert!(Instant::now() < until, "the idle thread ends");
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }

    #[test]
    fn a_queue_that_hangs_delays_no_other_and_no_caller() {
        let hung = queue("hung");
        let (release, go) = mpsc::channel::<()>();
        hung.push(move || _ = go.recv());
        for _ in 0..2_000 {
            hung.finish_soon(|| ());
        }
        let (report, done) = mpsc::channel();
        queue("healthy").push(move || report.send(()).unwrap());
        done.recv_timeout(LOST).unwrap();
        assert!(hung.stalled_for() > Duration::ZERO);
        drop(release);
    }

    #[test]
    fn a_panic_ends_nothing_and_work_of_its_own_is_done_at_once() {
        let queue = queue("own");
        queue.push(|| panic!("on purpose"));
        let (report, done) = mpsc::channel();
        let again = Arc::clone(&queue);
        queue.push(move || again.finish_soon(move || report.send(()).unwrap()));
        done.recv_timeout(LOST).unwrap();
    }
}
