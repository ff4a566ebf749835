//! The threads of the engine.
//!
//! They are the engine's own: a host that blocks its threads, or drops its runtime, delays no timeout and orphans no child.

use std::io;

pub(crate) use self::async_pools::{spawn, spawn_listener, wake_after};
pub(crate) use self::blocking_pools::{blocking, start_blocking};
pub(crate) use self::disk::{DiskKey, DiskQueue};
pub(crate) use self::inline_executor::{SpawnThread, WaitSet, call_blocking, spawn_blocking_first};
pub(crate) use self::wait_here::wait_here;

mod async_pools;
mod blocking_pools;
mod build;
mod disk;
mod inline_executor;
mod spawn_limiter;
pub(crate) mod thread_channel;
mod wait_here;

/// Makes the runtime and its threads now. An engine that exists has what it needs at the least, however short the machine is of
/// threads, or of descriptors, when it runs its first command. Fails where the machine is too short of them already.
pub(crate) fn prepare() -> io::Result<()> {
    async_pools::try_handle()?;
    blocking_pools::workers().prepare()?;
    blocking_pools::spawn_limiter().prepare()
}
