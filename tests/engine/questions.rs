//! A command that waits for input says so, and gets an answer.
#![cfg(target_os = "linux")]

use execution_engine::types::{Stdin, TerminalSize, WaitsFor};

use crate::common::*;

#[tokio::test]
async fn each_question_is_reported_once_and_answered() {
    let config = ExecutionConfig { waiting_after_ms: 200, ..Default::default() };
    let engine = ExecutionEngine::new(config).unwrap();
    let open = ExecutionOptions { stdin: Stdin::Open, ..Default::default() };
    let terminal = ExecutionOptions { terminal: Some(TerminalSize::default().into()), ..Default::default() };
    for (options, kind) in [(open, WaitsFor::Stdin), (terminal, WaitsFor::Terminal)] {
        let line = "printf 'Name? '; read -r name; echo; printf 'Sure? '; read -r sure; echo \"$name $sure\"";
        let mut events = engine.stream_with(shell(line), options).unwrap();
        let (id, mut asked) = (events.id(), Vec::new());
        while let Some(event) = soon("an event", events.next()).await {
            if let ExecutionEvent::Waiting { r#for, prompt, .. } = event {
                assert_eq!(r#for, kind);
                engine.write(id, if asked.is_empty() { "Ann\n" } else { "yes\n" }).await.unwrap();
                asked.push(prompt);
            }
        }
        assert_eq!(asked, ["Name? ", "Sure? "]);
        assert!(engine.get_result(id).await.unwrap().stdout.contains("Ann yes"));
    }
}
