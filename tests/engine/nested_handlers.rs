//! An event handler that executes commands on the engine whose events it handles, and awaits them.

use std::sync::{Mutex, OnceLock};

use execution_engine::{Command, EventHandler, ExecutionPlan, ExecutionStrategy, async_trait};
use tokio::sync::oneshot;

use crate::common::*;

/// A command with more lines than may wait for a handler.
const FLOOD: &str = "seq 1 400000";

/// The way in which a handler executes the flood.
#[derive(Clone, Copy, Debug)]
enum By {
    Run,
    ExecuteMany,
    Plan,
}

/// Executes the flood at the first line `ask`, and sends how many of its lines have been handled when it has ended.
struct Nested {
    by: By,
    engine: OnceLock<ExecutionEngine>,
    answer: Mutex<Option<oneshot::Sender<usize>>>,
    lines: Mutex<usize>,
}

#[async_trait]
impl EventHandler for Nested {
    async fn handle_event(&self, event: ExecutionEvent) {
        match event.line() {
            Some("ask") => {}
            Some(_) => return *self.lines.lock().unwrap() += 1,
            None => return,
        }
        let engine = self.engine.get().unwrap();
        match self.by {
            By::Run => assert_completed(&engine.run(shell(FLOOD)).await.unwrap()),
            By::ExecuteMany => {
                for id in engine.execute_many([shell(FLOOD), shell("true")]).await {
                    assert_completed(&engine.wait_for_completion(id.unwrap()).await.unwrap());
                }
            }
            By::Plan => {
                let strategy = ExecutionStrategy::Serial { stop_on_error: true };
                let plan = ExecutionPlan::new("a flood", strategy, [Command::shell(FLOOD)]);
                assert!(engine.run_plan(plan).await.unwrap().success);
            }
        }
        let answer = self.answer.lock().unwrap().take().expect("there is one such line");
        answer.send(*self.lines.lock().unwrap()).expect("the test waits");
    }
}

#[tokio::test]
async fn a_handler_gets_the_lines_of_what_it_awaits() {
    for by in [By::Run, By::ExecuteMany, By::Plan] {
        let (answer, lines) = oneshot::channel();
        let nested =
            Arc::new(Nested { by, engine: OnceLock::new(), answer: Mutex::new(Some(answer)), lines: Mutex::default() });
        let engine = ExecutionEngine::new(ExecutionConfig::default()).unwrap().with_event_handler(nested.clone());
        assert!(nested.engine.set(engine.clone()).is_ok());
        assert_completed(&soon("the outer end", engine.run(shell("echo ask"))).await.unwrap());
        assert_eq!(soon("the inner end", lines).await.unwrap(), 400_000, "{by:?}");
    }
}
