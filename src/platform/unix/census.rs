//! Which process belongs to which tree, decided for all trees by one scan of the table of processes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use libc::pid_t;

use super::bounded::Bounded;
use super::leader::Leader;
use super::procs::{self, Identity, Proc};

/// Reading the environment of a process that hangs in the kernel can hang too: so much waiting are all of a scan worth.
const LONGEST_READ: Duration = Duration::from_millis(500);
/// How long a process may take to become another program, look by look, in ms: below 100 in all, since other trees wait meanwhile.
const LOOKS_AT_AN_EXEC: [u64; 5] = [1, 3, 6, 15, 40];
/// After so many looks only what is seen to become another program is looked at again.
const LOOKS_AT_ANY: usize = 3;
/// The value with which a child opts out of its tree.
const DETACHED: &[u8] = b"detached";

/// What is remembered from scan to scan.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Members of living trees, by the tree's serial number: a member stays one when it loses its parent, its tag or its
    /// session.
    known: HashMap<Identity, u64>,
    /// Processes without a tag. A process gets one only by a start, so the answer holds.
    untagged: HashSet<Identity>,
    /// Processes whose environment could not be read in time.
    hanging: HashSet<Identity>,
    /// Processes that waited to be reaped at the latest scan.
    dead: HashSet<Identity>,
    /// Whether the latest scan has met a process that was ending: a child that it has started may not have been in the list yet.
    is_unsure: bool,
    /// Members that might have opted out, and have had no tag for some time.
    bare: HashSet<Identity>,
    /// The sessions that members have opened, by number: the tree's serial number.
    sessions: HashMap<pid_t, u64>,
    /// When they were seen.
    sessions_seen: u64,
    reader: Bounded,
}

/// The members of each tree, living or waiting to be reaped.
pub(super) type Members = Vec<Vec<Proc>>;

impl Memory {
    /// The tree that a process is known to belong to, by its serial number.
    pub(super) fn tree_of(&self, proc: &Proc) -> Option<u64> {
        self.known.get(&proc.identity()).copied()
    }

    /// Whether a process is known to belong to one of these trees.
    pub(super) fn is_in(&self, proc: &Proc, trees: &HashSet<u64>) -> bool {
        self.tree_of(proc).is_some_and(|serial| trees.contains(&serial))
    }

