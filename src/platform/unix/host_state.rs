//! The state that a child inherits from its host, as it was when the command was accepted.

#[cfg(target_os = "linux")]
pub(super) use self::linux::ApplyState;
#[cfg(target_os = "linux")]
pub(crate) use self::linux::HostState;
#[cfg(not(target_os = "linux"))]
pub(crate) use self::other::HostState;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;
