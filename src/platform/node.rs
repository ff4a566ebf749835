//! Unsafe parts of the Node.js binding: JavaScript strings backed by memory of the engine, and the environment.

use std::cell::Cell;
use std::sync::Arc;

use napi::{Env, JsString, JsStringLatin1};

pub(crate) use self::environ::{environment_of_main_thread, own_environment};

mod environ;

thread_local! {
    /// Bytes kept by objects that the garbage collector has taken, and which V8 still counts.
    static FREED: Cell<i64> = const { Cell::new(0) };
}

/// Memory of the engine that a JavaScript object keeps alive. It is reported to V8, which otherwise collects such objects too
/// late.
pub(crate) struct ExternalMemory(i64);

impl ExternalMemory {
    pub(crate) fn report(env: Env, bytes: usize) -> Self {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        // An amount that V8 does not count is not subtracted later.
        if env.adjust_external_memory(bytes - FREED.take()).is_ok() { Self(bytes) } else { Self(0) }
    }

    /// Subtracts what was freed since the last call from V8's count.
    pub(crate) fn settle(env: Env) {
        let freed = FREED.take();
        if freed != 0 {
            let _ = env.adjust_external_memory(-freed);
        }
    }
}

/// The drop is called by the garbage collector on the thread of the object. The environment may be gone by then, so
/// V8's count is adjusted later.
impl Drop for ExternalMemory {
    fn drop(&mut self) {
        // A thread whose thread-locals are destroyed has no V8 any more.
        let _ = FREED.try_with(|freed| freed.set(freed.get() + self.0));
    }
}

/// Creates a JavaScript string that shares the memory of `text(owner)`: it keeps `owner` until it is collected. `text` must be
/// ASCII.
///
/// A V8 with a memory cage, such as Electron's, makes a copy.
pub(crate) fn shared_string<T: Send + Sync + 'static>(
    env: &Env,
    owner: Arc<T>,
    text: impl FnOnce(&T) -> &[u8],
) -> napi::Result<JsString<'_>> {
    let bytes = text(&owner);
    debug_assert!(bytes.is_ascii(), "Latin-1 and UTF-8 have only ASCII in common");
    let version = env.get_node_version()?;
    if (version.major, version.minor) < (20, 4) {
        // Earlier versions have no external strings.
        return env.create_string_latin1(bytes);
    }
    let (start, length) = (bytes.as_ptr(), bytes.len());
    let memory = ExternalMemory::report(*env, length);
    // SAFETY: the bytes are borrowed from `*owner`, which neither moves nor changes while this clone of its `Arc` exists. The
    // callback holds the clone; V8 calls it once, when it does not read the bytes any more.
    let string = unsafe { JsStringLatin1::from_external(env, start, length, (owner, memory), |_, kept| drop(kept)) }?;
    Ok(string.into_value())
}
