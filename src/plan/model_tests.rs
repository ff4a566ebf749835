//! Random plans against a simple model. Slots are the real scheduler's; a step lasts so many turns of the executor, which makes
//! a thousand plans with a thousand orders of events.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use proptest::prelude::*;
use tokio::sync::SetOnce;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::yield_now;

use crate::config::ExecutionConfig;
use crate::platform::clock::Instant;
use crate::scheduler::{Entry, Permit, Scheduler, Ticket};
use crate::state::Stop;
use crate::types::{ExecutionStrategy, SkipReason, When};

use super::graph::Graph;
use super::plan_state::{Needs, PlanState, Rules, StepState};
use super::run::{Claim, Host, Pace, PlanStop, Slot, StepEnd, run};

/// The behaviour of a step once it has a slot.
#[derive(Debug, Clone, Copy)]
struct Script {
    turns: u8,
    /// The number of attempts that fail first, with a pause after each; a step that fails for good has no other
    /// attempt.
    failures: u8,
    completes: bool,
    priority: i32,
    /// A sum of 1, 2 and 4 for the groups that it is in.
    groups: usize,
    when: When,
}

/// The number of groups, and the most steps of each that run at once.
const GROUPS: usize = 3;
const LIMITS: [usize; GROUPS] = [1, 2, 1];

impl Script {
    fn group_names(&self) -> Vec<String> {
        (0..GROUPS).filter(|group| self.groups & (1 << group) > 0).map(|group| format!("group-{group}")).collect()
    }
}

#[derive(Debug, Clone)]
struct Case {
    scripts: Vec<Script>,
    dependencies: HashMap<usize, Vec<usize>>,
    slots: usize,
    most_at_once: usize,
    continues: bool,
    /// Whether the steps run one after the other, without the `dependencies`.
    is_serial: bool,
    /// The plan is cancelled after so many turns.
    cancelled_after: Option<u8>,
}

/// The observed events, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Note {
    Began(usize),
    Attempt(usize),
    Rested(usize),
    Ended(usize, bool),
    Cancelled,
}

type Notes = Arc<Mutex<Vec<Note>>>;

fn note(notes: &Notes, note: Note) {
    notes.lock().unwrap().push(note);
}

struct Stage {
    scheduler: Arc<Scheduler>,
    scripts: Vec<Script>,
    notes: Notes,
    ends: UnboundedSender<StepEnd>,
    stops: Vec<Arc<SetOnce<Stop>>>,
    /// The steps in the order in which they began.
    choices: Vec<usize>,
    tallies: Vec<(usize, usize, usize)>,
}

impl Host for Stage {
    type Permit = Permit;
    type Ticket = Ticket;

    fn claim(&self, lane: usize, priority: i32) -> Claim<Permit, Ticket> {
        let groups = Script { groups: lane, ..self.scripts[0] }.group_names();
        match self.scheduler.claim(priority, &groups) {
            Entry::Now(permit) => Claim::Now(permit),
            Entry::Later(ticket) => Claim::Later(ticket),
        }
    }

    fn poll_turn(ticket: &mut Ticket, context: &mut Context<'_>) -> Poll<Permit> {
        ticket.poll_turn(context)
    }

    fn free(&self) -> usize {
        self.scheduler.load().1
    }

    fn begin(&mut self, index: usize, slot: Slot<Permit>, _since: Instant) -> Result<(), SkipReason> {
        let Slot::Free(permit) = slot else { panic!("there is no queue timeout") };
        note(&self.notes, Note::Began(index));
        self.choices.push(index);
        let stop = Arc::clone(&self.stops[index]);
        tokio::spawn(play(
            index,
            self.scripts[index],
            permit,
            stop,
            Arc::clone(&self.scheduler),
            Arc::clone(&self.notes),
            self.ends.clone(),
        ));
        Ok(())
    }

    fn stop(&self, index: usize, why: Stop) {
        let _ = self.stops[index].set(why);
    }

    fn report(&mut self, plan: &PlanState) {
        self.tallies.push(plan.tally());
    }
}

