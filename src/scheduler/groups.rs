//! The lines before groups: which members of each may start next. Pure: it has no permits and no waiters, only their places.
//!
//! A member that waits stands in the line of each of its groups. As many members as a group has free places are *next* in it. A member may
//! start when it is next in all of its groups. Nothing is held while it waits, so that no two members can wait for each other; and a
//! member that is next in one group stays so until it is next in the others, so that those behind it never overtake it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::globs::Globs;

/// A place in the queue: the smallest key is first.
pub(super) type Key = (Reverse<i32>, i64);

/// The groups of one execution, each once, with its limit.
pub(super) type Membership = Arc<[(Box<str>, usize)]>;

/// The limit of a group that no entry matches.
const DEFAULT_LIMIT: usize = 1;

/// The most members of a group that may run at once, by its name.
#[derive(Debug)]
pub(super) struct GroupLimits {
    by_name: BTreeMap<String, usize>,
    /// The longest first; of equally long ones, the one with the smallest limit.
    by_glob: Vec<(Globs, usize)>,
}

impl GroupLimits {
    pub(super) fn new(limits: &BTreeMap<String, usize>) -> Self {
        let mut globs: Vec<_> = limits.iter().collect();
        globs.sort_by_key(|(glob, limit)| (Reverse(glob.len()), **limit));
        let by_glob = globs.into_iter().map(|(glob, limit)| (Globs::new([glob.as_str()], false), *limit)).collect();
        Self { by_name: limits.clone(), by_glob }
    }

    fn of(&self, name: &str) -> usize {
        let by_glob = || self.by_glob.iter().find(|(glob, _)| glob.is_match(name)).map(|(_, limit)| *limit);
        self.by_name.get(name).copied().or_else(by_glob).unwrap_or(DEFAULT_LIMIT)
    }

    /// Returns the groups of these names; `None` without names.
    pub(super) fn membership(&self, names: &[String]) -> Option<Membership> {
        if names.is_empty() {
            return None;
        }
        let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        Some(names.into_iter().map(|name| (name.into(), self.of(name))).collect())
    }
}

/// The groups that have members, running or waiting.
#[derive(Debug, Default)]
pub(super) struct Groups {
    by_name: HashMap<Box<str>, Group>,
    waiting: BTreeMap<Key, WaitingMember>,
}

/// A member that waits.
#[derive(Debug)]
struct WaitingMember {
    groups: Membership,
    /// The number of its groups in which other members come first.
    behind_in: usize,
}

#[derive(Debug)]
struct Group {
    limit: usize,
    running: usize,
    /// The first in the line, one for each free place.
    next: BTreeSet<Key>,
    /// The members behind these. It is empty while the group has a place.
    behind: BTreeSet<Key>,
}

impl Group {
    fn new(limit: usize) -> Self {
        Self { limit, running: 0, next: BTreeSet::new(), behind: BTreeSet::new() }
    }

    fn has_place(&self) -> bool {
        self.next.len() < self.limit - self.running
    }

    /// Whether a member with this key would be next.
    fn would_be_next(&self, key: &Key) -> bool {
        self.has_place() || self.next.last().is_some_and(|last| key < last)
    }

    /// Adds a member to those that are next. Returns the one that is next no more for that.
    fn insert_next(&mut self, key: Key) -> Option<Key> {
        let displaced = if self.has_place() { None } else { self.next.pop_last() };
        self.next.insert(key);
        self.behind.extend(displaced);
        displaced
    }

    /// Fills a place that fell free. Returns the member that is next now.
    fn promote(&mut self) -> Option<Key> {
        if !self.has_place() {
            return None;
        }
        let key = self.behind.pop_first()?;
        self.next.insert(key);
        Some(key)
    }

    fn is_unused(&self) -> bool {
        self.running == 0 && self.next.is_empty() && self.behind.is_empty()
    }
}

