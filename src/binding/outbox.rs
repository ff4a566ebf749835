//! The batches that wait for JavaScript. At most one of them is being delivered.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use napi::Status;
use napi::bindgen_prelude::{Env, Function, Unknown};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};

use super::batch::Batch;
use crate::event::{Credit, EventSink, EventType, ExecutionEvent, LineBatch};
use crate::types::{ExecutionResult, PlanExecutionResult};

/// Weak: it does not keep Node alive. It carries no data: it only reports that there is something to take.
type Wake = ThreadsafeFunction<(), (), (), Status, false, true>;

/// Batches whose memory is kept for the next ones.
const MOST_SPARE: usize = 4;

/// The queue of the events of one engine for JavaScript.
pub(super) struct Outbox {
    /// The types of events that have listeners: a bit for each type, by its number.
    interest: AtomicU32,
    /// The lock is held for a copy of at most one read, never while JavaScript runs.
    inner: Mutex<OutboxState>,
}

#[derive(Default)]
struct OutboxState {
    /// The wake-up; `None` when JavaScript is gone, or expects no more events: then none are kept.
    wake: Option<Arc<Wake>>,
    ready: VecDeque<Batch>,
    under_way: Option<Batch>,
    /// JavaScript was woken, and takes batches until there is none.
    is_awake: bool,
    /// Memory of batches that are done.
    spare: Vec<String>,
    /// The credits of pulled executions, oldest first.
    pulled: HashMap<u32, VecDeque<Credit>>,
}

impl Outbox {
    pub(super) fn new(wake: &Function<'_, (), ()>) -> napi::Result<Self> {
        let wake =
            wake.build_threadsafe_function().callee_handled::<false>().weak::<true>().build_callback(|_| Ok(()))?;
        let inner = OutboxState { wake: Some(Arc::new(wake)), ..OutboxState::default() };
        Ok(Self { interest: AtomicU32::new(0), inner: Mutex::new(inner) })
    }

    pub(super) fn listen(&self, interest: u32) {
        self.interest.store(interest, Ordering::Release);
    }

    fn has_listener(&self, event_type: EventType) -> bool {
        self.interest.load(Ordering::Acquire) & 1 << event_type as u32 != 0
    }

    /// Adds to the last batch, and wakes JavaScript if it is not awake.
    fn put(&self, add: impl FnOnce(&mut Batch, &mut HashMap<u32, VecDeque<Credit>>)) {
        let mut inner = self.lock();
        let OutboxState { wake: Some(wake), ready, pulled, spare, is_awake, .. } = &mut *inner else { return };
        if ready.back().is_none_or(Batch::is_full) {
            ready.push_back(Batch::reusing(spare.pop().unwrap_or_default()));
        }
        add(ready.back_mut().expect("just made"), pulled);
        if std::mem::replace(is_awake, true) {
            return;
        }
        let wake = Arc::clone(wake);
        drop(inner);
        let status = wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
        if status != Status::Ok {
            self.abandon();
        }
    }

    /// Drops the waiting events, and with them every credit, so that no child waits for a listener that is gone: the
    /// environment is being torn down.
    ///
    /// Also after a shutdown: what the wake-up holds open is closed.
    pub(super) fn abandon(&self) {
        let left = std::mem::take(&mut *self.lock());
        drop(left);
    }

    pub(super) fn take<'env>(&self, env: &'env Env, shared: &mut [f64]) -> napi::Result<Option<Unknown<'env>>> {
        let (done, next, last) = {
            let mut inner = self.lock();
            let next = inner.ready.pop_front();
            let is_done = next.as_ref().is_none_or(|next| next.is_done_when_given(shared));
            let last = inner.ready.is_empty() && is_done;
            inner.is_awake = !last;
            (inner.under_way.take(), next, last)
        };
        // Outside the lock: a credit wakes the task that reads the child, and that must not wait while text is copied.
        let memory = done.map(Batch::into_memory);
        let Some(mut batch) = next else { return Ok(None) };
        let given = batch.give(env, shared, last);
        let mut inner = self.lock();
        inner.under_way = Some(batch);
        if inner.spare.len() < MOST_SPARE {
            inner.spare.extend(memory);
        }
        given.map(Some)
    }

    pub(super) fn release(&self, handle: u32, count: usize) {
        let released: Vec<Credit> = {
            let mut inner = self.lock();
            let Some(credits) = inner.pulled.get_mut(&handle) else { return };
            let count = count.min(credits.len());
            let released = credits.drain(..count).collect();
            if credits.is_empty() {
                inner.pulled.remove(&handle);
            }
            released
        };
        drop(released);
    }

    pub(super) fn outcome(&self, position: usize) -> Option<Arc<ExecutionResult>> {
        self.lock().under_way.as_ref()?.results.get(position).cloned()
    }

    pub(super) fn plan_outcome(&self, position: usize) -> Option<Arc<PlanExecutionResult>> {
        self.lock().under_way.as_ref()?.plans.get(position).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, OutboxState> {
        // Every change is complete before anything that could panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts the events of one execution into the outbox.
#[derive(Clone)]
pub(super) struct JsSink {
    outbox: Arc<Outbox>,
    handle: u32,
    pull: bool,
}

impl JsSink {
    pub(super) fn new(outbox: Arc<Outbox>, handle: u32, pull: bool) -> Self {
        Self { outbox, handle, pull }
    }

    /// Reports whether more input is wanted, or none any more.
    pub(super) fn input(&self, is_wanted: bool) {
        self.outbox.put(|batch, _| batch.input(self.handle, is_wanted));
    }
}

impl EventSink for JsSink {
    fn wants(&self, event_type: EventType) -> bool {
        (self.pull && !event_type.needs_own_listener()) || self.outbox.has_listener(event_type)
    }

    fn lines(&self, lines: LineBatch<'_>, credit: Credit) {
        self.outbox.put(|batch, pulled| {
            let credit = if self.pull {
                pulled.entry(self.handle).or_default().push_back(credit);
                None
            } else {
                Some(credit)
            };
            batch.lines(self.handle, &lines, credit);
        });
    }

    fn event(&self, event: ExecutionEvent) {
        if event.is_terminal() || self.pull || self.outbox.has_listener(event.event_type()) {
            self.outbox.put(|batch, _| batch.event(self.handle, event));
        }
    }
}