/// Runs one step: attempts with pauses between them, in which it has no slot.
async fn play(
    index: usize,
    script: Script,
    mut permit: Permit,
    stop: Arc<SetOnce<Stop>>,
    scheduler: Arc<Scheduler>,
    notes: Notes,
    ends: UnboundedSender<StepEnd>,
) {
    let mut completed = script.completes;
    'attempts: for attempt in 0..=script.failures {
        note(&notes, Note::Attempt(index));
        for _ in 0..script.turns {
            if stop.get().is_some() {
                completed = false;
                break 'attempts;
            }
            yield_now().await;
        }
        if attempt < script.failures {
            note(&notes, Note::Rested(index));
            drop(permit);
            yield_now().await;
            permit = match scheduler.claim(script.priority, &script.group_names()) {
                Entry::Now(permit) => permit,
                Entry::Later(mut ticket) => ticket.turn().await,
            };
            if stop.get().is_some() {
                completed = false;
                break;
            }
        }
    }
    note(&notes, Note::Ended(index, completed));
    drop(permit);
    ends.send(StepEnd { index, completed }).unwrap();
}

fn cases() -> impl Strategy<Value = Case> {
    let groups = prop_oneof![2 => Just(0), 1 => 0_usize..(1 << GROUPS)];
    let when = prop_oneof![4 => Just(When::Success), 1 => Just(When::Failure), 1 => Just(When::Always)];
    let script = (0_u8..6, 0_u8..3, prop::bool::weighted(0.8), -1_i32..2, groups, when).prop_map(
        |(turns, failures, completes, priority, groups, when)| Script {
            turns,
            failures,
            completes,
            priority,
            groups,
            when,
        },
    );
    let scripts = prop::collection::vec(script, 1..25);
    let edges = prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..40);
    let order = any::<u64>();
    let rest =
        (1_usize..6, 1_usize..8, any::<bool>(), prop::bool::weighted(0.2), prop::option::weighted(0.3, 0_u8..40));
    (scripts, edges, order, rest).prop_map(
        |(scripts, edges, order, (slots, most_at_once, continues, is_serial, cancelled_after))| {
            // Edges go along a hidden order, so that there is no cycle and indexes do not reveal the order.
            let place = |index: usize| (index as u64 ^ order).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let mut dependencies: HashMap<usize, Vec<usize>> = HashMap::new();
            for (a, b) in edges {
                let (a, b) = (a.index(scripts.len()), b.index(scripts.len()));
                if place(a) != place(b) {
                    let (first, then) = if place(a) < place(b) { (a, b) } else { (b, a) };
                    dependencies.entry(then).or_default().push(first);
                }
            }
            let most_at_once = if is_serial { 1 } else { most_at_once };
            if is_serial {
                // These are the dependencies of a serial step.
                dependencies = (1..scripts.len()).map(|index| (index, (0..index).collect())).collect();
            }
            Case { scripts, dependencies, slots, most_at_once, continues, is_serial, cancelled_after }
        },
    )
}

/// The final state of a plan.
struct Outcome {
    notes: Vec<Note>,
    stage: Stage,
    plan: PlanState,
    stopped: Option<Stop>,
}

fn perform(case: &Case) -> Outcome {
    let executor = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    executor.block_on(async {
        let group_limits = LIMITS.iter().enumerate().map(|(group, limit)| (format!("group-{group}"), *limit)).collect();
        let config =
            ExecutionConfig { max_concurrent_executions: case.slots, group_limits, ..ExecutionConfig::default() };
        let scheduler = Scheduler::new(&config);
        let notes = Notes::default();
        let (ends, end_receiver) = unbounded_channel();
        let dependencies = case.dependencies.clone();
        let strategy = if case.is_serial {
            ExecutionStrategy::Serial { stop_on_error: !case.continues }
        } else {
            ExecutionStrategy::DependencyGraph { dependencies }
        };
        let graph = Graph::new(&strategy, &vec![Vec::new(); case.scripts.len()]).unwrap();
        let on_failure = (!case.continues).then_some(SkipReason::Dependency);
        let rules = Rules { most_at_once: case.most_at_once, on_failure, is_serial: case.is_serial };
        let needs = |script: &Script| Needs { priority: script.priority, lane: script.groups, when: script.when };
        let mut plan = PlanState::new(graph, rules, case.scripts.iter().map(needs).collect(), Instant::now());
        let mut stage = Stage {
            scheduler: Arc::clone(&scheduler),
            scripts: case.scripts.clone(),
            notes: Arc::clone(&notes),
            ends,
            stops: case.scripts.iter().map(|_| Arc::new(SetOnce::new())).collect(),
            choices: Vec::new(),
            tallies: Vec::new(),
        };
        let stop = Arc::new(PlanStop::default());
        if let Some(turns) = case.cancelled_after {
            let (stop, notes) = (Arc::clone(&stop), Arc::clone(&notes));
            tokio::spawn(async move {
                for _ in 0..turns {
                    yield_now().await;
                }
                note(&notes, Note::Cancelled);
                stop.request(Stop::Cancelled);
            });
        }
        let pace = Pace { deadline: None, queue_timeout: None };
        let stopped = run(&mut stage, &mut plan, &stop, end_receiver, pace).await;
        assert_eq!(scheduler.load(), (0, case.slots, 0), "a slot or a place in the queue was lost");
        let notes = notes.lock().unwrap().clone();
        Outcome { notes, stage, plan, stopped }
    })
}

