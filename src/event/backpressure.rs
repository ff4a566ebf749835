//! The bound on what was read and not yet handled: for each execution, and for all of the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use super::line_batch::LineBatch;

/// The bytes in flight above which a child is not read: its own writes block then.
const MOST_OF_ONE: usize = 1024 * 1024;
/// The bytes in flight at which such a child is read again: to wake a thread for each batch takes longer than to read
/// one.
const RESUMED_AT: usize = MOST_OF_ONE / 2;
/// The bytes in flight in the whole process above which a child that has any of them is not read.
const MOST_OF_ALL: usize = 64 * 1024 * 1024;
/// The cost of an event besides its text, in bytes, so that empty lines are bounded too.
const LINE_OVERHEAD: usize = 16;

/// The bytes that all engines of the process have in flight.
static ALL: CreditPool = CreditPool::new(MOST_OF_ALL);

/// The bytes in flight of many executions.
#[derive(Debug)]
struct CreditPool {
    in_flight: AtomicUsize,
    most: usize,
    /// Notified when the pool was full and is not any more.
    released: Notify,
}

impl CreditPool {
    const fn new(most: usize) -> Self {
        Self { in_flight: AtomicUsize::new(0), most, released: Notify::const_new() }
    }

    fn is_full(&self) -> bool {
        self.in_flight.load(Ordering::Acquire) >= self.most
    }

    fn add(&self, bytes: usize) {
        self.in_flight.fetch_add(bytes, Ordering::AcqRel);
    }

    fn remove(&self, bytes: usize) {
        let before = self.in_flight.fetch_sub(bytes, Ordering::AcqRel);
        // The subtractions have an order, so exactly one of them is the step below the bound, and it notifies all waiters.
        if before >= self.most && before - bytes < self.most {
            self.released.notify_waiters();
        }
    }
}

/// Bounds the bytes of one execution that were read and not yet handled.
///
/// It is full above the bound of the execution, and also when the pool is full and holds bytes of this execution. So an execution with
/// nothing in flight may always continue, whatever the others hold: every execution makes progress, if only by one read at a time.
#[derive(Debug)]
pub(crate) struct Backpressure {
    in_flight: AtomicUsize,
    /// Notified whenever the answer of [`Backpressure::is_full`] may have changed by what became of its own bytes.
    released: Notify,
    pool: &'static CreditPool,
}

impl Default for Backpressure {
    fn default() -> Self {
        Self::of(&ALL)
    }
}

impl Backpressure {
    fn of(pool: &'static CreditPool) -> Self {
        Self { in_flight: AtomicUsize::new(0), released: Notify::new(), pool }
    }

    /// Accounts for a batch; the bytes are free again when the credit is dropped.
    pub(crate) fn lend(self: &Arc<Self>, batch: &LineBatch<'_>) -> Credit {
        self.lend_bytes(batch.text.len() + batch.marks.len() * LINE_OVERHEAD)
    }

    fn lend_bytes(self: &Arc<Self>, bytes: usize) -> Credit {
        self.in_flight.fetch_add(bytes, Ordering::AcqRel);
        self.pool.add(bytes);
        Credit { backpressure: Arc::clone(self), bytes }
    }

    pub(crate) fn is_full(&self) -> bool {
        match self.in_flight.load(Ordering::Acquire) {
            0 => false,
            own => own >= MOST_OF_ONE || self.pool.is_full(),
        }
    }

    /// Waits until there is room. Cancel-safe.
    pub(crate) async fn room(&self) {
        loop {
            // Both futures are created before the check, so that no release after it is missed.
            let own = self.released.notified();
            let all = self.pool.released.notified();
            if !self.is_full() {
                return;
            }
            tokio::select! {
                () = own => {}
                () = all => {}
            }
        }
    }
}

/// Bytes on their way to a listener.
#[derive(Debug)]
#[must_use = "dropping a credit says that its bytes were handled"]
pub(crate) struct Credit {
    backpressure: Arc<Backpressure>,
    bytes: usize,
}

