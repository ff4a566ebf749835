//! The memory that the host and its guardian share: one row for each execution that runs.
//!
//! The library and the guardian both contain this file, so it uses `core` alone. The host writes, the guardian reads, and the host may
//! be killed during any write: a row is valid only while its state is [`IN_USE`], and the state is written last.

use core::sync::atomic::{AtomicI32, AtomicU32, AtomicU64};

/// The most executions that can be guarded at once. Unused rows take no memory.
pub(super) const MOST_ROWS: usize = 64 * 1024;
/// The longest tag: an id of 36 characters, a dot, a nonce of 16.
pub(super) const TAG_BYTES: usize = 64;
/// The longest path of the directory with the control groups, its final NUL included.
pub(super) const BASE_BYTES: usize = 4064;

/// State of a row that is used and complete.
pub(super) const IN_USE: u32 = 1;

/// Flag: the leader gets the stop signal before the other members.
pub(super) const LEADER_FIRST: u32 = 1;
/// Flag: a child that opts out is not a member.
pub(super) const ALLOW_DETACHED: u32 = 2;
/// Flag: the leader has had the stop signal from the host.
pub(super) const LEADER_STOPPED: u32 = 4;

/// The number of notes about processes that have had the stop signal, each at a place that depends on the process id. Unused pages take
/// no memory.
pub(super) const STOPPED_PLACES: usize = 64 * 1024;

/// Returns the place of the note about a process. Two processes may share it: then the earlier note is lost.
pub(super) fn place_of(pid: i32) -> usize {
    pid.cast_unsigned() as usize % STOPPED_PLACES
}

/// Returns the note that a process has had the stop signal: its start, and the part of its id that its place does not show.
pub(super) fn stopped(pid: i32, start: u64) -> u64 {
    const IS_SET: u64 = 1 << 7;
    (start << 8) | IS_SET | (u64::from(pid.cast_unsigned()) / STOPPED_PLACES as u64)
}

/// The data of the host.
#[repr(C)]
pub(super) struct Header {
    pub(super) host: AtomicI32,
    /// The number of rows, from the first on, that were ever used.
    pub(super) rows: AtomicU32,
    /// Whether `base` is complete.
    pub(super) has_base: AtomicU32,
    /// The number of the host in the tags that it writes, if it is a member of an outer engine's execution; else 0.
    pub(super) nested_host: AtomicU32,
    pub(super) reserved: [u32; 4],
    /// The directory with the control groups of the executions, ended by a NUL.
    pub(super) base: [u8; BASE_BYTES],
}

/// The row of one execution. Times are in the unit of the clock of process starts.
#[repr(C, align(64))]
pub(super) struct Row {
    pub(super) state: AtomicU32,
    /// The process id of the leader; 0 until it is known.
    pub(super) leader: AtomicI32,
    /// The earliest possible start of a member.
    pub(super) earliest_start: AtomicU64,
    /// The latest possible start of the leader: a process with its id that started later is another process.
    pub(super) latest_start: AtomicU64,
    /// Members of the leader's process group that started until then have had the stop signal from the host, without a scan; 0: none has.
    pub(super) stop_sent_at: AtomicU64,
    /// The time when the host will kill the tree, in ms on the monotonic clock; 0: the tree is not being ended.
    pub(super) kill_at_ms: AtomicU64,
    pub(super) stop_signal: AtomicI32,
    pub(super) grace_ms: AtomicU32,
    pub(super) flags: AtomicU32,
    /// The name of its control group, a directory below the base; 0: none.
    pub(super) cgroup: AtomicU32,
    /// The segment in the tag of every member that has not cleared its environment, padded with NULs.
    pub(super) tag: [u8; TAG_BYTES],
}

/// The distance of the notes about stopped processes, which follow the rows, from the start.
pub(super) const STOPPED_OFFSET: usize = size_of::<Header>() + MOST_ROWS * size_of::<Row>();
/// The size of the shared memory.
pub(super) const TABLE_BYTES: usize = STOPPED_OFFSET + STOPPED_PLACES * size_of::<AtomicU64>();