/// Whether a step failed for those that depend on it, and which one is reported: by the documented rules, from the ends of the steps that ran.
fn expected(case: &Case, notes: &[Note]) -> Vec<Expected> {
    let completed = |index| notes.contains(&Note::Ended(index, true));
    let mut known: Vec<Option<Expected>> = vec![None; case.scripts.len()];
    // Each pass adds at least one step: there is no cycle.
    while known.iter().any(Option::is_none) {
        for index in 0..case.scripts.len() {
            let dependencies = case.dependencies.get(&index).map_or(&[][..], Vec::as_slice);
            if known[index].is_some() || !dependencies.iter().all(|it| known[*it].is_some()) {
                continue;
            }
            let has_failure = dependencies.iter().any(|it| known[*it].is_some_and(|known| known.fails));
            let runs = match case.scripts[index].when {
                When::Success => !has_failure || case.continues,
                When::Failure => has_failure,
                When::Always => true,
            };
            let fails = if runs { !completed(index) } else { case.scripts[index].when == When::Success };
            known[index] = Some(Expected { runs, fails });
        }
    }
    known.into_iter().flatten().collect()
}

#[derive(Debug, Clone, Copy)]
struct Expected {
    runs: bool,
    fails: bool,
}

/// Checks what the model expects of each step: whether it may have begun, and with what end.
fn check(case: &Case, outcome: &Outcome) {
    let Outcome { notes, stage, plan, stopped } = outcome;
    let at = |wanted: Note| notes.iter().position(|note| *note == wanted);
    let ended = |index| at(Note::Ended(index, true)).or(at(Note::Ended(index, false)));
    let expected = expected(case, notes);
    for (index, script) in case.scripts.iter().enumerate() {
        let began = notes.iter().filter(|note| **note == Note::Began(index)).count();
        let ends = notes.iter().filter(|note| matches!(note, Note::Ended(it, _) if *it == index)).count();
        match plan.step(index) {
            StepState::Ended => {
                assert_eq!((began, ends), (1, 1), "step {index} began and ended once");
                assert!(expected[index].runs, "step {index} ran, and should not: {:?}", script.when);
                for dependency in case.dependencies.get(&index).into_iter().flatten() {
                    let was_over = matches!(plan.step(*dependency), StepState::Skipped(_))
                        || ended(*dependency) < at(Note::Began(index));
                    assert!(was_over, "step {index} began before {dependency} was over");
                }
                let was_stopped = stage.stops[index].get().is_some();
                assert!(!was_stopped || script.when != When::Always, "step {index} runs in any case, and was stopped");
                let completed = at(Note::Ended(index, true)).is_some();
                assert!(was_stopped || completed == script.completes, "step {index} has its own end");
                let attempts = notes.iter().filter(|note| **note == Note::Attempt(index)).count();
                let wanted = usize::from(script.failures) + 1;
                assert!(attempts == wanted || was_stopped && attempts <= wanted, "step {index}: {attempts} attempts");
            }
            StepState::Skipped(skipped) => {
                assert_eq!((began, ends), (0, 0), "step {index} was skipped");
                assert_ne!(script.when, When::Always, "step {index} runs in any case, and was skipped");
                match (skipped.reason, skipped.because) {
                    (SkipReason::Dependency, Some(failed)) => {
                        assert!(!case.continues && !expected[index].runs && script.when == When::Success);
                        assert!(
                            at(Note::Ended(failed, false)).is_some(),
                            "step {index} is skipped because of {failed}"
                        );
                        assert!(waits_for(case, index, failed), "step {index} does not wait for {failed}");
                    }
                    (SkipReason::NoFailure, None) => {
                        assert!(script.when == When::Failure && !expected[index].runs, "step {index} was needed");
                    }
                    (SkipReason::Cancelled, None) => assert_eq!(*stopped, Some(Stop::Cancelled)),
                    other => panic!("step {index} is skipped for {other:?}"),
                }
            }
            other => panic!("step {index} is {other:?} at the end"),
        }
    }
    if let Some(cancelled) = at(Note::Cancelled) {
        let is_late = |note: &&Note| matches!(note, Note::Began(it) if case.scripts[*it].when != When::Always);
        assert_eq!(notes[cancelled..].iter().find(is_late), None, "a step began after the plan was cancelled");
    }
    if stopped.is_none() {
        // No step is skipped without a reason.
        for (index, expected) in expected.iter().enumerate() {
            assert_eq!(plan.step(index) == StepState::Ended, expected.runs, "step {index}");
        }
    }
}

