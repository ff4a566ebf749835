//! The futures of the engine need no Tokio runtime: another executor polls them here.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use execution_engine::Stream;

use crate::common::*;

const MINUTE: Duration = Duration::from_secs(60);

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls a future on this thread, which no runtime knows.
fn poll_to_end<T>(future: impl Future<Output = T>) -> T {
    assert!(tokio::runtime::Handle::try_current().is_err(), "a runtime is there");
    let (mut future, waker) = (pin!(future), Waker::from(Arc::new(Unpark(thread::current()))));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

fn logging(dir: &tempfile::TempDir) -> ExecutionEngine {
    ExecutionEngine::new(ExecutionConfig { log_dir: Some(dir.path().to_owned()), ..Default::default() }).unwrap()
}

#[test]
fn commands_and_their_output_need_no_tokio() {
    let dir = tempfile::tempdir().unwrap();
    let engine = logging(&dir);
    poll_to_end(async {
        let result = engine.run(shell("echo hi")).await.unwrap();
        assert_eq!(result.stdout, "hi\n");
        assert!(engine.read_logs(result.id).await.unwrap().contains("hi"));
        assert_eq!(engine.read_output(result.id, Stream::Stdout, Some(2)).await.unwrap(), "i\n");
        let mut events = engine.stream(shell("echo streamed")).unwrap();
        let mut lines = Vec::new();
        while let Some(event) = events.next().await {
            lines.extend(event.line().map(str::to_owned));
        }
        assert_eq!(lines, ["streamed"]);
        engine.shutdown(MINUTE).await;
    });
}

#[test]
fn times_need_no_tokio() {
    let engine = ExecutionEngine::new(ExecutionConfig::default()).unwrap();
    poll_to_end(async {
        let timed = ExecutionRequest { timeout_ms: Some(50), ..shell("sleep 60") };
        assert_ended(&engine.run(timed).await.unwrap(), ExecutionStatus::Timeout, Reason::Timeout);
        let id = engine.execute(shell("sleep 60")).await.unwrap();
        let extended = engine.extend_timeout(id, MINUTE).await;
        assert!(extended.is_ok(), "{extended:?}");
        // The grace period ends by a timer, since the command does not.
        engine.shutdown(Duration::from_millis(50)).await;
        assert_ended(&engine.get_result(id).await.unwrap(), ExecutionStatus::Cancelled, Reason::Shutdown);
    });
}
