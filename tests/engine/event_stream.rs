//! The events of one execution or plan as a stream.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use execution_engine::{EventStream, ExecutionPlan, ExecutionStrategy};
use futures_core::Stream;

use crate::common::*;

async fn all(mut events: EventStream) -> Vec<ExecutionEvent> {
    let mut taken = Vec::new();
    while let Some(event) = soon("an event", events.next()).await {
        taken.push(event);
    }
    assert!(events.next().await.is_none(), "it stays at its end");
    taken
}

#[tokio::test]
async fn a_stream_has_every_event_in_order_and_ends_with_the_result() {
    let engine = Listened::new();
    let events = all(engine.stream(shell("seq 1 20000; echo done >&2; exit 7")).unwrap()).await;
    let numbers: Vec<_> = events.iter().map(ExecutionEvent::sequence).collect();
    assert_eq!(numbers, (0..events.len() as u64).collect::<Vec<_>>());
    let out = |event: &ExecutionEvent| {
        matches!(event, ExecutionEvent::Stdout { .. }).then(|| event.line().unwrap().to_owned())
    };
    let lines: Vec<_> = events.iter().filter_map(out).collect();
    assert_eq!(lines, (1..=20_000).map(|number| number.to_string()).collect::<Vec<_>>());
    let result = events.last().unwrap().result().expect("the last event has the result");
    assert_exited(result, 7);
    assert_eq!(engine.recorder.all().len(), 0, "the handler has none of them");
    engine.finish().await;
}

#[tokio::test]
async fn a_stream_is_one_of_futures_too() {
    let engine = Listened::new();
    let mut events = engine.stream(Command::shell("echo one").into()).unwrap();
    let id = events.id();
    let mut last = None;
    while let Some(event) = poll_fn(|context| Pin::new(&mut events).poll_next(context)).await {
        assert_eq!(event.execution_id(), id);
        last = Some(event);
    }
    assert_completed(last.unwrap().result().unwrap());
    engine.finish().await;
}

#[tokio::test]
async fn a_dropped_stream_cancels_its_execution() {
    let engine = Listened::new();
    for _ in 0..repeats() {
        let mut events = engine.stream(shell("echo ready; sleep 60")).unwrap();
        let id = events.id();
        while events.next().await.expect("a line comes first").line().is_none() {}
        drop(events);
        assert_cancelled(&soon("the end", engine.wait_for_completion(id)).await.unwrap());
    }
    engine.finish().await;
}

#[tokio::test]
async fn a_command_waits_for_the_consumer_of_its_stream() {
    let engine = Listened::new();
    let mut events = engine.stream(shell("yes | head -c 10000000")).unwrap();
    let mut bytes = 0;
    while let Some(event) = soon("an event", events.next()).await {
        bytes += event.line().map_or(0, |line| line.len() + 1);
    }
    assert_eq!(bytes, 10_000_000);
    engine.finish().await;
}

#[tokio::test]
async fn the_stream_of_a_plan_has_the_events_of_its_steps() {
    let engine = Listened::new();
    let plan = ExecutionPlan {
        id: Uuid::new_v4(),
        description: String::new(),
        strategy: ExecutionStrategy::Serial { stop_on_error: true },
        commands: vec![Command::shell("echo a").into(), Command::shell("echo b").into()],
        metadata: execution_engine::ExecutionMetadata::default(),
    };
    let id = plan.id;
    let events = all(engine.stream_plan(plan).unwrap()).await;
    let lines: Vec<_> = events.iter().filter_map(|event| Some(event.line()?.to_owned())).collect();
    assert_eq!(lines, ["a", "b"]);
    assert_eq!(events.iter().filter(|event| event.result().is_some()).count(), 2);
    let last = events.last().unwrap();
    assert!(last.is_terminal() && last.execution_id() == id);
    engine.finish().await;
}

#[tokio::test]
async fn a_dropped_run_cancels_its_execution() {
    let engine = Listened::new();
    for _ in 0..repeats() {
        let request = shell("echo ready; sleep 60");
        let id = request.id;
        let run = engine.run(request);
        tokio::select! {
            result = run => panic!("it ended by itself: {result:?}"),
            () = engine.recorder.saw_line(id, "ready") => {}
        }
        assert_cancelled(&soon("the end", engine.wait_for_completion(id)).await.unwrap());
    }
    engine.finish().await;
}

#[tokio::test]
async fn a_dropped_run_that_waits_for_a_slot_never_starts() {
    let engine = Listened::with(ExecutionConfig { max_concurrent_executions: 1, ..ExecutionConfig::default() });
    let first = engine.start(shell("echo ready; sleep 60"), ExecutionOptions::default()).await;
    let request = shell("echo began");
    let id = request.id;
    {
        let mut run = Box::pin(engine.run(request));
        assert!(poll_fn(|context| Poll::Ready(run.as_mut().poll(context).is_pending())).await, "it waits");
        assert_eq!(engine.status(id).unwrap(), ExecutionStatus::Pending);
    }
    let result = soon("the end", engine.wait_for_completion(id)).await.unwrap();
    assert_cancelled(&result);
    assert_eq!((result.pid, result.stdout_bytes), (None, 0));
    engine.cancel(first).await.unwrap();
    engine.finish().await;
}

/// Like any future in Rust, it does nothing before it is polled.
#[tokio::test]
async fn a_run_that_is_never_polled_is_not_accepted() {
    let engine = Listened::new();
    let request = shell("true");
    let id = request.id;
    drop(engine.run(request));
    assert_refused(engine.status(id), ErrorCode::NotFound);
    engine.finish().await;
}

#[tokio::test]
async fn what_was_only_accepted_goes_on() {
    let engine = Listened::new();
    let id = engine.execute(shell("sleep 0.1; echo end")).await.unwrap();
    assert_eq!(soon("the end", engine.wait_for_completion(id)).await.unwrap().stdout, "end\n");
    engine.finish().await;
}
