//! A command in a terminal of its own.
#![cfg(unix)]

use execution_engine::types::{Stdin, TerminalSize};

use crate::common::*;

fn terminal(size: TerminalSize) -> ExecutionOptions {
    ExecutionOptions { terminal: Some(size.into()), ..Default::default() }
}

#[tokio::test]
async fn keys_a_new_size_and_the_end_of_the_input_reach_the_command() {
    let engine = Listened::new();
    let line = "stty size; read -r word; stty size; echo \"got $word\"; cat; echo over";
    let id = engine.execute_with(shell(line), terminal(TerminalSize::new(101, 33))).await.unwrap();
    engine.recorder.saw_line(id, "33 101").await;
    engine.resize(id, TerminalSize::default()).unwrap();
    soon("the write", engine.write(id, "hello\n")).await.unwrap();
    engine.recorder.saw_line(id, "got hello").await;
    engine.end_input(id).unwrap();
    let result = soon("the end", engine.wait_for_completion(id)).await.unwrap();
    assert_completed(&result);
    assert!(
        result.stdout.contains("24 80\r\ngot hello\r\n") && result.stdout.ends_with("over\r\n"),
        "{}",
        &*result.stdout
    );
    let events = engine.recorder.of(id);
    let data = events.iter().filter_map(|event| match event {
        ExecutionEvent::Data { data, .. } => Some(&**data),
        _ => None,
    });
    assert_eq!(data.collect::<String>(), *result.stdout);
    engine.finish().await;
}

#[tokio::test]
async fn what_contradicts_a_terminal_is_refused() {
    let engine = Listened::new();
    let refused = async |options: ExecutionOptions, field: &str| {
        let answer = engine.execute_with(shell("true"), options).await;
        assert_field_refused(answer, ErrorCode::InvalidRequest, field);
    };
    refused(terminal(TerminalSize::new(0, 24)), "options.terminal.columns").await;
    refused(terminal(TerminalSize::new(80, 0)), "options.terminal.rows").await;
    refused(ExecutionOptions { merge_output: Some(true), ..terminal(TerminalSize::default()) }, "options.merge_output")
        .await;
    refused(ExecutionOptions { stdin: Stdin::Inherit, ..terminal(TerminalSize::default()) }, "options.stdin").await;
    let plain = engine.execute(shell("true")).await.unwrap();
    assert_field_refused(engine.resize(plain, TerminalSize::default()), ErrorCode::InvalidRequest, "id");
    assert_refused(engine.resize(Uuid::new_v4(), TerminalSize::default()), ErrorCode::NotFound);
    soon("the end", engine.wait_for_completion(plain)).await.unwrap();
    engine.finish().await;
}

#[tokio::test]
async fn input_that_is_left_unread_delays_no_end_and_no_other_execution() {
    let engine = Listened::with(ExecutionConfig { kill_grace_ms: 2_000, ..Default::default() });
    for _ in 0..repeats() {
        let line = "stty raw -echo; echo ready; exec sleep 1000";
        let id = engine.execute_with(shell(line), terminal(TerminalSize::default())).await.unwrap();
        wait_until("it reads its keys in raw mode", || {
            let is_ready =
                |event: &ExecutionEvent| matches!(event, ExecutionEvent::Data { data, .. } if data.contains("ready"));
            engine.recorder.of(id).iter().any(is_ready)
        })
        .await;
        let write = engine.write(id, vec![b'x'; 3_000_000]);
        let (refused, cancelled) = soon("the cancel", async { tokio::join!(write, engine.cancel(id)) }).await;
        cancelled.unwrap();
        assert_field_refused(refused, ErrorCode::InvalidRequest, "id");
        assert_completed(&soon("another execution", engine.run(shell("true"))).await.unwrap());
    }
    engine.finish().await;
}
