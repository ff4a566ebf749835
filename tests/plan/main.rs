//! Several commands as one plan, seen from the public API: one behaviour a file. `docs/faults.md` lists what is guaranteed.

#[path = "../common/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the helpers are those of all tests, and plans need only some of them")]
mod common;
mod steps;

mod conditions;
mod failures;
mod model;
mod order;
mod progress;
mod refusals;
mod retries;
mod retry_pause;
mod stopping;
