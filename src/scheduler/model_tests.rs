//! Random executions against a simple model of slots and groups.

use std::collections::{BTreeMap, BTreeSet};
use std::task::Waker;

use proptest::prelude::*;

use super::*;

const GROUPS: usize = 4;
/// The limits of the groups, by the globs of the configuration.
const LIMITS: [usize; GROUPS] = [1, 2, 3, 1];

fn limits() -> BTreeMap<String, usize> {
    // The longest glob counts, and `d` has none.
    [("[abc]", 9), ("a", 1), ("{b,x}", 2), ("{c,xx}", 3)].map(|(glob, limit)| (glob.to_owned(), limit)).into()
}

fn names(groups: usize) -> Vec<String> {
    let letters = ["a", "b", "c", "d"];
    // The names are in any order, and one of them is there twice.
    let names = (0..GROUPS).rev().filter(|group| groups & (1 << group) > 0).map(|group| letters[group]);
    let first = names.clone().next();
    names.chain(first).map(str::to_owned).collect()
}

#[derive(Debug, Clone, Copy)]
enum Move {
    /// An execution arrives, with the sum of 1 << group for its groups.
    Enter {
        priority: i32,
        groups: usize,
    },
    /// An execution that was accepted before returns to the head of its priority.
    EnterAgain {
        priority: i32,
        groups: usize,
    },
    /// A waiting execution gives up.
    GiveUp(prop::sample::Index),
    /// A running execution ends.
    End(prop::sample::Index),
    Shrink,
    Grow,
}

fn moves() -> impl Strategy<Value = Move> {
    let groups =
        prop_oneof![2 => Just(0_usize), 3 => (0..GROUPS).prop_map(|group| 1 << group), 3 => 0..(1_usize << GROUPS)];
    let arrival = (-1_i32..2, groups);
    prop_oneof![
        8 => arrival.clone().prop_map(|(priority, groups)| Move::Enter { priority, groups }),
        1 => arrival.prop_map(|(priority, groups)| Move::EnterAgain { priority, groups }),
        3 => any::<prop::sample::Index>().prop_map(Move::GiveUp),
        6 => any::<prop::sample::Index>().prop_map(Move::End),
        1 => Just(Move::Shrink),
        1 => Just(Move::Grow),
    ]
}

struct Running {
    groups: usize,
    _permit: Permit,
}

struct Waiting {
    key: Key,
    groups: usize,
    ticket: Ticket,
}

#[derive(Default)]
struct Model {
    usable: usize,
    running: Vec<Running>,
    waiting: Vec<Waiting>,
    arrivals: i64,
    returns: i64,
}

impl Model {
    fn members(&self, group: usize) -> usize {
        self.running.iter().filter(|it| it.groups & (1 << group) > 0).count()
    }

    /// Implements the rules as documented: an execution waits only if there is no slot, or if those that run and those
    /// ahead of it in the line of one of its groups fill that group.
    fn may_start(&self, key: Key, groups: usize) -> bool {
        let has_place = |group: usize| {
            let in_line = |it: &&Waiting| it.groups & (1 << group) > 0 && it.key < key;
            self.members(group) + self.waiting.iter().filter(in_line).count() < LIMITS[group]
        };
        self.running.len() < self.usable && (0..GROUPS).filter(|group| groups & (1 << group) > 0).all(has_place)
    }

    /// Returns the waiting executions that start next, one after the other.
    fn start_waiting(&mut self) -> BTreeSet<Key> {
        let mut started = BTreeSet::new();
        loop {
            self.waiting.sort_by_key(|it| it.key);
            let Some(at) = self.waiting.iter().position(|it| self.may_start(it.key, it.groups)) else { return started };
            let Waiting { key, groups, mut ticket } = self.waiting.remove(at);
            let mut context = Context::from_waker(Waker::noop());
            let Poll::Ready(permit) = ticket.poll_turn(&mut context) else {
                panic!("{key:?} waits while all that it needs is free, and nothing is ahead of it")
            };
            self.running.push(Running { groups, _permit: permit });
            started.insert(key);
        }
    }
}

