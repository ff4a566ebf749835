//! Records of work, from their acceptance to their removal: executions and plans are stored in the same way.
//!
//! A record that has ended is removed by age, number and size, the oldest first.

use std::collections::hash_map::{Entry, HashMap};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::SetOnce;
use uuid::Uuid;

use crate::config::ExecutionConfig;
use crate::error::ExecutionError;
use crate::platform::clock::Instant;

#[cfg(test)]
mod tests;

/// The most records that are removed or listed in one step: the lock is held for no longer than a fraction of a
/// millisecond.
const SLICE: usize = 256;

/// A record of a [`RetainedStore`].
pub(crate) trait Retained {
    type Result;

    fn id(&self) -> Uuid;
    fn completion(&self) -> &Completion<Self::Result>;
    /// Returns the bytes that the record takes once it has ended, apart from those that every record takes.
    fn retained_bytes(&self) -> u64;
    /// Returns the refusal of a record whose id is known already.
    fn duplicate(id: Uuid) -> ExecutionError;
}

/// The progress of the end of a record: first there is a result, then its last event is handled. Only the store changes
/// it.
#[derive(Debug)]
pub(crate) struct Completion<R> {
    /// The result. The lock is held for a move of a pointer.
    result: Mutex<Option<Arc<R>>>,
    /// The bytes that the record took when it ended.
    bytes: AtomicU64,
    /// Set when the last event was handled: no event of this record comes after it.
    settled: SetOnce<()>,
}

impl<R> Completion<R> {
    pub(crate) fn new() -> Self {
        Self { result: Mutex::new(None), bytes: AtomicU64::new(0), settled: SetOnce::new() }
    }

    pub(crate) fn result(&self) -> Option<Arc<R>> {
        self.lock().clone()
    }

    /// Puts another form of the result in its place, which takes no more memory.
    pub(crate) fn replace(&self, result: R) -> Arc<R> {
        let result = Arc::new(result);
        let former = self.lock().replace(Arc::clone(&result));
        // Outside of the lock: it may be large.
        drop(former);
        result
    }

    /// Sets the result; returns `false` if there is one already.
    fn set(&self, result: Arc<R>) -> bool {
        let mut inner = self.lock();
        let is_first = inner.is_none();
        if is_first {
            *inner = Some(result);
        }
        is_first
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<R>>> {
        self.result.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the end and returns the result. Cancel-safe.
    pub(crate) async fn settled(&self) -> Arc<R> {
        self.settled.wait().await;
        self.result().expect("a record settles after it has its result")
    }
}

/// The bounds for the retention of ended records.
#[derive(Debug, Clone, Copy)]
struct Retention {
    age: Duration,
    records: usize,
    bytes: u64,
    is_automatic: bool,
}

/// The records of one kind that an engine has.
#[derive(Debug)]
pub(crate) struct RetainedStore<T> {
    retention: Retention,
    /// The lock is held for a look-up or a few moves of pointers, never across an await or a call to a
    /// listener.
    inner: Mutex<StoreState<T>>,
}

#[derive(Debug)]
struct StoreState<T> {
    /// Whether no more records are accepted. It is behind the lock, so that closing sees every accepted record.
    closed: bool,
    /// The number of the next record: later records have greater numbers, whatever the wall clock does.
    next_number: u64,
    /// Records by their numbers, so that a listing begins with the newest.
    records: BTreeMap<u64, Arc<T>>,
    numbers: HashMap<Uuid, u64>,
    /// Work that has ended and whose last event is on its way. It may have left `records` already.
    emitting: Vec<Arc<T>>,
    /// The ended ones, oldest first; may hold places of records that were removed by hand.
    ended: VecDeque<RetainedRecord>,
    /// The number of records of `ended` that still exist, and the bytes of their output.
    ended_records: usize,
    ended_bytes: u64,
}

#[derive(Debug)]
struct RetainedRecord {
    /// The data needed to remove a record, so that 100 000 of them are removed without a look at each.
    number: u64,
    id: Uuid,
    at: Instant,
    bytes: u64,
}

impl<T: Retained> RetainedStore<T> {
    pub(crate) fn new(config: &ExecutionConfig) -> Self {
        let retention = Retention {
            age: Duration::from_secs(config.execution_retention_secs),
            records: config.max_in_memory_executions,
            bytes: config.max_retained_output_bytes,
            is_automatic: config.enable_auto_cleanup,
        };
        let inner = StoreState {
            closed: false,
            next_number: 0,
            records: BTreeMap::new(),
            numbers: HashMap::new(),
            emitting: Vec::new(),
            ended: VecDeque::new(),
            ended_records: 0,
            ended_bytes: 0,
        };
        Self { retention, inner: Mutex::new(inner) }
    }

    /// Adds a record, unless its id is known already or the store was closed.
    pub(crate) fn insert(&self, record: Arc<T>) -> Result<(), ExecutionError> {
        let mut inner = self.lock();
        if inner.closed {
            return Err(ExecutionError::EngineShutDown);
        }
        let id = record.id();
        if inner.insert(record) { Ok(()) } else { Err(T::duplicate(id)) }
    }

    /// Adds a record of work that was accepted before, closed or not. `false`: the id is known already.
    pub(crate) fn insert_accepted(&self, record: Arc<T>) -> bool {
        self.lock().insert(record)
    }

    /// Accepts no more records.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    pub(crate) fn get(&self, id: Uuid) -> Option<Arc<T>> {
        self.lock().get(id)
    }

    /// Sets the result of a record; the oldest ones leave when there are too many. `true`: more of them are to leave, which is
    /// the work of [`RetainedStore::cleanup`].
    #[must_use]
    pub(crate) fn complete(&self, record: &Arc<T>, result: Arc<T::Result>) -> bool {
        let leaving = {
            let mut inner = self.lock();
            // The result is set under the lock: a record with its result is counted when it is removed.
            if !record.completion().set(result) {
                return false;
            }
            inner.end(record);
            if self.retention.is_automatic { inner.evict(&self.retention, None) } else { Vec::new() }
        };
        // The memory of the records is freed here, outside of the lock.
        leaving.len() == SLICE
    }

    /// Marks a record whose last event was handled: its waiters get the result.
    pub(crate) fn settle(&self, record: &Arc<T>) {
        self.lock().emitting.retain(|emitting| !Arc::ptr_eq(emitting, record));
        // This is set once: a record has one last event.
        let _ = record.completion().settled.set(());
    }

    /// Removes what retention allows and returns how many records that were. The lock is given up between slices of them, and
    /// each slice goes to `discard`.
    pub(crate) fn cleanup(&self, mut discard: impl FnMut(Vec<Arc<T>>)) -> usize {
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

    /// Returns when the oldest record will be too old; `None` when there is none, or never.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        if !self.retention.is_automatic {
            return None;
        }
        self.lock().oldest_end()?.checked_add(self.retention.age)
    }

