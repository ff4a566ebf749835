//! The state of a plan: which steps may begin, which run, and how the others ended. Pure: it uses no clock and no
//! process.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use crate::platform::clock::Instant;
use crate::types::{SkipReason, SkippedStep, When};

use super::graph::Graph;

/// The state of one step.
///
/// | from | to | by |
/// | --- | --- | --- |
/// | `Waiting` | `Ready` | the last step that it waits for is over, and it runs after such ends |
/// | `Waiting` | `Skipped` | it does not run after such ends |
/// | `Waiting`, `Ready` | `Skipped` | [`PlanState::stop`] |
/// | `Ready` | `Running` | [`PlanState::take`] |
/// | `Running` | `Ended` | [`PlanState::ended`] |
/// | `Running` | `Skipped` | [`PlanState::refused`]: it could not begin after all |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StepState {
    /// Not every step that it waits for is over.
    Waiting,
    /// Every step that it waits for is over, since that moment.
    Ready(Instant),
    Running,
    Ended,
    Skipped(SkippedStep),
}

/// Bounds and policies of a plan.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// The most steps that run at once.
    pub(crate) most_at_once: usize,
    /// The reason for which the steps are skipped that wait for a step that did not complete. `None`: they run in any
    /// case.
    pub(crate) on_failure: Option<SkipReason>,
    /// Whether each step depends on all steps before its dependency, too.
    pub(crate) is_serial: bool,
}

/// The needs of a step that begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needs {
    pub(crate) priority: i32,
    /// Steps in the same groups share a lane: they wait for the same places.
    pub(crate) lane: usize,
    pub(crate) when: When,
}

/// The order of ready steps: by priority, then by the length of the chain that waits for a step, then by index.
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
    /// For each step the number of its dependencies that are not over. A skipped one is over when all its dependencies
    /// are.
    open: Vec<usize>,
    /// For each step the first dependency that did not complete.
    failures: Vec<Option<usize>>,
    lanes: Vec<Lane>,
    ready: usize,
    running: BTreeSet<usize>,
    ended: usize,
    failed: usize,
    skipped: usize,
}

