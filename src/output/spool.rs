//! Bytes on their way to a file: written in order by the thread of the file's disk, so that no slow disk holds up an execution's
//! deadlines, and no hanging one another disk's files.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::platform::clock::{self, Instant};
use crate::runtime::DiskQueue;

/// A child is not read while so many of its bytes wait for the disk.
const MOST_WAITING: usize = 256 * 1024;
/// A disk that has completed nothing for so long hangs: a child is read again then, and what the disk should have got is lost.
const LONGEST_STALL: Duration = Duration::from_secs(5);

/// The destination of the bytes. Its methods are called on the thread that writes.
pub(super) trait Store: Send {
    /// Takes the next bytes, and returns how many of them are lost and why.
    fn write(&mut self, bytes: &[u8]) -> Loss;
    /// Records that so many bytes between the last ones and the next ones were given up: the disk did not take them in
    /// time.
    fn skip(&mut self, bytes: u64);
    /// Ends the file: no more bytes follow.
    fn finish(&mut self) -> Loss;
}

/// Bytes that could not be written.
#[derive(Debug, Default)]
pub(super) struct Loss {
    pub(super) bytes: u64,
    /// Why, for people.
    pub(super) why: Option<String>,
}

impl Loss {
    /// Adds a later one; the first reason stays.
    pub(super) fn add(&mut self, later: Self) {
        self.bytes += later.bytes;
        self.why = self.why.take().or(later.why);
    }
}

/// A file that is being written. If it is dropped, the queued bytes are written, and the file is closed.
pub(super) struct Spool {
    shared: Arc<SharedSpool>,
}

struct SharedSpool {
    queue: Arc<DiskQueue>,
    /// The lock is held to move a buffer, never while something is written.
    state: Mutex<SpoolState>,
    /// Notified when there is room again, or the file is finished.
    changed: Notify,
}

struct SpoolState {
    waiting: Vec<u8>,
    /// The store, while the writing thread does not have it.
    store: Option<Box<dyn Store>>,
    /// The writing thread has it, or will.
    is_queued: bool,
    phase: SpoolPhase,
    loss: Loss,
    /// The bytes that are being written now.
    in_hand: usize,
    /// The disk hangs: what comes is given up until it has completed what it has in hand.
    is_stalled: bool,
    /// The bytes that were given up since, and that are not reported to the store yet.
    skipped: u64,
}

/// Whether more comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SpoolPhase {
    Open,
    /// No more bytes come; the waiting ones are still to be written.
    Closed,
    Finished,
}

impl Spool {
    /// Writes to `store` on the thread of `queue`.
    pub(super) fn new(store: Box<dyn Store>, queue: Arc<DiskQueue>) -> Self {
        let state = SpoolState {
            waiting: Vec::new(),
            store: Some(store),
            is_queued: false,
            phase: SpoolPhase::Open,
            loss: Loss::default(),
            in_hand: 0,
            is_stalled: false,
            skipped: 0,
        };
        Self { shared: Arc::new(SharedSpool { queue, state: Mutex::new(state), changed: Notify::new() }) }
    }

    /// Takes bytes. Never blocks; the caller checks [`Spool::is_full`] to bound what waits.
    pub(super) fn push(&self, bytes: &[u8]) {
        let mut state = self.shared.lock();
        if state.is_stalled {
            state.give_up(bytes.len());
            return;
        }
        state.waiting.extend_from_slice(bytes);
        self.shared.queue(state);
    }

    pub(super) fn is_full(&self) -> bool {
        self.shared.lock().is_full()
    }

    /// Whether bytes were lost so far, and why.
    pub(super) fn first_loss(&self) -> Option<String> {
        self.shared.lock().loss.why.clone()
    }

    /// Waits until bytes are lost. Cancel-safe.
    pub(super) async fn lost(&self) {
        self.shared.until(|state| state.loss.why.is_some()).await;
    }

    /// Waits until there is room, or the disk is found to hang. Cancel-safe.
    pub(super) async fn room(&self) {
        let shared = &self.shared;
        loop {
            let time_left = LONGEST_STALL.saturating_sub(shared.queue.stalled_for());
            if clock::timeout(time_left, shared.until(|state| !state.is_full())).await.is_some() {
                return;
            }
            if shared.queue.stalled_for() >= LONGEST_STALL {
                shared.lock().stall();
            }
        }
    }

    /// Ends the file. Does not wait for it.
    pub(super) fn close(&self) {
        let mut state = self.shared.lock();
        if state.phase == SpoolPhase::Open {
            state.phase = SpoolPhase::Closed;
            self.shared.queue(state);
        }
    }