fn perform(slots: usize, moves: &[Move]) {
    let scheduler = Scheduler::new(&ExecutionConfig {
        max_concurrent_executions: slots,
        group_limits: limits(),
        ..ExecutionConfig::default()
    });
    let mut model = Model { usable: slots, returns: -1, ..Model::default() };
    for step in moves {
        match *step {
            Move::Enter { priority, groups } => {
                let key = (Reverse(priority), model.arrivals);
                model.arrivals += 1;
                match scheduler.enter(priority, &names(groups)).unwrap() {
                    Entry::Now(permit) => {
                        assert!(model.may_start(key, groups), "it starts before its turn");
                        model.running.push(Running { groups, _permit: permit });
                    }
                    Entry::Later(ticket) => {
                        assert!(!model.may_start(key, groups), "it waits without a reason");
                        model.waiting.push(Waiting { key, groups, ticket });
                    }
                }
            }
            Move::EnterAgain { priority, groups } => {
                let key = (Reverse(priority), model.returns);
                model.returns -= 1;
                let ticket = scheduler.enter_again(priority, &names(groups));
                model.waiting.push(Waiting { key, groups, ticket });
            }
            Move::GiveUp(which) if !model.waiting.is_empty() => {
                let at = which.index(model.waiting.len());
                drop(model.waiting.remove(at));
            }
            Move::End(which) if !model.running.is_empty() => {
                let at = which.index(model.running.len());
                drop(model.running.remove(at));
                if model.running.is_empty() && model.waiting.is_empty() {
                    model.usable = slots;
                }
            }
            // The one that found no room has a slot.
            Move::Shrink if model.running.is_empty() => {}
            Move::Shrink => {
                scheduler.shrink(&ErrorInfo {
                    code: crate::types::ErrorCode::SpawnFailed,
                    message: String::new(),
                    errno: None,
                });
                model.usable = model.running.len().saturating_sub(1).clamp(1, slots);
            }
            Move::Grow => {
                model.usable = (model.usable + 1).min(slots);
                scheduler.grow();
            }
            Move::GiveUp(_) | Move::End(_) => {}
        }
        model.start_waiting();
        let mut context = Context::from_waker(Waker::noop());
        for waiting in &mut model.waiting {
            assert!(waiting.ticket.poll_turn(&mut context).is_pending(), "{:?} starts before its turn", waiting.key);
        }
        for (group, limit) in LIMITS.iter().enumerate() {
            assert!(model.members(group) <= *limit, "group {group} has too many members");
        }
        let free = model.usable.saturating_sub(model.running.len());
        assert_eq!(scheduler.load(), (model.running.len(), free, model.waiting.len()));
        let usable = std::mem::replace(&mut model.usable, usize::MAX);
        let held_back = model.waiting.iter().filter(|it| !model.may_start(it.key, it.groups)).count();
        model.usable = usable;
        assert_eq!(scheduler.held_back(), held_back);
    }
    // Nothing is lost: every waiting execution runs in the end, and then every place is free.
    while !model.running.is_empty() {
        model.running.pop();
        model.start_waiting();
    }
    assert!(model.waiting.is_empty(), "{} wait for ever", model.waiting.len());
    assert_eq!(scheduler.load(), (0, slots, 0));
    assert!(scheduler.lock().groups.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn slots_and_groups_are_given_as_the_model_says(slots in 1_usize..6, moves in prop::collection::vec(moves(), 0..120)) {
        perform(slots, &moves);
    }
}

fn one_slot_each(limits: &[(&str, usize)]) -> Arc<Scheduler> {
    Scheduler::new(&ExecutionConfig {
        max_concurrent_executions: 2,
        max_queued_executions: 1,
        group_limits: limits.iter().map(|(name, limit)| ((*name).to_owned(), *limit)).collect(),
        ..ExecutionConfig::default()
    })
}

#[test]
fn what_waits_for_a_group_holds_no_slot_and_counts_for_the_bound_of_the_queue() {
    let scheduler = one_slot_each(&[]);
    let name = ["deploy".to_owned()];
    let Ok(Entry::Now(first)) = scheduler.enter(0, &name) else { panic!("all is free") };
    let Ok(Entry::Later(second)) = scheduler.enter(9, &name) else { panic!("the group is full") };
    assert_eq!((scheduler.load(), scheduler.held_back()), ((1, 1, 1), 1));
    assert!(matches!(scheduler.enter(0, &name), Err(ExecutionError::QueueFull(1))));
    let Ok(Entry::Now(other)) = scheduler.enter(0, &[]) else { panic!("a slot is free") };
    drop(first);
    assert_eq!((scheduler.load(), scheduler.held_back()), ((2, 0, 0), 0));
    drop((second, other));
    assert_eq!(scheduler.load(), (0, 2, 0));
}

#[test]
fn the_policy_reject_names_the_full_group() {
    let scheduler = Scheduler::new(&ExecutionConfig {
        concurrency_policy: ConcurrencyPolicy::Reject,
        ..ExecutionConfig::default()
    });
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let first = scheduler.enter(0, &names(&["b"])).unwrap();
    let error = scheduler.enter(0, &names(&["c", "b", "a"])).unwrap_err();
    assert_eq!(error.field(), Some("options.groups[1]"));
    drop(first);
    assert!(scheduler.lock().groups.is_empty(), "what was refused has left nothing");
}
