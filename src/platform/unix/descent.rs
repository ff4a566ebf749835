//! The order of the members of a tree in which they are signalled.

use std::collections::HashMap;

use super::pid::Pid;
use super::procs::Proc;

/// Sorts members so that each comes after its ancestors in `living`. Neither ids nor starts show that: ids begin again after the largest,
/// and processes that start within 10 ms have the same start.
pub(super) fn sort_by_descent(members: &mut [Proc], living: &[Proc]) {
    if members.len() < 2 {
        return;
    }
    let generations = generations(living);
    members.sort_by_key(|proc| (generations.get(&proc.pid).copied(), proc.start, proc.pid));
}

/// Returns the number of ancestors in `living` for each process.
fn generations(living: &[Proc]) -> HashMap<Pid, usize> {
    let parents: HashMap<Pid, Option<Pid>> = living.iter().map(|proc| (proc.pid, proc.parent)).collect();
    let mut generations = HashMap::with_capacity(living.len());
    let mut line = Vec::new();
    for proc in living {
        let mut next = Some(proc.pid);
        let mut generation = 0;
        while let Some(pid) = next {
            let Some(parent) = parents.get(&pid) else { break };
            if let Some(known) = generations.get(&pid) {
                generation = known + 1;
                break;
            }
            // The process is known before its parent is visited: a table that changes while it is read may have a
            // cycle.
            generations.insert(pid, 0);
            line.push(pid);
            next = *parent;
        }
        for pid in line.drain(..).rev() {
            generations.insert(pid, generation);
            generation += 1;
        }
    }
    generations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proc(pid: i32, parent: i32) -> Proc {
        let id = Pid::from_raw;
        Proc { pid: id(pid).unwrap(), state: b'S', parent: id(parent), group: id(900), session: id(900), start: 7 }
    }

    fn sorted(living: &[Proc]) -> Vec<i32> {
        let mut members = living.to_vec();
        sort_by_descent(&mut members, living);
        members.iter().map(|proc| proc.pid.as_raw()).collect()
    }

    #[test]
    fn parents_come_before_children_whatever_their_ids_are() {
        // The ids have begun again twice: below the leader's, and above it.
        let living = [proc(300, 950), proc(900, 1), proc(950, 30_000), proc(951, 300), proc(30_000, 900)];
        assert_eq!(sorted(&living), [900, 30_000, 950, 300, 951]);
    }

    #[test]
    fn a_member_without_its_parent_comes_with_the_first() {
        assert_eq!(sorted(&[proc(5, 4), proc(4, 3), proc(9, 1)]), [4, 9, 5]);
    }

    #[test]
    fn a_cycle_ends() {
        assert_eq!(sorted(&[proc(5, 4), proc(4, 5), proc(6, 6)]).len(), 3);
    }
}
