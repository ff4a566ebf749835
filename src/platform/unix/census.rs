//! Decides which process belongs to which tree, for all trees by one scan of the process table.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::bounded::Bounded;
use super::leader::Leader;
use super::pid::Pid;
use super::procs::{self, Identity, Proc, TagRead};

/// The longest wait for all environments of a scan: the read for a process that hangs in the kernel can hang too.
const LONGEST_READ: Duration = Duration::from_millis(500);
/// The pauses between reads of a process that may be in an exec, in ms. Other trees wait meanwhile; on a busy machine it may wait in the
/// exec for a processor.
const LOOKS_AT_AN_EXEC: [u64; 6] = [1, 3, 6, 15, 40, 80];
/// The reads after which only processes that are seen in an exec are read again.
const LOOKS_AT_ANY: usize = 3;
/// The value with which a child opts out of its tree.
const DETACHED: &[u8] = b"detached";

/// The state that is kept from scan to scan.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Members of living trees, with the serial number of the tree: a member remains one when it loses its parent, tag or session.
    known: HashMap<Identity, u64>,
    /// Processes without a tag. A process gets a tag only by an exec, so they have none later either.
    untagged: HashSet<Identity>,
    /// Processes whose environment could not be read in time.
    hanging: HashSet<Identity>,
    /// Processes that waited to be reaped at the latest scan.
    dead: HashSet<Identity>,
    /// Whether the latest scan has found a process that was ending: a child of it may not have been in the list yet.
    is_unsure: bool,
    /// Members that might have opted out, and have had no tag for some time.
    bare: HashSet<Identity>,
    /// The sessions that members have opened, with the serial number of the tree.
    sessions: HashMap<Pid, u64>,
    /// The time when the sessions were seen.
    sessions_seen: u64,
    reader: Bounded,
}

/// The members of each tree, including zombies.
pub(super) type Members = Vec<Vec<Proc>>;

impl Memory {
    /// Returns the serial number of the tree that a process is known to belong to.
    pub(super) fn tree_of(&self, proc: &Proc) -> Option<u64> {
        self.known.get(&proc.identity()).copied()
    }

    /// Whether a process is known to belong to one of these trees.
    pub(super) fn is_in(&self, proc: &Proc, trees: &HashSet<u64>) -> bool {
        self.tree_of(proc).is_some_and(|serial| trees.contains(&serial))
    }

    /// Returns the processes that are known to belong to a tree; some may be gone.
    pub(super) fn members_of(&self, tree: u64) -> impl Iterator<Item = Identity> {
        self.known.iter().filter(move |(_, serial)| **serial == tree).map(|(identity, _)| *identity)
    }

    /// Remembers a member that was found without a scan.
    pub(super) fn remember(&mut self, proc: &Proc, tree: u64) {
        self.known.insert(proc.identity(), tree);
    }

    /// Sorts `procs` by tree. `inherited` has members of control groups, by process id; `read` the tags that were read together with them.
    pub(super) fn sort(
        &mut self,
        procs: &[Proc],
        trees: &[Arc<Leader>],
        inherited: &HashMap<Pid, usize>,
        read: &HashMap<Pid, Vec<u8>>,
    ) -> Members {
        self.is_unsure = false;
        let by_leader: HashMap<Pid, usize> = numbered(trees.iter().map(|it| it.tree().leader));
        let by_serial: HashMap<u64, usize> = numbered(trees.iter().map(|it| it.tree().serial));
        let tree = |index: usize| trees[index].tree();
        let fits = |index: usize, proc: &Proc| (proc.start >= tree(index).born).then_some(index);

        let known = |proc: &Proc| by_serial.get(&self.tree_of(proc)?).copied();
        let by_place = |proc: &Proc| {
            let named = [proc.session, proc.group].iter().flatten().find_map(|id| by_leader.get(id)).copied();
            named.and_then(|index| fits(index, proc)).or_else(|| known(proc))
        };
        let mut owners: Vec<Option<usize>> = procs
            .iter()
            .map(|proc| by_place(proc).or_else(|| inherited.get(&proc.pid).and_then(|index| fits(*index, proc))))
            .collect();

        let detached = self.apply_tags(procs, trees, read, &mut owners);
        let passes = |index: usize, proc: &Proc| {
            fits(index, proc).filter(|_| !(detached.contains(&proc.pid) && may_opt_out(trees, index, proc)))
        };
        inherit(procs, &mut owners, passes);
        if self.apply_sessions(procs, trees, &by_serial, &mut owners) {
            inherit(procs, &mut owners, passes);
        }

        self.is_unsure = self.is_unsure || self.has_deaths(procs, trees, &by_leader);
        let mut members: Members = trees.iter().map(|_| Vec::new()).collect();
        for (proc, owner) in procs.iter().zip(&owners) {
            if let Some(index) = owner {
                members[*index].push(*proc);
                self.known.insert(proc.identity(), tree(*index).serial);
            }
        }
        self.forget(procs, &by_serial);
        members
    }

    /// Whether the latest scan may have missed a child of a process that was ending.
    pub(super) fn is_unsure(&self) -> bool {
        self.is_unsure
    }

