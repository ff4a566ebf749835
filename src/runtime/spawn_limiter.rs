//! Threads for work that a request can block: few of them work at once, and more join while all that work hang.
//!
//! A spawn keeps a processor busy until the program runs. More spawns at once than there are processors start nothing sooner,
//! and the threads that do it take the processors from the host's own: its event loop would wait for each of them. But a script,
//! a program, a directory or a log can be on a file system that never answers, and the thread that waits for it is then lost
//! until the kernel gives up. Such a thread stops counting once it has made no progress for [`ThreadLimits::hangs_after`].

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::async_pools::{handle, spawn};

/// The stack size, in bytes: enough for everything that is polled there, in a build without optimizations too. Only
/// what is used takes memory.
const STACK_BYTES: usize = 1024 * 1024;
/// The periods without work after which the watch stops. Fewer would arm the timer, which may wake a thread, for each
/// of the commands of a host that runs some in a second.
const QUIET_PERIODS: u32 = 50;
/// Work that has waited for a thread for so many periods is reported as overdue: its owner can still be cancelled or time out.
const LONGEST_WAIT_PERIODS: u32 = 10;

/// Work for a thread of a [`SpawnLimiter`].
pub(super) trait Task: Send + Sync {
    /// Does the work; called once, within the runtime.
    fn run(self: Arc<Self>, turn: &Turn);
    /// Reports that the work waits or runs for longer than it usually does, and may never end. May be called more than once.
    fn overdue(&self);
    /// Whether it is still to be done. What is overdue and not wanted leaves the queue.
    fn is_wanted(&self) -> bool;
}

/// The limits for the number of threads.
pub(super) struct ThreadLimits {
    pub(super) thread_name: &'static str,
    /// The most threads that work at once as long as they make progress.
    pub(super) at_once: usize,
    /// The most idle threads that stay; further ones exit.
    pub(super) most_idle: usize,
    /// The most threads, those that hang included.
    pub(super) most: usize,
    /// The time after which work counts as hanging. This is checked once in this time, so that up to twice as much can
    /// pass.
    pub(super) hangs_after: Duration,
}

pub(super) struct SpawnLimiter {
    limits: ThreadLimits,
    /// The lock is held for moves of pointers.
    state: Mutex<LimiterState>,
    notified: Condvar,
}

struct LimiterState {
    waiting: VecDeque<WaitingTask>,
    /// The tasks that work and do not hang.
    running: Vec<RunningTask>,
    /// The most tasks in `running`: the usual number, or more while all hang.
    at_once: usize,
    /// The number of the next thread.
    next_id: u64,
    threads: usize,
    idle: usize,
    /// Threads that were idle and have not woken yet.
    notified: usize,
    /// Threads that were notified, or that are being created.
    coming: usize,
    is_watched: bool,
}

struct WaitingTask {
    task: Arc<dyn Task>,
    since: Instant,
    is_reported: bool,
}

struct RunningTask {
    id: u64,
    task: Arc<dyn Task>,
    since: Instant,
}

/// The right of one task to be among those that work at once.
pub(super) struct Turn {
    limiter: &'static SpawnLimiter,
    id: u64,
}

impl Turn {
    /// Gives the turn up and keeps the thread. `false` when others wait for both: the task should end then.
    pub(super) fn give_up(&self) -> bool {
        let mut state = self.limiter.lock();
        let Some(index) = state.running.iter().position(|running| running.id == self.id) else { return true };
        let may_keep_thread = state.waiting.is_empty();
        if may_keep_thread {
            state.running.swap_remove(index);
        }
        may_keep_thread
    }
}

impl SpawnLimiter {
    pub(super) fn new(limits: ThreadLimits) -> Self {
        let state = LimiterState {
            waiting: VecDeque::new(),
            running: Vec::new(),
            at_once: limits.at_once,
            next_id: 0,
            threads: 0,
            idle: 0,
            notified: 0,
            coming: 0,
            is_watched: false,
        };
        Self { limits, state: Mutex::new(state), notified: Condvar::new() }
    }

    /// Creates the threads that are usual before there is work, as far as the system has room for them. Fails without any.
    pub(super) fn prepare(&'static self) -> io::Result<()> {
        loop {
            let mut state = self.lock();
            let threads = state.threads;
            if threads >= self.limits.at_once {
                return Ok(());
            }
            state.threads += 1;
            state.coming += 1;
            drop(state);
            if let Err(error) = self.create_thread() {
                return if threads > 0 { Ok(()) } else { Err(error) };
            }
        }
    }

    /// Does work on a thread that may block, when it is its turn. Never blocks, never fails: without a thread the work waits.
    pub(super) fn take(&'static self, task: Arc<dyn Task>) {
        let mut state = self.lock();
        state.waiting.push_back(WaitingTask { task, since: Instant::now(), is_reported: false });
        let was_watched = std::mem::replace(&mut state.is_watched, true);
        self.call_threads(state);
        if !was_watched {
            spawn(self.watch());
        }
    }

