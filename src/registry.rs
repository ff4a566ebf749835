//! The records of an engine's executions, and how long they stay.

use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::config::ExecutionConfig;
use crate::error::ExecutionError;
use crate::latch::Latch;
use crate::output::SpillFile;
use crate::platform::Leader;
use crate::state::Stop;
use crate::types::{ExecutionFilter, ExecutionResult, ExecutionStatus, ExecutionSummary};

/// The longest command in a listing, in characters.
const LONGEST_COMMAND: usize = 200;

/// One execution, from its acceptance to its removal.
#[derive(Debug)]
pub(crate) struct Record {
    id: Uuid,
    command: Box<str>,
    label: Option<Box<str>>,
    created_at: DateTime<Utc>,
    /// The wall clock may jump, and the order of the records must not.
    accepted: Instant,
    /// Set once it runs; each attempt has its own. Held for a move of a pointer.
    leader: Mutex<Option<Weak<Leader>>>,
    /// Its log, if it has one or is to have one.
    log_path: Option<Box<Path>>,
    /// Go with the record.
    files: OnceLock<Vec<Arc<SpillFile>>>,
    /// Set by whoever wants the execution to end.
    stop: Arc<Latch<Stop>>,
    result: OnceLock<Arc<ExecutionResult>>,
    /// Set when the terminal event was handled: nothing of this execution comes after it.
    settled: Latch<()>,
}

impl Record {
    pub(crate) fn new(
        id: Uuid,
        command: &str,
        label: Option<&str>,
        log_path: Option<&Path>,
        created_at: DateTime<Utc>,
    ) -> Self {
        let command = command.char_indices().nth(LONGEST_COMMAND).map_or(command, |(end, _)| &command[..end]);
        Self {
            id,
            command: command.into(),
            label: label.map(Into::into),
            created_at,
            accepted: Instant::now(),
            leader: Mutex::default(),
            log_path: log_path.map(Into::into),
            files: OnceLock::new(),
            stop: Arc::new(Latch::new()),
            result: OnceLock::new(),
            settled: Latch::new(),
        }
    }

    pub(crate) fn id(&self) -> Uuid {
        self.id
    }

    pub(crate) fn status(&self) -> ExecutionStatus {
        match self.result.get() {
            Some(result) => result.status,
            None if self.leader().is_some() => ExecutionStatus::Running,
            None => ExecutionStatus::Pending,
        }
    }

    pub(crate) fn result(&self) -> Option<&Arc<ExecutionResult>> {
        self.result.get()
    }

    pub(crate) fn log_path(&self) -> Option<&Path> {
        self.log_path.as_deref()
    }

    /// Keeps files of output for as long as there is this record.
    pub(crate) fn keep(&self, files: Vec<Arc<SpillFile>>) {
        if !files.is_empty() {
            let _ = self.files.set(files);
        }
    }

    pub(crate) fn stop(&self) -> &Arc<Latch<Stop>> {
        &self.stop
    }

    pub(crate) fn set_running(&self, leader: &Arc<Leader>) {
        *self.leader.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::downgrade(leader));
    }

    /// Whether it has a process now: between two attempts it has none.
    pub(crate) fn has_process(&self) -> bool {
        self.leader().is_some_and(|leader| leader.strong_count() > 0)
    }

    fn leader(&self) -> Option<Weak<Leader>> {
        self.leader.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Kills the process group now, without waiting for anything: for a host that is going away.
    pub(crate) fn kill_group(&self) {
        if let Some(leader) = self.leader().as_ref().and_then(Weak::upgrade) {
            leader.kill_group();
        }
    }

    /// Waits for the end and gives the result.
    pub(crate) async fn settled(&self) -> &Arc<ExecutionResult> {
        self.settled.wait().await;
        self.result.get().expect("an execution settles after it has its result")
    }

    fn summary(&self) -> ExecutionSummary {
        ExecutionSummary {
            id: self.id,
            status: self.status(),
            command: self.command.to_string(),
            label: self.label.as_deref().map(str::to_owned),
            created_at: self.created_at,
            completed_at: self.result.get().map(|result| result.completed_at),
        }
    }
}

/// How much of the past is kept.
#[derive(Debug, Clone, Copy)]
struct Retention {
    age: Duration,
    records: usize,
    bytes: u64,
}

#[derive(Debug)]
pub(crate) struct Registry {
    retention: Retention,
    /// Held for a look-up or a few moves of pointers, never across an await or a call to a listener.
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Nothing more is taken. Here, so that whatever is taken is seen by whoever closes.
    closed: bool,
    records: HashMap<Uuid, Arc<Record>>,
    /// Ended, and their last event is on its way; they may have left `records` already.
    telling: Vec<Arc<Record>>,
    /// The ended ones, oldest first; may hold places of records that were removed by hand.
    ended: VecDeque<Ended>,
    /// How many of `ended` are still there, and what their output takes.
    ended_records: usize,
    ended_bytes: u64,
}

#[derive(Debug)]
struct Ended {
    /// Not the id: that may be another record's by now.
    record: Weak<Record>,
    at: Instant,
    bytes: u64,
}

