//! The end of the environment of this thread: a host that exits, or a worker that ends.

use std::cell::{Cell, RefCell};
use std::sync::{Arc, Weak};

use napi::bindgen_prelude::Env;

use crate::engine::ExecutionEngine;
use crate::platform;

thread_local! {
    static IS_WATCHED: Cell<bool> = const { Cell::new(false) };
    /// The engines of this thread. Not every runtime drops the objects of an environment that ends: Deno does not.
    static ENGINES: RefCell<Vec<Weak<ExecutionEngine>>> = const { RefCell::new(Vec::new()) };
}

/// Lets an engine go when the environment of this thread ends.
pub(super) fn watch(env: Env, engine: &Arc<ExecutionEngine>) {
    if !IS_WATCHED.replace(true) {
        // Without the hook an engine is released like one that was collected.
        let _ = env.add_env_cleanup_hook((), |()| end_all());
    }
    ENGINES.with_borrow_mut(|engines| {
        engines.retain(|engine| engine.strong_count() > 0);
        engines.push(Arc::downgrade(engine));
    });
}

fn end_all() {
    // The host exits with the environment of its first thread.
    let is_host_exit = platform::is_first_thread();
    for engine in ENGINES.take().iter().filter_map(Weak::upgrade) {
        if is_host_exit {
            engine.host_exits();
        }
        engine.close_and_stop();
    }
}