impl Groups {
    /// Returns the first group of an execution in which it would not be next.
    pub(super) fn obstacle<'a>(&self, key: &Key, groups: &'a Membership) -> Option<&'a str> {
        let is_obstacle = |name: &str| self.by_name.get(name).is_some_and(|group| !group.would_be_next(key));
        groups.iter().map(|(name, _)| &**name).find(|name| is_obstacle(name))
    }

    /// Adds a member to the lines of its groups. Returns those that could start and cannot any more, since it goes first.
    pub(super) fn enter(&mut self, key: Key, groups: Membership) -> Vec<Key> {
        let mut behind_in = 0;
        let mut held_back = Vec::new();
        for (name, limit) in groups.iter() {
            let group = match self.by_name.get_mut(name) {
                Some(group) => group,
                None => self.by_name.entry(name.clone()).or_insert_with(|| Group::new(*limit)),
            };
            if !group.would_be_next(&key) {
                group.behind.insert(key);
                behind_in += 1;
            } else if let Some(displaced) = group.insert_next(key)
                && let Some(other) = self.waiting.get_mut(&displaced)
            {
                other.behind_in += 1;
                if other.behind_in == 1 {
                    held_back.push(displaced);
                }
            }
        }
        self.waiting.insert(key, WaitingMember { groups, behind_in });
        held_back
    }

    /// Whether a member that waits may start.
    pub(super) fn is_ready(&self, key: &Key) -> bool {
        self.waiting.get(key).is_some_and(|member| member.behind_in == 0)
    }

    /// Removes a member that waits no longer. Returns those that may start for that.
    pub(super) fn leave(&mut self, key: &Key) -> Vec<Key> {
        let Some(WaitingMember { groups, .. }) = self.waiting.remove(key) else { return Vec::new() };
        self.free(&groups, |group| {
            group.next.remove(key);
            group.behind.remove(key);
        })
    }

    /// Starts a member that may start. Returns its groups; `None` for an execution that has none.
    pub(super) fn start(&mut self, key: &Key) -> Option<Membership> {
        let WaitingMember { groups, .. } = self.waiting.remove(key)?;
        for (name, _) in groups.iter() {
            if let Some(group) = self.by_name.get_mut(name) {
                group.next.remove(key);
                group.running += 1;
            }
        }
        Some(groups)
    }

    /// Ends a running member. Returns the members that may start because of that.
    pub(super) fn end(&mut self, groups: &Membership) -> Vec<Key> {
        self.free(groups, |group| group.running -= 1)
    }

    fn free(&mut self, groups: &Membership, change: impl Fn(&mut Group)) -> Vec<Key> {
        let mut ready = Vec::new();
        for (name, _) in groups.iter() {
            let Some(group) = self.by_name.get_mut(name) else { continue };
            change(group);
            let promoted = group.promote();
            if group.is_unused() {
                self.by_name.remove(name);
            }
            let Some(promoted) = promoted else { continue };
            let Some(member) = self.waiting.get_mut(&promoted) else { continue };
            member.behind_in -= 1;
            if member.behind_in == 0 {
                ready.push(promoted);
            }
        }
        ready
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.by_name.is_empty() && self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_glob_sets_the_limit_and_the_name_itself_goes_before() {
        let table = [("*", 9), ("terraform:*", 3), ("terraform:p*", 4), ("{a,b}", 5), ("a?", 6), ("db*", 7), ("db", 2)];
        let limits = GroupLimits::new(&table.map(|(glob, limit)| (glob.to_owned(), limit)).into());
        let of = |names: &[&str]| names.iter().map(|name| limits.of(name)).collect::<Vec<_>>();
        assert_eq!(
            of(&["terraform:prod", "terraform:test", "terraform", "b", "ab", "db", "dbs"]),
            [4, 3, 9, 5, 6, 2, 7]
        );
        assert_eq!(GroupLimits::new(&BTreeMap::new()).of("any"), 1);
        let equal = [("a*", 5), ("*a", 3)].map(|(glob, limit)| (glob.to_owned(), limit));
        assert_eq!(GroupLimits::new(&equal.into()).of("a-a"), 3, "of equally long ones the smaller limit");
    }

    #[test]
    fn a_name_that_is_given_twice_is_one_group() {
        let limits = GroupLimits::new(&BTreeMap::new());
        let names = ["b", "a", "b"].map(str::to_owned);
        assert_eq!(*limits.membership(&names).unwrap(), [("a".into(), 1), ("b".into(), 1)]);
        assert!(limits.membership(&[]).is_none());
    }
}