    /// Returns the number of records, and the bytes of the output of the ended ones.
    pub(crate) fn usage(&self) -> (usize, u64) {
        let inner = self.lock();
        (inner.records.len(), inner.ended_bytes)
    }

    /// Removes a record. `None`: the id is unknown. `Some(false)`: the record has not ended.
    pub(crate) fn remove(&self, id: Uuid) -> Option<bool> {
        let mut inner = self.lock();
        let record = inner.get(id)?;
        if record.completion().result().is_none() {
            return Some(false);
        }
        if let Some(number) = inner.numbers.remove(&id) {
            inner.records.remove(&number);
        }
        inner.ended_records -= 1;
        inner.ended_bytes -= record.completion().bytes.load(Relaxed);
        inner.sweep();
        drop(inner);
        Some(true)
    }

    /// Returns the records whose last event was not handled yet.
    pub(crate) fn unsettled(&self) -> Vec<Arc<T>> {
        let inner = self.lock();
        // A record that has just got its result may be in both, which does no harm.
        let unsettled = inner.records.values().filter(|record| record.completion().settled.get().is_none());
        unsettled.chain(&inner.emitting).cloned().collect()
    }

    /// Returns the records that have not ended.
    pub(crate) fn unfinished(&self) -> Vec<Arc<T>> {
        self.lock().records.values().filter(|record| record.completion().result().is_none()).cloned().collect()
    }

    /// Returns all records, the newest first. The lock is given up between slices: a long listing delays no other call.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = Arc<T>> + '_ {
        let mut below = u64::MAX;
        let slices = std::iter::from_fn(move || {
            let slice: Vec<_> =
                self.lock().records.range(..below).rev().take(SLICE).map(|(at, it)| (*at, Arc::clone(it))).collect();
            below = slice.last()?.0;
            Some(slice)
        });
        slices.flatten().map(|(_, record)| record)
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().records.len()
    }

    fn lock(&self) -> MutexGuard<'_, StoreState<T>> {
        // Every change below is complete before anything that could panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Retained> StoreState<T> {
    fn get(&self, id: Uuid) -> Option<Arc<T>> {
        self.records.get(self.numbers.get(&id)?).cloned()
    }

    /// Inserts a record; returns `false` if its id is known already.
    fn insert(&mut self, record: Arc<T>) -> bool {
        let Entry::Vacant(slot) = self.numbers.entry(record.id()) else { return false };
        slot.insert(self.next_number);
        self.records.insert(self.next_number, record);
        self.next_number += 1;
        true
    }

    /// Ends a record, which may be removed from now on.
    fn end(&mut self, record: &Arc<T>) {
        // A record that had not ended before is in the list.
        if let Some(number) = self.numbers.get(&record.id()) {
            let (id, bytes) = (record.id(), record.retained_bytes());
            record.completion().bytes.store(bytes, Relaxed);
            self.ended.push_back(RetainedRecord { number: *number, id, at: Instant::now(), bytes });
            self.ended_records += 1;
            self.ended_bytes += bytes;
        }
        self.emitting.push(Arc::clone(record));
    }

    /// Takes out a slice of what may leave: what is too much, and what is too old at `now` if that is requested.
    #[must_use]
    fn evict(&mut self, retention: &Retention, now: Option<Instant>) -> Vec<Arc<T>> {
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
            // A record that a caller removed has left only its place in the order; its id may belong to another record by now.
            if let Some(record) = self.records.remove(&number) {
                self.numbers.remove(&id);
                self.ended_records -= 1;
                self.ended_bytes -= bytes;
                leaving.push(record);
            }
        }
        leaving
    }

    /// Returns when the oldest of the removable records ended.
    fn oldest_end(&mut self) -> Option<Instant> {
        while let Some(oldest) = self.ended.front() {
            if self.records.contains_key(&oldest.number) {
                return Some(oldest.at);
            }
            self.ended.pop_front();
        }
        None
    }

    /// Removes the places of records that were removed by hand, once they are the greater part.
    fn sweep(&mut self) {
        if self.ended.len() > 2 * self.ended_records + 64 {
            let mut ended = std::mem::take(&mut self.ended);
            ended.retain(|place| self.records.contains_key(&place.number));
            self.ended = ended;
        }
    }
}
