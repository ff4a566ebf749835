//! Drives a plan: gets slots, begins steps, receives their ends.

use std::collections::BTreeMap;
use std::future::{pending, poll_fn};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::SetOnce;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::platform::clock::{self, FAR_FUTURE, Instant};
use crate::state::Stop;
use crate::types::{SkipReason, When};

use super::plan_state::PlanState;

/// The parts of the engine that a plan needs.
pub(crate) trait Host: Send {
    /// The right to run one step.
    type Permit: Send;
    /// A place in the queue for a permit; dropped, it is given up.
    type Ticket: Send;

    /// Returns the right to run a step of a lane, or a place in the queue.
    fn claim(&self, lane: usize, priority: i32) -> Claim<Self::Permit, Self::Ticket>;
    /// Returns the permit of a ticket, once there is one.
    fn poll_turn(ticket: &mut Self::Ticket, context: &mut Context<'_>) -> Poll<Self::Permit>;
    /// Permits that are free now.
    fn free(&self) -> usize;
    /// Begins a step that has been ready since then. Its end comes as a [`StepEnd`].
    fn begin(&mut self, index: usize, slot: Slot<Self::Permit>, since: Instant) -> Result<(), SkipReason>;
    /// Asks a running step to end.
    fn stop(&self, index: usize, why: Stop);
    /// Reports the progress of the plan.
    fn report(&mut self, state: &PlanState);
}

/// The answer to a request for a permit.
pub(crate) enum Claim<P, T> {
    Now(P),
    Later(T),
}

/// The slot with which a step begins.
pub(crate) enum Slot<P> {
    Free(P),
    /// No slot was free in time: the step ends with `queue_timeout`.
    None,
}

/// A step has ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StepEnd {
    pub(crate) index: usize,
    pub(crate) completed: bool,
}

/// The times of a plan.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// The time when the plan is ended.
    pub(crate) deadline: Option<Instant>,
    /// The longest wait of a step for a slot.
    pub(crate) queue_timeout: Option<Duration>,
}

/// The requests to end a plan. The first reason counts. A shutdown also ends what would run to its end otherwise, whenever it comes.
#[derive(Debug, Default)]
pub(crate) struct PlanStop {
    reason: SetOnce<Stop>,
    shutdown: SetOnce<()>,
}

impl PlanStop {
    pub(crate) fn request(&self, why: Stop) {
        let _ = self.reason.set(why);
        if why == Stop::Shutdown {
            let _ = self.shutdown.set(());
        }
    }

    /// Returns a request that did not exist `before`.
    fn get(&self, before: Option<Stop>) -> Option<Stop> {
        let shutdown = self.shutdown.get().map(|()| Stop::Shutdown);
        if before.is_none() { self.reason.get().copied() } else { shutdown.filter(|_| before != shutdown) }
    }

    /// Waits for it. Cancel-safe.
    async fn wait(&self, before: Option<Stop>) -> Stop {
        match before {
            None => *self.reason.wait().await,
            Some(Stop::Shutdown) => pending().await,
            Some(_) => {
                self.shutdown.wait().await;
                Stop::Shutdown
            }
        }
    }
}

/// The event that woke the loop; [`Drive::decide`] decides what follows.
enum PlanWakeup<P> {
    Stop(Stop),
    Deadline,
    Ended(StepEnd),
    Turn(usize, P),
    TooLate,
}

/// Runs a plan until every step is over, and returns why it was stopped, if it was.
pub(crate) async fn run<H: Host>(
    host: &mut H,
    state: &mut PlanState,
    stop: &PlanStop,
    ends: UnboundedReceiver<StepEnd>,
    pace: Pace,
) -> Option<Stop> {
    Drive { host, state, stop, ends, pace, tickets: BTreeMap::new(), stopped: None, obeyed: None }.run().await
}