    /// Whether a process that may have left a child has ended since the scan before. Other code waits for the end of a leader.
    fn has_deaths(&self, procs: &[Proc], trees: &[Arc<Leader>], leaders: &HashMap<Pid, usize>) -> bool {
        let Some(oldest) = oldest(trees) else { return false };
        let is_death = |proc: &Proc| {
            proc.is_dead()
                && proc.start >= oldest
                && !self.dead.contains(&proc.identity())
                && !leaders.contains_key(&proc.pid)
        };
        procs.iter().any(is_death)
    }

    /// Finds owners by tag, and removes the owner of a process that has opted out. Returns the processes whose tag is the value with
    /// which a child opts out.
    fn apply_tags(
        &mut self,
        procs: &[Proc],
        trees: &[Arc<Leader>],
        read: &HashMap<Pid, Vec<u8>>,
        owners: &mut [Option<usize>],
    ) -> HashSet<Pid> {
        let has_segment = trees.iter().enumerate().filter(|(_, it)| !it.tree().mark.segment.is_empty());
        let segments: HashMap<&[u8], usize> =
            has_segment.map(|(index, it)| (&*it.tree().mark.segment, index)).collect();
        let Some(oldest) = oldest(trees) else { return HashSet::new() };
        let some_may_opt_out = trees.iter().any(|it| it.tree().mark.allow_detached);
        let is_wanted = |proc: &Proc, owner: Option<usize>| {
            let is_read = read.contains_key(&proc.pid);
            if is_read || proc.start < oldest || proc.is_dead() || self.hanging.contains(&proc.identity()) {
                return false;
            }
            match owner {
                Some(index) => may_opt_out(trees, index, proc),
                None => some_may_opt_out || !self.untagged.contains(&proc.identity()),
            }
        };
        let wanted = procs.iter().zip(owners.iter()).filter(|(proc, owner)| is_wanted(proc, **owner));
        let wanted: Vec<Proc> = wanted.map(|(proc, _)| *proc).collect();
        let mut tags = self.read_tags(&wanted);
        tags.extend(read.iter().map(|(pid, tag)| (*pid, tag.clone())));
        if some_may_opt_out {
            self.read_again(procs, trees, owners, &mut tags);
        }

        let mut detached = HashSet::new();
        for (proc, owner) in procs.iter().zip(owners) {
            let Some(tag) = tags.get(&proc.pid) else { continue };
            if owner.is_some_and(|index| !may_opt_out(trees, index, proc)) {
                continue;
            }
            if tag == DETACHED {
                detached.insert(proc.pid);
                *owner = None;
            } else if owner.is_none() {
                let found = tag.split(|byte| *byte == b':').find_map(|segment| segments.get(segment)).copied();
                *owner = found.filter(|index| proc.start >= trees[*index].tree().born);
            }
        }
        detached
    }

    /// Finds processes in a session that a member has opened: they descend from that member. Returns whether there are any.
    fn apply_sessions(
        &mut self,
        procs: &[Proc],
        trees: &[Arc<Leader>],
        by_serial: &HashMap<u64, usize>,
        owners: &mut [Option<usize>],
    ) -> bool {
        let now = procs::now();
        if now.saturating_sub(self.sessions_seen) > procs::SETTLED {
            // The id may belong to another session by now.
            self.sessions.clear();
        }
        // A member has not opened the session of the host.
        let own = own_session();
        let opened_session = |proc: &Proc| proc.session.filter(|session| Some(*session) != own);
        for (proc, owner) in procs.iter().zip(owners.iter()) {
            if let (Some(session), Some(index)) = (opened_session(proc), owner) {
                self.sessions.insert(session, trees[*index].tree().serial);
            }
        }
        let mut is_found = false;
        for (proc, owner) in procs.iter().zip(owners).filter(|(_, owner)| owner.is_none()) {
            let opened = proc
                .session
                .and_then(|session| self.sessions.get(&session))
                .and_then(|serial| by_serial.get(serial))
                .copied();
            // If children may opt out, other processes in the session may have done so.
            let is_member = |index: &usize| {
                let tree = trees[*index].tree();
                proc.start >= tree.born && !tree.mark.allow_detached
            };
            *owner = opened.filter(is_member);
            is_found |= owner.is_some();
        }
        let there: HashSet<Pid> = procs.iter().filter_map(|proc| proc.session).collect();
        self.sessions.retain(|session, serial| there.contains(session) && by_serial.contains_key(serial));
        self.sessions_seen = now;
        is_found
    }

    fn read_tags(&mut self, wanted: &[Proc]) -> HashMap<Pid, Vec<u8>> {
        let now = procs::now();
        let mut tags = HashMap::new();
        let (answers, hanging) = self.reader.map(wanted, LONGEST_READ, |proc| procs::tag(proc.pid));
        self.hanging.extend(hanging.iter().map(Proc::identity));
        for (proc, tag) in answers {
            match tag {
                Some(tag) => _ = tags.insert(proc.pid, tag),
                // Between its fork and its exec a process has its parent's environment, so a young process is read
                // again.
                None if now.saturating_sub(proc.start) > procs::SETTLED => _ = self.untagged.insert(proc.identity()),
                None => self.is_unsure |= !procs::has_environment(proc.pid),
            }
        }
        tags
    }