    /// Ends the file, waits for it until `deadline` at most, and returns how many bytes were lost.
    pub(super) async fn finish(&self, deadline: Instant) -> u64 {
        self.close();
        let time_left = deadline.saturating_duration_since(Instant::now());
        let finished = clock::timeout(time_left, self.shared.until(|state| state.phase == SpoolPhase::Finished)).await;
        let mut state = self.shared.lock();
        if finished.is_none() {
            let waiting = std::mem::take(&mut state.waiting).len();
            state.give_up(waiting);
            let in_hand = state.in_hand;
            state.lose(in_hand);
        }
        state.loss.bytes
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.close();
    }
}

impl SpoolState {
    fn is_full(&self) -> bool {
        !self.is_stalled && self.waiting.len() + self.in_hand >= MOST_WAITING
    }

    /// Records that the disk hangs. The bytes that it has in hand may still be written.
    fn stall(&mut self) {
        // Otherwise no write may be running that would end the stall.
        if !self.is_full() {
            return;
        }
        self.is_stalled = true;
        let waiting = std::mem::take(&mut self.waiting).len();
        self.give_up(waiting);
    }

    fn give_up(&mut self, bytes: usize) {
        self.skipped += bytes as u64;
        self.lose(bytes);
    }

    fn lose(&mut self, bytes: usize) {
        if bytes > 0 {
            self.loss.add(Loss { bytes: bytes as u64, why: Some("the disk did not take it in time".into()) });
        }
    }
}

