//! Few commands are being started at a time.
//!
//! A start keeps a processor busy until the program runs. More of them at once than there are processors start nothing sooner,
//! and the threads that do it take the processors from the host's own: its event loop would wait for each of them.

use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use super::{processors, spawn, start_blocking};

/// One more than the processors: it works while another waits for a disk.
const BEYOND_PROCESSORS: usize = 1;
const MOST: usize = 8;
/// When nobody has come to an end for so long, all hang: a program may be on a disk that does not answer. Then one more works.
const PATIENCE: Duration = Duration::from_millis(20);

type Work = Box<dyn FnOnce(&Turn) + Send>;

/// Does work on a thread that may block, when it is its turn.
pub(super) fn take(work: Work) {
    static TURNS: OnceLock<Turns> = OnceLock::new();
    TURNS.get_or_init(|| Turns::new((processors() + BEYOND_PROCESSORS).min(MOST), PATIENCE)).take(work);
}

/// What somebody who works has.
pub(super) struct Turn {
    turns: &'static Turns,
    is_given_up: Cell<bool>,
}

impl Turn {
    /// Gives it up, and keeps the thread. `false` when others wait for both: then the work is to end.
    pub(super) fn give_up(&self) -> bool {
        let mut state = self.turns.lock();
        if state.waiting.is_empty() && !self.is_given_up.replace(true) {
            state.done += 1;
            state.working -= 1;
        }
        self.is_given_up.get()
    }
}

struct Turns {
    /// So many work at once, unless they hang.
    usual: usize,
    patience: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Work>,
    working: usize,
    /// How much work has come to an end.
    done: u64,
    is_watched: bool,
}

impl Turns {
    fn new(usual: usize, patience: Duration) -> Self {
        Self { usual, patience, state: Mutex::default() }
    }

    fn take(&'static self, work: Work) {
        let mut state = self.lock();
        if state.working < self.usual {
            state.working += 1;
            drop(state);
            self.begin(work);
            return;
        }
        state.waiting.push_back(work);
        if !std::mem::replace(&mut state.is_watched, true) {
            drop(state);
            spawn(self.watch());
        }
    }

    fn begin(&'static self, first: Work) {
        // A system that refuses another thread makes this panic when the work has its place already: those that are there do it.
        let _ = catch_unwind(AssertUnwindSafe(|| start_blocking(move || self.work(first))));
    }

    fn work(&'static self, first: Work) {
        let mut next = Some(first);
        while let Some(work) = next {
            let turn = Turn { turns: self, is_given_up: Cell::new(false) };
            // A panic was told by the hook already; the others have their turns.
            let _ = catch_unwind(AssertUnwindSafe(|| work(&turn)));
            let mut state = self.lock();
            if turn.is_given_up.get() {
                // The thread is free again, and so may be a turn.
                next = if state.working < self.usual { state.waiting.pop_front() } else { None };
                state.working += usize::from(next.is_some());
            } else {
                state.done += 1;
                next = state.waiting.pop_front();
                state.working -= usize::from(next.is_none());
            }
        }
    }

