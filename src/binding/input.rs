//! Standard inputs that JavaScript gives bit by bit, each when it is asked for.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::outbox::JsSink;
use crate::runtime;
use crate::types::StdinWriter;

/// The writers of the executions whose input has not ended, by handle.
#[derive(Default)]
pub(super) struct Inputs(Mutex<HashMap<u32, StdinWriter>>);

impl Inputs {
    /// Asks JavaScript for a chunk whenever the child has taken the one before, until there is no reader any more.
    pub(super) fn open(&self, handle: u32, writer: StdinWriter, sink: JsSink) {
        let demand = writer.demand();
        runtime::spawn(async move {
            while demand.next().await.is_ok() {
                sink.input(true);
            }
            sink.input(false);
        });
        self.with(|writers| writers.insert(handle, writer));
    }

    pub(super) fn write(&self, handle: u32, bytes: Vec<u8>) {
        self.with(|writers| {
            if let Some(writer) = writers.get(&handle) {
                writer.hand_over(bytes);
            }
        });
    }

    /// Ends an input, because there is no more or because it failed.
    pub(super) fn end(&self, handle: u32, failure: Option<String>) {
        let writer = self.with(|writers| writers.remove(&handle));
        if let (Some(writer), Some(failure)) = (writer, failure) {
            writer.fail(failure);
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut HashMap<u32, StdinWriter>) -> T) -> T {
        // Every change is complete before anything that could panic.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
