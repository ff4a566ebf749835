//! An event handler that misbehaves hurts only itself.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use execution_engine::types::Stream;
use execution_engine::{EventHandler, MultiEventHandler, async_trait};
use tokio::sync::Semaphore;

use crate::common::*;

/// Panics at each event, and counts them.
#[derive(Default)]
struct Panicking(AtomicUsize);

#[async_trait]
impl EventHandler for Panicking {
    async fn handle_event(&self, event: ExecutionEvent) {
        self.0.fetch_add(1, Ordering::Relaxed);
        panic!("a test's handler panics on purpose at event {}", event.sequence());
    }
}

/// Takes no event before it is released.
struct Hanging(Semaphore);

impl Hanging {
    fn new() -> Arc<Self> {
        Arc::new(Self(Semaphore::new(0)))
    }

    fn release(&self) {
        self.0.close();
    }
}

#[async_trait]
impl EventHandler for Hanging {
    async fn handle_event(&self, _event: ExecutionEvent) {
        let _ = self.0.acquire().await;
    }
}

/// Blocks the thread on which it is called, from its first event until it is released.
#[derive(Default)]
struct Blocking {
    entered: AtomicBool,
    release: AtomicBool,
}

#[async_trait]
impl EventHandler for Blocking {
    async fn handle_event(&self, _event: ExecutionEvent) {
        self.entered.store(true, Ordering::Release);
        block_until("the handler is released", || self.release.load(Ordering::Acquire));
    }
}

#[tokio::test]
async fn a_handler_that_panics_does_not_affect_the_command() {
    let handler = Arc::new(Panicking::default());
    let engine = ExecutionEngine::new(ExecutionConfig::default()).unwrap().with_event_handler(handler.clone());
    let result = soon("the end", engine.run(shell("echo one; echo two >&2; exit 3"))).await.unwrap();
    assert_exited(&result, 3);
    assert_eq!((&*result.stdout, &*result.stderr), ("one\n", "two\n"));
    assert_eq!(handler.0.load(Ordering::Relaxed), 5, "each event is tried: started, two lines, exited, failed");
}

#[tokio::test]
async fn a_handler_that_panics_does_not_affect_other_handlers() {
    let recorder = Recorder::new();
    let handlers: Vec<Arc<dyn EventHandler>> = vec![Arc::new(Panicking::default()), recorder.clone()];
    let multi = Arc::new(MultiEventHandler::new(handlers));
    let engine = ExecutionEngine::new(ExecutionConfig::default()).unwrap().with_event_handler(multi);
    let result = soon("the end", engine.run(shell("echo one; echo two"))).await.unwrap();
    assert_completed(&result);
    assert_eq!(recorder.lines(result.id, Stream::Stdout), ["one", "two"]);
    recorder.check();
}

#[tokio::test]
async fn a_handler_that_hangs_holds_up_no_other_execution() {
    let engine = Listened::new();
    let hanging = Hanging::new();
    let deaf = engine.clone().with_event_handler(hanging.clone());
    let stuck = deaf.execute(shell("echo no listener")).await.unwrap();
    for _ in 0..20 {
        assert_completed(&soon("the end of another execution", engine.run(shell("echo hi"))).await.unwrap());
    }
    // A waiter is not blocked forever either: it gets the result when the handler's second is over.
    assert_completed(&soon("the deaf one's end", deaf.wait_for_completion(stuck)).await.unwrap());
    hanging.release();
    engine.finish().await;
}