impl PlanState {
    /// Returns a plan none of whose steps has begun; `needs` has one entry for each.
    pub(crate) fn new(graph: Graph, rules: Rules, needs: Vec<Needs>, now: Instant) -> Self {
        let open: Vec<_> = (0..graph.len()).map(|index| graph.dependencies(index).len()).collect();
        let lanes = needs.iter().map(|needs| needs.lane + 1).max().unwrap_or_default();
        let mut state = Self {
            graph,
            rules,
            needs,
            steps: vec![StepState::Waiting; open.len()],
            failures: vec![None; open.len()],
            open,
            lanes: vec![Lane::default(); lanes],
            ready: 0,
            running: BTreeSet::new(),
            ended: 0,
            failed: 0,
            skipped: 0,
        };
        for index in 0..state.steps.len() {
            if state.graph.dependencies(index).is_empty() && state.settle(index, now) {
                state.over(index, now);
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

    /// Returns the steps that run, in the order of their indexes.
    pub(crate) fn running(&self) -> impl Iterator<Item = usize> {
        self.running.iter().copied()
    }

    /// Returns how many steps are over in any way, how many of those did not complete, and how many never began.
    pub(crate) fn tally(&self) -> (usize, usize, usize) {
        (self.ended + self.skipped, self.failed, self.skipped)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.ended + self.skipped == self.steps.len()
    }

    /// Returns how many more steps the plan may run at once.
    fn room(&self) -> usize {
        self.rules.most_at_once - self.running.len()
    }

    /// Whether there are fewer slots than ready steps: then the most urgent step is next, else the one with the lowest
    /// index.
    fn is_scarce(&self, slots: usize) -> bool {
        self.ready > slots.min(self.room())
    }

    /// Whether a step of this lane could begin now if there was a slot with the places that it needs.
    pub(crate) fn is_eligible(&self, lane: usize) -> bool {
        self.room() > 0 && !self.lanes[lane].by_index.is_empty()
    }

    /// Returns the lane of the step that is next when `slots` steps can begin now, and the highest priority in it.
    /// Lanes that wait already, with a priority that is high enough, are left out.
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

    /// Ends a step; those that wait for it are ready, or skipped if they do not run after such an end.
    pub(crate) fn ended(&mut self, index: usize, completed: bool, now: Instant) {
        self.running.remove(&index);
        self.steps[index] = StepState::Ended;
        self.ended += 1;
        self.failed += usize::from(!completed);
        self.pass_on((!completed).then_some(index), index);
        self.over(index, now);
    }

    /// Skips a step that was to begin and could not.
    pub(crate) fn refused(&mut self, index: usize, reason: SkipReason, now: Instant) {
        self.running.remove(&index);
        self.skip(SkippedStep { index, reason, because: None });
        self.pass_on(Some(index), index);
        self.over(index, now);
    }

    /// Prevents further steps from beginning, apart from those that run in any case, unless `all` are to stop.
    pub(crate) fn stop(&mut self, reason: SkipReason, all: bool, now: Instant) {
        let mut skipped = Vec::new();
        for index in 0..self.steps.len() {
            let is_open = matches!(self.steps[index], StepState::Waiting | StepState::Ready(_));
            if is_open && (all || self.needs[index].when != When::Always) {
                self.skip(SkippedStep { index, reason, because: None });
                skipped.push(index);
            }
        }
        // The others are over when what they waited for is: a step that cleans up begins after that.
        skipped.retain(|index| self.open[*index] == 0);
        for index in skipped {
            self.over(index, now);
        }
    }

    /// Returns the ends of its dependencies after which a step runs.
    pub(crate) fn when(&self, index: usize) -> When {
        self.needs[index].when
    }

    /// Passes a failure on to what depends on a step: steps that had to wait for success are skipped at once, near or far. Each names the step
    /// that failed, and not one that was skipped itself.
    fn pass_on(&mut self, failure: Option<usize>, index: usize) {
        let Some(failure) = failure else { return };
        let mut next = vec![index];
        while let Some(index) = next.pop() {
            for at in 0..self.graph.dependents(index).len() {
                let dependent = self.graph.dependents(index)[at];
                let because = *self.failures[dependent].get_or_insert(failure);
                if let Some(reason) = self.rules.on_failure
                    && self.steps[dependent] == StepState::Waiting
                    && self.needs[dependent].when == When::Success
                {
                    self.skip(SkippedStep { index: dependent, reason, because: Some(because) });
                    next.push(dependent);
                }
            }
        }
    }

    /// Marks a step as over, and other steps that are over as a result.
    fn over(&mut self, index: usize, now: Instant) {
        let mut over = vec![index];
        while let Some(index) = over.pop() {
            if self.rules.is_serial {
                self.pass_on(self.failures[index], index);
            }
            for at in 0..self.graph.dependents(index).len() {
                let dependent = self.graph.dependents(index)[at];
                self.open[dependent] -= 1;
                if self.open[dependent] == 0 && self.settle(dependent, now) {
                    over.push(dependent);
                }
            }
        }
    }

    /// Decides what becomes of a step when all that it waits for is over. Returns whether that makes it over too.
    fn settle(&mut self, index: usize, now: Instant) -> bool {
        if self.steps[index] == StepState::Waiting {
            if self.needs[index].when != When::Failure || self.failures[index].is_some() {
                self.make_ready(index, now);
                return false;
            }
            self.skip(SkippedStep { index, reason: SkipReason::NoFailure, because: None });
        }
        matches!(self.steps[index], StepState::Skipped(_))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::ExecutionStrategy;

    /// Returns independent steps with these priorities, all in one lane.
    fn independent(priorities: &[i32], most_at_once: usize) -> PlanState {
        let strategy = ExecutionStrategy::DependencyGraph { dependencies: [].into() };
        let graph = Graph::new(&strategy, &vec![Vec::new(); priorities.len()]).unwrap();
        let rules = Rules { most_at_once, on_failure: None, is_serial: false };
        let needs = priorities.iter().map(|&priority| Needs { priority, lane: 0, when: When::Success });
        PlanState::new(graph, rules, needs.collect(), Instant::now())
    }

    fn first(mut plan: PlanState, slots: usize) -> Option<usize> {
        plan.take(0, slots).map(|(index, _)| index)
    }

    #[test]
    fn priority_decides_only_when_there_are_fewer_slots_than_ready_steps() {
        assert_eq!(first(independent(&[0, 5], 10), 1), Some(1));
        assert_eq!(first(independent(&[0, 5], 10), 2), Some(0), "each of them has a slot");
        assert_eq!(first(independent(&[0, 5], 1), 2), Some(1), "the plan may run one at once");
    }

    #[test]
    fn a_lane_is_eligible_while_it_has_a_ready_step_and_the_plan_has_room() {
        let mut plan = independent(&[0, 0], 1);
        assert!(plan.is_eligible(0));
        let (step, _) = plan.take(0, 9).unwrap();
        assert!(!plan.is_eligible(0), "one at once");
        assert!(plan.take(0, 9).is_none());
        plan.ended(step, true, Instant::now());
        assert!(plan.is_eligible(0));
        let (step, _) = plan.take(0, 9).unwrap();
        plan.ended(step, true, Instant::now());
        assert!(!plan.is_eligible(0), "no step is left");
    }

    #[test]
    fn a_step_that_could_not_begin_is_skipped_and_frees_its_place() {
        let mut plan = independent(&[0, 0], 1);
        let (refused, _) = plan.take(0, 9).unwrap();
        plan.refused(refused, SkipReason::Cancelled, Instant::now());
        let skipped = SkippedStep { index: refused, reason: SkipReason::Cancelled, because: None };
        assert_eq!(plan.step(refused), StepState::Skipped(skipped));
        assert_eq!((plan.tally(), plan.is_over()), ((1, 0, 1), false));
        let (other, _) = plan.take(0, 9).unwrap();
        plan.ended(other, false, Instant::now());
        assert_eq!((plan.tally(), plan.is_over()), ((2, 1, 1), true));
    }
}
