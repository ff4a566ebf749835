//! Ends the trees when the host has ended.
//!
//! One small process for each host, started with its first execution. Its standard input is a pipe of which only the host has the other
//! end: the pipe ends when the host ends, however it ends. Then the guardian reads the table of what was running, sends the stop signal
//! to every member of those trees, waits for their grace periods, kills what is left, and exits.
//!
//! Where the system itself ends the trees with their host (Windows, by job objects), there is no guardian.
//!
//! The guardian is a program of this crate (`src/platform/unix/guardian_program`), compiled by the build script and embedded in the
//! library, so that it needs no file of its own in any package. `docs/decisions/guardian-program.md` has the reasons. Executions are written
//! into shared memory, so that they cost no system call and cannot fill a pipe without a reader.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::platform::clock::{self, Instant};
use crate::platform::{self, Exit, Guarded, Leader, Lifeline, Table};
use crate::runtime;

/// A guardian that does not start is tried again with an execution that comes this much later.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// A guardian that runs for less than this was not killed from outside: it does not work here.
const TOO_SHORT_A_LIFE: Duration = Duration::from_millis(20);
/// A guardian that runs for less than this is short-lived. So many of these in a row are reported: between two of them there is no guardian.
const SHORT_LIFE: Duration = Duration::from_secs(10);
const SHORT_RUNS: u32 = 3;
/// The least time between two such reports.
const REPORT_AGAIN_AFTER: Duration = Duration::from_secs(10);
/// The interval of checks of the guardian while an execution runs: a stopped guardian cannot do its work.
const HEALTH_CHECK: Duration = Duration::from_secs(1);
/// A guardian that has not answered in so many checks in a row does not run: it is frozen, or held by a debugger.
const UNANSWERED: u32 = 3;
const SILENT: &str = "did not answer for three seconds (it was frozen, or traced)";

/// The guardian, made by the first execution that finds room for it. The lock is held while it is made.
static GUARDIAN: Mutex<Option<Arc<Guardian>>> = Mutex::new(None);

#[derive(Debug)]
struct Guardian {
    lifeline: Lifeline,
    table: Table,
    /// The lock is held for a few moves of numbers, or while a guardian is started.
    state: Mutex<GuardianState>,
    /// Wakes the executions that are running when there is a notice for them.
    noticed: Notify,
}

#[derive(Debug, Default)]
struct GuardianState {
    /// Rows that were used and are free again.
    free: Vec<usize>,
    /// Rows from here on were never used.
    untouched: usize,
    health: Health,
    /// The number of rows in use.
    guarded: usize,
    /// Whether a task checks the guardian periodically.
    is_checked: bool,
    /// The current or last fault, with its number from 1 on.
    notice: (u64, Arc<str>),
    /// The number of guardians that could not do their work and were replaced.
    replacements: u64,
    /// The number of checks in a row that have found that the guardian had not read the last beat.
    unanswered: u32,
    /// The number of short-lived guardians in a row, and the time when that was last reported.
    short_runs: u32,
    reported: Option<Instant>,
}

#[derive(Debug, Default)]
enum Health {
    #[default]
    NotStarted,
    Alive {
        guardian: Arc<Leader>,
        checked: Instant,
    },
    Failed {
        at: Instant,
        why: Unguarded,
    },
}

/// The place of one execution in the guardian's table; dropped, the place is free.
#[derive(Debug)]
#[must_use = "a dropped guard guards nothing"]
pub(crate) struct Guard {
    guardian: Arc<Guardian>,
    row: usize,
    /// The latest notice that it has passed on, or that is older than itself.
    seen: u64,
}

/// Why there is no guardian.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{what}: {error}")]
pub(crate) struct Unguarded {
    pub(crate) what: &'static str,
    #[source]
    pub(crate) error: Arc<io::Error>,
}

impl Unguarded {
    fn because(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self { what, error: Arc::new(error) }
    }
}

