//! The queue and the permits: by priority, then first come, first served.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::config::{ConcurrencyPolicy, ExecutionConfig};
use crate::error::ExecutionError;
use crate::types::ErrorInfo;

/// A place in the queue: the smallest key is next.
type Key = (Reverse<i32>, i64);

#[derive(Debug)]
pub(crate) struct Scheduler {
    slots: usize,
    queue_bound: usize,
    policy: ConcurrencyPolicy,
    /// Held for a few moves of pointers, never across an await.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    in_use: usize,
    /// Slots that may be used now: fewer than there are while the machine is short of something.
    usable: usize,
    /// What it was short of last.
    shortage: Option<ErrorInfo>,
    waiting: BTreeMap<Key, oneshot::Sender<Permit>>,
    /// The next place at the end of the queue, and the next one at its head.
    last: i64,
    first: i64,
}

/// What an execution gets when it comes.
#[derive(Debug)]
pub(crate) enum Entry {
    Now(Permit),
    Later(Ticket),
}

/// A slot; dropped, the next in the queue has it.
#[derive(Debug)]
#[must_use = "a dropped permit is a free slot"]
pub(crate) struct Permit {
    scheduler: Arc<Scheduler>,
}

/// A place in the queue; dropped, it is given up.
#[derive(Debug)]
pub(crate) struct Ticket {
    scheduler: Arc<Scheduler>,
    key: Key,
    turn: oneshot::Receiver<Permit>,
}

impl Scheduler {
    pub(crate) fn new(config: &ExecutionConfig) -> Arc<Self> {
        let slots = config.max_concurrent_executions;
        Arc::new(Self {
            slots,
            queue_bound: config.max_queued_executions,
            policy: config.concurrency_policy,
            state: Mutex::new(State {
                in_use: 0,
                usable: slots,
                shortage: None,
                waiting: BTreeMap::new(),
                last: 0,
                first: -1,
            }),
        })
    }

    /// Takes a slot or a place in the queue.
    pub(crate) fn enter(self: &Arc<Self>, priority: i32) -> Result<Entry, ExecutionError> {
        let mut state = self.lock();
        if state.in_use < state.usable {
            state.in_use += 1;
            return Ok(Entry::Now(Permit { scheduler: Arc::clone(self) }));
        }
        if self.policy == ConcurrencyPolicy::Reject {
            return Err(ExecutionError::ConcurrencyLimitReached(self.slots));
        }
        if state.waiting.len() >= self.queue_bound {
            return Err(ExecutionError::QueueFull(self.queue_bound));
        }
        let place = state.last;
        state.last += 1;
        Ok(Entry::Later(self.queue(&mut state, (Reverse(priority), place))))
    }

    /// Takes a slot if one is free now.
    pub(crate) fn enter_now(self: &Arc<Self>) -> Result<Entry, ExecutionError> {
        let mut state = self.lock();
        if state.in_use >= state.usable {
            return Err(ExecutionError::ConcurrencyLimitReached(self.slots));
        }
        state.in_use += 1;
        Ok(Entry::Now(Permit { scheduler: Arc::clone(self) }))
    }

    /// A slot, or a place in the queue for one: no bound and no policy refuses it. For a plan, which was accepted before and
    /// has one place whatever its size.
    pub(crate) fn claim(self: &Arc<Self>, priority: i32) -> Entry {
        let mut state = self.lock();
        if state.in_use < state.usable {
            state.in_use += 1;
            return Entry::Now(Permit { scheduler: Arc::clone(self) });
        }
        let place = state.last;
        state.last += 1;
        Entry::Later(self.queue(&mut state, (Reverse(priority), place)))
    }

    /// A place at the head of its priority, for one that was accepted before: no bound refuses it.
    pub(crate) fn enter_again(self: &Arc<Self>, priority: i32) -> Ticket {
        let ticket = {
            let mut state = self.lock();
            let place = state.first;
            state.first -= 1;
            self.queue(&mut state, (Reverse(priority), place))
        };
        self.serve();
        ticket
    }

    fn queue(self: &Arc<Self>, state: &mut State, key: Key) -> Ticket {
        let (give_turn, turn) = oneshot::channel();
        state.waiting.insert(key, give_turn);
        Ticket { scheduler: Arc::clone(self), key, turn }
    }

    /// The machine has no room for one more than run now: no more are started until some have succeeded.
    pub(crate) fn shrink(&self, shortage: &ErrorInfo) {
        let mut state = self.lock();
        state.usable = state.in_use.saturating_sub(1).clamp(1, self.slots);
        state.shortage = Some(shortage.clone());
    }

    /// What the machine is short of, while fewer slots may be used for that.
    pub(crate) fn shortage(&self) -> Option<ErrorInfo> {
        let state = self.lock();
        state.shortage.clone().filter(|_| state.usable < self.slots)
    }

    /// One has been started: the machine may have room for one more.
    pub(crate) fn grow(self: &Arc<Self>) {
        {
            let mut state = self.lock();
            if state.usable == self.slots {
                return;
            }
            state.usable += 1;
        }
        self.serve();
    }

