//! The description of what was done to end a tree.

use std::collections::HashSet;
use std::fmt::Write as _;

use super::pid::Pid;
use super::procs::Proc;

/// The members that a signal was sent to, by their place in the tree.
#[derive(Debug, Default)]
struct Reach {
    /// The signal, once it was sent.
    signal: Option<&'static str>,
    /// Whether an outer engine sends the signal, or has sent it.
    is_left_to_another: bool,
    /// Members of the leader's session outside of its process group.
    session: HashSet<Pid>,
    /// Members outside of the session.
    escaped: HashSet<Pid>,
}

impl Reach {
    fn add(&mut self, signal: &'static str, leader: Pid, member: &Proc) {
        self.signal = Some(signal);
        if member.session != Some(leader) {
            self.escaped.insert(member.pid);
        } else if member.group != Some(leader) {
            self.session.insert(member.pid);
        }
    }

    fn text(&self) -> Option<String> {
        let Some(signal) = self.signal else {
            return self.is_left_to_another.then(|| "the stop signal from an outer engine".to_owned());
        };
        let mut text = format!("{signal} to the group");
        if !self.session.is_empty() {
            text.push_str(" and to the rest of the session");
        }
        match self.escaped.len() {
            0 => {}
            1 => text.push_str(" and to a descendant that escaped it, found by control group, tag or parent"),
            count => {
                let _ =
                    write!(text, " and to {count} descendants that escaped it, found by control group, tag or parent");
            }
        }
        Some(text)
    }
}

/// The actions that have ended one tree, and those that failed.
#[derive(Debug, Default)]
pub(super) struct Mechanism {
    stop: Reach,
    kill: Reach,
    is_frozen: bool,
    is_control_group_killed: bool,
    refused: Option<String>,
    blindness: Option<Blindness>,
}

/// The process table could not be read.
#[derive(Debug, Clone, Copy)]
enum Blindness {
    Whole,
    /// The control group lists its members.
    ButForTheControlGroup,
}

impl Blindness {
    fn text(self) -> &'static str {
        match self {
            Self::Whole => {
                "the table of processes (/proc) could not be read, so members outside of the process group were neither seen nor signalled"
            }
            Self::ButForTheControlGroup => {
                "the table of processes (/proc) could not be read, so members outside of the process group were found by the control group alone"
            }
        }
    }
}

impl Mechanism {
    pub(super) fn stopped(&mut self, signal: &'static str, leader: Pid, member: &Proc) {
        self.stop.add(signal, leader, member);
    }

    pub(super) fn group_stopped(&mut self, signal: &'static str) {
        self.stop.signal = Some(signal);
    }

    /// Notes that an outer engine sends the stop signal, or has sent it.
    pub(super) fn stopped_by_another(&mut self) {
        self.stop.is_left_to_another = true;
    }

    pub(super) fn killed(&mut self, leader: Pid, member: &Proc) {
        self.kill.add("SIGKILL", leader, member);
    }

    pub(super) fn group_killed(&mut self) {
        self.kill.signal = Some("SIGKILL");
    }

    pub(super) fn control_group_killed(&mut self) {
        self.is_control_group_killed = true;
    }

    /// Notes that members were stopped before they were killed, since new ones appeared.
    pub(super) fn frozen(&mut self) {
        self.is_frozen = true;
    }

    /// Notes a signal that the system did not allow; `None` if the latest scan had none.
    pub(super) fn refused(&mut self, refused: Option<String>) {
        self.refused = refused;
    }

    /// Notes that the process table could not be read.
    pub(super) fn blind(&mut self, has_control_group: bool) {
        self.blindness = Some(if has_control_group { Blindness::ButForTheControlGroup } else { Blindness::Whole });
    }

    /// Notes that a member outside of the process group was sent the stop signal, in whatever session it is.
    pub(super) fn grouped_stopped(&mut self, member: Pid) {
        self.stop.escaped.insert(member);
    }

    pub(super) fn text(&self) -> String {
        let mut steps: Vec<String> = self.stop.text().into_iter().collect();
        if self.is_frozen {
            steps.push("SIGSTOP to the members, as new ones appeared".to_owned());
        }
        match (self.kill.text(), self.is_control_group_killed) {
            (Some(kill), true) => steps.push(format!("{kill}, by cgroup.kill")),
            (Some(kill), false) => steps.push(kill),
            // No scan has seen a member: all were short-lived.
            (None, true) => steps.push("SIGKILL to the control group, by cgroup.kill".to_owned()),
            (None, false) => {}
        }
        steps.extend(self.refused.clone());
        let done = Some(steps.join(", then ")).filter(|done| !done.is_empty());
        let parts: Vec<String> =
            done.into_iter().chain(self.blindness.map(|blindness| blindness.text().to_owned())).collect();
        parts.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_tree_that_could_not_be_seen_has_no_separator_without_a_step() {
        let mut mechanism = Mechanism::default();
        mechanism.blind(false);
        assert!(mechanism.text().starts_with("the table of processes"), "{}", mechanism.text());
        mechanism.group_killed();
        assert!(mechanism.text().starts_with("SIGKILL to the group; the table"), "{}", mechanism.text());
    }
}
