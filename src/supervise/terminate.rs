//! The only place that ends a tree.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::platform::{Leader, Means, ProcessInfo, Round};
use crate::runtime;
use crate::state::Stop;
use crate::types::{Killed, ProcessDiagnosis};

/// A tree is looked at this soon after it was signalled, then ever more rarely up to [`SLOWEST_LOOK`].
const FIRST_LOOK: Duration = Duration::from_millis(1);
const SLOWEST_LOOK: Duration = Duration::from_millis(50);
/// A tree in which SIGKILL has ended nobody for so long, and in which nobody new came, is given up: its processes hang in the
/// kernel, or are not ours to kill.
const GIVE_UP_AFTER: Duration = Duration::from_secs(5);
/// However it goes: looks that hang, or a bomb that has brought the machine down.
const GIVE_UP_ANYWAY_AFTER: Duration = Duration::from_secs(30);
/// The first look is worth so much waiting: reading about a process that hangs in the kernel can hang with it.
const LONGEST_FIRST_LOOK: Duration = Duration::from_secs(1);

/// Why a tree is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    Stop(Stop),
    /// The command has exited; what it left behind goes too.
    Leftovers,
}

/// The ending of one tree.
///
/// | step | what is done | next |
/// | --- | --- | --- |
/// | look | who is there, and what do they do? | ask; not later than a second after |
/// | ask | SIGTERM and SIGCONT to the group; Ctrl-Break on Windows | the leader exits, or the grace is over |
/// | wait | looks, once the leader has exited | gone, or the grace is over |
/// | kill | SIGKILL to the group and to every other member, or an end of the job, in rounds | two rounds in a row that find nobody |
///
/// A look reads the table of processes: it is done where blocking is allowed, one at a time.
#[derive(Debug)]
pub(super) struct Termination {
    pub(super) cause: Cause,
    leader: Arc<Leader>,
    grace: Duration,
    step: Step,
    look: Option<tokio::task::JoinHandle<Sight>>,
    next_look: Instant,
    pause: Duration,
    empty_looks: u8,
    pids: BTreeSet<i32>,
    means: Means,
    /// What the system did not let us do.
    refused: Option<String>,
    is_given_up: bool,
    processes: Vec<ProcessDiagnosis>,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Looking { ask_at: Instant },
    Waiting { kill_at: Instant },
    Killing { round: u32, last_new: Instant, give_up_at: Instant },
}

/// What a look gave.
#[derive(Debug)]
pub(super) enum Sight {
    Described(Vec<ProcessInfo>),
    Living(Vec<i32>),
    Killed(Round),
    /// The thread that looked has failed.
    Nothing,
}

impl Termination {
    /// Begins with a look, so that the result can tell what was going on.
    pub(super) fn begin(leader: &Arc<Leader>, cause: Cause, grace: Duration) -> Self {
        let now = Instant::now();
        let mut this = Self {
            cause,
            leader: Arc::clone(leader),
            grace,
            step: Step::Looking { ask_at: now + LONGEST_FIRST_LOOK },
            look: None,
            next_look: now,
            pause: FIRST_LOOK,
            empty_looks: 0,
            pids: BTreeSet::new(),
            means: Means::Ask,
            refused: None,
            is_given_up: false,
            processes: Vec::new(),
        };
        this.start_look();
        this
    }

    /// Resolves with what a look under way gives; pends for ever when there is none. Cancel-safe.
    pub(super) async fn looked(&mut self) -> Sight {
        let Some(look) = &mut self.look else { return std::future::pending().await };
        let sight = look.await.unwrap_or(Sight::Nothing);
        self.look = None;
        sight
    }

    /// When [`Termination::tick`] has something to do next.
    pub(super) fn deadline(&self, leader_exited: bool) -> Option<Instant> {
        let look = (self.look.is_none() && (leader_exited || self.is_killing())).then_some(self.next_look);
        let step = match self.step {
            Step::Looking { ask_at } => Some(ask_at),
            Step::Waiting { kill_at } => Some(kill_at),
            Step::Killing { give_up_at, .. } => Some(give_up_at),
        };
        look.into_iter().chain(step).min()
    }

    /// Starts what is due. `true`: nothing more can be done.
    pub(super) fn tick(&mut self, leader_exited: bool, now: Instant) -> bool {
        match self.step {
            // What it sees is taken when it comes.
            Step::Looking { ask_at } if now >= ask_at => self.ask(leader_exited, now),
            Step::Waiting { kill_at } if now >= kill_at => self.start_killing(now),
            Step::Killing { give_up_at, .. } if now >= give_up_at => {
                self.is_given_up = true;
                return true;
            }
            _ => {}
        }
        let is_due = now >= self.next_look && (leader_exited || self.is_killing());
        if is_due && self.look.is_none() && !matches!(self.step, Step::Looking { .. }) {
            self.start_look();
        }
        false
    }

    /// Takes what a look gave. `true`: nobody is left.
    pub(super) fn take(&mut self, sight: Sight, leader_exited: bool, now: Instant) -> bool {
        match self.step {
            Step::Looking { .. } => {
                self.count(sight, now);
                self.ask(leader_exited, now);
                false
            }
            Step::Waiting { .. } | Step::Killing { .. } => {
                self.count(sight, now);
                self.pause = (self.pause * 2).min(SLOWEST_LOOK);
                self.next_look = now + self.pause;
                leader_exited && self.empty_looks >= 2
            }
        }
    }

