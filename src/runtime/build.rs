//! Makes a runtime on a machine that may have no room for its threads or descriptors: an error then, never a panic of the host.

use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Once};

use tokio::runtime::{Builder, Runtime};

thread_local! {
    /// Whether a panic of this thread is an expected one, which becomes an error with all its details.
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Builds a runtime. `configure` sets what is special about it.
pub(super) fn build(configure: impl FnOnce(&mut Builder)) -> io::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    builder.enable_all();
    configure(&mut builder);
    // If the system refuses a thread, tokio panics.
    quietly(|| builder.build())
        .unwrap_or_else(|| Err(io::Error::new(io::ErrorKind::WouldBlock, "no thread can be created")))
}

/// Calls a function of which a panic is not reported; `None` if it has panicked.
fn quietly<T>(function: impl FnOnce() -> T) -> Option<T> {
    static HOOK: Once = Once::new();
    // The hook may not be changed during a panic, in which an engine can be constructed.
    if !std::thread::panicking() {
        HOOK.call_once(|| {
            let host = Arc::new(std::panic::take_hook());
            std::panic::set_hook(Box::new(move |panic| {
                if !IS_QUIET.get() {
                    host(panic);
                }
            }));
        });
    }
    IS_QUIET.set(true);
    let output = catch_unwind(AssertUnwindSafe(function));
    IS_QUIET.set(false);
    output.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_nothing_and_the_next_one_is_reported_again() {
        assert_eq!(quietly(|| 3), Some(3));
        assert_eq!(quietly(|| -> i32 { std::panic::panic_any("on purpose") }), None);
        assert!(!IS_QUIET.get());
    }
}