/// Registers an execution with the guardian, before its process exists; returns `None` where that needs no guardian.
/// Must be called within the runtime, where blocking is allowed.
pub(crate) fn watch(guarded: &Guarded<'_>) -> Result<Option<Guard>, Unguarded> {
    if platform::TREES_END_WITH_THE_HOST {
        return Ok(None);
    }
    let guardian = Guardian::get()?;
    guardian.ensure_alive()?;
    let mut state = guardian.lock();
    let row = state.free.pop().unwrap_or(state.untouched);
    if !Table::has(row) {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        return Err(Unguarded::because("the guardian's table is full")(full));
    }
    state.untouched = state.untouched.max(row + 1);
    state.guarded += 1;
    let is_checked = std::mem::replace(&mut state.is_checked, true);
    let seen = state.notice.0;
    drop(state);
    if !is_checked {
        runtime::spawn(Arc::clone(&guardian).check_while_guarding());
    }
    // The tag goes first: what is spawned before its number is known is found by that.
    guardian.table.write(row, guarded);
    Ok(Some(Guard { guardian, row, seen }))
}

/// Whether what runs will be ended by the guardian when the host has gone.
pub(crate) fn outlives_the_host() -> bool {
    let guardian = GUARDIAN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    guardian.is_some_and(|guardian| matches!(guardian.lock().health, Health::Alive { .. }))
}

impl Guard {
    /// Records that the execution has a process.
    pub(crate) fn started(&self, leader: &Leader) {
        self.guardian.table.set_leader(self.row, leader);
    }

    /// Records that the host will kill the tree after `grace`: if the host ends meanwhile, the guardian kills it.
    pub(crate) fn kills_after(&self, grace: Duration) {
        self.guardian.table.set_kill_time(self.row, grace);
    }

    /// Waits for the next notice that something was wrong with the guardian. Cancel-safe.
    pub(crate) async fn notice(&mut self) -> Arc<str> {
        loop {
            // The future is created before the check: a notice between the check and the await is not missed.
            let noticed = self.guardian.noticed.notified();
            let (number, text) = self.guardian.lock().notice.clone();
            if number > self.seen {
                self.seen = number;
                return text;
            }
            noticed.await;
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.guardian.table.clear(self.row);
        let mut state = self.guardian.lock();
        state.free.push(self.row);
        state.guarded -= 1;
    }
}

impl Guardian {
    fn get() -> Result<Arc<Self>, Unguarded> {
        let mut slot = GUARDIAN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(guardian) = &*slot {
            return Ok(Arc::clone(guardian));
        }
        let lifeline = Lifeline::new().map_err(Unguarded::because("the guardian's pipe cannot be made"))?;
        let table = Table::new().map_err(Unguarded::because("the guardian's table cannot be made"))?;
        let guardian = Self { lifeline, table, state: Mutex::default(), noticed: Notify::new() };
        Ok(Arc::clone(slot.insert(Arc::new(guardian))))
    }

    fn ensure_alive(self: &Arc<Self>) -> Result<(), Unguarded> {
        let mut state = self.lock();
        match &mut state.health {
            Health::Alive { guardian, checked } if checked.elapsed() >= HEALTH_CHECK => {
                *checked = Instant::now();
                if let Some(fault) = guardian.guardian_fault() {
                    self.replace(&mut state, fault);
                }
                return Ok(());
            }
            Health::Alive { .. } => return Ok(()),
            Health::Failed { at, why } if at.elapsed() < RETRY_AFTER => return Err(why.clone()),
            Health::NotStarted | Health::Failed { .. } => {}
        }
        // This is under the lock: executions that come meanwhile wait for the one guardian instead of starting their
        // own.
        self.start(&mut state)
    }

    fn start(self: &Arc<Self>, state: &mut GuardianState) -> Result<(), Unguarded> {
        let leader = platform::spawn_guardian(&self.lifeline, &self.table).map_err(|error| {
            let is_passing = platform::is_exhaustion(&error);
            let why = Unguarded::because("the guardian cannot be started")(error);
            state.health =
                if is_passing { Health::NotStarted } else { Health::Failed { at: Instant::now(), why: why.clone() } };
            why
        })?;
        let leader = Arc::new(leader);
        state.health = Health::Alive { guardian: Arc::clone(&leader), checked: Instant::now() };
        state.unanswered = 0;
        runtime::spawn(Arc::clone(self).replace_when_gone(leader));
        Ok(())
    }