    /// Sorts `procs` by tree. `inherited` are members that a control group names, by process id.
    pub(super) fn sort(&mut self, procs: &[Proc], trees: &[Arc<Leader>], inherited: &HashMap<pid_t, usize>) -> Members {
        self.is_unsure = false;
        let by_leader: HashMap<pid_t, usize> = numbered(trees.iter().map(|it| it.tree().leader));
        let by_serial: HashMap<u64, usize> = numbered(trees.iter().map(|it| it.tree().serial));
        let tree = |index: usize| trees[index].tree();
        let fits = |index: usize, proc: &Proc| (proc.start >= tree(index).born).then_some(index);

        let known = |proc: &Proc| by_serial.get(&self.tree_of(proc)?).copied();
        let by_place = |proc: &Proc| {
            let named = [proc.session, proc.group].iter().find_map(|id| by_leader.get(id)).copied();
            named.and_then(|index| fits(index, proc)).or_else(|| known(proc))
        };
        let mut owners: Vec<Option<usize>> = procs
            .iter()
            .map(|proc| by_place(proc).or_else(|| inherited.get(&proc.pid).and_then(|index| fits(*index, proc))))
            .collect();

        let detached = self.apply_tags(procs, trees, &mut owners);
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

    /// Whether a process has ended since the scan before that may have left a child. The end of a leader is waited for by itself.
    fn has_deaths(&self, procs: &[Proc], trees: &[Arc<Leader>], leaders: &HashMap<pid_t, usize>) -> bool {
        let Some(oldest) = oldest(trees) else { return false };
        let is_death = |proc: &Proc| {
            proc.is_dead()
                && proc.start >= oldest
                && !self.dead.contains(&proc.identity())
                && !leaders.contains_key(&proc.pid)
        };
        procs.iter().any(is_death)
    }

    /// Finds the owners of those that their tag alone gives away; takes its owner from a process that has opted out. Returns the
    /// processes that have the word with which one opts out.
    fn apply_tags(&mut self, procs: &[Proc], trees: &[Arc<Leader>], owners: &mut [Option<usize>]) -> HashSet<pid_t> {
        let has_segment = trees.iter().enumerate().filter(|(_, it)| !it.tree().mark.segment.is_empty());
        let segments: HashMap<&[u8], usize> =
            has_segment.map(|(index, it)| (&*it.tree().mark.segment, index)).collect();
        let Some(oldest) = oldest(trees) else { return HashSet::new() };
        let some_may_opt_out = trees.iter().any(|it| it.tree().mark.allow_detached);
        let is_wanted = |proc: &Proc, owner: Option<usize>| {
            if proc.start < oldest || proc.is_dead() || self.hanging.contains(&proc.identity()) {
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
        if some_may_opt_out {
            self.read_again(procs, trees, owners, &mut tags);
        }

        let mut detached = HashSet::new();
        for (proc, owner) in procs.iter().zip(owners) {
            let Some(tag) = tags.get(&proc.pid) else { continue };
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

    /// Finds those that hide in a session that a member has opened: they descend from that member. Returns whether there are any.
    fn apply_sessions(
        &mut self,
        procs: &[Proc],
        trees: &[Arc<Leader>],
        by_serial: &HashMap<u64, usize>,
        owners: &mut [Option<usize>],
    ) -> bool {
        let now = procs::now();
        if now.saturating_sub(self.sessions_seen) > procs::SETTLED {
            // The number may be another session's by now.
            self.sessions.clear();
        }
        // The host's own session is none that a member has opened, and 0 stands for one outside of this process namespace.
        let own = own_session();
        let is_opened = |proc: &Proc| proc.session != own && proc.session != 0;
        for (proc, owner) in procs.iter().zip(owners.iter()).filter(|(proc, _)| is_opened(proc)) {
            if let Some(index) = owner {
                self.sessions.insert(proc.session, trees[*index].tree().serial);
            }
        }
        let mut is_found = false;
        for (proc, owner) in procs.iter().zip(owners).filter(|(_, owner)| owner.is_none()) {
            let opened = self.sessions.get(&proc.session).and_then(|serial| by_serial.get(serial)).copied();
            // Where children may opt out, those beside them in the session may have done so.
            let is_member = |index: &usize| {
                let tree = trees[*index].tree();
                proc.start >= tree.born && !tree.mark.allow_detached
            };
            *owner = opened.filter(is_member);
            is_found |= owner.is_some();
        }
        let there: HashSet<pid_t> = procs.iter().map(|proc| proc.session).collect();
        self.sessions.retain(|session, serial| there.contains(session) && by_serial.contains_key(serial));
        self.sessions_seen = now;
        is_found
    }

    fn read_tags(&mut self, wanted: &[Proc]) -> HashMap<pid_t, Vec<u8>> {
        let now = procs::now();
        let mut tags = HashMap::new();
        let (answers, hanging) = self.reader.map(wanted, LONGEST_READ, |proc| procs::tag(proc.pid));
        self.hanging.extend(hanging.iter().map(Proc::identity));
        for (proc, tag) in answers {
            match tag {
                Some(tag) => _ = tags.insert(proc.pid, tag),
                // Between its fork and its exec it has its parent's environment: a young one is looked at again.
                None if now.saturating_sub(proc.start) > procs::SETTLED => _ = self.untagged.insert(proc.identity()),
                None => self.is_unsure |= !procs::has_environment(proc.pid),
            }
        }
        tags
    }

    /// Reads once more what had no tag, and may only have had none because it was becoming another program: meanwhile a process has
    /// no environment.
    fn read_again(
        &mut self,
        procs: &[Proc],
        trees: &[Arc<Leader>],
        owners: &[Option<usize>],
        tags: &mut HashMap<pid_t, Vec<u8>>,
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
            tags.extend(self.read_tags(&doubtful));
            doubtful.retain(|proc| !tags.contains_key(&proc.pid));
            if look + 1 >= LOOKS_AT_ANY {
                let (unsettled, bare): (Vec<Proc>, Vec<Proc>) =
                    doubtful.into_iter().partition(|proc| procs::may_be_in_exec(proc.pid));
                self.bare.extend(bare.iter().map(Proc::identity));
                doubtful = unsettled;
            }
        }
        self.bare.extend(doubtful.iter().map(Proc::identity));
    }

    /// Forgets what is gone.
    fn forget(&mut self, procs: &[Proc], serials: &HashMap<u64, usize>) {
        let there: HashSet<Identity> = procs.iter().map(Proc::identity).collect();
        self.known.retain(|identity, serial| serials.contains_key(serial) && there.contains(identity));
        self.dead = procs.iter().filter(|proc| proc.is_dead()).map(Proc::identity).collect();
        self.untagged.retain(|identity| there.contains(identity));
        self.hanging.retain(|identity| there.contains(identity));
        self.bare.retain(|identity| there.contains(identity));
    }
}

/// When the first of the trees was started.
fn oldest(trees: &[Arc<Leader>]) -> Option<u64> {
    trees.iter().map(|it| it.tree().born).min()
}

fn own_session() -> pid_t {
    // SAFETY: no memory is involved.
    unsafe { libc::getsid(0) }
}

fn numbered<T: std::hash::Hash + Eq>(keys: impl Iterator<Item = T>) -> HashMap<T, usize> {
    keys.enumerate().map(|(index, key)| (key, index)).collect()
}

/// Whether a process may opt out of a tree: the host allows it, and it has a session of its own.
fn may_opt_out(trees: &[Arc<Leader>], index: usize, proc: &Proc) -> bool {
    let tree = trees[index].tree();
    tree.mark.allow_detached && proc.session != tree.leader
}

/// Gives every process without an owner that of its nearest ancestor that has one, from parent to child as far as `passes` it on.
fn inherit(procs: &[Proc], owners: &mut [Option<usize>], passes: impl Fn(usize, &Proc) -> Option<usize>) {
    let places: HashMap<pid_t, usize> = numbered(procs.iter().map(|proc| proc.pid));
    let mut is_settled: Vec<bool> = owners.iter().map(Option::is_some).collect();
    let mut path = Vec::new();
    for start in 0..procs.len() {
        let mut at = start;
        let mut owner = loop {
            if is_settled[at] {
                break owners[at];
            }
            // Marked at once: a table that changes while it is read may have a circle.
            is_settled[at] = true;
            path.push(at);
            match places.get(&procs[at].parent) {
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
