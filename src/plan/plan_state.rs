//! Where a plan stands: which steps may begin, which run, and how the others ended. Pure: it knows no clock and no process.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use crate::platform::clock::Instant;
use crate::types::{SkipReason, SkippedStep};

use super::graph::Graph;

/// Where one step stands.
///
/// | from | to | by |
/// | --- | --- | --- |
/// | `Waiting` | `Ready` | the last step that it waits for has ended well, or need not |
/// | `Waiting`, `Ready` | `Skipped` | one that it waits for did not complete, or the plan was stopped |
/// | `Ready` | `Running` | [`PlanState::take`] |
/// | `Running` | `Ended` | [`PlanState::ended`] |
/// | `Running` | `Skipped` | [`PlanState::refused`]: it could not begin after all |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StepState {
    /// So many steps are open that it waits for.
    Waiting(usize),
    /// All that it waits for is done, since then.
    Ready(Instant),
    Running,
    Ended,
    Skipped(SkippedStep),
}

/// Bounds and policies of a plan.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// At most so many steps at once.
    pub(crate) most_at_once: usize,
    /// What becomes of the steps that wait for one that did not complete. `None`: they run all the same.
    pub(crate) on_failure: Option<SkipReason>,
}

/// What a step needs to begin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needs {
    pub(crate) priority: i32,
    /// Steps in the same groups share a lane: they wait for the same places.
    pub(crate) lane: usize,
}

/// By priority, then by the length of the chain that waits for a step, then by its index.
type Urgency = (Reverse<i32>, Reverse<usize>, usize);

/// The steps of a lane that are ready, in two orders.
#[derive(Debug, Clone, Default)]
struct Lane {
    by_index: BTreeSet<usize>,
    by_urgency: BTreeSet<Urgency>,
}

#[derive(Debug)]
pub(crate) struct PlanState {
    graph: Graph,
    rules: Rules,
    needs: Vec<Needs>,
    steps: Vec<StepState>,
    lanes: Vec<Lane>,
    ready: usize,
    running: BTreeSet<usize>,
    ended: usize,
    failed: usize,
    skipped: usize,
}

impl PlanState {
    /// A plan none of whose steps has begun; `needs` has one entry for each.
    pub(crate) fn new(graph: Graph, rules: Rules, needs: Vec<Needs>, now: Instant) -> Self {
        let steps = (0..graph.len()).map(|index| StepState::Waiting(graph.dependencies(index).len())).collect();
        let lanes = needs.iter().map(|needs| needs.lane + 1).max().unwrap_or_default();
        let mut state = Self {
            graph,
            rules,
            needs,
            steps,
            lanes: vec![Lane::default(); lanes],
            ready: 0,
            running: BTreeSet::new(),
            ended: 0,
            failed: 0,
            skipped: 0,
        };
        for index in 0..state.steps.len() {
            if state.steps[index] == StepState::Waiting(0) {
                state.make_ready(index, now);
            }
        }
        state
    }

    pub(crate) fn graph(&self) -> &Graph {
        &self.graph
    }

    pub(crate) fn step(&self, index: usize) -> StepState {
        self.steps[index]
    }

    /// The steps that run, in the order of their indexes.
    pub(crate) fn running(&self) -> impl Iterator<Item = usize> {
        self.running.iter().copied()
    }

    /// How many steps are over in any way, how many of those did not complete, and how many never began.
    pub(crate) fn tally(&self) -> (usize, usize, usize) {
        (self.ended + self.skipped, self.failed, self.skipped)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.ended + self.skipped == self.steps.len()
    }

    /// How many more steps the plan may run at once.
    fn room(&self) -> usize {
        self.rules.most_at_once - self.running.len()
    }

    /// With less than a slot for each step that is ready, the most urgent one is next; else the one with the lowest index.
    fn is_scarce(&self, slots: usize) -> bool {
        self.ready > slots.min(self.room())
    }

    /// Whether a step of this lane could begin now if there was a slot with the places that it needs.
    pub(crate) fn is_eligible(&self, lane: usize) -> bool {
        self.room() > 0 && !self.lanes[lane].by_index.is_empty()
    }

