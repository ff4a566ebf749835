//! Runs several executions as one plan: the order in which they begin, the consequences of a failure, and the result.
//!
//! `graph` and `plan_state` are pure. `run` drives them and reaches the engine through [`Host`]; `records` keeps results.

pub(crate) use self::graph::Graph;
pub(crate) use self::plan_state::{Needs, PlanState, Rules, StepState};
pub(crate) use self::records::{PlanRecord, Plans};
pub(crate) use self::run::{Claim, Host, Pace, Slot, StepEnd, run};

mod graph;
#[cfg(test)]
mod model_tests;
mod plan_state;
mod records;
mod run;
