//! The requests for scans, and the order in which they are served.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::leader::Leader;
use crate::platform::{Act, ScanPriority, Sight};
use crate::runtime::thread_channel::ThreadReceiver;

/// The longest pause after a scan. The thread pauses for as long as the scan took: scans take at most half of one
/// processor.
const LONGEST_REST: Duration = Duration::from_millis(20);
/// The divisor of that pause before a scan for a deadline: then scans take at most four fifths of one processor.
const PART_BEFORE_A_DEADLINE: u32 = 4;
/// Consecutive interruptions by a deadline of a batch of which nothing has been served yet, and scans for deadlines before it. A scan for
/// deadlines alone is short.
pub(super) const MOST_INTERRUPTIONS: u32 = 6;

/// A tree to scan, and the action for its members.
pub(super) struct Request {
    pub(super) leader: Arc<Leader>,
    pub(super) act: Act,
    pub(super) leader_exited: bool,
    pub(super) priority: ScanPriority,
    pub(super) answer: oneshot::Sender<Sight>,
}

/// The requests that no scan has served yet.
pub(super) struct Requests<'a> {
    /// `None` if no others arrive.
    arriving: Option<&'a ThreadReceiver<Request>>,
    waiting: Vec<Request>,
    /// The number of waiting requests that are for a deadline.
    deadlines: usize,
    interruptions: u32,
}

impl<'a> Requests<'a> {
    pub(super) fn arriving_at(arriving: &'a ThreadReceiver<Request>) -> Self {
        Self { arriving: Some(arriving), waiting: Vec::new(), deadlines: 0, interruptions: 0 }
    }

    pub(super) fn only(request: Request) -> Self {
        let mut this = Self { arriving: None, waiting: Vec::new(), deadlines: 0, interruptions: 0 };
        this.push(request);
        this
    }

    /// Waits until there is a request. Returns `false` if none will arrive.
    pub(super) fn wait(&mut self) -> bool {
        if self.waiting.is_empty()
            && let Some(request) = self.take_one(Duration::MAX)
        {
            self.push(request);
        }
        !self.waiting.is_empty()
    }

    /// Pauses after work that took so long: shorter if a deadline waits.
    pub(super) fn rest(&mut self, took: Duration) {
        let Some(arriving) = self.arriving else { return };
        let whole = took.min(LONGEST_REST);
        let since = Instant::now();
        loop {
            self.collect();
            let rest = if self.deadlines > 0 { whole / PART_BEFORE_A_DEADLINE } else { whole };
            match arriving.recv(rest.saturating_sub(since.elapsed())) {
                Ok(request) => self.push(request),
                Err(_) => return,
            }
        }
    }

    /// Takes all waiting requests: those for a deadline, and the others.
    pub(super) fn take(&mut self) -> (Vec<Request>, Vec<Request>) {
        self.collect();
        self.deadlines = 0;
        std::mem::take(&mut self.waiting).into_iter().partition(|request| request.priority == ScanPriority::Deadline)
    }

    /// Whether a request for a deadline has arrived since [`Requests::take`]. The rest of the batch then waits for the next scan.
    pub(super) fn has_deadline(&mut self) -> bool {
        self.collect();
        self.deadlines > 0
    }

    /// Does what [`Requests::has_deadline`] does, while no request of the batch is served. The number of such
    /// interruptions is bounded.
    pub(super) fn interrupts(&mut self) -> bool {
        self.may_wait() && self.has_deadline()
    }

    /// Whether those without a deadline have not waited too often already.
    pub(super) fn may_wait(&self) -> bool {
        self.interruptions < MOST_INTERRUPTIONS
    }

    /// Notes that a part of the batch was served.
    pub(super) fn advanced(&mut self) {
        self.interruptions = 0;
    }

    /// Leaves requests for the next scan.
    pub(super) fn put_back(&mut self, requests: impl IntoIterator<Item = Request>) {
        self.interruptions += 1;
        requests.into_iter().for_each(|request| self.push(request));
    }

    fn take_one(&self, longest: Duration) -> Option<Request> {
        self.arriving.and_then(|arriving| arriving.recv(longest).ok())
    }

    fn collect(&mut self) {
        while let Some(request) = self.take_one(Duration::ZERO) {
            self.push(request);
        }
    }

    fn push(&mut self, request: Request) {
        self.deadlines += usize::from(request.priority == ScanPriority::Deadline);
        self.waiting.push(request);
    }
}
