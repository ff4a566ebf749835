use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};

use super::*;

const LOST: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_millis(20);

fn limiter(at_once: usize, hangs_after: Duration) -> &'static SpawnLimiter {
    limiter_of(ThreadLimits { thread_name: "test-spawn", at_once, most_idle: at_once + 2, most: 1_024, hangs_after })
}

fn limiter_of(limits: ThreadLimits) -> &'static SpawnLimiter {
    Box::leak(Box::new(SpawnLimiter::new(limits)))
}

type Body = Box<dyn FnOnce(&Turn) + Send>;

struct Work {
    body: Mutex<Option<Body>>,
    is_overdue: AtomicBool,
    is_given_up: AtomicBool,
}

impl Task for Work {
    fn run(self: Arc<Self>, turn: &Turn) {
        let body = self.body.lock().unwrap().take().expect("it is run once");
        body(turn);
    }

    fn overdue(&self) {
        self.is_overdue.store(true, Ordering::SeqCst);
    }

    fn is_wanted(&self) -> bool {
        !self.is_given_up.load(Ordering::SeqCst)
    }
}

fn work(body: impl FnOnce(&Turn) + Send + 'static) -> Arc<Work> {
    Arc::new(Work {
        body: Mutex::new(Some(Box::new(body))),
        is_overdue: AtomicBool::default(),
        is_given_up: AtomicBool::default(),
    })
}

/// Returns work that reports that it has begun, and ends when the sender is dropped.
fn held(begun: &Sender<usize>, name: usize) -> (Arc<Work>, Sender<()>) {
    let (release, go): (Sender<()>, Receiver<()>) = mpsc::channel();
    let begun = begun.clone();
    let body = move |_: &Turn| {
        begun.send(name).unwrap();
        let _ = go.recv();
    };
    (work(body), release)
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < LOST, "never came true: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn work_runs_in_its_order_and_no_more_of_it_at_once_than_is_usual() {
    static AT_ONCE: AtomicUsize = AtomicUsize::new(0);
    static MOST_AT_ONCE: AtomicUsize = AtomicUsize::new(0);
    // On a busy machine, work that makes progress may stand still for as long as work that hangs.
    let limiter = limiter(1, LOST);
    let (report, order) = mpsc::channel();
    for index in 0..200 {
        let report = report.clone();
        limiter.take(work(move |_| {
            MOST_AT_ONCE.fetch_max(AT_ONCE.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            AT_ONCE.fetch_sub(1, Ordering::SeqCst);
            report.send(index).unwrap();
        }));
    }
    let seen: Vec<i32> = (0..200).map(|_| order.recv_timeout(LOST).unwrap()).collect();
    assert_eq!((seen, MOST_AT_ONCE.load(Ordering::SeqCst)), ((0..200).collect(), 1));
}

/// The most periods for which two hundred hanging tasks may delay another one. On an idle machine it is eight; it would be 67 if the limiter
/// did not admit more tasks at once while all of them hang.
const MOST_PERIODS: u32 = 25;

#[test]
fn two_hundred_that_hang_delay_others_for_a_few_periods_and_their_threads_exit() {
    // The threads take their time to start, which is a smaller part of longer periods.
    let mut hangs_after = PATIENCE;
    while !delays_for_a_few_periods(hangs_after) {
        hangs_after *= 2;
        assert!(hangs_after < LOST / MOST_PERIODS, "it took more than {MOST_PERIODS} periods");
    }
}

/// Whether two hundred that hang delay another one for no more than [`MOST_PERIODS`].
fn delays_for_a_few_periods(hangs_after: Duration) -> bool {
    let limiter = limiter(3, hangs_after);
    let (begun, order) = mpsc::channel();
    let (works, release): (Vec<_>, Vec<_>) = (0..200).map(|name| held(&begun, name)).unzip();
    let start = Instant::now();
    for hung in &works {
        limiter.take(hung.clone());
    }
    let (report, done) = mpsc::channel();
    limiter.take(work(move |_| report.send(()).unwrap()));
    done.recv_timeout(LOST).expect("it has its turn");
    let took = start.elapsed();
    let mut seen: Vec<usize> = (0..200).map(|_| order.recv_timeout(LOST).unwrap()).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..200).collect::<Vec<_>>());
    until("all are known to hang", || works.iter().all(|work| work.is_overdue.load(Ordering::SeqCst)));

    // Hanging tasks do not count: the next one begins at once, without a period of hangs_after.
    let (work, _release) = held(&begun, 200);
    limiter.take(work);
    assert_eq!(order.recv_timeout(LOST), Ok(200));

    drop(release);
    until("the threads are gone", || limiter.lock().threads <= limiter.limits.most_idle + 1);
    took < hangs_after * MOST_PERIODS
}

