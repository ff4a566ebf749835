//! Statuses to a server: batches, in the background, in bounded memory.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde::Serialize;
use tokio::sync::oneshot;
use ureq::http::Uri;
use ureq::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use uuid::Uuid;

use super::{ExecutionFeedback, FeedbackSink};
use crate::error::{ExecutionError, Invalid, Result};

/// The most bytes of an answer that are read.
const LONGEST_ANSWER: u64 = 64 * 1024;

/// A longer time is none: the clock could not represent its end.
const LONGEST_TIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The destination of [`HttpFeedback`], and the settings for sending. A time of more than 365 days counts as 365 days.
#[derive(Clone)]
#[non_exhaustive]
pub struct HttpFeedbackOptions {
    /// An `http://` URL, or an `https://` one if the application has `ureq` with a TLS library (see `docs/privacy.md`).
    pub url: String,
    /// Headers of each request, such as `Authorization`. No output of `Debug` shows their values.
    pub headers: Vec<(String, String)>,
    /// The most statuses in one request. Default: 100.
    pub max_batch: usize,
    /// The most statuses that wait. One more drops the oldest of them. Default: 10 000.
    pub max_queued: usize,
    /// The time that the first status of a batch waits for others. Default: 1 s.
    pub linger: Duration,
    /// The longest time that one request may take. Default: 10 s.
    pub timeout: Duration,
    /// The pause after the first failure; it doubles with each further one, and a random part of it, half at the most, is taken
    /// off. Default: 500 ms.
    pub backoff: Duration,
    /// The longest pause. Default: 60 s.
    pub max_backoff: Duration,
    /// The time for which statuses are still sent after the sink was dropped. Default: 5 s.
    pub drain: Duration,
}

impl HttpFeedbackOptions {
    /// Returns the defaults, for a URL.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            headers: Vec::new(),
            max_batch: 100,
            max_queued: 10_000,
            linger: Duration::from_secs(1),
            timeout: Duration::from_secs(10),
            backoff: Duration::from_millis(500),
            max_backoff: Duration::from_secs(60),
            drain: Duration::from_secs(5),
        }
    }

    /// Adds a header to each request.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

impl fmt::Debug for HttpFeedbackOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("HttpFeedbackOptions").field("headers", &headers).finish_non_exhaustive()
    }
}

/// The counts of [`HttpFeedback`] so far, in statuses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HttpFeedbackTotals {
    /// Accepted by the server, with a status of 200 to 299.
    pub sent: u64,
    /// Waiting, those of a request on its way included.
    pub queued: u64,
    /// Dropped: more waited than `max_queued`, or the time to `drain` was over.
    pub dropped: u64,
    /// The statuses that the server refused with an answer that another attempt would not change, such as 400 or 401.
    pub refused: u64,
    /// Requests that failed and were tried again.
    pub retries: u64,
}

/// Sends statuses to a server by HTTP: in batches, in the background, with a bounded queue.
///
/// Each request is a `POST` of `{"dropped": …, "executions": […]}` as JSON, where an execution has the fields of [`ExecutionFeedback`]
/// and `dropped` says how many were lost since the last request that arrived. A request that cannot be delivered, or is answered by 408,
/// 425, 429 or 5xx, is repeated after a growing pause for as long as the engine exists; so a server can get an execution twice, and
/// recognises it by its id. Redirects are not followed. When the sink is dropped, what waits is still sent, for `drain` at the most.
///
/// ```no_run
/// use std::sync::Arc;
/// use execution_engine::{ExecutionConfig, ExecutionEngine, HttpFeedback, HttpFeedbackOptions};
///
/// # fn main() -> execution_engine::Result<()> {
/// let options = HttpFeedbackOptions::new("http://127.0.0.1:8080/executions").header("Authorization", "Bearer …");
/// let engine = ExecutionEngine::new(ExecutionConfig::default())?.with_feedback_sink(Arc::new(HttpFeedback::new(options)?));
/// # Ok(()) }
/// ```
pub struct HttpFeedback {
    shared: Arc<SharedQueue>,
}