    fn ask(&mut self, leader_exited: bool, now: Instant) {
        self.next_look = now + FIRST_LOOK;
        if !leader_exited {
            // Who is signalled is told, also if no look comes in time to see it.
            self.pids.insert(self.leader.id().cast_signed());
        }
        if self.grace.is_zero() {
            self.start_killing(now);
            return;
        }
        self.refused = match self.leader.terminate_group() {
            Ok(()) => None,
            // Nobody could be asked, so there is no answer to wait for.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => return self.start_killing(now),
            Err(error) => Some(format!("{} was refused ({error})", Means::Ask.text())),
        };
        self.step = Step::Waiting { kill_at: now + self.grace };
    }

    fn start_killing(&mut self, now: Instant) {
        self.means = Means::Kill;
        self.refused = None;
        self.leader.kill_group();
        // One that hangs must not keep the killing waiting.
        self.look = None;
        self.step = Step::Killing { round: 0, last_new: now, give_up_at: now + GIVE_UP_ANYWAY_AFTER };
        self.empty_looks = 0;
        self.pause = FIRST_LOOK;
        self.next_look = now;
    }

    fn is_killing(&self) -> bool {
        matches!(self.step, Step::Killing { .. })
    }

    fn start_look(&mut self) {
        let leader = Arc::clone(&self.leader);
        self.look = Some(match &mut self.step {
            Step::Looking { .. } => runtime::start_blocking(move || Sight::Described(leader.describe())),
            Step::Waiting { .. } => runtime::start_blocking(move || Sight::Living(leader.living())),
            Step::Killing { round, .. } => {
                *round += 1;
                let round = *round;
                runtime::start_blocking(move || Sight::Killed(leader.kill_tree(round)))
            }
        });
    }

    fn count(&mut self, sight: Sight, now: Instant) {
        let found = match sight {
            Sight::Living(found) => found,
            Sight::Killed(round) => {
                self.tell(&round);
                round.found
            }
            Sight::Described(processes) => {
                self.pids.extend(processes.iter().map(|process| process.pid));
                self.processes = processes.into_iter().map(diagnosis).collect();
                return;
            }
            Sight::Nothing => return,
        };
        self.empty_looks = if found.is_empty() { self.empty_looks + 1 } else { 0 };
        let known = self.pids.len();
        self.pids.extend(found);
        if let Step::Killing { last_new, give_up_at, .. } = &mut self.step {
            if self.pids.len() > known {
                *last_new = now;
            } else if now >= *last_new + GIVE_UP_AFTER {
                *give_up_at = now;
            }
        }
    }

    /// The farthest means that was needed; a later round does not take it back.
    fn tell(&mut self, round: &Round) {
        if !round.found.is_empty() {
            self.means = self.means.max(round.means);
            self.refused.clone_from(&round.refused);
        }
    }

    /// What was ended, and what it was doing before.
    pub(super) fn into_story(self) -> (Killed, Vec<ProcessDiagnosis>) {
        let mut mechanism = self.refused.unwrap_or_else(|| self.means.text().to_owned());
        if self.is_given_up {
            mechanism.push_str("; unreaped: still there when given up");
        }
        (Killed { pids: self.pids.into_iter().collect(), mechanism }, self.processes)
    }
}

fn diagnosis(process: ProcessInfo) -> ProcessDiagnosis {
    let ProcessInfo { pid, parent, command, state, cpu_ms, waits_for } = process;
    ProcessDiagnosis { pid, parent, command, state, cpu_ms, waits_for }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::platform::{self, Launch, Spawned, StdinKind};

    /// A shell that waits for its input.
    fn a_leader() -> Spawned {
        let tag = format!("ESCHER_EXECUTION_ID={}", Uuid::new_v4());
        let launch = Launch {
            program: platform::default_shell(),
            args: Vec::new(),
            verbatim: false,
            env: format!("{tag}\0").into_bytes(),
            cwd: None,
            tag: tag.into_bytes(),
            stdin: StdinKind::Pipe,
            merge_output: true,
        };
        platform::spawn(&launch).unwrap()
    }

    async fn killed_after_a_look_that_took_too_long(leader: &Arc<Leader>, exits_before: bool) -> Killed {
        let mut termination = Termination::begin(leader, Cause::Leftovers, Duration::ZERO);
        let late = Instant::now() + LONGEST_FIRST_LOOK;
        assert!(!termination.tick(exits_before, late));
        leader.exited().await;
        for round in 1.. {
            assert!(!termination.tick(true, late + SLOWEST_LOOK * round));
            let sight = termination.looked().await;
            if termination.take(sight, true, late + SLOWEST_LOOK * round) {
                break;
            }
        }
        termination.into_story().0
    }

    #[tokio::test]
    async fn the_leader_is_told_however_long_the_first_look_takes() {
        let spawned = a_leader();
        let killed = killed_after_a_look_that_took_too_long(&spawned.leader, false).await;
        assert_eq!(killed.pids, [spawned.leader.id().cast_signed()]);
    }

    #[tokio::test]
    async fn a_leader_that_has_exited_is_nobody_who_was_ended() {
        let Spawned { leader, stdin, stdout: _stdout, .. } = a_leader();
        drop(stdin);
        leader.exited().await;
        assert_eq!(killed_after_a_look_that_took_too_long(&leader, true).await.pids, [0; 0]);
    }
}
