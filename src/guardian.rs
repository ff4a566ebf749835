//! What kills the trees when the host is gone.
//!
//! One small process for each host, started with its first execution. Its standard input is a pipe of which only the host
//! has the other end: the pipe ends when the host dies, however it dies. Then the guardian reads the table of what was
//! running, kills the process groups, the rest of their sessions and whoever carries their tags, and leaves.
//!
//! Where the system itself ends the trees with their host (Windows, by job objects), there is no guardian.
//!
//! The guardian is a shell script. A binary of our own would have to be built, signed and shipped for each platform, would
//! not come with the Rust crate, and could not be run from memory where the system forbids that; `/bin/sh` is everywhere,
//! takes less than 2 MiB, and does nothing at all while the host lives: executions are written into shared memory, so that
//! they cost no system call and cannot fill a pipe that nobody reads.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::platform::{self, Leader, Lifeline, Table};
use crate::runtime;

const SCRIPT: &str = include_str!("guardian/guardian.sh");
/// A guardian that does not start is tried again with an execution that comes this much later.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// A guardian that lives for less than this was not killed by somebody: it does not work here.
const TOO_SHORT_A_LIFE: Duration = Duration::from_millis(20);

/// Made by the first execution that finds room for it. Held while it is made.
static GUARDIAN: Mutex<Option<Arc<Guardian>>> = Mutex::new(None);

#[derive(Debug)]
struct Guardian {
    lifeline: Lifeline,
    table: Table,
    /// Held for a few moves of numbers, or while a guardian is started.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Rows that were used and are free again.
    free: Vec<usize>,
    /// Rows from here on were never used.
    untouched: usize,
    health: Health,
}

#[derive(Debug, Default)]
enum Health {
    #[default]
    NotStarted,
    Alive,
    Failed {
        at: Instant,
        why: Unguarded,
    },
}

/// The guardian's eye on one execution; dropped, it looks away.
#[derive(Debug)]
#[must_use = "a dropped guard guards nothing"]
pub(crate) struct Guard {
    guardian: Arc<Guardian>,
    row: usize,
}

/// Why there is no guardian.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{what}: {error}")]
pub(crate) struct Unguarded {
    what: &'static str,
    #[source]
    pub(crate) error: Arc<io::Error>,
}

impl Unguarded {
    fn because(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self { what, error: Arc::new(error) }
    }
}

/// Has an execution guarded, from before its process exists; `None` where that needs no guardian. Must be called within
/// the runtime, where blocking is allowed.
pub(crate) fn watch(id: Uuid) -> Result<Option<Guard>, Unguarded> {
    if platform::TREES_END_WITH_THE_HOST {
        return Ok(None);
    }
    let guardian = Guardian::get()?;
    guardian.ensure_alive()?;
    let mut state = guardian.lock();
    let row = state.free.pop().unwrap_or(state.untouched);
    if row == state.untouched {
        guardian.table.grow(row).map_err(Unguarded::because("the guardian's table cannot grow"))?;
        state.untouched += 1;
    }
    drop(state);
    // The id goes first: whoever is spawned between the two writes is found by its tag.
    guardian.table.write(row, format!("         {id}").as_bytes());
    Ok(Some(Guard { guardian, row }))
}

impl Guard {
    /// Tells the process group of the execution.
    pub(crate) fn started(&self, pid: u32) {
        let digits = format!("{pid:>8}");
        // A process id has at most 7 digits (10 on systems that do not exist yet): without it the tag has to do.
        if let Ok(head) = <[u8; 8]>::try_from(digits.as_bytes()) {
            self.guardian.table.write_head(self.row, head);
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.guardian.table.write(self.row, b"");
        self.guardian.lock().free.push(self.row);
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
        Ok(Arc::clone(slot.insert(Arc::new(Self { lifeline, table, state: Mutex::default() }))))
    }

    fn ensure_alive(self: &Arc<Self>) -> Result<(), Unguarded> {
        let mut state = self.lock();
        match &state.health {
            Health::Alive => return Ok(()),
            Health::Failed { at, why } if at.elapsed() < RETRY_AFTER => return Err(why.clone()),
            Health::NotStarted | Health::Failed { .. } => {}
        }
        // Under the lock: executions that come meanwhile wait for the one guardian instead of starting their own.
        self.start(&mut state)
    }

    fn start(self: &Arc<Self>, state: &mut State) -> Result<(), Unguarded> {
        let leader = platform::spawn_guardian(SCRIPT, &self.lifeline, &self.table).map_err(|error| {
            let is_passing = platform::is_exhaustion(&error);
            let why = Unguarded::because("the guardian cannot be started")(error);
            state.health =
                if is_passing { Health::NotStarted } else { Health::Failed { at: Instant::now(), why: why.clone() } };
            why
        })?;
        state.health = Health::Alive;
        runtime::spawn(Arc::clone(self).replace_when_gone(leader));
        Ok(())
    }

    /// A guardian that was killed is followed by another, which reads the same table.
    async fn replace_when_gone(self: Arc<Self>, leader: Leader) {
        let started = Instant::now();
        leader.exited().await;
        leader.reap();
        self.lock().health = Health::NotStarted;
        // One that dies at once, again and again, must not keep the machine busy.
        let mut pause = if started.elapsed() < TOO_SHORT_A_LIFE { RETRY_AFTER } else { Duration::ZERO };
        loop {
            tokio::time::sleep(pause).await;
            let again = Arc::clone(&self);
            // An execution that came meanwhile may have started it.
            if let Ok(Ok(())) = runtime::blocking(move || again.ensure_alive()).await {
                return;
            }
            pause = RETRY_AFTER;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is complete before anything that could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