struct SharedQueue {
    options: HttpFeedbackOptions,
    state: Mutex<QueueState>,
    /// Signalled when the thread that sends has to look at the state again.
    changed: Condvar,
}

#[derive(Default)]
struct QueueState {
    queue: VecDeque<ExecutionFeedback>,
    /// The number of statuses in the batch that is being sent.
    in_flight: usize,
    /// The statuses that are lost and not reported to the server yet.
    unreported: u64,
    /// The time when the oldest status of the queue came.
    oldest: Option<Instant>,
    /// A flush was requested since the last attempt: the next one is made at once.
    hurry: bool,
    /// The number of statuses that have come in all.
    taken: u64,
    /// Flushes: each waits until so many of these are done with.
    waiters: Vec<(u64, oneshot::Sender<()>)>,
    /// The time at which sending stops, set when the sink is dropped.
    until: Option<Instant>,
    totals: HttpFeedbackTotals,
}

#[derive(Serialize)]
struct Body<'a> {
    dropped: u64,
    executions: &'a [ExecutionFeedback],
}

enum Answer {
    Accepted,
    Refused(String),
    Again(String),
}

impl HttpFeedback {
    /// Starts the thread that sends.
    ///
    /// # Errors
    /// `INVALID_CONFIG` with the field; `SPAWN_FAILED` when the machine has no room for a thread.
    pub fn new(mut options: HttpFeedbackOptions) -> Result<Self> {
        let headers = check(&options)?;
        let HttpFeedbackOptions { linger, timeout, backoff, max_backoff, drain, .. } = &mut options;
        for time in [linger, timeout, backoff, max_backoff, drain] {
            *time = LONGEST_TIME.min(*time);
        }
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("escher-execution-engine/", env!("CARGO_PKG_VERSION")));
        let agent = config.build().new_agent();
        let shared = Arc::new(SharedQueue { options, state: Mutex::default(), changed: Condvar::new() });
        let sender = FeedbackSender { shared: Arc::clone(&shared), agent, headers };
        std::thread::Builder::new().name("escher-feedback".into()).spawn(move || sender.run()).map_err(|error| {
            ExecutionError::NotStarted {
                what: format!("the thread that sends feedback cannot be started: {error}"),
                errno: None,
            }
        })?;
        Ok(Self { shared })
    }

    /// Returns the counts so far.
    #[must_use]
    pub fn totals(&self) -> HttpFeedbackTotals {
        let state = self.shared.lock();
        HttpFeedbackTotals { queued: (state.queue.len() + state.in_flight) as u64, ..state.totals }
    }
}

impl fmt::Debug for HttpFeedback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpFeedback").field("totals", &self.totals()).finish_non_exhaustive()
    }
}

#[async_trait]
impl FeedbackSink for HttpFeedback {
    async fn feedback(&self, status: ExecutionFeedback) {
        let mut state = self.shared.lock();
        if state.queue.len() >= self.shared.options.max_queued {
            state.queue.pop_front();
            state.lose(1);
        }
        state.queue.push_back(status);
        state.taken += 1;
        state.oldest.get_or_insert_with(Instant::now);
        drop(state);
        self.shared.changed.notify_one();
    }

    /// Resolves when the server has answered for everything; without an answer, when the sink is dropped.
    async fn flush(&self) {
        let (done, wait) = oneshot::channel();
        {
            let mut state = self.shared.lock();
            if state.is_idle() {
                return;
            }
            state.waiters.retain(|(_, waiter)| !waiter.is_closed());
            let all = state.taken;
            state.waiters.push((all, done));
            state.hurry = true;
        }
        self.shared.changed.notify_one();
        let _ = wait.await;
    }
}

impl Drop for HttpFeedback {
    fn drop(&mut self) {
        self.shared.lock().until = Some(Instant::now() + self.shared.options.drain);
        self.shared.changed.notify_one();
    }
}

