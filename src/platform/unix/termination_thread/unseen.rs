//! Ends trees where the process table is not that of this process: no member can be seen, unless its control group lists it.

use std::collections::HashSet;

use rustix::process::getpgid;

use super::refusal;
use crate::platform::unix::cgroup::ControlGroup;
use crate::platform::unix::pid::Pid;
use crate::platform::unix::signal::Signal;
use crate::platform::unix::stop_notes;
use crate::platform::unix::termination_queue::Request;
use crate::platform::unix::tree::{Findings, StopSender, StoppedUnseen, Tree};
use crate::platform::unix::{pidfd, procs};
use crate::platform::{Act, Sight, StopTargets};
use crate::types::StopSignal;

/// Ends a tree, by signals to its process group and by its control group.
pub(super) fn act_unseen(request: &Request) -> Sight {
    let leader = &request.leader;
    let tree = leader.tree();
    let mut findings = tree.findings();
    findings.mechanism.blind(tree.group.is_some());
    findings.scans += 1;
    if !request.leader_exited {
        findings.seen.insert(tree.leader);
    }
    match request.act {
        Act::Describe { then: None } | Act::Look { .. } => {}
        Act::Describe { then: Some((signal, to)) } | Act::Stop { signal, to } => {
            if findings.stop_sender(tree, None) != StopSender::Another {
                stop_group(request, &mut findings, signal, to);
                stop_grouped(tree, &mut findings, signal, to);
            }
        }
        Act::Kill => {
            findings.mechanism.group_killed();
            findings.seen.extend(tree.group.iter().flat_map(ControlGroup::members));
            let sent = leader.signal_group(Signal::KILL);
            findings.mechanism.refused(sent.err().map(|error| refusal("SIGKILL", tree.leader, &error)));
            if tree.group.as_ref().is_some_and(ControlGroup::kill) {
                findings.mechanism.control_group_killed();
            }
        }
    }
    let is_quiet = request.leader_exited && tree.group.as_ref().is_none_or(ControlGroup::is_empty);
    findings.quiet_scans = if is_quiet { findings.quiet_scans + 1 } else { 0 };
    Sight { is_gone: findings.is_gone(), ..Sight::default() }
}

/// Sends the stop signal to the process group, once, or to the leader alone. Then the rest of the group gets it when the leader has
/// exited: before, a signal to the group would be a second one for the leader.
fn stop_group(request: &Request, findings: &mut Findings, signal: StopSignal, to: StopTargets) {
    let leader = &request.leader;
    let tree = leader.tree();
    let leader_only = to == StopTargets::Leader;
    let is_due = match findings.stopped_unseen {
        None => true,
        // In a control group each of the others gets the signal by itself.
        Some(StoppedUnseen::Leader) => !leader_only && request.leader_exited && tree.group.is_none(),
        Some(StoppedUnseen::Group { .. }) => false,
    };
    if !is_due {
        return;
    }
    findings.mechanism.group_stopped(signal.as_str());
    let to_each = |signal| {
        if leader_only { leader.signal_leader(signal).map(|_| ()) } else { leader.signal_group(signal) }
    };
    let sending = stop_notes::sending();
    let outcome = tree.stop_signals(signal).try_for_each(to_each);
    leader.note_unseen_stop(leader_only);
    drop(sending);
    let group = StoppedUnseen::Group { by: procs::now() };
    findings.stopped_unseen = Some(if leader_only { StoppedUnseen::Leader } else { group });
    findings.mechanism.refused(outcome.err().map(|error| refusal(signal.as_str(), tree.leader, &error)));
}

/// Sends the stop signal to the members of the control group that have not had it with the process group, once to each. Those that
/// appear later may do the clean-up of others, and get it with everything.
fn stop_grouped(tree: &Tree, findings: &mut Findings, signal: StopSignal, to: StopTargets) {
    let is_first = findings.stopped.iter().all(|(pid, _)| *pid == tree.leader);
    let Some(group) =
        tree.group.as_ref().filter(|_| to == StopTargets::Everything || (to == StopTargets::Members && is_first))
    else {
        return;
    };
    let pinned: Vec<_> = group.members().into_iter().filter_map(|pid| Some((pid, pidfd::open(pid).ok()?))).collect();
    // Listed again: a number that is still there is that of the process that the descriptor stands for.
    let there: HashSet<Pid> = group.members().into_iter().collect();
    let is_group_stopped = findings.stopped_unseen != Some(StoppedUnseen::Leader);
    let of_leader = |pid: Pid| getpgid(Some(pid.into())).is_ok_and(|group| group == tree.leader.into());
    let had_it = |pid: Pid| pid == tree.leader || (is_group_stopped && of_leader(pid));
    for (pid, process) in pinned.into_iter().filter(|(pid, _)| there.contains(pid) && !had_it(*pid)) {
        findings.seen.insert(pid);
        if !findings.stopped.insert((pid, 0)) {
            continue;
        }
        let sent = tree.stop_signals(signal).try_for_each(|signal| pidfd::signal(&process, signal));
        match sent {
            Ok(()) => findings.mechanism.grouped_stopped(pid),
            Err(error) => findings.mechanism.refused(Some(refusal(signal.as_str(), pid, &error))),
        }
    }
}
