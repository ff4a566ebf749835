//! The plans that an engine knows, and how long they stay.

use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::SetOnce;
use uuid::Uuid;

use crate::config::ExecutionConfig;
use crate::error::ExecutionError;
use crate::platform::clock::Instant;
use crate::state::Stop;
use crate::types::PlanExecutionResult;

/// One plan, from its acceptance until it is forgotten.
#[derive(Debug)]
pub(crate) struct PlanRecord {
    id: Uuid,
    /// Set by every request to end the plan.
    stop: SetOnce<Stop>,
    result: OnceLock<Arc<PlanExecutionResult>>,
    /// Set when the last event was delivered.
    settled: SetOnce<()>,
}

impl PlanRecord {
    pub(crate) fn new(id: Uuid) -> Self {
        Self { id, stop: SetOnce::new(), result: OnceLock::new(), settled: SetOnce::new() }
    }

    pub(crate) fn id(&self) -> Uuid {
        self.id
    }

    /// Requests the end; the first reason counts.
    pub(crate) fn request_stop(&self, why: Stop) {
        let _ = self.stop.set(why);
    }

    pub(crate) fn stop(&self) -> &SetOnce<Stop> {
        &self.stop
    }

    /// The result of a plan that is over.
    pub(crate) fn result(&self) -> Option<&Arc<PlanExecutionResult>> {
        self.result.get()
    }

    /// Gives it its result.
    pub(crate) fn complete(&self, result: Arc<PlanExecutionResult>) {
        let _ = self.result.set(result);
    }

    /// Waits for the end and gives the result.
    pub(crate) async fn settled(&self) -> &Arc<PlanExecutionResult> {
        self.settled.wait().await;
        self.result.get().expect("a plan settles after it has its result")
    }
}

/// All plans of an engine. The bounds are those on executions: age, number, bytes.
#[derive(Debug)]
pub(crate) struct Plans {
    age: Duration,
    most: usize,
    most_bytes: u64,
    /// Held for a look-up or a few moves of pointers, never across an await.
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    closed: bool,
    records: HashMap<Uuid, Arc<PlanRecord>>,
    /// Oldest first.
    over: VecDeque<Over>,
    bytes: u64,
}

#[derive(Debug)]
struct Over {
    id: Uuid,
    at: Instant,
    bytes: u64,
}

impl Plans {
    pub(crate) fn new(config: &ExecutionConfig) -> Self {
        Self {
            age: Duration::from_secs(config.execution_retention_secs),
            most: config.max_in_memory_executions,
            most_bytes: config.max_retained_output_bytes,
            inner: Mutex::default(),
        }
    }

    /// Takes a plan, unless its id is known already or no more are taken.
    pub(crate) fn insert(&self, record: Arc<PlanRecord>) -> Result<(), ExecutionError> {
        let mut inner = self.lock();
        if inner.closed {
            return Err(ExecutionError::EngineShutDown);
        }
        match inner.records.entry(record.id) {
            Entry::Occupied(_) => Err(ExecutionError::DuplicatePlan(record.id)),
            Entry::Vacant(place) => {
                place.insert(record);
                Ok(())
            }
        }
    }

    pub(crate) fn get(&self, id: Uuid) -> Option<Arc<PlanRecord>> {
        self.lock().records.get(&id).cloned()
    }

    /// Takes no more plans.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
    }

    /// The plans whose last event was not delivered yet.
    pub(crate) fn unsettled(&self) -> Vec<Arc<PlanRecord>> {
        self.lock().records.values().filter(|record| record.settled.get().is_none()).cloned().collect()
    }

    /// Asks every plan to end; none of them begins another step then.
    pub(crate) fn stop_all(&self, why: Stop) -> Vec<Arc<PlanRecord>> {
        let live: Vec<_> =
            self.lock().records.values().filter(|record| record.result.get().is_none()).cloned().collect();
        for record in &live {
            record.request_stop(why);
        }
        live
    }

    /// The last event of a plan was delivered: the oldest leave when there are too many, then waiters go on.
    pub(crate) fn settle(&self, record: &PlanRecord) {
        let bytes = record.result.get().map_or(0, |result| result.kept_bytes());
        {
            let mut inner = self.lock();
            inner.over.push_back(Over { id: record.id, at: Instant::now(), bytes });
            inner.bytes += bytes;
        }
        self.cleanup();
        // Set once: a plan has one last event.
        let _ = record.settled.set(());
    }

    /// Removes what retention allows.
    pub(crate) fn cleanup(&self) {
        let mut inner = self.lock();
        while let Some(oldest) = inner.over.front() {
            let too_many = inner.over.len() > self.most || inner.bytes > self.most_bytes;
            if !too_many && oldest.at.elapsed() < self.age {
                break;
            }
            let Over { id, bytes, .. } = inner.over.pop_front().expect("there is a front");
            inner.records.remove(&id);
            inner.bytes -= bytes;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change is complete before anything that could panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
