//! Input that is written while the command runs.

use std::task::Poll;

use execution_engine::types::Stdin;

use crate::common::*;

fn open() -> ExecutionOptions {
    ExecutionOptions { stdin: Stdin::Open, ..Default::default() }
}

#[tokio::test]
async fn a_conversation_has_one_answer_for_each_write() {
    let engine = Listened::new();
    let id = engine.execute_with(shell("while read -r line; do echo \"got $line\"; done"), open()).await.unwrap();
    for word in ["one", "two"] {
        soon("the write", engine.write(id, format!("{word}\n"))).await.unwrap();
        engine.recorder.saw_line(id, &format!("got {word}")).await;
    }
    engine.end_input(id).unwrap();
    let result = soon("the end", engine.wait_for_completion(id)).await.unwrap();
    assert_eq!(result.stdout, "got one\ngot two\n");
    engine.finish().await;
}

#[tokio::test]
async fn a_write_is_accepted_although_the_command_reads_it_and_exits() {
    let engine = Listened::new();
    for _ in 0..repeats() {
        let id = engine.execute_with(shell("read -r line"), open()).await.unwrap();
        soon("the empty write", engine.write(id, "")).await.unwrap();
        soon("the write", engine.write(id, "one\n")).await.unwrap();
        engine.end_input(id).unwrap();
        let result = soon("the end", engine.wait_for_completion(id)).await.unwrap();
        assert_eq!(result.exit_code, Some(0));
    }
    engine.finish().await;
}

#[tokio::test]
async fn concurrent_writes_keep_the_order_in_which_they_began() {
    let engine = Listened::new();
    let id = engine.execute_with(exec::<&str>("cat", &[]), open()).await.unwrap();
    let parts: Vec<String> = (0..20).map(|index| format!("{index}.").repeat(20_000)).collect();
    let mut waiting = Vec::new();
    for part in &parts {
        let mut write = Box::pin(engine.write(id, part.clone()));
        // The first poll takes the place in the order; a pipe that is being read may take all of it at once.
        match poll_once(&mut write).await {
            Some(written) => written.unwrap(),
            None => waiting.push(write),
        }
    }
    soon("the writes", async {
        for write in waiting.into_iter().rev() {
            write.await.unwrap();
        }
    })
    .await;
    engine.end_input(id).unwrap();
    let result = soon("the end", engine.wait_for_completion(id)).await.unwrap();
    assert!(result.stdout == parts.concat(), "{} bytes", result.stdout_bytes);
    engine.finish().await;
}

/// Polls once. A future that was ready must not be polled again.
async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|context| match std::pin::Pin::new(&mut *future).poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

#[tokio::test]
async fn a_write_that_the_command_does_not_take_is_refused() {
    let engine = Listened::new();
    let id = engine.execute_with(shell("exec 0<&-; echo closed; sleep 0.2"), open()).await.unwrap();
    engine.recorder.saw_line(id, "closed").await;
    assert_refused(soon("the refusal", engine.write(id, vec![b'x'; 300_000])).await, ErrorCode::InvalidRequest);
    assert_completed(&soon("the end", engine.wait_for_completion(id)).await.unwrap());
    assert_refused(engine.write(id, "late").await, ErrorCode::InvalidRequest);
    engine.end_input(id).unwrap();
    let closed = engine.execute(exec::<&str>("true", &[])).await.unwrap();
    assert_eq!(engine.write(closed, "x").await.unwrap_err().field(), Some("id"));
    assert_refused(engine.end_input(closed), ErrorCode::InvalidRequest);
    assert_refused(engine.end_input(Uuid::new_v4()), ErrorCode::NotFound);
    soon("the end", engine.wait_for_completion(closed)).await.unwrap();
    engine.finish().await;
}

#[tokio::test]
async fn a_write_that_is_dropped_before_its_turn_writes_nothing() {
    let engine = Listened::new();
    let id = engine.execute_with(shell("read -r go; cat"), open()).await.unwrap();
    let mut first = Box::pin(engine.write(id, vec![b'a'; 1_000_000]));
    assert!(poll_once(&mut first).await.is_none(), "no pipe holds it");
    let mut dropped = Box::pin(engine.write(id, "never"));
    assert!(poll_once(&mut dropped).await.is_none());
    drop(dropped);
    let last = engine.write(id, "\nend");
    soon("the writes", async { tokio::join!(first, last) }).await.1.unwrap();
    engine.end_input(id).unwrap();
    let result = soon("the end", engine.wait_for_completion(id)).await.unwrap();
    assert_eq!(result.stdout, "end");
    engine.finish().await;
}