    /// As long as somebody waits, sees to it that somebody works.
    async fn watch(&'static self) {
        let mut seen = None;
        loop {
            tokio::time::sleep(self.patience).await;
            let mut state = self.lock();
            let hang = seen.replace(state.done) == Some(state.done);
            let Some(work) = (if hang { state.waiting.pop_front() } else { None }) else {
                if state.waiting.is_empty() {
                    state.is_watched = false;
                    return;
                }
                continue;
            };
            state.working += 1;
            drop(state);
            self.begin(work);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is complete before anything that could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{self, Receiver, Sender};

    use super::*;

    const LOST: Duration = Duration::from_secs(20);

    fn turns(usual: usize, patience: Duration) -> &'static Turns {
        Box::leak(Box::new(Turns::new(usual, patience)))
    }

    /// Work that says that it has begun, and ends when it is let go.
    fn held(begun: &Sender<usize>, name: usize) -> (Work, Sender<()>) {
        let (let_go, go): (Sender<()>, Receiver<()>) = mpsc::channel();
        let begun = begun.clone();
        let work = move |_: &Turn| {
            begun.send(name).unwrap();
            let _ = go.recv();
        };
        (Box::new(work), let_go)
    }

    #[test]
    fn work_is_done_in_its_order_and_no_more_of_it_at_once_than_is_usual() {
        static AT_ONCE: AtomicUsize = AtomicUsize::new(0);
        static MOST_AT_ONCE: AtomicUsize = AtomicUsize::new(0);
        // On a busy machine the one that works may stand still for as long as one that hangs.
        let turns = turns(1, LOST);
        let (told, order) = mpsc::channel();
        for index in 0..200 {
            let told = told.clone();
            turns.take(Box::new(move |_| {
                MOST_AT_ONCE.fetch_max(AT_ONCE.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                AT_ONCE.fetch_sub(1, Ordering::SeqCst);
                told.send(index).unwrap();
            }));
        }
        let seen: Vec<i32> = (0..200).map(|_| order.recv_timeout(LOST).unwrap()).collect();
        assert_eq!((seen, MOST_AT_ONCE.load(Ordering::SeqCst)), ((0..200).collect(), 1));
    }

    #[test]
    fn work_that_hangs_holds_up_nobody_for_long() {
        let turns = turns(2, PATIENCE);
        let (begun, order) = mpsc::channel();
        let (works, let_go): (Vec<Work>, Vec<Sender<()>>) = (0..6).map(|name| held(&begun, name)).unzip();
        for work in works {
            turns.take(work);
        }
        let mut seen: Vec<usize> = (0..6).map(|_| order.recv_timeout(LOST).expect("it has its turn")).collect();
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2, 3, 4, 5]);
        drop(let_go);
        // All of them are free again, and it goes on as before.
        let (work, _let_go) = held(&begun, 6);
        turns.take(work);
        assert_eq!(order.recv_timeout(LOST), Ok(6));
    }

    #[test]
    fn a_turn_that_is_given_up_is_the_next_ones_while_its_thread_goes_on() {
        let turns = turns(1, LOST);
        let (begun, order) = mpsc::channel();
        let (given_up, let_go) = held(&begun, 0);
        turns.take(Box::new(move |turn| {
            assert!(turn.give_up(), "nobody waits");
            assert!(turn.give_up(), "it stays given up");
            given_up(turn);
        }));
        assert_eq!(order.recv_timeout(LOST), Ok(0));
        let (second, let_second_go) = held(&begun, 1);
        turns.take(second);
        assert_eq!(order.recv_timeout(LOST), Ok(1), "the turn is free");
        let (third, _let_third_go) = held(&begun, 2);
        turns.take(third);
        drop(let_go);
        // Both threads come to their ends, and whichever is the first has the turn.
        drop(let_second_go);
        assert_eq!(order.recv_timeout(LOST), Ok(2));
    }

    #[test]
    fn a_turn_is_not_given_up_while_somebody_waits_for_it() {
        let turns = turns(1, LOST);
        let (told, heard) = mpsc::channel();
        let (queue, queued) = mpsc::channel::<()>();
        let first = told.clone();
        turns.take(Box::new(move |turn| {
            let _ = queued.recv();
            first.send(turn.give_up()).unwrap();
        }));
        turns.take(Box::new(move |turn| told.send(turn.give_up()).unwrap()));
        drop(queue);
        assert_eq!(heard.recv_timeout(LOST), Ok(false));
        assert_eq!(heard.recv_timeout(LOST), Ok(true), "nobody waits behind the last one");
    }

    #[test]
    fn a_panic_costs_nobody_a_turn() {
        let turns = turns(1, LOST);
        let (told, heard) = mpsc::channel();
        for round in 0..5 {
            turns.take(Box::new(|_| std::panic::panic_any("on purpose")));
            let told = told.clone();
            turns.take(Box::new(move |_| told.send(round).unwrap()));
            assert_eq!(heard.recv_timeout(LOST), Ok(round));
        }
    }
}
