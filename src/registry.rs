//! The records of an engine's executions, and how long they stay.

use std::collections::hash_map::{Entry, HashMap};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::SetOnce;
use uuid::Uuid;

use crate::config::ExecutionConfig;
use crate::error::ExecutionError;
use crate::output::{Keepsake, MainLog};
use crate::platform::Leader;
use crate::platform::clock::Instant;
use crate::redact::Vault;
use crate::state::StopRequest;
use crate::types::{ExecutionFilter, ExecutionMetadata, ExecutionResult, ExecutionStatus, ExecutionSummary};

#[cfg(test)]
mod tests;

/// The longest command in a listing, in characters.
const LONGEST_COMMAND: usize = 200;
/// How many records leave, or are listed, in one go: the lock is held for no longer than a fraction of a millisecond.
const SLICE: usize = 256;

/// One execution, from its acceptance to its removal.
#[derive(Debug)]
pub(crate) struct Record {
    id: Uuid,
    /// Later ones have greater numbers, whatever the wall clock does.
    number: u64,
    command: Mutex<Shown>,
    secrets: Arc<Vault>,
    /// Of the secrets that its output was masked with, at least.
    secrets_version: u64,
    label: Option<Box<str>>,
    source: Option<Box<str>>,
    conversation_id: Option<Box<str>>,
    created_at: DateTime<Utc>,
    /// Set once it runs; each attempt has its own. Held for a move of a pointer.
    leader: Mutex<Option<Weak<Leader>>>,
    /// Its log, if it has one or is to have one.
    log: Option<Arc<MainLog>>,
    /// Go with the record.
    files: OnceLock<Vec<Keepsake>>,
    /// Set by every request to end the execution.
    stop: Arc<StopRequest>,
    result: OnceLock<Arc<ExecutionResult>>,
    /// Set when the terminal event was handled: nothing of this execution comes after it.
    settled: SetOnce<()>,
}

/// A command as it is shown. It is masked when it is first looked at, and again when there are more secrets.
#[derive(Debug)]
struct Shown {
    text: Box<str>,
    masked_with: Option<u64>,
}