struct Drive<'a, H: Host> {
    host: &'a mut H,
    state: &'a mut PlanState,
    stop: &'a PlanStop,
    ends: UnboundedReceiver<StepEnd>,
    pace: Pace,
    /// The places in the queue: one for each lane that waits, and not one for each step: a large plan must not fill the
    /// queue, and a step that became ready meanwhile may be more urgent. Lanes wait for different groups, so that none
    /// delays another.
    tickets: BTreeMap<usize, QueuedTicket<H::Ticket>>,
    stopped: Option<Stop>,
    /// The last request that was obeyed: a shutdown can follow another one.
    obeyed: Option<Stop>,
}

struct QueuedTicket<T> {
    ticket: T,
    priority: i32,
    since: Instant,
}

impl<H: Host> Drive<'_, H> {
    async fn run(mut self) -> Option<Stop> {
        loop {
            // Looked at before every beginning: nothing begins after it was reported that the plan ends.
            if let Some(why) = self.stop.get(self.obeyed) {
                self.end(why);
            }
            self.begin_ready();
            if self.state.is_over() {
                return self.stopped;
            }
            let event = self.next().await;
            self.decide(event);
        }
    }

    /// Begins steps as long as there are permits for them, then waits in the queue.
    fn begin_ready(&mut self) {
        while let Some((lane, priority)) = self.next_lane() {
            self.tickets.remove(&lane);
            match self.host.claim(lane, priority) {
                Claim::Now(permit) => {
                    let slots = self.host.free().saturating_add(1);
                    self.begin(lane, Slot::Free(permit), slots);
                }
                Claim::Later(ticket) => {
                    self.tickets.insert(lane, QueuedTicket { ticket, priority, since: Instant::now() });
                }
            }
        }
        // A plan that runs as many steps as it may waits for nothing.
        self.tickets.retain(|lane, _| self.state.is_eligible(*lane));
    }

    fn next_lane(&self) -> Option<(usize, i32)> {
        let waits = |lane, priority| self.tickets.get(&lane).is_some_and(|waiting| waiting.priority >= priority);
        self.state.next_lane(self.host.free(), waits)
    }

    fn begin(&mut self, lane: usize, slot: Slot<H::Permit>, slots: usize) {
        let Some((index, since)) = self.state.take(lane, slots) else { return };
        if let Err(reason) = self.host.begin(index, slot, since) {
            self.state.refused(index, reason, Instant::now());
        }
        self.host.report(self.state);
    }

    async fn next(&mut self) -> PlanWakeup<H::Permit> {
        let far = Instant::now() + FAR_FUTURE;
        let goes_on = self.stopped.is_none();
        let deadline = self.pace.deadline.unwrap_or(far);
        let queue_deadline = self.pace.queue_timeout.zip(self.longest_wait());
        let queue_deadline = queue_deadline.map_or(far, |(timeout, (_, since))| since + timeout);
        let (tickets, ends) = (&mut self.tickets, &mut self.ends);
        let turn = poll_fn(|context| {
            let turns = tickets.iter_mut().map(|(lane, it)| (*lane, H::poll_turn(&mut it.ticket, context)));
            let mut turns = turns.filter_map(|(lane, turn)| match turn {
                Poll::Ready(permit) => Some((lane, permit)),
                Poll::Pending => None,
            });
            turns.next().map_or(Poll::Pending, Poll::Ready)
        });
        tokio::select! {
            biased;
            why = self.stop.wait(self.obeyed) => PlanWakeup::Stop(why),
            () = clock::sleep_until(deadline), if goes_on => PlanWakeup::Deadline,
            end = ends.recv() => end.map_or_else(|| unreachable!("the host holds a sender"), PlanWakeup::Ended),
            (lane, permit) = turn => PlanWakeup::Turn(lane, permit),
            () = clock::sleep_until(queue_deadline) => PlanWakeup::TooLate,
        }
    }

    /// Returns the lane that has waited longest, and since when.
    fn longest_wait(&self) -> Option<(usize, Instant)> {
        self.tickets.iter().map(|(lane, waiting)| (*lane, waiting.since)).min_by_key(|(_, since)| *since)
    }

    fn decide(&mut self, event: PlanWakeup<H::Permit>) {
        match event {
            PlanWakeup::Stop(why) => self.end(why),
            PlanWakeup::Deadline => self.end(Stop::Timeout),
            PlanWakeup::Ended(StepEnd { index, completed }) => {
                self.state.ended(index, completed, Instant::now());
                self.host.report(self.state);
            }
            PlanWakeup::Turn(lane, permit) => {
                let waiting = self.tickets.remove(&lane);
                let deadline = self.pace.queue_timeout.zip(waiting).map(|(timeout, waiting)| waiting.since + timeout);
                // The host may have been stopped: a slot can be seen before the timer of the queue, although both are due.
                let slot =
                    if deadline.is_some_and(|at| Instant::now() >= at) { Slot::None } else { Slot::Free(permit) };
                // The permit was queued for, so slots are scarce.
                self.begin(lane, slot, 1);
            }
            PlanWakeup::TooLate => {
                let Some((lane, _)) = self.longest_wait() else { return };
                self.tickets.remove(&lane);
                self.begin(lane, Slot::None, 1);
            }
        }
    }

    /// Begins no further steps, and requests the end of those that run, except for clean-up steps (`always`), which only a shutdown ends.
    fn end(&mut self, why: Stop) {
        self.stopped.get_or_insert(why);
        self.obeyed = Some(why);
        self.tickets.clear();
        let all = why == Stop::Shutdown;
        self.state.stop(skip_reason(why), all, Instant::now());
        for index in self.state.running().filter(|index| all || self.state.when(*index) != When::Always) {
            self.host.stop(index, why);
        }
        self.host.report(self.state);
    }
}

