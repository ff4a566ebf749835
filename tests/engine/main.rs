//! The behaviour of the engine, seen from its public API: one behaviour a file. `F..` are the cases of FAULTS.md.
//!
//! All of them are one program: it is linked once, and a test that needs a process of its own starts it again.

#[path = "../common/mod.rs"]
mod common;

mod program_lookup;