    /// Kills a guardian that cannot do its work, puts another one in its place, and notifies the executions that run.
    /// The place is free at once: a frozen process ends only when it is thawed.
    fn replace(self: &Arc<Self>, state: &mut GuardianState, fault: &'static str) {
        if let Health::Alive { guardian, .. } = std::mem::take(&mut state.health) {
            guardian.kill_group();
        }
        state.replacements += 1;
        let number = state.replacements;
        self.report(
            state,
            format!(
                "the guardian {fault} and was replaced (replacement {number} of this process): meanwhile nothing would have ended the running commands with their host"
            ),
        );
        runtime::spawn(Arc::clone(self).start_another(Duration::ZERO, fault.to_owned()));
    }

    /// Gives the executions that run a notice.
    fn report(&self, state: &mut GuardianState, text: String) {
        state.notice = (state.notice.0 + 1, text.into());
        self.noticed.notify_waiters();
    }

    /// Checks the guardian periodically, as long as it guards an execution.
    async fn check_while_guarding(self: Arc<Self>) {
        loop {
            clock::sleep(HEALTH_CHECK).await;
            let mut state = self.lock();
            if state.guarded == 0 {
                state.is_checked = false;
                return;
            }
            if let Health::Alive { guardian, checked } = &mut state.health {
                *checked = Instant::now();
                let fault = guardian.guardian_fault();
                state.unanswered = if self.lifeline.beat() { 0 } else { state.unanswered + 1 };
                let is_silent = state.unanswered >= UNANSWERED;
                if let Some(fault) = fault.or_else(|| is_silent.then_some(SILENT)) {
                    self.replace(&mut state, fault);
                }
            }
        }
    }

    /// Starts another guardian after one that was killed; it reads the same table.
    async fn replace_when_gone(self: Arc<Self>, leader: Arc<Leader>) {
        let started = Instant::now();
        leader.exited().await;
        let end = leader.reap().unwrap_or_default();
        let life = started.elapsed();
        if self.has_lost(&leader, life, &end) {
            // Replacing a guardian that always ends at once must not keep the machine busy.
            let pause = if life < TOO_SHORT_A_LIFE { RETRY_AFTER } else { Duration::ZERO };
            self.start_another(pause, format!("has ended ({})", describe(&end))).await;
        }
    }

    /// Replaces a guardian that has this fault. Repeats until a guardian runs.
    async fn start_another(self: Arc<Self>, mut pause: Duration, fault: String) {
        let mut is_reported = false;
        loop {
            clock::sleep(pause).await;
            let again = Arc::clone(&self);
            // An execution that came meanwhile may have started it.
            let why = match runtime::blocking(move || again.ensure_alive()).await {
                Some(Ok(())) => return,
                Some(Err(why)) => why.to_string(),
                None => "the guardian cannot be started".to_owned(),
            };
            if !std::mem::replace(&mut is_reported, true) {
                self.report(
                    &mut self.lock(),
                    format!(
                        "the guardian {fault}, and there is no other yet: {why}; this is tried every second, and until it works nothing ends the running commands with their host"
                    ),
                );
            }
            pause = RETRY_AFTER;
        }
    }

    /// Notes the end of a guardian, and reports it if others have ended soon as well. Returns `false` if it had been replaced.
    fn has_lost(&self, leader: &Arc<Leader>, life: Duration, end: &Exit) -> bool {
        let mut state = self.lock();
        if !matches!(&state.health, Health::Alive { guardian, .. } if Arc::ptr_eq(guardian, leader)) {
            return false;
        }
        state.health = Health::NotStarted;
        state.short_runs = if life < SHORT_LIFE { state.short_runs.saturating_add(1) } else { 0 };
        let is_due = state.reported.is_none_or(|at| at.elapsed() >= REPORT_AGAIN_AFTER);
        if state.short_runs >= SHORT_RUNS && is_due {
            state.reported = Some(Instant::now());
            let (count, end) = (state.short_runs, describe(end));
            self.report(
                &mut state,
                format!(
                    "{count} guardians in a row have ended soon after their start, the last one with {end}: each is replaced, and meanwhile nothing ends the running commands with their host"
                ),
            );
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, GuardianState> {
        // Every change is complete before anything that could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn describe(end: &Exit) -> String {
    match (end.signal, end.code) {
        (Some(signal), _) => format!("signal {signal}"),
        (None, Some(code)) => format!("exit code {code}"),
        (None, None) => "an unknown status".to_owned(),
    }
}