/// The child fills the buffers to its listener, and waits; its timeout continues to run.
#[tokio::test]
async fn a_handler_that_hangs_delays_no_timeout_and_no_cancel() {
    let hanging = Hanging::new();
    let engine = ExecutionEngine::new(ExecutionConfig::default()).unwrap().with_event_handler(hanging.clone());
    let flood = ExecutionRequest { timeout_ms: Some(300), ..exec("yes", &["flood"]) };
    let result = soon("the timeout", engine.run(flood)).await.unwrap();
    assert_timed_out(&result, Reason::Timeout);
    assert!(result.stdout_bytes < 16 * 1024 * 1024, "the child was held back: {}", result.stdout_bytes);
    let id = engine.execute(exec("yes", &["flood"])).await.unwrap();
    soon("the cancel", engine.cancel(id)).await.unwrap();
    assert_cancelled(&engine.get_result(id).await.unwrap());
    hanging.release();
}

/// The last output of a command is read although its listener takes nothing.
#[tokio::test]
async fn a_handler_that_hangs_does_not_affect_the_result() {
    let hanging = Hanging::new();
    let engine = ExecutionEngine::new(ExecutionConfig::default()).unwrap().with_event_handler(hanging.clone());
    let result = soon("the end", engine.run(shell("seq 1 10000"))).await.unwrap();
    assert_completed(&result);
    assert!(!result.leaked);
    assert_eq!(lines_of(&result.stdout).len(), 10_000);
    hanging.release();
}

/// Handlers have threads of their own: however many of them block, an execution without one is not delayed.
#[tokio::test]
async fn handlers_that_block_all_threads_delay_no_other_execution() {
    let engine = ExecutionEngine::new(ExecutionConfig::default()).unwrap();
    let blocking: Vec<_> = (0..8).map(|_| Arc::new(Blocking::default())).collect();
    let mut stuck = Vec::new();
    for handler in &blocking {
        let rude = engine.clone().with_event_handler(handler.clone());
        stuck.push(rude.execute(brief()).await.unwrap());
    }
    let all_block = || blocking.iter().filter(|handler| handler.entered.load(Ordering::Acquire)).count() >= 2;
    wait_until("the handlers block", all_block).await;
    for _ in 0..20 {
        assert_completed(&soon("the end of another execution", engine.run(shell("echo hi"))).await.unwrap());
    }
    let timed = ExecutionRequest { timeout_ms: Some(100), ..endless() };
    assert_timed_out(&soon("the timeout of another execution", engine.run(timed)).await.unwrap(), Reason::Timeout);
    for id in &stuck {
        assert_completed(&soon("a stuck one's end", engine.wait_for_completion(*id)).await.unwrap());
    }
    for handler in &blocking {
        handler.release.store(true, Ordering::Release);
    }
}

/// The handler has one of the listeners' threads; the others continue.
#[tokio::test]
async fn a_handler_that_blocks_its_thread_stops_no_other_handler() {
    let engine = Listened::new();
    let blocking = Arc::new(Blocking::default());
    let rude = engine.clone().with_event_handler(blocking.clone());
    let stuck = rude.execute(brief()).await.unwrap();
    wait_until("the handler blocks", || blocking.entered.load(Ordering::Acquire)).await;
    for _ in 0..20 {
        assert_completed(&soon("the end of another execution", engine.run(shell("echo hi"))).await.unwrap());
    }
    let id = engine.execute(endless()).await.unwrap();
    soon("the cancel of another execution", engine.cancel(id)).await.unwrap();
    blocking.release.store(true, Ordering::Release);
    assert_completed(&soon("the stuck one's end", rude.wait_for_completion(stuck)).await.unwrap());
    engine.finish().await;
}

#[tokio::test]
async fn each_handle_calls_its_own_handler() {
    let engine = Listened::new();
    let other = Recorder::new();
    let second = engine.clone().with_event_handler(other.clone());
    let mine = engine.run(brief()).await.unwrap().id;
    let theirs = second.run(brief()).await.unwrap().id;
    assert_eq!((engine.recorder.of(mine).len(), engine.recorder.of(theirs).len()), (3, 0));
    assert_eq!((other.of(mine).len(), other.of(theirs).len()), (0, 3));
    assert_eq!(engine.total_count(), 2, "it is one engine");
    engine.finish().await;
}