impl Drop for Credit {
    fn drop(&mut self) {
        let Self { backpressure, bytes } = self;
        let before = backpressure.in_flight.fetch_sub(*bytes, Ordering::AcqRel);
        let left = before - *bytes;
        // A child with nothing in flight is not held up by the pool.
        if (before > RESUMED_AT && left <= RESUMED_AT) || left == 0 {
            backpressure.released.notify_waiters();
        }
        backpressure.pool.remove(*bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const KIB: usize = 1024;
    /// The longest time of a test here: beyond it, a wake-up was lost.
    const LOST: Duration = Duration::from_secs(30);

    fn pool(most: usize) -> &'static CreditPool {
        Box::leak(Box::new(CreditPool::new(most)))
    }

    async fn has_room(backpressure: &Backpressure) -> bool {
        timeout(Duration::ZERO, backpressure.room()).await.is_ok()
    }

    #[tokio::test]
    async fn each_execution_has_a_bound_of_its_own() {
        let pool = pool(MOST_OF_ALL);
        let (backpressure, other) = (Arc::new(Backpressure::of(pool)), Arc::new(Backpressure::of(pool)));
        let nearly = backpressure.lend_bytes(MOST_OF_ONE - 1);
        assert!(!backpressure.is_full());
        let last = backpressure.lend_bytes(1);
        assert!(backpressure.is_full() && !has_room(&backpressure).await);
        assert!(!other.is_full() && has_room(&other).await);
        drop(last);
        assert!(!backpressure.is_full() && has_room(&backpressure).await);
        drop(nearly);
        assert_eq!(pool.in_flight.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn one_that_was_full_is_resumed_when_half_is_handled() {
        let backpressure = Arc::new(Backpressure::of(pool(MOST_OF_ALL)));
        let mut credits: Vec<_> = (0..8).map(|_| backpressure.lend_bytes(MOST_OF_ONE / 8)).collect();
        let waiting = Arc::clone(&backpressure);
        let waiter = tokio::spawn(async move { waiting.room().await });
        tokio::task::yield_now().await;
        for left in (5..8).rev() {
            credits.truncate(left);
            tokio::task::yield_now().await;
            assert!(!waiter.is_finished(), "{left} eighths are left");
        }
        credits.truncate(4);
        timeout(LOST, waiter).await.expect("the waiter is woken").unwrap();
    }

    #[tokio::test]
    async fn a_full_pool_holds_up_its_own_readers_and_no_others() {
        let pool = pool(100);
        let executions: Vec<_> = (0..3).map(|_| Arc::new(Backpressure::of(pool))).collect();
        let first = executions[0].lend_bytes(60);
        let second = executions[1].lend_bytes(40);
        let full: Vec<_> = executions.iter().map(|backpressure| backpressure.is_full()).collect();
        assert_eq!(full, [true, true, false], "an execution with nothing in flight may continue");
        drop(first);
        assert!(executions.iter().all(|backpressure| !backpressure.is_full()));
        let third = executions[2].lend_bytes(70);
        let full: Vec<_> = executions.iter().map(|backpressure| backpressure.is_full()).collect();
        assert_eq!(full, [false, true, true]);
        drop((second, third));
    }

    /// A waiter is notified: by its own last byte, and by that of another execution.
    #[tokio::test]
    async fn a_waiter_is_woken_by_what_made_room() {
        let pool = pool(100);
        let (backpressure, other) = (Arc::new(Backpressure::of(pool)), Arc::new(Backpressure::of(pool)));
        for by_its_own in [true, false] {
            let (own, others) = (backpressure.lend_bytes(10), other.lend_bytes(95));
            let waiting = Arc::clone(&backpressure);
            let waiter = tokio::spawn(async move { waiting.room().await });
            tokio::task::yield_now().await;
            assert!(!waiter.is_finished());
            let kept = if by_its_own {
                drop(own);
                others
            } else {
                drop(others);
                own
            };
            timeout(LOST, waiter).await.expect("the waiter is woken").unwrap();
            drop(kept);
        }
    }

    /// Many executions have one slow consumer that returns credit in any order, on several threads: each reads all its
    /// output, and the bytes in flight stay within the bound and one read of each.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn no_wake_up_is_lost_and_the_bound_holds() {
        const EXECUTIONS: usize = 64;
        const READS: usize = 400;
        const READ: usize = 4 * KIB;
        const MOST: usize = 256 * KIB;
        let pool = pool(MOST);
        let taken: Arc<Mutex<Vec<Credit>>> = Arc::default();
        let readers: Vec<_> = (0..EXECUTIONS)
            .map(|_| {
                let taken = Arc::clone(&taken);
                tokio::spawn(async move {
                    let backpressure = Arc::new(Backpressure::of(pool));
                    for _ in 0..READS {
                        backpressure.room().await;
                        let credit = backpressure.lend_bytes(READ);
                        taken.lock().unwrap().push(credit);
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        let consumer = tokio::spawn(async move {
            let mut handled = 0;
            let mut turn = 0_usize;
            while handled < EXECUTIONS * READS {
                assert!(pool.in_flight.load(Ordering::Relaxed) <= MOST + EXECUTIONS * READ);
                let credit = {
                    let mut taken = taken.lock().unwrap();
                    turn = turn.wrapping_mul(31).wrapping_add(7);
                    let count = taken.len();
                    (count > 0).then(|| taken.swap_remove(turn % count))
                };
                handled += usize::from(credit.is_some());
                drop(credit);
                tokio::task::yield_now().await;
            }
        });
        for reader in readers {
            timeout(LOST, reader).await.expect("a reader was not woken").unwrap();
        }
        timeout(LOST, consumer).await.expect("all was handled").unwrap();
        assert_eq!(pool.in_flight.load(Ordering::Relaxed), 0);
    }
}
