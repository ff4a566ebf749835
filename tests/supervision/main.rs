//! The guarantees of the engine about the processes that it starts: `docs/supervision.md`, one behaviour a file.
//! `docs/faults.md` lists what is guaranteed. A test that cannot be run where it is says `SKIPPED` and why.
#![cfg(target_os = "linux")]

#[path = "../common/mod.rs"]
#[expect(unused, reason = "the words are shared with other test programs, which use the rest")]
mod common;
mod delegated;
mod hanging_mount;
mod hosts;
mod members;

// The members of a tree.
mod escaped;
mod job_control;
mod stopped_tree;

// Things that a request can block.
mod blocked_by_request;

// The processes that get the stop signal, and when.
mod allow_detached;
mod grace_of_a_cancel;
mod left_control_group;
mod signal_to_the_command;
mod stop_every_member;
mod stop_once;
mod stop_order;
mod without_control_groups;

// The ways in which it ends.
mod cancel_while_spawning;
mod clock_jumps;
mod foreign_reaper;
mod fork_bomb;
mod leftovers;
mod other_user;
mod reused_pid;
mod unkillable;
mod without_close_range;
mod without_pidfd;

// The reports about it.
mod diagnosis;
mod replaced_overflow_folder;
mod slow_disk;

// A machine without room.
mod exhaustion;
mod file_size_limit;
mod guardian_without_room;
mod half_spawned;
