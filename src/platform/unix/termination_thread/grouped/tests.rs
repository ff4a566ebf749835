//! Tests what is remembered of members that were found without a scan.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::{Coverage, Terminator};
use crate::platform::unix::cgroup;
use crate::platform::unix::leader::Leader;
use crate::platform::unix::pid::Pid;
use crate::platform::unix::procs::{self, Proc};
use crate::platform::unix::signal::Signal;
use crate::platform::unix::termination_queue::{Request, Requests};
use crate::platform::{Act, Launch, ScanPriority, Sight, StopSent, StopTargets};
use crate::types::StopSignal;

const LIMIT: Duration = Duration::from_secs(20);

impl Terminator {
    fn answer_to(&mut self, leader: &Arc<Leader>, act: Act) -> Sight {
        let (answer, mut sight) = tokio::sync::oneshot::channel();
        let leader_exited = leader.has_exited();
        let request =
            Request { leader: Arc::clone(leader), act, leader_exited, priority: ScanPriority::Deadline, answer };
        self.serve(&mut Requests::only(request));
        sight.try_recv().unwrap()
    }
}

/// Starts a tree with a control group, and with an orphan in a session of its own that has no tag and ignores SIGTERM. `None` where
/// there are no control groups.
fn tree_with_orphan() -> Option<(Arc<Leader>, Proc)> {
    let line = "(trap '' TERM; exec setsid -f env -i sleep 600); exec sleep 600";
    let leader = Launch::sleeper_with(|launch| {
        launch.control_group = true;
        launch.args = vec!["-c".into(), line.into()];
    });
    leader.tree().group.as_ref()?;
    let is_orphan = |proc: &Proc| proc.session == Some(proc.pid) && proc.pid != leader.tree().leader;
    let has_exec_ended = |proc: &Proc| {
        std::fs::read(format!("/proc/{}/cmdline", proc.pid)).is_ok_and(|words| words.starts_with(b"sleep"))
    };
    let since = Instant::now();
    loop {
        let members = leader.tree().group.iter().flat_map(cgroup::ControlGroup::members);
        let living: Vec<Proc> = members.filter_map(procs::read).filter(|proc| !proc.is_dead()).collect();
        // Its parent may not have exited yet.
        if let Some(orphan) = living.iter().find(|proc| living.len() == 2 && is_orphan(proc) && has_exec_ended(proc)) {
            return Some((leader, *orphan));
        }
        assert!(since.elapsed() < LIMIT, "the orphan has started");
        std::thread::yield_now();
    }
}

/// Moves a process out of its control group. Returns `false` where that is not allowed.
fn leave(pid: Pid) -> bool {
    let home = cgroup::base().map(|base| base.with_file_name("cgroup.procs"));
    home.is_some_and(|procs| std::fs::write(procs, pid.to_string()).is_ok())
}

/// A scan cannot recognize this member any more: neither its parent, nor its session, nor a tag connects it to the tree.
#[tokio::test]
async fn a_member_that_leaves_its_control_group_after_the_signal_of_a_deadline_is_killed() {
    let Some((leader, orphan)) = tree_with_orphan() else {
        eprintln!("SKIPPED members that leave their control group: this process may not create any");
        return;
    };
    let mut terminator = Terminator::default();
    let stop = (StopSignal::default(), StopTargets::Members);
    let sight = terminator.answer_to(&leader, Act::Describe { then: Some(stop) });
    assert!(sight.is_partial && terminator.scanned == 0);
    if !leave(orphan.pid) {
        eprintln!("SKIPPED members that leave their control group: this process may not move any");
        return;
    }
    let is_alive = || procs::read(orphan.pid).is_some_and(|now| now.start == orphan.start && !now.is_dead());
    assert!(is_alive());
    let mut sight = Sight::default();
    let since = Instant::now();
    while !sight.is_gone && since.elapsed() < LIMIT {
        sight = terminator.answer_to(&leader, Act::Kill);
    }
    let has_survived = is_alive();
    let _ = leader.signal_member(&orphan, Signal::KILL);
    assert!(sight.is_gone && !has_survived, "{sight:?}");
}

#[tokio::test]
async fn the_first_stop_signal_of_a_deadline_needs_no_scan_after_a_description_that_took_long() {
    let Some((leader, _)) = tree_with_orphan() else {
        eprintln!("SKIPPED the stop signal by control group: this process may not create any");
        return;
    };
    let mut terminator = Terminator::default();
    let described = terminator.answer_to(&leader, Act::Describe { then: None });
    assert!(described.is_partial && described.stop == StopSent::No);
    let stop = Act::Stop { signal: StopSignal::default(), to: StopTargets::Members };
    assert!(terminator.answer_to(&leader, stop).is_partial);
    assert_eq!(terminator.scanned, 0);
    assert_eq!(leader.tree().findings().stopped.len(), 2, "the leader and the orphan");
    assert!(!terminator.answer_to(&leader, stop).is_partial, "members that have left the group are found by a scan");
    assert!(terminator.scanned > 0);
}

#[tokio::test]
async fn a_tree_does_not_grow_by_members_that_only_a_scan_finds() {
    let leader = Launch::sleeper();
    let tree = leader.tree();
    let seen = procs::read(tree.leader).unwrap();
    let process = |number: i32| Proc { pid: Pid::from_raw(number).unwrap(), ..seen };
    let (listed, outside, later) = (seen, process(i32::MAX - 1), process(i32::MAX));
    let mut findings = tree.findings();
    assert!(findings.count(tree, &[listed], Coverage::Partial));
    assert!(findings.count(tree, &[listed, outside], Coverage::Complete), "it had not been seen");
    assert!(!findings.grows);
    assert!(findings.count(tree, &[listed, outside, later], Coverage::Complete));
    assert!(findings.grows);
}

#[tokio::test]
async fn what_a_member_starts_before_its_own_stop_signal_is_no_clean_up() {
    const SINCE: u64 = 100;
    let leader = Launch::sleeper();
    let tree = leader.tree();
    let seen = procs::read(tree.leader).unwrap();
    let process = |number: i32, parent: &Proc, start: u64| Proc {
        pid: Pid::from_raw(i32::MAX - number).unwrap(),
        parent: Some(parent.pid),
        start,
        ..seen
    };
    let first = Proc { start: SINCE - 2, ..seen };
    let clean_up = process(1, &first, SINCE);
    let below_clean_up = process(2, &clean_up, SINCE + 1);
    // The process has left the control group, so that the signal of the deadline has not reached it.
    let outside = process(3, &first, SINCE - 1);
    let job = process(4, &outside, SINCE);
    let below_job = process(5, &job, SINCE + 1);
    let living = [first, clean_up, below_clean_up, outside, job, below_job];
    let mut findings = tree.findings();
    findings.stopping_since = Some(SINCE);
    findings.stopped.insert(first.identity());
    let chosen = |findings: &super::super::Findings, to| -> Vec<Pid> {
        findings.stop_targets(tree.leader, &living, to).iter().map(|proc| proc.pid).collect()
    };
    assert_eq!(chosen(&findings, StopTargets::Members), [outside.pid, job.pid, below_job.pid]);
    findings.stopped.insert(outside.identity());
    assert!(chosen(&findings, StopTargets::Members).is_empty(), "it may be the clean-up of that member by now");
    assert_eq!(chosen(&findings, StopTargets::Everything).len(), 4);
}
