//! The end of the environment of this thread: a host that exits, or a worker that ends.

use std::cell::{Cell, RefCell};
use std::sync::{Arc, Weak};

use napi::bindgen_prelude::Env;

use crate::engine::ExecutionEngine;
use crate::platform;

thread_local! {
    static IS_WATCHED: Cell<bool> = const { Cell::new(false) };
    static HAS_BEGUN: Cell<bool> = const { Cell::new(false) };
    /// The engines of this thread. Not every runtime drops the objects of an environment that ends: Deno does not.
    static ENGINES: RefCell<Vec<Weak<ExecutionEngine>>> = const { RefCell::new(Vec::new()) };
}

/// Lets an engine go when the environment of this thread ends. Hooks run in the opposite order of their registration: this one
/// before the objects of the addon are dropped.
pub(super) fn watch(env: Env, engine: &Arc<ExecutionEngine>) {
    if !IS_WATCHED.replace(true) {
        // Without the hook an engine is let go as one that was collected.
        let _ = env.add_env_cleanup_hook((), |()| end_all());
    }
    ENGINES.with_borrow_mut(|engines| {
        engines.retain(|engine| engine.strong_count() > 0);
        engines.push(Arc::downgrade(engine));
    });
}

/// Lets an engine go that was collected; one of an environment that ends was let go already.
pub(super) fn collected(engine: &ExecutionEngine) {
    // A thread that is past its thread-locals is at its end.
    if !HAS_BEGUN.try_with(Cell::get).unwrap_or(true) {
        engine.let_go(false);
    }
}

fn end_all() {
    HAS_BEGUN.set(true);
    let engines: Vec<_> = ENGINES.take().iter().filter_map(Weak::upgrade).collect();
    for engine in &engines {
        engine.let_go(false);
    }
    // The end of a worker's environment leaves the process as it is.
    if let Some(engine) = engines.last().filter(|_| platform::is_main_thread()) {
        engine.let_go(true);
    }
}
