//! The degradations of an engine's executions: each reason is reported once.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// The most reasons that are stored; further ones are reported each time: an engine that has so many has other
/// problems.
const MOST_REASONS: usize = 1_000;

#[derive(Debug, Default)]
pub(super) struct Degradations {
    /// The reported reasons. The lock is held for a look-up.
    reported: Mutex<HashSet<String>>,
}

impl Degradations {
    /// Whether a reason is to be reported: the first time that it is met.
    pub(super) fn is_new(&self, reason: &str) -> bool {
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        if reported.contains(reason) {
            return false;
        }
        if reported.len() < MOST_REASONS {
            reported.insert(reason.to_owned());
        }
        true
    }
}