    /// The lane of the step that is next when `slots` steps can begin now, and the highest priority in it. Lanes that wait already, with a
    /// priority that is high enough, are left out.
    pub(crate) fn next_lane(&self, slots: usize, waits: impl Fn(usize, i32) -> bool) -> Option<(usize, i32)> {
        if self.room() == 0 {
            return None;
        }
        let candidates = self.lanes.iter().enumerate().filter_map(|(lane, ready)| {
            let urgency = ready.by_urgency.first()?;
            let Reverse(priority) = urgency.0;
            (!waits(lane, priority)).then_some((lane, priority, urgency, ready.by_index.first()))
        });
        let next = if self.is_scarce(slots) {
            candidates.min_by_key(|(.., urgency, _)| *urgency)
        } else {
            candidates.min_by_key(|(.., first)| *first)
        };
        next.map(|(lane, priority, ..)| (lane, priority))
    }

    /// Lets the next step of a lane begin, when `slots` steps can begin now. Gives since when it was ready.
    pub(crate) fn take(&mut self, lane: usize, slots: usize) -> Option<(usize, Instant)> {
        if self.room() == 0 {
            return None;
        }
        let ready = &self.lanes[lane];
        let index = if self.is_scarce(slots) { ready.by_urgency.first()?.2 } else { *ready.by_index.first()? };
        let StepState::Ready(since) = self.steps[index] else { return None };
        self.remove_ready(index);
        self.steps[index] = StepState::Running;
        self.running.insert(index);
        Some((index, since))
    }

    /// A step has ended; those that wait for it are ready, or skipped if it had to complete and did not.
    pub(crate) fn ended(&mut self, index: usize, completed: bool, now: Instant) {
        self.running.remove(&index);
        self.steps[index] = StepState::Ended;
        self.ended += 1;
        self.failed += usize::from(!completed);
        self.follow(index, completed, now);
    }

    /// A step that was to begin could not.
    pub(crate) fn refused(&mut self, index: usize, reason: SkipReason, now: Instant) {
        self.running.remove(&index);
        self.skip(SkippedStep { index, reason, because: None });
        self.follow(index, false, now);
    }

    /// Nothing more begins.
    pub(crate) fn stop(&mut self, reason: SkipReason) {
        for index in 0..self.steps.len() {
            if matches!(self.steps[index], StepState::Waiting(_) | StepState::Ready(_)) {
                self.skip(SkippedStep { index, reason, because: None });
            }
        }
    }

    fn follow(&mut self, index: usize, completed: bool, now: Instant) {
        if !completed && let Some(reason) = self.rules.on_failure {
            self.skip_dependents(index, reason);
            return;
        }
        for at in 0..self.graph.dependents(index).len() {
            let dependent = self.graph.dependents(index)[at];
            if let StepState::Waiting(open) = self.steps[dependent] {
                self.steps[dependent] = StepState::Waiting(open - 1);
                if open == 1 {
                    self.make_ready(dependent, now);
                }
            }
        }
    }

    /// Skips whatever waits for a step, near or far: each names the step that failed, not one that was skipped itself.
    fn skip_dependents(&mut self, failed: usize, reason: SkipReason) {
        let mut next = vec![failed];
        while let Some(index) = next.pop() {
            for at in 0..self.graph.dependents(index).len() {
                let dependent = self.graph.dependents(index)[at];
                if matches!(self.steps[dependent], StepState::Waiting(_)) {
                    self.skip(SkippedStep { index: dependent, reason, because: Some(failed) });
                    next.push(dependent);
                }
            }
        }
    }

    fn make_ready(&mut self, index: usize, now: Instant) {
        self.steps[index] = StepState::Ready(now);
        let urgency = self.urgency(index);
        let lane = &mut self.lanes[self.needs[index].lane];
        lane.by_index.insert(index);
        lane.by_urgency.insert(urgency);
        self.ready += 1;
    }

    fn skip(&mut self, skipped: SkippedStep) {
        self.remove_ready(skipped.index);
        self.steps[skipped.index] = StepState::Skipped(skipped);
        self.skipped += 1;
    }

    fn remove_ready(&mut self, index: usize) {
        let urgency = self.urgency(index);
        let lane = &mut self.lanes[self.needs[index].lane];
        if lane.by_index.remove(&index) {
            lane.by_urgency.remove(&urgency);
            self.ready -= 1;
        }
    }

    fn urgency(&self, index: usize) -> Urgency {
        (Reverse(self.needs[index].priority), Reverse(self.graph.chain(index)), index)
    }
}