    /// Notifies or creates as many threads as there is work for.
    fn call_threads(&'static self, mut state: MutexGuard<'_, LimiterState>) {
        let (mut to_notify, mut to_create) = (0, 0);
        while state.waiting.len() > state.coming && state.running.len() + state.coming < state.at_once {
            if state.idle > 0 {
                state.idle -= 1;
                state.notified += 1;
                to_notify += 1;
            } else if state.threads < self.limits.most {
                state.threads += 1;
                to_create += 1;
            } else {
                break;
            }
            state.coming += 1;
        }
        // A thread that wakes takes the lock.
        drop(state);
        for _ in 0..to_notify {
            self.notified.notify_one();
        }
        for _ in 0..to_create {
            // If the system has no resources for a thread, the watch tries again.
            let _ = self.create_thread();
        }
    }

    /// Creates a thread that is counted already.
    fn create_thread(&'static self) -> io::Result<()> {
        let thread = std::thread::Builder::new().name(self.limits.thread_name.to_owned()).stack_size(STACK_BYTES);
        let created = thread.spawn(|| self.work());
        if created.is_err() {
            let mut state = self.lock();
            state.threads -= 1;
            state.coming -= 1;
        }
        created.map(drop)
    }

    fn work(&'static self) {
        let _context = handle().enter();
        let mut state = self.lock();
        state.coming -= 1;
        loop {
            if let Some((id, task)) = state.begin() {
                drop(state);
                let turn = Turn { limiter: self, id };
                // The panic hook has reported a panic; the thread continues.
                let _ = catch_unwind(AssertUnwindSafe(|| task.run(&turn)));
                state = self.lock();
                state.running.retain(|running| running.id != id);
            } else if state.idle >= self.limits.most_idle {
                state.threads -= 1;
                return;
            } else {
                state.idle += 1;
                while state.notified == 0 {
                    state = self.notified.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                // The notifier has taken it from the idle ones.
                state.notified -= 1;
                state.coming -= 1;
            }
        }
    }

    /// Finds hanging tasks while there is work, and lets others begin in their place.
    async fn watch(&'static self) {
        let mut quiet = 0;
        let mut seen = None;
        loop {
            tokio::time::sleep(self.limits.hangs_after).await;
            let mut state = self.lock();
            let is_quiet = state.running.is_empty()
                && state.waiting.is_empty()
                && seen.replace(state.next_id) == Some(state.next_id);
            quiet = if is_quiet { quiet + 1 } else { 0 };
            if quiet > QUIET_PERIODS {
                state.is_watched = false;
                return;
            }
            let overdue = state.look(&self.limits);
            self.call_threads(state);
            for task in overdue {
                task.overdue();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, LimiterState> {
        // Every change is complete before anything that could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LimiterState {
    /// Returns the next task that may run.
    fn begin(&mut self) -> Option<(u64, Arc<dyn Task>)> {
        if self.running.len() >= self.at_once {
            return None;
        }
        let task = self.waiting.pop_front()?.task;
        let id = self.next_id;
        self.next_id += 1;
        self.running.push(RunningTask { id, task: Arc::clone(&task), since: Instant::now() });
        Some((id, task))
    }

    /// Stops counting what hangs, and returns what is overdue. While everything that was begun hangs, twice as much may be begun.
    fn look(&mut self, limits: &ThreadLimits) -> Vec<Arc<dyn Task>> {
        let now = Instant::now();
        // A little less than a period: what was begun just after the last look hangs too.
        let longest_run = limits.hangs_after * 3 / 4;
        let longest_wait = limits.hangs_after * LONGEST_WAIT_PERIODS;
        let mut overdue = Vec::new();
        let before = self.running.len();
        self.running.retain(|running| {
            let hangs = now.saturating_duration_since(running.since) >= longest_run;
            if hangs {
                overdue.push(Arc::clone(&running.task));
            }
            !hangs
        });
        let all_hang = before > 0 && self.running.is_empty() && !self.waiting.is_empty();
        self.at_once = if all_hang { (self.at_once * 2).min(limits.most) } else { limits.at_once };
        for waiting in &mut self.waiting {
            if now.saturating_duration_since(waiting.since) < longest_wait {
                break;
            }
            if !std::mem::replace(&mut waiting.is_reported, true) {
                overdue.push(Arc::clone(&waiting.task));
            }
        }
        if self.waiting.front().is_some_and(|waiting| waiting.is_reported) {
            // While every thread hangs, abandoned tasks must not pile up.
            self.waiting.retain(|waiting| !waiting.is_reported || waiting.task.is_wanted());
        }
        overdue
    }
}

#[cfg(test)]
mod tests;
