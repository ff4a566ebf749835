//! The end of a host with engines: they leave their work to the guardian, or end it where there is none.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, Once, PoisonError, Weak};
use std::time::Duration;

use crate::catch_panic::contain_call;
use crate::guardian;
use crate::platform;
use crate::platform::clock::Instant;
use crate::state::Stop;

use super::{EngineCore, ExecutionEngine};

/// The exit is held up for no longer than this.
const LONGEST_EXIT: Duration = Duration::from_millis(500);
/// Trees are killed so long before that at the latest: their members are found by scans.
const KILLING: Duration = Duration::from_millis(150);
/// So long before the end of the exit, what scans have found is killed without waiting for another one: on a busy machine a scan may take
/// longer than that.
const KILLING_AT_ONCE: Duration = Duration::from_millis(50);

/// Every engine that has not been dropped, or still has work. Held for moves of pointers.
static ENGINES: Mutex<Vec<Weak<EngineCore>>> = Mutex::new(Vec::new());

/// Ends an engine's work when the host exits.
pub(super) fn watch(engine: &Arc<EngineCore>) {
    static REGISTERED: Once = Once::new();
    let mut engines = ENGINES.lock().unwrap_or_else(PoisonError::into_inner);
    engines.retain(|engine| engine.strong_count() > 0);
    engines.push(Arc::downgrade(engine));
    drop(engines);
    REGISTERED.call_once(|| {
        platform::at_exit(end_unguarded);
    });
}

/// Returns every engine of this process.
#[cfg(feature = "node")]
pub(super) fn engines() -> Vec<Arc<EngineCore>> {
    let engines = ENGINES.lock().unwrap_or_else(PoisonError::into_inner).clone();
    engines.iter().filter_map(Weak::upgrade).collect()
}

impl ExecutionEngine {
    /// Refuses new work and ends what runs: for an engine that no code can reach any more. If the reason is that the host exits,
    /// the guardian or `host_exit` ends what is left.
    #[cfg_attr(not(feature = "node"), expect(dead_code, reason = "only Node.js announces the end of a thread"))]
    pub(crate) fn close_and_stop(&self) {
        self.shared().close_and_stop();
    }

    /// Notes that the host exits: if the guardian can, it alone ends the commands that run.
    #[cfg_attr(not(feature = "node"), expect(dead_code, reason = "only Node.js announces the end of a thread"))]
    pub(crate) fn host_exits(&self) {
        let is_left = self.shared().config.guardian && guardian::outlives_the_host();
        self.shared().is_left_to_guardian.store(is_left, Relaxed);
    }
}

impl EngineCore {
    /// Refuses new work and ends what runs, except the commands that are left to the guardian.
    pub(super) fn close_and_stop(&self) {
        self.close();
        if !self.is_left_to_guardian.load(Relaxed) {
            self.request_stop_of_all(Stop::Shutdown, None);
            return;
        }
        for record in self.registry.unfinished().iter().filter(|record| !record.has_process()) {
            record.request_stop(Stop::Shutdown, None);
        }
    }
}

/// Ends what no guardian ends: the stop signal, a short grace period, SIGKILL. Returns when all is gone, or after
/// [`LONGEST_EXIT`].
pub(crate) fn end_unguarded() {
    // The hook has reported a panic already, and the exit continues.
    let _ = contain_call(stop_then_kill);
}

fn stop_then_kill() {
    let engines = ENGINES.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let outlived = guardian::outlives_the_host();
    let unguarded = engines.iter().filter_map(Weak::upgrade).filter(|engine| !(engine.config.guardian && outlived));
    let started = Instant::now();
    let mut live = Vec::new();
    for engine in unguarded {
        engine.close();
        let grace = engine.config.host_exit_grace_ms.unwrap_or(engine.config.kill_grace_ms);
        let grace = Duration::from_millis(grace).min(LONGEST_EXIT.saturating_sub(KILLING));
        live.extend(engine.request_stop_of_all(Stop::Shutdown, Some(grace)));
    }
    for until in [started + LONGEST_EXIT.saturating_sub(KILLING_AT_ONCE), started + LONGEST_EXIT] {
        while Instant::now() < until && live.iter().any(|record| record.result().is_none()) {
            std::thread::sleep(Duration::from_millis(2));
        }
        for record in &live {
            record.kill_now();
        }
    }
    // The guardian continues what the other engines have begun.
    platform::end_stop_signals();
}
