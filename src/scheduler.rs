//! The queue and the permits: by priority, then first come, first served. An execution gets its permit and its places in its groups at
//! one moment, and none of them before.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use crate::config::{ConcurrencyPolicy, ExecutionConfig};
use crate::error::ExecutionError;
use crate::types::ErrorInfo;

use self::groups::{GroupLimits, Groups, Key, Membership};

mod groups;
#[cfg(test)]
mod model_tests;

#[derive(Debug)]
pub(crate) struct Scheduler {
    slots: usize,
    queue_bound: usize,
    policy: ConcurrencyPolicy,
    limits: GroupLimits,
    /// The lock is held for a few moves of pointers, never across an await.
    state: Mutex<SchedulerState>,
}

#[derive(Debug)]
struct SchedulerState {
    in_use: usize,
    /// Slots that may be used now: fewer than there are while the machine is short of something.
    usable: usize,
    /// The resource that the machine lacked last.
    shortage: Option<ErrorInfo>,
    /// Work that waits only for a slot. It is empty while a slot is free.
    waiting: BTreeMap<Key, oneshot::Sender<Permit>>,
    /// Work that waits for a group.
    held_back: BTreeMap<Key, oneshot::Sender<Permit>>,
    groups: Groups,
    /// The next place at the end of the queue, and the next one at its head.
    last: i64,
    first: i64,
}

/// The answer to an execution that enters.
#[derive(Debug)]
pub(crate) enum Entry {
    Now(Permit),
    Later(Ticket),
}

/// A slot, with a place in each group of the execution; dropped, the next in the queue has them.
#[derive(Debug)]
#[must_use = "a dropped permit is a free slot"]
pub(crate) struct Permit {
    scheduler: Arc<Scheduler>,
    groups: Option<Membership>,
}

/// A place in the queue; dropped, it is given up.
#[derive(Debug)]
pub(crate) struct Ticket {
    scheduler: Arc<Scheduler>,
    key: Key,
    has_groups: bool,
    obstacle: Option<Box<str>>,
    turn: oneshot::Receiver<Permit>,
}

impl SchedulerState {
    /// Returns the place after all others of this priority.
    fn last_place(&mut self, priority: i32) -> Key {
        let place = self.last;
        self.last += 1;
        (Reverse(priority), place)
    }

    /// Starts an execution if it need not wait.
    fn start(&mut self, key: Key, groups: Option<&Membership>) -> bool {
        if self.in_use >= self.usable || groups.is_some_and(|groups| self.groups.obstacle(&key, groups).is_some()) {
            return false;
        }
        self.in_use += 1;
        if let Some(groups) = groups {
            self.join_groups(key, Arc::clone(groups));
            self.groups.start(&key);
        }
        true
    }

    /// Adds a member to the lines of its groups, where it may go before others.
    fn join_groups(&mut self, key: Key, groups: Membership) {
        for behind in self.groups.enter(key, groups) {
            self.held_back.extend(self.waiting.remove_entry(&behind));
        }
    }

    /// Moves work that need not wait for a group any more to the queue for slots.
    fn let_wait_for_slots(&mut self, keys: Vec<Key>) {
        for key in keys {
            self.waiting.extend(self.held_back.remove_entry(&key));
        }
    }
}

impl Scheduler {
    pub(crate) fn new(config: &ExecutionConfig) -> Arc<Self> {
        let slots = config.max_concurrent_executions;
        Arc::new(Self {
            slots,
            queue_bound: config.max_queued_executions,
            policy: config.concurrency_policy,
            limits: GroupLimits::new(&config.group_limits),
            state: Mutex::new(SchedulerState {
                in_use: 0,
                usable: slots,
                shortage: None,
                waiting: BTreeMap::new(),
                held_back: BTreeMap::new(),
                groups: Groups::default(),
                last: 0,
                first: -1,
            }),
        })
    }