impl Registry {
    pub(crate) fn new(config: &ExecutionConfig) -> Self {
        let retention = Retention {
            age: Duration::from_secs(config.execution_retention_secs),
            records: config.max_in_memory_executions,
            bytes: config.max_retained_output_bytes,
        };
        Self { retention, inner: Mutex::default() }
    }

    /// Takes a record, unless the id is known already or the registry was closed.
    pub(crate) fn insert(&self, record: Arc<Record>) -> Result<(), ExecutionError> {
        let mut inner = self.lock();
        if inner.closed {
            return Err(ExecutionError::EngineShutDown);
        }
        match inner.records.entry(record.id) {
            Entry::Occupied(_) => Err(ExecutionError::DuplicateId(record.id)),
            Entry::Vacant(slot) => {
                slot.insert(record);
                Ok(())
            }
        }
    }

    /// Takes a record of work that was accepted before, closed or not. `false`: the id is known already.
    pub(crate) fn insert_accepted(&self, record: Arc<Record>) -> bool {
        match self.lock().records.entry(record.id) {
            Entry::Occupied(_) => false,
            Entry::Vacant(slot) => {
                slot.insert(record);
                true
            }
        }
    }

    /// Takes no more records.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    pub(crate) fn get(&self, id: Uuid) -> Option<Arc<Record>> {
        self.lock().records.get(&id).cloned()
    }

    /// Gives a record its result; the oldest ones leave when there are too many.
    pub(crate) fn complete(&self, record: &Arc<Record>, result: Arc<ExecutionResult>) {
        let bytes = (result.stdout.raw().len() + result.stderr.raw().len()) as u64;
        if record.result.set(result).is_err() {
            return;
        }
        let mut inner = self.lock();
        inner.ended.push_back(Ended { record: Arc::downgrade(record), at: Instant::now(), bytes });
        inner.ended_records += 1;
        inner.ended_bytes += bytes;
        inner.telling.push(Arc::clone(record));
        inner.evict(self.retention);
    }

    /// The last event of a record was handled: its waiters go on.
    pub(crate) fn settle(&self, record: &Arc<Record>) {
        self.lock().telling.retain(|telling| !Arc::ptr_eq(telling, record));
        record.settled.set(());
    }

    /// Removes what retention allows and says how many that were.
    pub(crate) fn cleanup(&self) -> usize {
        self.lock().evict(self.retention)
    }

    /// `None`: unknown. `Some(false)`: it has not ended.
    pub(crate) fn remove(&self, id: Uuid) -> Option<bool> {
        let mut inner = self.lock();
        let record = inner.records.get(&id)?;
        let Some(result) = record.result() else { return Some(false) };
        let bytes = (result.stdout.raw().len() + result.stderr.raw().len()) as u64;
        inner.records.remove(&id);
        inner.ended_records -= 1;
        inner.ended_bytes -= bytes;
        inner.sweep();
        Some(true)
    }

    /// The executions whose last event was not delivered yet.
    pub(crate) fn unsettled(&self) -> Vec<Arc<Record>> {
        let inner = self.lock();
        // One that has just got its result may be in both, which does no harm.
        let unsettled = inner.records.values().filter(|record| record.settled.get().is_none());
        unsettled.chain(&inner.telling).cloned().collect()
    }

    /// The executions that have not ended.
    pub(crate) fn live(&self) -> Vec<Arc<Record>> {
        self.lock().records.values().filter(|record| record.result().is_none()).cloned().collect()
    }

    /// Newest first.
    pub(crate) fn list(&self, filter: &ExecutionFilter) -> Vec<ExecutionSummary> {
        let mut found: Vec<_> = self.lock().records.values().cloned().collect();
        found.retain(|record| {
            filter.status.is_none_or(|status| record.status() == status)
                && filter.label.as_deref().is_none_or(|label| record.label.as_deref() == Some(label))
        });
        found.sort_by_key(|record| std::cmp::Reverse((record.accepted, record.id)));
        found.truncate(filter.limit.unwrap_or(usize::MAX));
        found.iter().map(|record| record.summary()).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().records.len()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change below is complete before anything that could panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn evict(&mut self, retention: Retention) -> usize {
        let before = self.ended_records;
        let now = Instant::now();
        while let Some(oldest) = self.ended.front() {
            let too_many = self.ended_records > retention.records || self.ended_bytes > retention.bytes;
            if !too_many && now.duration_since(oldest.at) < retention.age {
                break;
            }
            let Ended { record, bytes, .. } = self.ended.pop_front().expect("there is a front");
            if let Some(record) = self.still_there(&record) {
                self.records.remove(&record.id);
                self.ended_records -= 1;
                self.ended_bytes -= bytes;
            }
        }
        before - self.ended_records
    }

    fn still_there(&self, record: &Weak<Record>) -> Option<Arc<Record>> {
        let record = record.upgrade()?;
        self.records.get(&record.id).is_some_and(|found| Arc::ptr_eq(found, &record)).then_some(record)
    }

    /// Forgets the places of records that were removed by hand, once they are the greater part.
    fn sweep(&mut self) {
        if self.ended.len() > 2 * self.ended_records + 64 {
            let mut ended = std::mem::take(&mut self.ended);
            ended.retain(|place| self.still_there(&place.record).is_some());
            self.ended = ended;
        }
    }
}
