//! Access to private modules for the measurements in `benches/core/`. It is compiled with the feature `bench`, and with the tests, so that
//! every change is checked against it. No released build contains it.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use chrono::Utc;
use uuid::Uuid;

use crate::config::ExecutionConfig;
use crate::output::{HeadTailBuffer, Keep, Splitter};
use crate::process::Controls;
use crate::redact::{Allowance, Redactor, Secrets};
use crate::registry::{Record, Registry};
use crate::scheduler::{Entry, Scheduler, Ticket};
use crate::state::EndControl;
use crate::types::{Command, ExecutionFilter, ExecutionRequest, ExecutionResult};

/// Splits a stream that comes in pieces and returns how many lines it has.
#[must_use]
pub fn split(max_line_bytes: usize, pieces: &[&[u8]]) -> u64 {
    let mut lines = 0;
    let mut splitter = Splitter::new(max_line_bytes);
    let mut emit = |_: &[u8], _| lines += 1;
    for piece in pieces {
        splitter.feed(piece, &mut emit);
    }
    splitter.finish(&mut emit);
    lines
}

/// Captures a stream that comes in pieces, half of the cap from either end, and returns how many bytes there are then.
#[must_use]
pub fn capture(cap: usize, pieces: &[&[u8]]) -> usize {
    let mut limit = HeadTailBuffer::new(cap, Keep::Both);
    for piece in pieces {
        limit.push(piece);
    }
    limit.freeze().bytes.len()
}

/// Secrets, ready to be looked for.
#[derive(Debug)]
pub struct Mask(Arc<Secrets>);

impl Mask {
    /// `None` when there is nothing to mask.
    #[must_use]
    pub fn new(secrets: &[&str]) -> Option<Self> {
        Secrets::new(secrets.iter().map(|secret| secret.as_bytes())).map(Self)
    }

    /// Masks a stream that comes in pieces and returns how many bytes are left.
    #[must_use]
    pub fn redact(&self, pieces: &[&[u8]]) -> usize {
        let mut left = 0;
        let mut redactor = Redactor::new(Arc::clone(&self.0));
        for piece in pieces {
            redactor.feed(piece, |clean| left += clean.len());
        }
        redactor.finish(|clean| left += clean.len());
        left
    }
}

/// The records of an engine that runs nothing.
#[derive(Debug)]
pub struct Records(Registry);

impl Records {
    /// Creates a registry without records.
    #[must_use]
    pub fn new(config: &ExecutionConfig) -> Self {
        Self(Registry::new(config))
    }

    /// Inserts a record, gives it its result, and settles it. The oldest records leave as retention requires.
    pub fn live(&self, result: &Arc<ExecutionResult>) -> Uuid {
        let record = Arc::new(Record::new(
            &ExecutionRequest::new(Command::exec("true")),
            "true",
            None,
            Utc::now(),
            Arc::default(),
            Controls::default(),
            EndControl::new(),
        ));
        let id = record.id();
        self.0.insert(Arc::clone(&record)).expect("a new id is not known yet");
        // The remaining record leaves with the next one, so that no call here ends hundreds of others at once.
        let _ = self.0.complete(&record, Arc::clone(result));
        record.release();
        self.0.settle(&record);
        id
    }

    /// Whether there is such a record.
    #[must_use]
    pub fn has(&self, id: Uuid) -> bool {
        self.0.get(id).is_some()
    }

    /// Returns how many records the newest `limit` are.
    #[must_use]
    pub fn list(&self, limit: usize) -> usize {
        self.0
            .list(&ExecutionFilter { limit: Some(limit), ..ExecutionFilter::default() }, &mut Allowance::of_caller())
            .len()
    }
}

/// The slots of an engine that runs nothing.
#[derive(Debug)]
pub struct Slots(Arc<Scheduler>);

impl Slots {
    /// Creates a scheduler whose slots are all free.
    #[must_use]
    pub fn new(config: &ExecutionConfig) -> Self {
        Self(Scheduler::new(config))
    }

    /// Takes a slot that is free, and releases it.
    ///
    /// # Panics
    /// When none is free.
    pub fn take(&self) {
        assert!(matches!(self.0.enter(0, &[]), Ok(Entry::Now(_))), "a slot is free");
    }

    /// Lets `count` wait, of 8 priorities, while all slots are taken, and then gives each its turn.
    ///
    /// # Panics
    /// When the queue has no room for them.
    pub fn queue(&self, count: i32) {
        let mut taken = Vec::new();
        let mut waiting = Vec::new();
        while waiting.len() < usize::try_from(count).unwrap_or_default() {
            let priority = i32::try_from(waiting.len() % 8).unwrap_or_default();
            match self.0.enter(priority, &[]).expect("the queue has room") {
                Entry::Now(permit) => taken.push(permit),
                Entry::Later(ticket) => waiting.push(ticket),
            }
        }
        drop(taken);
        while !waiting.is_empty() {
            let before = waiting.len();
            // A slot that is returned is given to the next ticket at once.
            waiting.retain_mut(|ticket| !has_its_turn(ticket));
            assert!(waiting.len() < before, "a free slot ends a wait");
        }
    }
}

fn has_its_turn(ticket: &mut Ticket) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    matches!(pin!(ticket.turn()).poll(&mut context), Poll::Ready(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ExecutionEngine;
    use crate::types::{Command, ExecutionRequest};

    #[test]
    fn streams_go_the_whole_way() {
        assert_eq!(split(64, &[b"a\nb", b"c\r\n", b"d"]), 3);
        assert_eq!(capture(10, &[b"abc", b"def"]), 6);
        assert!(capture(4, &[b"abc", b"def"]) > 4, "what was kept and a line that says so");
        assert!(Mask::new(&[]).is_none());
        assert_eq!(Mask::new(&["hunter22"]).unwrap().redact(&[b"a hun", b"ter22 b"]), "a *** b".len());
    }

    #[tokio::test]
    async fn records_live_and_leave() {
        let config = ExecutionConfig { max_in_memory_executions: 2, ..ExecutionConfig::default() };
        let program = if std::env::consts::FAMILY == "windows" { "whoami" } else { "true" };
        let command = Command::Exec { program: program.into(), args: Vec::new() };
        let result = ExecutionEngine::new(config.clone()).unwrap().run(ExecutionRequest::new(command)).await.unwrap();

        let records = Records::new(&config);
        let ids = [(); 3].map(|()| records.live(&result));
        assert_eq!(ids.map(|id| records.has(id)), [false, true, true]);
        assert_eq!((records.list(1), records.list(10)), (1, 2));
    }

    #[test]
    fn slots_are_free_again() {
        let slots = Slots::new(&ExecutionConfig { max_concurrent_executions: 3, ..ExecutionConfig::default() });
        slots.take();
        slots.queue(100);
        assert_eq!(slots.0.load(), (0, 3, 0));
    }
}
