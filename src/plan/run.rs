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

/// What a plan needs of the engine.
pub(crate) trait Host: Send {
    /// The right to run one step.
    type Permit: Send;
    /// A place in the queue for a permit; dropped, it is given up.
    type Ticket: Send;

    /// The right to run a step of a lane, or a place in the queue.
    fn claim(&self, lane: usize, priority: i32) -> Claim<Self::Permit, Self::Ticket>;
    /// The permit of a ticket, once there is one.
    fn poll_turn(ticket: &mut Self::Ticket, context: &mut Context<'_>) -> Poll<Self::Permit>;
    /// Permits that are free now.
    fn free(&self) -> usize;
    /// Begins a step that has been ready since then. Its end comes as a [`StepEnd`].
    fn begin(&mut self, index: usize, slot: Slot<Self::Permit>, since: Instant) -> Result<(), SkipReason>;
    /// Asks a running step to end.
    fn stop(&self, index: usize, why: Stop);
    /// The plan has made progress.
    fn report(&mut self, state: &PlanState);
}

/// The answer to a request for a permit.
pub(crate) enum Claim<P, T> {
    Now(P),
    Later(T),
}

/// What a step begins with.
pub(crate) enum Slot<P> {
    Free(P),
    /// There was none in time: the step ends with `queue_timeout`.
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
    /// When the plan is ended.
    pub(crate) deadline: Option<Instant>,
    /// How long a step may wait for a slot.
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

    /// A request that was not there `before`.
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

/// What happened; [`Drive::decide`] decides what follows.
enum Event<P> {
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
    /// One place in the queue for each lane that waits, and not one for each step: a large plan must not fill the queue, and a step
    /// that became ready meanwhile may be more urgent. Lanes wait for different groups, so that none delays another.
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

    async fn next(&mut self) -> Event<H::Permit> {
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
            why = self.stop.wait(self.obeyed) => Event::Stop(why),
            () = clock::sleep_until(deadline), if goes_on => Event::Deadline,
            end = ends.recv() => end.map_or_else(|| unreachable!("the host holds a sender"), Event::Ended),
            (lane, permit) = turn => Event::Turn(lane, permit),
            () = clock::sleep_until(queue_deadline) => Event::TooLate,
        }
    }

    /// The lane that has waited longest, and since when.
    fn longest_wait(&self) -> Option<(usize, Instant)> {
        self.tickets.iter().map(|(lane, waiting)| (*lane, waiting.since)).min_by_key(|(_, since)| *since)
    }

    fn decide(&mut self, event: Event<H::Permit>) {
        match event {
            Event::Stop(why) => self.end(why),
            Event::Deadline => self.end(Stop::Timeout),
            Event::Ended(StepEnd { index, completed }) => {
                self.state.ended(index, completed, Instant::now());
                self.host.report(self.state);
            }
            Event::Turn(lane, permit) => {
                self.tickets.remove(&lane);
                // There was a queue, so that slots are scarce.
                self.begin(lane, Slot::Free(permit), 1);
            }
            Event::TooLate => {
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