impl SharedQueue {
    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, QueueState>, until: Option<Instant>) -> MutexGuard<'a, QueueState> {
        let Some(until) = until else { return self.changed.wait(state).unwrap_or_else(PoisonError::into_inner) };
        let limit = until.saturating_duration_since(Instant::now());
        self.changed.wait_timeout(state, limit).unwrap_or_else(PoisonError::into_inner).0
    }
}

impl QueueState {
    fn lose(&mut self, count: u64) {
        self.unreported += count;
        self.totals.dropped += count;
    }

    fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.in_flight == 0
    }

    fn is_over(&self) -> bool {
        self.until.is_some_and(|until| until <= Instant::now())
    }

    /// Records that the batch that was being sent is settled.
    fn settle(&mut self) {
        self.in_flight = 0;
        let done = self.taken - self.queue.len() as u64;
        let (over, waiting) = std::mem::take(&mut self.waiters).into_iter().partition(|(all, _)| *all <= done);
        self.waiters = waiting;
        let over: Vec<(u64, oneshot::Sender<()>)> = over;
        for (_, waiter) in over {
            let _ = waiter.send(());
        }
        self.hurry = false;
    }
}

/// The thread that sends.
struct FeedbackSender {
    shared: Arc<SharedQueue>,
    agent: ureq::Agent,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl FeedbackSender {
    fn run(self) {
        while let Some((batch, dropped)) = self.next_batch() {
            self.deliver(&batch, dropped);
        }
        // The remaining statuses are lost, and a flush waits no longer.
        let mut state = self.shared.lock();
        let left = state.queue.len();
        state.queue.clear();
        state.lose(left as u64);
        state.settle();
        if left > 0 {
            tracing::warn!(left, "feedback was dropped: the engine is gone, and the server did not take it");
        }
    }

    /// Waits for statuses; `None` when there is nothing to do any more.
    fn next_batch(&self) -> Option<(Vec<ExecutionFeedback>, u64)> {
        let options = &self.shared.options;
        let mut state = self.shared.lock();
        loop {
            if state.is_over() || state.until.is_some() && state.queue.is_empty() {
                return None;
            }
            let due = state.oldest.map(|oldest| oldest + options.linger);
            let is_full = state.queue.len() >= options.max_batch;
            let is_due = due.is_some_and(|due| due <= Instant::now());
            if !state.queue.is_empty() && (is_full || is_due || !state.waiters.is_empty() || state.until.is_some()) {
                break;
            }
            state = self.shared.wait(state, due);
        }
        let count = state.queue.len().min(options.max_batch);
        let batch: Vec<_> = state.queue.drain(..count).collect();
        state.in_flight = count;
        state.oldest = (!state.queue.is_empty()).then(Instant::now);
        Some((batch, std::mem::take(&mut state.unreported)))
    }

    /// Sends one batch, and repeats that until the server has answered or the time is over.
    fn deliver(&self, batch: &[ExecutionFeedback], dropped: u64) {
        let count = batch.len() as u64;
        let body = serde_json::to_vec(&Body { dropped, executions: batch }).unwrap_or_default();
        let mut failures = 0;
        loop {
            let answer = self.send(&body);
            let mut state = self.shared.lock();
            match answer {
                Answer::Accepted => state.totals.sent += count,
                Answer::Refused(why) => {
                    tracing::error!(count, why, "the server refuses feedback");
                    state.unreported += dropped + count;
                    state.totals.refused += count;
                }
                Answer::Again(_) if state.is_over() => {
                    state.unreported += dropped;
                    state.lose(count);
                }
                Answer::Again(why) => {
                    tracing::warn!(count, why, "feedback could not be delivered and is sent again");
                    state.totals.retries += 1;
                    drop(state);
                    self.pause(&mut failures);
                    continue;
                }
            }
            state.settle();
            return;
        }
    }

    /// Waits before another attempt. A flush, or the end of the sink, shortens it once.
    fn pause(&self, failures: &mut u32) {
        let options = &self.shared.options;
        let longest =
            options.backoff.saturating_mul(1_u32.checked_shl(*failures).unwrap_or(u32::MAX)).min(options.max_backoff);
        *failures = failures.saturating_add(1);
        let due = Instant::now() + longest.mul_f64(0.5 + random() / 2.0);
        let mut state = self.shared.lock();
        let was_closing = state.until.is_some();
        while !state.is_over() && due > Instant::now() {
            if std::mem::take(&mut state.hurry) || !was_closing && state.until.is_some() {
                *failures = 0;
                return;
            }
            let until = state.until.map_or(due, |until| until.min(due));
            state = self.shared.wait(state, Some(until));
        }
    }

    fn send(&self, body: &[u8]) -> Answer {
        let left = self.shared.lock().until.map(|until| until.saturating_duration_since(Instant::now()));
        let limit = left.map_or(self.shared.options.timeout, |left| left.min(self.shared.options.timeout));
        let mut request = self.agent.post(&self.shared.options.url).header(CONTENT_TYPE, "application/json");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.config().timeout_global(Some(limit.max(Duration::from_millis(1)))).build();
        match request.send(body) {
            Ok(mut response) => {
                // The body is read and ignored, so that the connection can be used again.
                let _ = response.body_mut().with_config().limit(LONGEST_ANSWER).read_to_vec();
                let code = response.status().as_u16();
                match code {
                    200..=299 => Answer::Accepted,
                    408 | 425 | 429 | 500..=599 => Answer::Again(format!("the answer is {code}")),
                    _ => Answer::Refused(format!("the answer is {code}")),
                }
            }
            Err(ureq::Error::TlsRequired | ureq::Error::Tls(_)) => {
                Answer::Refused("there is no TLS library for https".into())
            }
            Err(ureq::Error::BadUri(_) | ureq::Error::Http(_)) => Answer::Refused("the URL is none of a server".into()),
            Err(error) => Answer::Again(error.to_string()),
        }
    }
}

/// Returns a number from 0 to 1.
fn random() -> f64 {
    let (bits, _) = Uuid::new_v4().as_u64_pair();
    f64::from(u32::try_from(bits >> 32).unwrap_or_default()) / f64::from(u32::MAX)
}

fn check(options: &HttpFeedbackOptions) -> Result<Vec<(HeaderName, HeaderValue)>> {
    let invalid = |field: String, problem: &str| ExecutionError::InvalidConfig(Invalid::new(field, problem));
    let uri = options.url.parse::<Uri>().ok();
    let scheme = uri.as_ref().and_then(Uri::scheme_str).unwrap_or_default();
    if !["http", "https"].contains(&scheme) || uri.as_ref().and_then(Uri::host).unwrap_or_default().is_empty() {
        return Err(invalid(
            "url".into(),
            "it is no URL of a server: give one such as \"http://127.0.0.1:8080/executions\"",
        ));
    }
    for (field, count) in [("max_batch", options.max_batch), ("max_queued", options.max_queued)] {
        if count == 0 {
            return Err(invalid(field.into(), "it is 0: give 1 or more"));
        }
    }
    for (field, time) in
        [("timeout", options.timeout), ("backoff", options.backoff), ("max_backoff", options.max_backoff)]
    {
        if time.is_zero() {
            return Err(invalid(field.into(), "it is zero: give a longer time"));
        }
    }
    let header = |(index, (name, value)): (usize, &(String, String))| {
        let name = HeaderName::try_from(name.as_str()).map_err(|_| {
            invalid(
                format!("headers[{index}]"),
                "its name is none that HTTP has: give a token such as \"Authorization\"",
            )
        })?;
        let mut value = HeaderValue::try_from(value.as_str()).map_err(|_| {
            invalid(format!("headers[{index}]"), "its value has characters that no header can have: remove them")
        })?;
        value.set_sensitive(true);
        Ok((name, value))
    };
    options.headers.iter().enumerate().map(header).collect()
}