    /// Reads processes again that may have had no tag because they were in an exec: meanwhile a process has no environment.
    fn read_again(
        &mut self,
        procs: &[Proc],
        trees: &[Arc<Leader>],
        owners: &[Option<usize>],
        tags: &mut HashMap<Pid, Vec<u8>>,
    ) {
        let mut heirs = owners.to_vec();
        inherit(procs, &mut heirs, |index, _| Some(index));
        let is_doubtful = |proc: &Proc, heir: Option<usize>| {
            heir.is_some_and(|index| may_opt_out(trees, index, proc))
                && !proc.is_dead()
                && !tags.contains_key(&proc.pid)
        };
        let doubtful = procs.iter().zip(heirs).filter(|(proc, heir)| is_doubtful(proc, *heir)).map(|(proc, _)| *proc);
        let mut doubtful: Vec<Proc> = doubtful.filter(|proc| !self.bare.contains(&proc.identity())).collect();
        for (look, pause) in LOOKS_AT_AN_EXEC.into_iter().enumerate() {
            if doubtful.is_empty() {
                return;
            }
            std::thread::sleep(Duration::from_millis(pause));
            let (without, unsettled) = self.read_settled(&doubtful, tags);
            doubtful = unsettled;
            if look + 1 < LOOKS_AT_ANY {
                doubtful.extend(without);
            } else {
                self.bare.extend(without.iter().map(Proc::identity));
            }
        }
        self.bare.extend(doubtful.iter().map(Proc::identity));
    }

    /// Reads the tags of processes. Returns those that have none, and those that may have had none because they were in an exec.
    fn read_settled(&mut self, wanted: &[Proc], tags: &mut HashMap<Pid, Vec<u8>>) -> (Vec<Proc>, Vec<Proc>) {
        let (answers, hanging) = self.reader.map(wanted, LONGEST_READ, |proc| procs::settled_tag(proc.pid));
        self.hanging.extend(hanging.iter().map(Proc::identity));
        let (mut without, mut unsettled) = (hanging, Vec::new());
        for (proc, answer) in answers {
            match answer {
                TagRead::Found(tag) => _ = tags.insert(proc.pid, tag),
                TagRead::Absent => without.push(proc),
                TagRead::Unsettled => unsettled.push(proc),
            }
        }
        (without, unsettled)
    }

    /// Removes processes that are gone.
    fn forget(&mut self, procs: &[Proc], serials: &HashMap<u64, usize>) {
        let there: HashSet<Identity> = procs.iter().map(Proc::identity).collect();
        self.known.retain(|identity, serial| serials.contains_key(serial) && there.contains(identity));
        self.dead = procs.iter().filter(|proc| proc.is_dead()).map(Proc::identity).collect();
        self.untagged.retain(|identity| there.contains(identity));
        self.hanging.retain(|identity| there.contains(identity));
        self.bare.retain(|identity| there.contains(identity));
    }
}

/// Returns when the first of the trees was started.
fn oldest(trees: &[Arc<Leader>]) -> Option<u64> {
    trees.iter().map(|it| it.tree().born).min()
}

fn own_session() -> Option<Pid> {
    // Not by rustix, which does not expect the 0 of a session outside of this process id namespace.
    // SAFETY: no memory is involved.
    Pid::from_raw(unsafe { libc::getsid(0) })
}

fn numbered<T: std::hash::Hash + Eq>(keys: impl Iterator<Item = T>) -> HashMap<T, usize> {
    keys.enumerate().map(|(index, key)| (key, index)).collect()
}

/// Whether a process may opt out of a tree: the host allows it, and the process has its own session.
fn may_opt_out(trees: &[Arc<Leader>], index: usize, proc: &Proc) -> bool {
    let tree = trees[index].tree();
    tree.mark.allow_detached && proc.session != Some(tree.leader)
}

/// Assigns every process without an owner to that of its nearest ancestor with an owner, from parent to child as far as `passes` allows.
fn inherit(procs: &[Proc], owners: &mut [Option<usize>], passes: impl Fn(usize, &Proc) -> Option<usize>) {
    let places: HashMap<Pid, usize> = numbered(procs.iter().map(|proc| proc.pid));
    let mut is_settled: Vec<bool> = owners.iter().map(Option::is_some).collect();
    let mut path = Vec::new();
    for start in 0..procs.len() {
        let mut at = start;
        let mut owner = loop {
            if is_settled[at] {
                break owners[at];
            }
            // Marked before its parent is visited: a table that changes while it is read may have a cycle.
            is_settled[at] = true;
            path.push(at);
            match procs[at].parent.and_then(|parent| places.get(&parent)) {
                Some(parent) if procs[*parent].start <= procs[at].start => at = *parent,
                _ => break None,
            }
        };
        while let Some(place) = path.pop() {
            owner = owner.and_then(|index| passes(index, &procs[place]));
            owners[place] = owner;
        }
    }
}