const fn skip_reason(why: Stop) -> SkipReason {
    match why {
        Stop::Timeout | Stop::IdleTimeout | Stop::QueueTimeout => SkipReason::Deadline,
        Stop::Cancelled | Stop::OutputLimit => SkipReason::Cancelled,
        Stop::Aborted => SkipReason::Aborted,
        Stop::Shutdown => SkipReason::Shutdown,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

    use super::super::graph::Graph;
    use super::super::plan_state::{Needs, Rules};
    use super::*;
    use crate::types::ExecutionStrategy;

    #[derive(Clone, Copy, PartialEq)]
    enum Slots {
        Free,
        /// Each is free once the step is in the queue.
        Later,
        Never,
    }

    /// An engine whose steps end when they are stopped, or at once if there is no slot for them.
    struct Engine {
        slots: Slots,
        ends: UnboundedSender<StepEnd>,
        stop: Arc<PlanStop>,
        /// The requests that arrive with the first reports after all steps have begun.
        requests: Vec<Stop>,
        begun: Vec<usize>,
        stopped: Mutex<Vec<(usize, Stop)>>,
    }

    impl Engine {
        fn end(&self, index: usize) {
            self.ends.send(StepEnd { index, completed: false }).unwrap();
        }
    }

    impl Host for Engine {
        type Permit = ();
        type Ticket = Slots;

        fn claim(&self, _: usize, _: i32) -> Claim<(), Slots> {
            if self.slots == Slots::Free { Claim::Now(()) } else { Claim::Later(self.slots) }
        }
        fn poll_turn(slots: &mut Slots, _: &mut Context<'_>) -> Poll<()> {
            if *slots == Slots::Later { Poll::Ready(()) } else { Poll::Pending }
        }
        fn free(&self) -> usize {
            usize::from(self.slots == Slots::Free)
        }
        fn begin(&mut self, index: usize, slot: Slot<()>, _: Instant) -> Result<(), SkipReason> {
            let has_slot = matches!(slot, Slot::Free(()));
            assert_eq!(has_slot, self.slots == Slots::Free);
            self.begun.push(index);
            if !has_slot {
                self.end(index);
            }
            Ok(())
        }
        fn stop(&self, index: usize, why: Stop) {
            let mut stopped = self.stopped.lock().unwrap();
            if stopped.iter().all(|(before, _)| *before != index) {
                self.end(index);
            }
            stopped.push((index, why));
        }
        fn report(&mut self, _: &PlanState) {
            if self.begun.len() == STEPS && !self.requests.is_empty() {
                self.stop.request(self.requests.remove(0));
            }
        }
    }

    const STEPS: usize = 2;

    /// Runs a plan of two steps, each in a lane of its own; the second runs in any case.
    async fn perform(slots: Slots, requests: &[Stop], pace: Pace) -> (Option<Stop>, Engine) {
        let graph = Graph::new(&ExecutionStrategy::DependencyGraph { dependencies: [].into() }, &[vec![], vec![]]);
        let rules = Rules { most_at_once: 10, on_failure: None, is_serial: false };
        let needs = [When::Success, When::Always].into_iter().enumerate();
        let needs = needs.map(|(lane, when)| Needs { priority: 0, lane, when }).collect();
        let mut state = PlanState::new(graph.unwrap(), rules, needs, Instant::now());
        let (ends, receiver) = unbounded_channel();
        let stop = Arc::new(PlanStop::default());
        let (requests, begun, stopped) = (requests.to_vec(), Vec::new(), Mutex::default());
        let mut engine = Engine { slots, ends, stop: Arc::clone(&stop), requests, begun, stopped };
        let end = run(&mut engine, &mut state, &stop, receiver, pace);
        let end = clock::timeout(Duration::from_secs(60), end).await.expect("the plan ends");
        (end, engine)
    }

    const SOON: Duration = Duration::from_millis(1);

    #[tokio::test]
    async fn each_step_without_a_slot_in_time_begins_without_one() {
        let pace = Pace { deadline: None, queue_timeout: Some(SOON) };
        let (end, engine) = perform(Slots::Never, &[], pace).await;
        assert_eq!((end, engine.begun), (None, vec![0, 1]));
    }

    #[tokio::test]
    async fn a_slot_that_comes_too_late_is_not_taken() {
        let pace = Pace { deadline: None, queue_timeout: Some(Duration::ZERO) };
        let (end, engine) = perform(Slots::Later, &[], pace).await;
        assert_eq!((end, engine.begun), (None, vec![0, 1]));
    }

    #[tokio::test]
    async fn a_cancel_stops_all_but_clean_up_steps_and_a_shutdown_stops_those_too() {
        let pace = Pace { deadline: None, queue_timeout: None };
        let (end, engine) = perform(Slots::Free, &[Stop::Cancelled, Stop::Shutdown], pace).await;
        assert_eq!(end, Some(Stop::Cancelled));
        let stopped = [(0, Stop::Cancelled), (0, Stop::Shutdown), (1, Stop::Shutdown)];
        assert_eq!(*engine.stopped.lock().unwrap(), stopped);
    }

    #[tokio::test]
    async fn a_plan_is_stopped_at_its_deadline() {
        let pace = Pace { deadline: Some(Instant::now()), queue_timeout: Some(SOON) };
        let (end, engine) = perform(Slots::Never, &[], pace).await;
        assert_eq!((end, engine.begun), (Some(Stop::Timeout), vec![1]), "the clean-up begins");
    }

    #[test]
    fn the_first_reason_to_stop_counts_and_a_shutdown_can_follow() {
        let stop = PlanStop::default();
        assert_eq!(stop.get(None), None);
        stop.request(Stop::Cancelled);
        stop.request(Stop::Aborted);
        assert_eq!(stop.get(None), Some(Stop::Cancelled));
        assert_eq!(stop.get(Some(Stop::Cancelled)), None);
        stop.request(Stop::Shutdown);
        assert_eq!(stop.get(None), Some(Stop::Cancelled));
        assert_eq!(stop.get(Some(Stop::Cancelled)), Some(Stop::Shutdown));
        assert_eq!(stop.get(Some(Stop::Shutdown)), None);
    }
}
