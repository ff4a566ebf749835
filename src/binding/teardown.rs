//! Whether the environment of this thread is being torn down: a host that exits, or a worker that ends.

use std::cell::Cell;

use napi::bindgen_prelude::Env;

use crate::platform;

thread_local! {
    static IS_WATCHED: Cell<bool> = const { Cell::new(false) };
    static HAS_BEGUN: Cell<bool> = const { Cell::new(false) };
}

/// Watches the environment of this thread. Hooks run in the opposite order of their registration: this one before the objects of the
/// addon are dropped.
pub(super) fn watch(env: Env) {
    if !IS_WATCHED.replace(true) {
        // Without the hook an engine is let go as one that was collected.
        let _ = env.add_env_cleanup_hook((), |()| HAS_BEGUN.set(true));
    }
}

/// Whether the host exits: the teardown of a worker's environment leaves the process as it is.
pub(super) fn has_begun() -> bool {
    // A thread that is past its thread-locals is at its end.
    HAS_BEGUN.try_with(Cell::get).unwrap_or(true) && platform::is_main_thread()
}