impl Record {
    pub(crate) fn new(
        id: Uuid,
        command: &str,
        metadata: &ExecutionMetadata,
        log: Option<&Arc<MainLog>>,
        created_at: DateTime<Utc>,
        secrets: Arc<Vault>,
    ) -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self {
            id,
            number: LAST.fetch_add(1, Relaxed),
            command: Mutex::new(Shown { text: command.into(), masked_with: None }),
            secrets_version: secrets.version(),
            secrets,
            label: metadata.label.as_deref().map(Into::into),
            source: metadata.source.as_deref().map(Into::into),
            conversation_id: metadata.conversation_id.as_deref().map(Into::into),
            created_at,
            leader: Mutex::default(),
            log: log.cloned(),
            files: OnceLock::new(),
            stop: Arc::new(StopRequest::new()),
            result: OnceLock::new(),
            settled: SetOnce::new(),
        }
    }

    pub(crate) fn id(&self) -> Uuid {
        self.id
    }

    /// The command as a person would type it, cut short.
    pub(crate) fn command(&self) -> String {
        let version = self.secrets.version();
        let mut shown = self.command.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.masked_with != Some(version) {
            let text = self.secrets.mask(&shown.text);
            let end = text.char_indices().nth(LONGEST_COMMAND).map_or(text.len(), |(end, _)| end);
            *shown = Shown { text: text[..end].into(), masked_with: Some(version) };
        }
        shown.text.to_string()
    }

    /// What is masked of it.
    pub(crate) fn secrets(&self) -> &Arc<Vault> {
        &self.secrets
    }

    /// Whether a secret was added after it began.
    pub(crate) fn has_new_secrets(&self) -> bool {
        self.secrets.version() != self.secrets_version
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

    pub(crate) fn log(&self) -> Option<&Arc<MainLog>> {
        self.log.as_ref()
    }

    /// Keeps files of output for as long as there is this record.
    pub(crate) fn keep(&self, files: Vec<Keepsake>) {
        if !files.is_empty() {
            let _ = self.files.set(files);
        }
    }

    pub(crate) fn stop(&self) -> &Arc<StopRequest> {
        &self.stop
    }

    /// The bytes that it takes once it has ended, apart from what every record takes.
    fn kept_bytes(&self) -> u64 {
        let texts = [&self.label, &self.source, &self.conversation_id].into_iter().flatten();
        let own = texts.map(|text| text.len() as u64).sum::<u64>();
        self.result.get().map_or(0, |result| own + result.kept_bytes())
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

    /// The process that runs now.
    fn pid(&self) -> Option<u32> {
        self.leader().as_ref().and_then(Weak::upgrade).map(|leader| leader.id())
    }

    /// Kills what can be killed without a look at the processes: for a host that is going away.
    pub(crate) fn kill_now(&self) {
        if self.result().is_none()
            && let Some(leader) = self.leader().as_ref().and_then(Weak::upgrade)
        {
            leader.kill_now();
        }
    }

    /// Sends a signal to the command itself. `false`: it has no process now.
    pub(crate) fn signal(&self, signal: i32) -> std::io::Result<bool> {
        self.leader().as_ref().and_then(Weak::upgrade).map_or(Ok(false), |leader| leader.signal(signal))
    }

    /// Waits for the end and gives the result.
    pub(crate) async fn settled(&self) -> &Arc<ExecutionResult> {
        self.settled.wait().await;
        self.result.get().expect("an execution settles after it has its result")
    }

    fn summary(&self) -> ExecutionSummary {
        let owned = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
        let result = self.result.get();
        ExecutionSummary {
            id: self.id,
            status: self.status(),
            command: self.command(),
            label: owned(&self.label),
            source: owned(&self.source),
            conversation_id: owned(&self.conversation_id),
            pid: result.map_or_else(|| self.pid(), |result| result.pid),
            created_at: self.created_at,
            completed_at: result.map(|result| result.completed_at),
            exit_code: result.and_then(|result| result.exit_code),
            duration_ms: result.map(|result| result.duration_ms),
        }
    }

    fn is_in(&self, filter: &ExecutionFilter) -> bool {
        let is = |wanted: Option<&str>, has: Option<&str>| wanted.is_none_or(|wanted| has == Some(wanted));
        filter.status.is_none_or(|status| self.status() == status)
            && is(filter.label.as_deref(), self.label.as_deref())
            && is(filter.source.as_deref(), self.source.as_deref())
            && filter.since.is_none_or(|since| self.created_at >= since)
    }
}

/// How much of the past is kept.
#[derive(Debug, Clone, Copy)]
struct Retention {
    age: Duration,
    records: usize,
    bytes: u64,
    is_automatic: bool,
}

#[derive(Debug)]
pub(crate) struct Registry {
    retention: Retention,
    /// Held for a look-up or a few moves of pointers, never across an await or a call to a listener.
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Nothing more is taken. Here, so that closing sees all that was taken.
    closed: bool,
    /// By their numbers, so that a listing begins with the newest.
    records: BTreeMap<u64, Arc<Record>>,
    numbers: HashMap<Uuid, u64>,
    /// They have ended, and their last event is on its way; they may have left `records` already.
    emitting: Vec<Arc<Record>>,
    /// The ended ones, oldest first; may hold places of records that were removed by hand.
    ended: VecDeque<RetainedRecord>,
    /// How many of `ended` are still there, and what their output takes.
    ended_records: usize,
    ended_bytes: u64,
}

#[derive(Debug)]
struct RetainedRecord {
    /// All that is needed to let it go, so that 100 000 of them go without a look at each.
    number: u64,
    id: Uuid,
    at: Instant,
    bytes: u64,
}

impl Registry {
    pub(crate) fn new(config: &ExecutionConfig) -> Self {
        let retention = Retention {
            age: Duration::from_secs(config.execution_retention_secs),
            records: config.max_in_memory_executions,
            bytes: config.max_retained_output_bytes,
            is_automatic: config.enable_auto_cleanup,
        };
        Self { retention, inner: Mutex::default() }
    }

    /// Takes a record, unless the id is known already or the registry was closed.
    pub(crate) fn insert(&self, record: Arc<Record>) -> Result<(), ExecutionError> {
        let mut inner = self.lock();
        if inner.closed {
            return Err(ExecutionError::EngineShutDown);
        }
        let id = record.id;
        if inner.take(record) { Ok(()) } else { Err(ExecutionError::DuplicateId(id)) }
    }

    /// Takes a record of work that was accepted before, closed or not. `false`: the id is known already.
    pub(crate) fn insert_accepted(&self, record: Arc<Record>) -> bool {
        self.lock().take(record)
    }

    /// Takes no more records.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    pub(crate) fn get(&self, id: Uuid) -> Option<Arc<Record>> {
        self.lock().get(id)
    }

    /// Gives a record its result; the oldest ones leave when there are too many. `true`: more of them are to leave, which is
    /// [`Registry::cleanup`]'s work.
    #[must_use]
    pub(crate) fn complete(&self, record: &Arc<Record>, result: Arc<ExecutionResult>) -> bool {
        let leaving = {
            let mut inner = self.lock();
            // Under the lock: a record with its result is counted when it is removed.
            if record.result.set(result).is_err() {
                return false;
            }
            inner.end(record);
            if self.retention.is_automatic { inner.evict(&self.retention, None) } else { Vec::new() }
        };
        // What they kept is freed here, outside of the lock.
        leaving.len() == SLICE
    }

    /// The last event of a record was handled: its waiters go on.
    pub(crate) fn settle(&self, record: &Arc<Record>) {
        self.lock().emitting.retain(|emitting| !Arc::ptr_eq(emitting, record));
        // Set once: a record has one last event.
        let _ = record.settled.set(());
    }

    /// Removes what retention allows and says how many that were. The lock is given up between slices of them, and each
    /// slice goes to `discard`.
    pub(crate) fn cleanup(&self, mut discard: impl FnMut(Vec<Arc<Record>>)) -> usize {
        let now = Instant::now();
        let mut count = 0;
        loop {
            let leaving = self.lock().evict(&self.retention, Some(now));
            let is_last = leaving.len() < SLICE;
            count += leaving.len();
            discard(leaving);
            if is_last {
                return count;
            }
        }
    }

    /// When the oldest record will be too old; `None` when there is none, or never.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        if !self.retention.is_automatic {
            return None;
        }
        self.lock().oldest_end()?.checked_add(self.retention.age)
    }

    /// How many records there are, and what the output of the ended ones takes.
    pub(crate) fn kept(&self) -> (usize, u64) {
        let inner = self.lock();
        (inner.records.len(), inner.ended_bytes)
    }

    /// `None`: unknown. `Some(false)`: it has not ended.
    pub(crate) fn remove(&self, id: Uuid) -> Option<bool> {
        let mut inner = self.lock();
        let record = inner.get(id)?;
        if record.result().is_none() {
            return Some(false);
        }
        inner.numbers.remove(&id);
        inner.records.remove(&record.number);
        inner.ended_records -= 1;
        inner.ended_bytes -= record.kept_bytes();
        inner.sweep();
        drop(inner);
        Some(true)
    }

    /// The executions whose last event was not delivered yet.
    pub(crate) fn unsettled(&self) -> Vec<Arc<Record>> {
        let inner = self.lock();
        // One that has just got its result may be in both, which does no harm.
        let unsettled = inner.records.values().filter(|record| record.settled.get().is_none());
        unsettled.chain(&inner.emitting).cloned().collect()
    }

    /// The executions that have not ended.
    pub(crate) fn live(&self) -> Vec<Arc<Record>> {
        self.lock().records.values().filter(|record| record.result().is_none()).cloned().collect()
    }

    /// Newest first.
    pub(crate) fn list(&self, filter: &ExecutionFilter) -> Vec<ExecutionSummary> {
        let limit = filter.limit.unwrap_or(usize::MAX);
        let mut rows = Vec::new();
        let mut below = u64::MAX;
        while rows.len() < limit {
            // The lock is given up between slices: a long listing delays no other call.
            let slice: Vec<_> =
                self.lock().records.range(..below).rev().take(SLICE).map(|(_, it)| Arc::clone(it)).collect();
            let Some(last) = slice.last() else { break };
            below = last.number;
            let found = slice.iter().filter(|record| record.is_in(filter));
            rows.extend(found.take(limit - rows.len()).map(|record| record.summary()));
        }
        rows
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
    fn get(&self, id: Uuid) -> Option<Arc<Record>> {
        self.records.get(self.numbers.get(&id)?).cloned()
    }

    /// `false`: the id is known already.
    fn take(&mut self, record: Arc<Record>) -> bool {
        let Entry::Vacant(slot) = self.numbers.entry(record.id) else { return false };
        slot.insert(record.number);
        self.records.insert(record.number, record);
        true
    }

    /// A record may leave from now on.
    fn end(&mut self, record: &Arc<Record>) {
        let bytes = record.kept_bytes();
        self.ended.push_back(RetainedRecord { number: record.number, id: record.id, at: Instant::now(), bytes });
        self.ended_records += 1;
        self.ended_bytes += bytes;
        self.emitting.push(Arc::clone(record));
    }

    /// Takes out a slice of what may leave: what is too much, and what is too old at `now` if that is asked for.
    #[must_use]
    fn evict(&mut self, retention: &Retention, now: Option<Instant>) -> Vec<Arc<Record>> {
        let mut leaving = Vec::new();
        while leaving.len() < SLICE
            && let Some(oldest) = self.ended.front()
        {
            let too_many = self.ended_records > retention.records || self.ended_bytes > retention.bytes;
            let too_old = now.is_some_and(|now| now - oldest.at >= retention.age);
            if !(too_many || too_old) {
                break;
            }
            let RetainedRecord { number, id, bytes, .. } = self.ended.pop_front().expect("there is a front");
            // One that was removed by hand has left nothing but its place; its id may be another record's by now.
            if let Some(record) = self.records.remove(&number) {
                self.numbers.remove(&id);
                self.ended_records -= 1;
                self.ended_bytes -= bytes;
                leaving.push(record);
            }
        }
        leaving
    }

    /// When the oldest of those that may leave ended.
    fn oldest_end(&mut self) -> Option<Instant> {
        while let Some(oldest) = self.ended.front() {
            if self.records.contains_key(&oldest.number) {
                return Some(oldest.at);
            }
            self.ended.pop_front();
        }
        None
    }

    /// Forgets the places of records that were removed by hand, once they are the greater part.
    fn sweep(&mut self) {
        if self.ended.len() > 2 * self.ended_records + 64 {
            let mut ended = std::mem::take(&mut self.ended);
            ended.retain(|place| self.records.contains_key(&place.number));
            self.ended = ended;
        }
    }
}
