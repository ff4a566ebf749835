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

#[derive(Debug)]
pub(crate) struct PlanState {
    graph: Graph,
    rules: Rules,
    priorities: Vec<i32>,
    steps: Vec<StepState>,
    ready: BTreeSet<usize>,
    /// The same steps: by priority, then by the length of the chain that waits for each.
    ready_by_need: BTreeSet<(Reverse<i32>, Reverse<usize>, usize)>,
    running: BTreeSet<usize>,
    ended: usize,
    failed: usize,
    skipped: usize,
}

impl PlanState {
    /// A plan none of whose steps has begun; `priorities` has one for each.
    pub(crate) fn new(graph: Graph, rules: Rules, priorities: Vec<i32>, now: Instant) -> Self {
        let steps = (0..graph.len()).map(|index| StepState::Waiting(graph.dependencies(index).len())).collect();
        let mut state = Self {
            graph,
            rules,
            priorities,
            steps,
            ready: BTreeSet::new(),
            ready_by_need: BTreeSet::new(),
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

    /// How many steps could begin now if there were slots for them.
    pub(crate) fn eligible(&self) -> usize {
        self.ready.len().min(self.rules.most_at_once - self.running.len())
    }

    /// The highest priority among the steps that could begin.
    pub(crate) fn highest_priority(&self) -> Option<i32> {
        let (Reverse(priority), ..) = self.ready_by_need.first()?;
        (self.eligible() > 0).then_some(*priority)
    }

    /// Lets the next step begin, when `slots` steps can begin now. With slots for all that are ready they go by index; when
    /// slots are scarce by priority, then by the longest chain, then by index. Returns since when it was ready.
    pub(crate) fn take(&mut self, slots: usize) -> Option<(usize, Instant)> {
        if self.eligible() == 0 {
            return None;
        }
        let is_scarce = self.ready.len() > slots.min(self.rules.most_at_once - self.running.len());
        let index = if is_scarce { self.ready_by_need.first()?.2 } else { *self.ready.first()? };
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
        self.ready.insert(index);
        self.ready_by_need.insert(self.need(index));
    }

    fn skip(&mut self, skipped: SkippedStep) {
        self.remove_ready(skipped.index);
        self.steps[skipped.index] = StepState::Skipped(skipped);
        self.skipped += 1;
    }

    fn remove_ready(&mut self, index: usize) {
        if self.ready.remove(&index) {
            self.ready_by_need.remove(&self.need(index));
        }
    }

    fn need(&self, index: usize) -> (Reverse<i32>, Reverse<usize>, usize) {
        (Reverse(self.priorities[index]), Reverse(self.graph.chain(index)), index)
    }
}