    /// Takes a slot with a place in each group, or a place in the queue.
    pub(crate) fn enter(self: &Arc<Self>, priority: i32, groups: &[String]) -> Result<Entry, ExecutionError> {
        let membership = self.limits.membership(groups);
        let mut state = self.lock();
        let key = state.last_place(priority);
        if state.start(key, membership.as_ref()) {
            return Ok(Entry::Now(Permit { scheduler: Arc::clone(self), groups: membership }));
        }
        if self.policy == ConcurrencyPolicy::Reject {
            return Err(self.refusal(&state, &key, membership.as_ref(), groups));
        }
        if state.waiting.len() + state.held_back.len() >= self.queue_bound {
            return Err(ExecutionError::QueueFull(self.queue_bound));
        }
        Ok(Entry::Later(self.queue(&mut state, key, membership)))
    }

    /// Takes a slot with a place in each group if that is possible now.
    pub(crate) fn enter_now(self: &Arc<Self>, priority: i32, groups: &[String]) -> Result<Entry, ExecutionError> {
        let membership = self.limits.membership(groups);
        let mut state = self.lock();
        let key = state.last_place(priority);
        if state.start(key, membership.as_ref()) {
            return Ok(Entry::Now(Permit { scheduler: Arc::clone(self), groups: membership }));
        }
        Err(self.refusal(&state, &key, membership.as_ref(), groups))
    }

    /// Returns the refusal of an execution that cannot start now and must not wait: with a free slot, the first of its
    /// groups without a place.
    fn refusal(
        &self,
        state: &SchedulerState,
        key: &Key,
        membership: Option<&Membership>,
        groups: &[String],
    ) -> ExecutionError {
        let has_slot = state.in_use < state.usable;
        let full = membership.filter(|_| has_slot).and_then(|groups| state.groups.obstacle(key, groups));
        full.map_or(ExecutionError::ConcurrencyLimitReached(self.slots), |full| {
            let index = groups.iter().position(|name| name == full).unwrap_or_default();
            ExecutionError::GroupLimitReached { field: format!("options.groups[{index}]") }
        })
    }

    /// Returns a slot with a place in each group, or a place in the queue: no bound and no policy refuses it. It is for
    /// a plan and for another attempt, which were accepted before.
    pub(crate) fn claim(self: &Arc<Self>, priority: i32, groups: &[String]) -> Entry {
        let groups = self.limits.membership(groups);
        let mut state = self.lock();
        let key = state.last_place(priority);
        if state.start(key, groups.as_ref()) {
            return Entry::Now(Permit { scheduler: Arc::clone(self), groups });
        }
        Entry::Later(self.queue(&mut state, key, groups))
    }

    /// Queues work that was accepted before, at the head of its priority. No bound refuses it.
    pub(crate) fn enter_again(self: &Arc<Self>, priority: i32, groups: &[String]) -> Ticket {
        let groups = self.limits.membership(groups);
        let ticket = {
            let mut state = self.lock();
            let place = state.first;
            state.first -= 1;
            self.queue(&mut state, (Reverse(priority), place), groups)
        };
        self.serve();
        ticket
    }

    fn queue(self: &Arc<Self>, state: &mut SchedulerState, key: Key, groups: Option<Membership>) -> Ticket {
        let (give_turn, turn) = oneshot::channel();
        let has_groups = groups.is_some();
        let obstacle = groups.as_ref().and_then(|groups| state.groups.obstacle(&key, groups)).map(Box::from);
        let is_ready = groups.is_none_or(|groups| {
            state.join_groups(key, groups);
            state.groups.is_ready(&key)
        });
        let line = if is_ready { &mut state.waiting } else { &mut state.held_back };
        line.insert(key, give_turn);
        Ticket { scheduler: Arc::clone(self), key, has_groups, obstacle, turn }
    }

    /// Lowers the number of usable slots: the machine has no room for one more, and no more are started until
    /// some have succeeded.
    pub(crate) fn shrink(&self, shortage: &ErrorInfo) {
        let mut state = self.lock();
        state.usable = state.in_use.saturating_sub(1).clamp(1, self.slots);
        state.shortage = Some(shortage.clone());
    }

    /// Returns the resource that the machine lacks, while fewer slots may be used for that reason.
    pub(crate) fn shortage(&self) -> Option<ErrorInfo> {
        let state = self.lock();
        state.shortage.clone().filter(|_| state.usable < self.slots)
    }

