//! The sessions that members have opened: a process in one of them descends from that member, even if it has lost its tag and its
//! parent.

use crate::tree::Tree;
use crate::{Proc, sys};

/// The most sessions that are remembered. Members in other sessions are found by their tag or parent only.
const PLACES: usize = 1 << 16;
/// The most used places of the table, so that a search ends.
const MOST_SESSIONS: usize = PLACES / 2;

#[derive(Clone, Copy)]
struct Session {
    /// 0: the place is free.
    number: i32,
    /// The same as [`Proc::owner`].
    owner: u32,
    seen_in: u32,
}

pub(crate) struct Sessions {
    places: &'static mut [Session],
    count: usize,
}

impl Sessions {
    pub(crate) fn reserve() -> Option<Self> {
        Some(Self { places: sys::memory(PLACES)?, count: 0 })
    }

    /// Assigns processes without an owner to the tree whose member has opened their session, by this scan or the one before: later the
    /// id may belong to another session. Returns whether there are any.
    pub(crate) fn apply(&mut self, trees: &[Tree], procs: &mut [Proc], scan: u32) -> bool {
        for proc in procs.iter().filter(|proc| proc.owner != 0) {
            self.open(proc, scan);
        }
        let mut is_found = false;
        for proc in procs.iter_mut().filter(|proc| proc.owner == 0 && proc.session != 0) {
            let known = self.places[self.place(proc.session)];
            if known.number == 0 || known.seen_in + 1 < scan {
                continue;
            }
            let tree = &trees[known.owner as usize - 1];
            // If children may opt out, other processes in the session may have done so.
            if proc.start >= tree.earliest_start && !tree.allows_detached() {
                proc.owner = known.owner;
                is_found = true;
            }
        }
        is_found
    }

    fn open(&mut self, proc: &Proc, scan: u32) {
        let place = self.place(proc.session);
        if proc.session == 0 || (self.places[place].number == 0 && self.count == MOST_SESSIONS) {
            return;
        }
        self.count += usize::from(self.places[place].number == 0);
        self.places[place] = Session { number: proc.session, owner: proc.owner, seen_in: scan };
    }

    /// Returns the place of a session, or the free place for it.
    fn place(&self, number: i32) -> usize {
        let mut at = (number as u32).wrapping_mul(2_654_435_769) as usize % PLACES;
        while self.places[at].number != 0 && self.places[at].number != number {
            at = (at + 1) % PLACES;
        }
        at
    }
}