impl SharedSpool {
    fn lock(&self) -> MutexGuard<'_, SpoolState> {
        // Every change is complete before anything that could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn until(&self, condition: impl Fn(&SpoolState) -> bool) {
        loop {
            let changed = self.changed.notified();
            if condition(&self.lock()) {
                return;
            }
            changed.await;
        }
    }

    /// Sees to it that what is new is written.
    fn queue(self: &Arc<Self>, mut state: MutexGuard<'_, SpoolState>) {
        let was_queued = std::mem::replace(&mut state.is_queued, true);
        drop(state);
        if !was_queued {
            self.write_later();
        }
    }

    /// Writes later: the files take turns.
    fn write_later(self: &Arc<Self>) {
        let shared = Arc::clone(self);
        self.queue.push(move || {
            if shared.write() {
                shared.write_later();
            }
        });
    }

    /// Writes what waits; once there is nothing and there will be nothing, ends the file. `true`: there is more to do.
    fn write(&self) -> bool {
        let (bytes, store, phase, skipped) = {
            let mut state = self.lock();
            // The disk has completed a write by now.
            state.is_stalled = false;
            let bytes = std::mem::take(&mut state.waiting);
            state.in_hand = bytes.len();
            (bytes, state.store.take(), state.phase, std::mem::take(&mut state.skipped))
        };
        let Some(mut store) = store else { return false };
        if skipped > 0 {
            store.skip(skipped);
        }
        let is_finished = bytes.is_empty() && phase == SpoolPhase::Closed;
        let loss = if is_finished { store.finish() } else { store.write(&bytes) };
        let is_more = {
            let mut state = self.lock();
            state.in_hand = 0;
            state.is_stalled = false;
            state.loss.add(loss);
            if is_finished {
                state.phase = SpoolPhase::Finished;
            } else {
                state.store = Some(store);
            }
            let is_more = !is_finished && (!state.waiting.is_empty() || state.phase == SpoolPhase::Closed);
            // A finished file is never queued again.
            state.is_queued = is_more || is_finished;
            is_more
        };
        self.changed.notify_waiters();
        is_more
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::mpsc;
    use std::task::{Context, Waker};

    use crate::runtime::DiskKey;

    use super::*;

    /// Keeps what it gets. The test decides when a write may continue.
    struct Slow {
        go: mpsc::Receiver<()>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Store for Slow {
        fn write(&mut self, bytes: &[u8]) -> Loss {
            let _ = self.go.recv();
            self.written.lock().unwrap().extend_from_slice(bytes);
            Loss::default()
        }
        fn skip(&mut self, bytes: u64) {
            self.written.lock().unwrap().extend_from_slice(format!("<{bytes}>").as_bytes());
        }
        fn finish(&mut self) -> Loss {
            Loss { bytes: 1, why: Some("the last".into()) }
        }
    }

    fn slow(disk: &str) -> (Spool, mpsc::Sender<()>, Arc<Mutex<Vec<u8>>>) {
        let (say, go) = mpsc::channel();
        let written = Arc::new(Mutex::new(Vec::new()));
        let queue = DiskQueue::of(DiskKey::Directory(disk.into()));
        (Spool::new(Box::new(Slow { go, written: Arc::clone(&written) }), queue), say, written)
    }

    #[tokio::test]
    async fn bytes_arrive_in_order_and_bounded() {
        let (spool, go, written) = slow("bounded");
        let mut expected = Vec::new();
        for round in 0..100_u8 {
            let bytes = vec![round; 10_000];
            if spool.is_full() {
                go.send(()).unwrap();
                spool.room().await;
            }
            assert!(!spool.is_full());
            spool.push(&bytes);
            expected.extend_from_slice(&bytes);
        }
        drop(go);
        assert_eq!(spool.finish(Instant::now() + Duration::from_secs(60)).await, 1);
        assert_eq!(spool.first_loss().as_deref(), Some("the last"));
        assert_eq!(*written.lock().unwrap(), expected);
    }

    #[tokio::test]
    async fn a_file_that_hangs_does_not_delay_another() {
        let (hung, go, _) = slow("hung disk");
        hung.push(b"abc");
        let (other, other_go, written) = slow("other disk");
        drop(other_go);
        other.push(b"def");
        assert_eq!(other.finish(Instant::now() + Duration::from_secs(60)).await, 1);
        assert_eq!(*written.lock().unwrap(), b"def");
        drop(go);
    }

    #[tokio::test]
    async fn a_disk_that_hangs_is_not_waited_for() {
        let (spool, go, _written) = slow("not waited for");
        spool.push(b"abc");
        assert_eq!(spool.finish(Instant::now()).await, 3);
        drop(go);
    }

    #[tokio::test]
    async fn a_child_is_read_again_when_its_disk_hangs_and_the_gap_is_known_when_it_answers() {
        let (spool, go, written) = slow("hangs and answers");
        spool.push(&vec![b'a'; MOST_WAITING]);
        spool.room().await;
        assert!(!spool.is_full());
        spool.push(b"lost");
        assert_eq!(spool.first_loss().as_deref(), Some("the disk did not take it in time"));
        drop(go);
        spool.shared.until(|state| state.in_hand == 0).await;
        spool.push(b"b");
        assert_eq!(spool.finish(Instant::now() + Duration::from_secs(60)).await, 4 + 1);
        assert!(written.lock().unwrap().ends_with(b"a<4>b"));
    }

    #[tokio::test]
    async fn what_is_being_written_counts_as_waiting() {
        let (spool, go, _) = slow("full");
        spool.push(&vec![b'a'; MOST_WAITING - 1]);
        assert!(!spool.is_full());
        spool.push(b"b");
        assert!(spool.is_full());
        drop(go);
        spool.room().await;
        assert!(!spool.is_full());
    }

    #[tokio::test]
    async fn what_comes_during_a_write_is_written_after_it() {
        let (spool, go, written) = slow("during");
        spool.push(b"a");
        let until = Instant::now() + Duration::from_secs(60);
        while spool.shared.lock().in_hand == 0 {
            assert!(Instant::now() < until, "the write begins");
            tokio::task::yield_now().await;
        }
        spool.push(b"b");
        drop(go);
        let is_written = spool.shared.until(|state| state.waiting.is_empty() && state.in_hand == 0);
        clock::timeout(Duration::from_secs(60), is_written).await.unwrap();
        assert_eq!(*written.lock().unwrap(), b"ab");
    }

    #[tokio::test]
    async fn a_file_without_bytes_loses_none_on_a_disk_that_hangs() {
        let (hung, go, _) = slow("empty");
        hung.push(b"abc");
        let (empty, ..) = slow("empty");
        assert_eq!(empty.finish(Instant::now()).await, 0);
        assert_eq!(empty.first_loss(), None);
        drop(go);
    }

    #[tokio::test]
    async fn a_loss_is_waited_for() {
        let (spool, go, _) = slow("loss");
        spool.push(b"abc");
        let first_poll = pin!(spool.lost()).poll(&mut Context::from_waker(Waker::noop()));
        assert!(first_poll.is_pending(), "nothing is lost");
        drop(go);
        spool.close();
        spool.lost().await;
        assert_eq!(spool.first_loss().as_deref(), Some("the last"));
    }

    /// Reports its end.
    struct Ends(mpsc::Sender<()>);

    impl Store for Ends {
        fn write(&mut self, _: &[u8]) -> Loss {
            Loss::default()
        }
        fn skip(&mut self, _: u64) {}
        fn finish(&mut self) -> Loss {
            self.0.send(()).unwrap();
            Loss::default()
        }
    }

    #[test]
    fn a_file_whose_spool_is_dropped_is_finished() {
        let (report, end) = mpsc::channel();
        let spool = Spool::new(Box::new(Ends(report)), DiskQueue::of(DiskKey::Directory("dropped".into())));
        spool.push(b"abc");
        drop(spool);
        end.recv_timeout(Duration::from_secs(60)).unwrap();
    }

    #[tokio::test]
    async fn nothing_is_queued_after_the_end() {
        let (spool, go, written) = slow("after the end");
        drop(go);
        assert_eq!(spool.finish(Instant::now() + Duration::from_secs(60)).await, 1);
        spool.push(b"late");
        let (report, done) = mpsc::channel();
        spool.shared.queue.push(move || report.send(()).unwrap());
        done.recv_timeout(Duration::from_secs(60)).unwrap();
        let state = spool.shared.lock();
        assert_eq!((state.waiting.as_slice(), state.in_hand), (&b"late"[..], 0), "nothing has taken it");
        assert_eq!(*written.lock().unwrap(), b"");
    }
}
