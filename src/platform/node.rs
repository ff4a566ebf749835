//! What a host that is Node.js needs and what has no safe form: strings whose memory stays the engine's, and the environment.

use std::cell::Cell;
use std::sync::Arc;

use napi::{Env, JsString, JsStringLatin1};

pub(crate) use self::environ::{environment_of_main_thread, own_environment};

mod environ;

thread_local! {
    /// What objects have kept that the collector took, and V8 still counts.
    static FREED: Cell<i64> = const { Cell::new(0) };
}

/// Memory of the engine that an object of JavaScript keeps. V8 counts it, so that it collects such objects before they have
/// taken the memory of the machine.
pub(crate) struct ExternalMemory(i64);

impl ExternalMemory {
    pub(crate) fn report(env: Env, bytes: usize) -> Self {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        // What is not counted is not taken back.
        if env.adjust_external_memory(bytes - FREED.take()).is_ok() { Self(bytes) } else { Self(0) }
    }

    /// Takes back what was freed since the last call.
    pub(crate) fn settle(env: Env) {
        let freed = FREED.take();
        if freed != 0 {
            let _ = env.adjust_external_memory(-freed);
        }
    }
}

/// By the garbage collector, on the thread of the object. The environment may be gone by then, so V8 is told later.
impl Drop for ExternalMemory {
    fn drop(&mut self) {
        // A thread that is past its thread-locals has no V8 either.
        let _ = FREED.try_with(|freed| freed.set(freed.get() + self.0));
    }
}

/// A string of JavaScript that is `text(owner)` and no copy of it: it keeps `owner` until the collector takes it. `text` must
/// be ASCII.
///
/// A V8 that keeps all memory of its own, such as Electron's, makes a copy.
pub(crate) fn shared_string<T: Send + Sync + 'static>(
    env: &Env,
    owner: Arc<T>,
    text: impl FnOnce(&T) -> &[u8],
) -> napi::Result<JsString<'_>> {
    let bytes = text(&owner);
    debug_assert!(bytes.is_ascii(), "Latin-1 and UTF-8 have only that in common");
    let version = env.get_node_version()?;
    if (version.major, version.minor) < (20, 4) {
        // It has no such strings.
        return env.create_string_latin1(bytes);
    }
    let (start, length) = (bytes.as_ptr(), bytes.len());
    let memory = ExternalMemory::report(*env, length);
    // SAFETY: the bytes are borrowed from `*owner`, which does not move and which nobody may change while this clone of
    // its `Arc` exists. The callback holds the clone; V8 calls it once, when nothing reads the bytes any more.
    let string = unsafe { JsStringLatin1::from_external(env, start, length, (owner, memory), |_, kept| drop(kept)) }?;
    Ok(string.into_value())
}
