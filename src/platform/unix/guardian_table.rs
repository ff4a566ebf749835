//! The memory that the host and its guardian share: one row for each execution that runs.
//!
//! Both sides are compiled from this file, so it uses `core` alone. The host writes, the guardian reads, and the host may die in
//! the middle of any write: a row counts only while its state says so, and the state is written last.

use core::sync::atomic::{AtomicI32, AtomicU32, AtomicU64};

/// How many executions can be guarded at once. Memory is used by rows that are used.
pub(super) const MOST_ROWS: usize = 64 * 1024;
/// The longest tag: an id of 36 characters, a dot, a nonce of 16.
pub(super) const TAG_BYTES: usize = 64;
/// The longest path of the directory with the control groups, its final NUL included.
pub(super) const BASE_BYTES: usize = 4064;

/// The row is used, and complete.
pub(super) const IN_USE: u32 = 1;

/// The leader gets the stop signal before the other members.
pub(super) const LEADER_FIRST: u32 = 1;
/// A child that opts out is no member.
pub(super) const ALLOW_DETACHED: u32 = 2;

/// What is true of the host as a whole.
#[repr(C)]
pub(super) struct Header {
    pub(super) host: AtomicI32,
    /// How many rows from the first on have ever been used.
    pub(super) rows: AtomicU32,
    /// Whether `base` is complete.
    pub(super) has_base: AtomicU32,
    /// The number of the host in the tags that it writes, if it runs inside a command of an outer engine; else 0.
    pub(super) nested_host: AtomicU32,
    pub(super) reserved: [u32; 4],
    /// The directory with the control groups of the executions, ended by a NUL.
    pub(super) base: [u8; BASE_BYTES],
}

/// One execution. Times are in the unit in which the system counts the starts of processes.
#[repr(C, align(64))]
pub(super) struct Row {
    pub(super) state: AtomicU32,
    /// The process id of the leader; 0 as long as it is not known.
    pub(super) leader: AtomicI32,
    /// No member started before.
    pub(super) earliest_start: AtomicU64,
    /// A process with the leader's number that started later is another one.
    pub(super) latest_start: AtomicU64,
    /// Members that started at or before this have had the stop signal from the host; 0: none has.
    pub(super) stop_sent_at: AtomicU64,
    /// When the host would have killed the tree, in ms on the monotonic clock; 0: it was not being ended.
    pub(super) kill_at_ms: AtomicU64,
    pub(super) stop_signal: AtomicI32,
    pub(super) grace_ms: AtomicU32,
    pub(super) flags: AtomicU32,
    /// Its control group: the name of a directory below the base; 0: none.
    pub(super) cgroup: AtomicU32,
    /// A segment of the tag of every member that has not scrubbed its environment, filled up with NULs.
    pub(super) tag: [u8; TAG_BYTES],
}

/// All of the shared memory.
pub(super) const TABLE_BYTES: usize = size_of::<Header>() + MOST_ROWS * size_of::<Row>();