#[test]
fn a_turn_that_is_given_up_is_free_while_its_thread_goes_on() {
    let limiter = limiter(1, LOST);
    let (begun, order) = mpsc::channel();
    let (release, go) = mpsc::channel::<()>();
    let report = begun.clone();
    limiter.take(work(move |turn| {
        assert!(turn.give_up(), "no work waits");
        assert!(turn.give_up(), "it stays given up");
        report.send(0).unwrap();
        let _ = go.recv();
    }));
    assert_eq!(order.recv_timeout(LOST), Ok(0));
    let (second, let_second_go) = held(&begun, 1);
    limiter.take(second);
    assert_eq!(order.recv_timeout(LOST), Ok(1), "the turn is free");
    let (third, _let_third_go) = held(&begun, 2);
    limiter.take(third);
    drop(release);
    // Both threads end their work, and the first of them has the turn.
    drop(let_second_go);
    assert_eq!(order.recv_timeout(LOST), Ok(2));
}

#[test]
fn a_turn_is_not_given_up_while_work_waits() {
    let limiter = limiter(1, LOST);
    let (report, given_up) = mpsc::channel();
    let (queue, queued) = mpsc::channel::<()>();
    let first = report.clone();
    limiter.take(work(move |turn| {
        let _ = queued.recv();
        first.send(turn.give_up()).unwrap();
    }));
    limiter.take(work(move |turn| report.send(turn.give_up()).unwrap()));
    drop(queue);
    assert_eq!(given_up.recv_timeout(LOST), Ok(false));
    assert_eq!(given_up.recv_timeout(LOST), Ok(true), "no work waits behind the last one");
}

#[test]
fn a_panic_costs_no_turn() {
    let limiter = limiter(1, LOST);
    let (report, rounds) = mpsc::channel();
    for round in 0..5 {
        limiter.take(work(|_| std::panic::panic_any("on purpose")));
        let report = report.clone();
        limiter.take(work(move |_| report.send(round).unwrap()));
        assert_eq!(rounds.recv_timeout(LOST), Ok(round));
    }
}

#[test]
fn work_without_a_thread_waits_and_is_reported_as_overdue() {
    let limiter = limiter_of(ThreadLimits {
        thread_name: "test-spawn",
        at_once: 1,
        most_idle: 1,
        most: 1,
        hangs_after: PATIENCE,
    });
    let (begun, order) = mpsc::channel();
    let (hung, release) = held(&begun, 0);
    limiter.take(hung);
    assert_eq!(order.recv_timeout(LOST), Ok(0));
    let (waiting, _let_it_go) = held(&begun, 1);
    limiter.take(waiting.clone());
    until("its owner does not rely on it", || waiting.is_overdue.load(Ordering::SeqCst));
    assert!(order.try_recv().is_err(), "there is one thread");
    let (given_up, _) = held(&begun, 2);
    limiter.take(given_up.clone());
    given_up.is_given_up.store(true, Ordering::SeqCst);
    until("what is given up leaves the queue", || limiter.lock().waiting.len() == 1);
    drop(release);
    assert_eq!(order.recv_timeout(LOST), Ok(1));
}

#[test]
fn threads_created_ahead_are_used_first() {
    let limiter = limiter(2, LOST);
    limiter.prepare().unwrap();
    until("they are idle", || limiter.lock().idle == 2);
    let (report, done) = mpsc::channel();
    for _ in 0..20 {
        let report = report.clone();
        limiter.take(work(move |_| report.send(()).unwrap()));
        done.recv_timeout(LOST).unwrap();
    }
    assert_eq!(limiter.lock().threads, 2);
}

#[test]
fn the_watch_ends_when_there_is_nothing_to_watch_and_begins_again() {
    let limiter = limiter(1, Duration::from_millis(1));
    for _ in 0..2 {
        let (report, done) = mpsc::channel();
        limiter.take(work(move |_| report.send(()).unwrap()));
        done.recv_timeout(LOST).unwrap();
        until("it is not watched any more", || !limiter.lock().is_watched);
    }
}