    /// Gives free slots to waiting executions.
    fn serve(self: &Arc<Self>) {
        loop {
            let next = {
                let mut state = self.lock();
                if state.in_use >= state.usable {
                    return;
                }
                let Some((_, next)) = state.waiting.pop_first() else { return };
                state.in_use += 1;
                next
            };
            // Outside the lock: a waiter that has given up gives the permit back, and dropping that takes the lock.
            drop(next.send(Permit { scheduler: Arc::clone(self) }));
        }
    }

    /// Slots in use, slots that are free, and waiting executions.
    pub(crate) fn load(&self) -> (usize, usize, usize) {
        let state = self.lock();
        (state.in_use, state.usable.saturating_sub(state.in_use), state.waiting.len())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is complete before anything that could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// Waits for a slot. Cancel-safe: a slot that was given meanwhile goes on to the next when the ticket is dropped.
    pub(crate) async fn turn(&mut self) -> Permit {
        match (&mut self.turn).await {
            Ok(permit) => permit,
            // The sender is dropped only with the ticket, which is ours.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let place = self.scheduler.lock().waiting.remove(&self.key);
        // Dropped outside the lock: a permit that is already in the channel takes the lock to go on.
        drop(place);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        {
            let mut state = self.scheduler.lock();
            state.in_use -= 1;
            if state.in_use == 0 && state.waiting.is_empty() {
                // What was short belongs to the past.
                state.usable = self.scheduler.slots;
            }
        }
        self.scheduler.serve();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::ErrorCode;

    fn shortage() -> ErrorInfo {
        ErrorInfo { code: ErrorCode::SpawnFailed, message: String::new(), errno: None }
    }

    fn scheduler(slots: usize, queue: usize) -> Arc<Scheduler> {
        Scheduler::new(&ExecutionConfig {
            max_concurrent_executions: slots,
            max_queued_executions: queue,
            ..ExecutionConfig::default()
        })
    }

    fn ticket(entry: Result<Entry, ExecutionError>) -> Ticket {
        match entry {
            Ok(Entry::Later(ticket)) => ticket,
            other => panic!("expected a place in the queue, got {other:?}"),
        }
    }

    fn permit(entry: Result<Entry, ExecutionError>) -> Permit {
        match entry {
            Ok(Entry::Now(permit)) => permit,
            other => panic!("expected a slot, got {other:?}"),
        }
    }

    #[test]
    fn the_queue_goes_by_priority_and_then_by_arrival() {
        let scheduler = scheduler(1, 10);
        let mut running = permit(scheduler.enter(0));
        let mut waiting: Vec<_> =
            [0, 5, 0, 5, -1].map(|priority| ticket(scheduler.enter(priority))).into_iter().enumerate().collect();
        let mut order = Vec::new();
        while !waiting.is_empty() {
            drop(running);
            let (at, next) = waiting
                .iter_mut()
                .enumerate()
                .find_map(|(at, (_, ticket))| ticket.turn.try_recv().ok().map(|permit| (at, permit)))
                .expect("a free slot is given to somebody");
            order.push(waiting.remove(at).0);
            running = next;
        }
        assert_eq!(order, [1, 3, 0, 2, 4]);
        drop(running);
        assert_eq!(scheduler.load(), (0, 1, 0));
    }

    #[test]
    fn a_slot_is_never_lost_to_a_waiter_that_gave_up() {
        let scheduler = scheduler(1, 10);
        let running = permit(scheduler.enter(0));
        let given_up = ticket(scheduler.enter(0));
        let patient = ticket(scheduler.enter(0));
        drop(running);
        // The slot lies in the first ticket's channel when that ticket is dropped.
        drop(given_up);
        let mut patient = patient;
        let got = patient.turn.try_recv().expect("the slot went on");
        drop((got, patient));
        assert_eq!(scheduler.load(), (0, 1, 0));
    }

    #[test]
    fn a_machine_without_room_gets_fewer_at_once_until_some_have_started() {
        let scheduler = scheduler(3, 10);
        let running: Vec<_> = (0..3).map(|_| permit(scheduler.enter(0))).collect();
        let mut waiting = ticket(scheduler.enter(0));
        scheduler.shrink(&shortage());
        let mut running = running.into_iter();
        let failed = running.next();
        let mut again = scheduler.enter_again(0);
        drop(failed);
        assert!(waiting.turn.try_recv().is_err() && again.turn.try_recv().is_err(), "two may run, and two do");
        scheduler.grow();
        let first = again.turn.try_recv().expect("the one that was accepted first is the first");
        assert!(waiting.turn.try_recv().is_err(), "three may run, and three do");
        drop((first, running));
        drop(waiting.turn.try_recv().expect("there is room again"));
        assert_eq!(scheduler.load(), (0, 3, 0));
    }

    #[test]
    fn the_queue_is_bounded() {
        let scheduler = scheduler(1, 1);
        let _running = permit(scheduler.enter(0));
        let _waiting = ticket(scheduler.enter(0));
        assert!(matches!(scheduler.enter(9), Err(ExecutionError::QueueFull(1))));
    }
}
