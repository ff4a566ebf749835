//! The fields of events, one by one: what takes them need not know which event has which.

use std::sync::Arc;

use crate::types::{ExecutionResult, ExecutionStatus, PlanExecutionResult, Text, WaitsFor};

/// Takes the fields of an event, in the order of their declaration.
pub(crate) trait FieldReader {
    fn number(&mut self, number: f64);
    fn text(&mut self, text: Option<&str>);
    fn result(&mut self, result: &Arc<ExecutionResult>);
    fn plan_result(&mut self, result: Option<&Arc<PlanExecutionResult>>);
}

/// A value that an event may have.
pub(super) trait Give {
    fn give(&self, to: &mut impl FieldReader);
}

impl Give for u32 {
    fn give(&self, to: &mut impl FieldReader) {
        to.number(f64::from(*self));
    }
}

impl Give for u64 {
    #[expect(clippy::cast_precision_loss, reason = "nothing has 2^53 bytes or takes 2^53 ms")]
    fn give(&self, to: &mut impl FieldReader) {
        to.number(*self as f64);
    }
}

impl Give for usize {
    fn give(&self, to: &mut impl FieldReader) {
        (*self as u64).give(to);
    }
}

impl Give for f64 {
    fn give(&self, to: &mut impl FieldReader) {
        to.number(*self);
    }
}

impl Give for WaitsFor {
    fn give(&self, to: &mut impl FieldReader) {
        to.text(Some(self.as_str()));
    }
}

/// NaN is `None`: every exit code is one on some system.
impl Give for Option<i32> {
    fn give(&self, to: &mut impl FieldReader) {
        to.number(self.map_or(f64::NAN, f64::from));
    }
}

impl Give for bool {
    fn give(&self, to: &mut impl FieldReader) {
        to.number(f64::from(u8::from(*self)));
    }
}

impl Give for String {
    fn give(&self, to: &mut impl FieldReader) {
        to.text(Some(self));
    }
}

impl Give for Text {
    fn give(&self, to: &mut impl FieldReader) {
        to.text(Some(self));
    }
}

impl Give for Option<String> {
    fn give(&self, to: &mut impl FieldReader) {
        to.text(self.as_deref());
    }
}

/// Passes on the number of the status, which is its place in the list.
impl Give for ExecutionStatus {
    fn give(&self, to: &mut impl FieldReader) {
        to.number(f64::from(*self as u8));
    }
}

impl Give for Arc<ExecutionResult> {
    fn give(&self, to: &mut impl FieldReader) {
        to.result(self);
    }
}

impl Give for Option<Arc<PlanExecutionResult>> {
    fn give(&self, to: &mut impl FieldReader) {
        to.plan_result(self.as_ref());
    }
}
