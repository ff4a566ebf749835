//! What a host that is Node.js needs and what has no safe form: strings whose memory stays the engine's, and the environment.

use std::sync::Arc;

use napi::{Env, JsString, JsStringLatin1};

pub(crate) use self::environ::{environment_of_main_thread, own_environment};

mod environ;

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
    // SAFETY: the bytes are borrowed from `*owner`, which does not move and which nobody may change while this clone of
    // its `Arc` exists. The callback holds the clone; V8 calls it once, when nothing reads the bytes any more.
    let string = unsafe { JsStringLatin1::from_external(env, start, length, owner, |_, owner| drop(owner)) }?;
    Ok(string.into_value())
}
