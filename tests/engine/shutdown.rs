//! A shutdown, or dropping the last handle, ends what an engine runs.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use execution_engine::{EventHandler, ExecutionFilter, async_trait};

use crate::common::*;

/// Handles each event slowly, and counts those it has handled.
#[derive(Default)]
struct Slow(AtomicUsize);

#[async_trait]
impl EventHandler for Slow {
    async fn handle_event(&self, _event: ExecutionEvent) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        self.0.fetch_add(1, Ordering::Release);
    }
}

#[tokio::test]
async fn a_shutdown_ends_what_runs_and_what_waits() {
    let engine = Listened::with_slots(1);
    let running = engine.start(endless_after(":"), ExecutionOptions::default()).await;
    let waiting = engine.execute(endless()).await.unwrap();
    let waiter = tokio::spawn({
        let engine = engine.clone();
        async move { engine.wait_for_completion(waiting).await }
    });
    soon("the shutdown", engine.shutdown(Duration::ZERO)).await;
    for id in [running, waiting] {
        let result = engine.get_result(id).await.unwrap();
        assert_ended(&result, ExecutionStatus::Cancelled, Reason::Shutdown);
    }
    let ran = engine.get_result(running).await.unwrap();
    assert_gone(&[ran.pid.unwrap()]);
    assert_never_ran(&engine.get_result(waiting).await.unwrap());
    assert_ended(&soon("the waiter", waiter).await.unwrap().unwrap(), ExecutionStatus::Cancelled, Reason::Shutdown);
    engine.finish().await;
}

#[tokio::test]
async fn a_shutdown_gives_work_its_time() {
    let engine = Listened::new();
    let dir = scratch();
    let go = dir.path().join("go");
    let id = engine.start(waits_for(&go), ExecutionOptions::default()).await;
    let shutdown = tokio::spawn({
        let engine = engine.clone();
        async move { engine.shutdown(Duration::from_secs(600)).await }
    });
    let closed = async {
        while refusal(&engine).await != ErrorCode::EngineShutDown {
            tokio::task::yield_now().await;
        }
    };
    soon("the engine refuses new work", closed).await;
    assert_eq!(engine.get_status(id).await.unwrap(), ExecutionStatus::Running, "old work continues");
    std::fs::write(go, "").unwrap();
    soon("the shutdown", shutdown).await.unwrap();
    assert_completed(&engine.get_result(id).await.unwrap());
    engine.finish().await;
}

#[tokio::test]
async fn a_shutdown_ends_what_does_not_finish_in_time() {
    let engine = Listened::new();
    let id = engine.start(endless_after(":"), ExecutionOptions::default()).await;
    let begun = Instant::now();
    soon("the shutdown", engine.shutdown(Duration::from_millis(200))).await;
    assert!(begun.elapsed() >= Duration::from_millis(200));
    let result = engine.get_result(id).await.unwrap();
    assert_ended(&result, ExecutionStatus::Cancelled, Reason::Shutdown);
    engine.finish().await;
}

/// Returns why a request that is invalid anyway is refused: nothing may start before the shutdown has begun.
async fn refusal(engine: &ExecutionEngine) -> ErrorCode {
    engine.execute(exec("", &[""; 0])).await.unwrap_err().code()
}

#[tokio::test]
async fn an_engine_that_was_shut_down_refuses_work_and_keeps_its_records() {
    let engine = Listened::new();
    let id = engine.run(brief()).await.unwrap().id;
    engine.shutdown(Duration::ZERO).await;
    assert_refused(engine.execute(brief()).await, ErrorCode::EngineShutDown);
    assert_refused(engine.run(brief()).await, ErrorCode::EngineShutDown);
    assert_completed(&engine.get_result(id).await.unwrap());
    soon("a second shutdown", engine.shutdown(Duration::from_secs(600))).await;
    engine.finish().await;
}

/// An execution is over when its last event was taken, not when its result is there.
#[tokio::test]
async fn a_shutdown_waits_for_the_last_event() {
    let slow = Arc::new(Slow::default());
    let engine = ExecutionEngine::new(ExecutionConfig::default()).unwrap().with_event_handler(slow.clone());
    let id = engine.execute(brief()).await.unwrap();
    while engine.get_result(id).await.is_err() {
        tokio::task::yield_now().await;
    }
    soon("the shutdown", engine.shutdown(Duration::ZERO)).await;
    assert_eq!(slow.0.load(Ordering::Acquire), 3, "started, exited and completed");
}

/// Every accepted execution has ended when the shutdown resolves, however close the two came.
#[test]
fn nothing_is_accepted_past_a_shutdown() {
    for _ in 0..60 {
        let engine = Listened::with_slots(4);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| while block_on(engine.execute(endless())).is_ok() {});
            }
            while engine.total_count() < 5 {
                thread::yield_now();
            }
            block_on(soon("the shutdown", engine.shutdown(Duration::ZERO)));
        });
        let alive = block_on(engine.list_executions(&ExecutionFilter::default()));
        let alive: Vec<_> = alive.iter().filter(|row| !row.status.is_terminal()).collect();
        assert!(alive.is_empty(), "still there after the shutdown: {alive:#?}");
        block_on(engine.finish());
    }
}

#[tokio::test]
async fn dropping_the_last_handle_ends_what_runs() {
    let recorder = Recorder::new();
    let handler: Arc<Recorder> = recorder.clone();
    let config = ExecutionConfig { max_concurrent_executions: 1, ..Default::default() };
    let engine = ExecutionEngine::new(config).unwrap().with_event_handler(handler);
    let running = engine.execute(endless_after(":")).await.unwrap();
    let waiting = engine.execute(endless()).await.unwrap();
    recorder.saw_line(running, "ready").await;
    let pid = recorder.started(running).await;
    let clone = engine.clone();
    drop(engine);
    assert_eq!(clone.get_status(running).await.unwrap(), ExecutionStatus::Running, "a handle is left");
    drop(clone);
    for id in [running, waiting] {
        wait_until("the terminal event", || recorder.of(id).last().is_some_and(ExecutionEvent::is_terminal)).await;
        let result = recorder.of(id).last().and_then(result_of).unwrap();
        assert_ended(&result, ExecutionStatus::Cancelled, Reason::Shutdown);
    }
    assert_gone(&[pid]);
    recorder.check();
}