/// Whether a step waits for another one, near or far.
fn waits_for(case: &Case, index: usize, other: usize) -> bool {
    let mut next = vec![index];
    let mut seen = vec![false; case.scripts.len()];
    while let Some(index) = next.pop() {
        for dependency in case.dependencies.get(&index).into_iter().flatten() {
            if *dependency == other {
                return true;
            }
            if !std::mem::replace(&mut seen[*dependency], true) {
                next.push(*dependency);
            }
        }
    }
    false
}

/// Checks that the limits hold at every moment, and that no step waits without a reason.
fn check_limits(case: &Case, outcome: &Outcome) {
    let mut open = 0;
    // The steps that hold a slot.
    let mut busy = BTreeSet::new();
    for note in &outcome.notes {
        match note {
            Note::Began(_) => open += 1,
            Note::Attempt(index) => {
                busy.insert(*index);
            }
            Note::Rested(index) => {
                busy.remove(index);
            }
            Note::Ended(index, _) => {
                open -= 1;
                busy.remove(index);
            }
            Note::Cancelled => {}
        }
        assert!(open <= case.most_at_once, "{open} steps of the plan at once");
        assert!(busy.len() <= case.slots, "{} steps in {} slots", busy.len(), case.slots);
        for (group, limit) in LIMITS.iter().enumerate() {
            let members = busy.iter().filter(|index| case.scripts[**index].groups & (1 << group) > 0).count();
            assert!(members <= *limit, "{members} steps of group {group} at once");
        }
    }
    assert_eq!((open, busy.len()), (0, 0));
    let tallies = &outcome.stage.tallies;
    assert!(tallies.windows(2).all(|pair| pair[0] <= pair[1]), "progress goes forward: {tallies:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_does_what_the_model_says(case in cases()) {
        let outcome = perform(&case);
        check(&case, &outcome);
        check_limits(&case, &outcome);
    }
}

/// With a slot for each the order is that of the indexes; with one slot the longest chain goes first.
#[test]
fn scarce_slots_go_to_the_longest_chain() {
    let script = Script { turns: 3, failures: 0, completes: true, priority: 0, groups: 0, when: When::Success };
    let dependencies = HashMap::from([(4, vec![2]), (5, vec![4]), (3, vec![1])]);
    let case = |slots, scripts| Case {
        scripts,
        dependencies: dependencies.clone(),
        slots,
        most_at_once: 10,
        continues: false,
        is_serial: false,
        cancelled_after: None,
    };
    assert_eq!(perform(&case(6, vec![script; 6])).stage.choices[..3], [0, 1, 2]);
    assert_eq!(perform(&case(1, vec![script; 6])).stage.choices, [2, 1, 4, 0, 3, 5]);
    // A request of the host is handled before that.
    let mut scripts = vec![script; 6];
    scripts[0].priority = 1;
    assert_eq!(perform(&case(1, scripts)).stage.choices, [0, 2, 1, 4, 3, 5]);
}

/// Long plans and wide plans need no recursion, and no more work than there are steps.
#[test]
fn ten_thousand_steps_in_a_row_and_side_by_side() {
    const STEPS: usize = 10_000;
    let script = Script { turns: 0, failures: 0, completes: true, priority: 0, groups: 0, when: When::Success };
    let chain = (1..STEPS).map(|index| (index, vec![index - 1])).collect();
    let fan = (1..STEPS).map(|index| (index, vec![0])).collect();
    for dependencies in [chain, fan, HashMap::new()] {
        let mut case = Case {
            scripts: vec![script; STEPS],
            dependencies,
            slots: 8,
            most_at_once: usize::MAX,
            continues: false,
            is_serial: false,
            cancelled_after: None,
        };
        let outcome = perform(&case);
        assert_eq!(outcome.plan.tally(), (STEPS, 0, 0));
        // The first one fails: whatever waits for it is skipped.
        case.scripts[0].completes = false;
        let waiting = case.dependencies.len();
        assert_eq!(perform(&case).plan.tally(), (STEPS, 1, waiting));
    }
}