    /// Makes one more slot usable: a process has been started, so the machine may have room for one more.
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

    /// Assigns free slots to waiting executions.
    fn serve(self: &Arc<Self>) {
        loop {
            let (next, groups) = {
                let mut state = self.lock();
                if state.in_use >= state.usable {
                    return;
                }
                let Some((key, next)) = state.waiting.pop_first() else { return };
                state.in_use += 1;
                (next, state.groups.start(&key))
            };
            // Outside the lock: a waiter that has given up returns the permit, and dropping that takes the lock.
            drop(next.send(Permit { scheduler: Arc::clone(self), groups }));
        }
    }

    /// Returns the slots in use, the free slots, and the waiting executions.
    pub(crate) fn load(&self) -> (usize, usize, usize) {
        let state = self.lock();
        let waiting = state.waiting.len() + state.held_back.len();
        (state.in_use, state.usable.saturating_sub(state.in_use), waiting)
    }

    /// Returns how many waiting executions need a place in a group, whether or not there is a slot.
    pub(crate) fn held_back(&self) -> usize {
        self.lock().held_back.len()
    }

    fn lock(&self) -> MutexGuard<'_, SchedulerState> {
        // Every change is complete before anything that could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// Returns the first group that had no place for the execution when it entered.
    pub(crate) fn obstacle(&self) -> Option<&str> {
        self.obstacle.as_deref()
    }

    /// Waits for a slot. Cancel-safe: a slot that was given meanwhile is passed to the next when the ticket is dropped.
    pub(crate) async fn turn(&mut self) -> Permit {
        poll_fn(|context| self.poll_turn(context)).await
    }

    /// Returns the slot, once there is one.
    pub(crate) fn poll_turn(&mut self, context: &mut Context<'_>) -> Poll<Permit> {
        match Pin::new(&mut self.turn).poll(context) {
            Poll::Ready(Ok(permit)) => Poll::Ready(permit),
            // The sender is dropped only with the ticket, which is ours.
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let place = {
            let mut state = self.scheduler.lock();
            let place = state.waiting.remove(&self.key).or_else(|| state.held_back.remove(&self.key));
            if self.has_groups {
                let ready = state.groups.leave(&self.key);
                state.let_wait_for_slots(ready);
            }
            place
        };
        // Dropped outside the lock: a permit that is already in the channel takes the lock when it is passed on.
        drop(place);
        if self.has_groups {
            self.scheduler.serve();
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        {
            let mut state = self.scheduler.lock();
            state.in_use -= 1;
            if let Some(groups) = &self.groups {
                let ready = state.groups.end(groups);
                state.let_wait_for_slots(ready);
            }
            if state.in_use == 0 && state.waiting.is_empty() {
                // The shortage is over.
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
        let mut running = permit(scheduler.enter(0, &[]));
        let mut waiting: Vec<_> =
            [0, 5, 0, 5, -1].map(|priority| ticket(scheduler.enter(priority, &[]))).into_iter().enumerate().collect();
        let mut order = Vec::new();
        while !waiting.is_empty() {
            drop(running);
            let (at, next) = waiting
                .iter_mut()
                .enumerate()
                .find_map(|(at, (_, ticket))| ticket.turn.try_recv().ok().map(|permit| (at, permit)))
                .expect("a free slot is given to one that waits");
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
        let running = permit(scheduler.enter(0, &[]));
        let given_up = ticket(scheduler.enter(0, &[]));
        let patient = ticket(scheduler.enter(0, &[]));
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
        let running: Vec<_> = (0..3).map(|_| permit(scheduler.enter(0, &[]))).collect();
        let mut waiting = ticket(scheduler.enter(0, &[]));
        scheduler.shrink(&shortage());
        let mut running = running.into_iter();
        let failed = running.next();
        let mut again = scheduler.enter_again(0, &[]);
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
        let _running = permit(scheduler.enter(0, &[]));
        let _waiting = ticket(scheduler.enter(0, &[]));
        assert!(matches!(scheduler.enter(9, &[]), Err(ExecutionError::QueueFull(1))));
    }
}
