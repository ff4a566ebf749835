//! A command that runs is given more time, or less, and its output is read meanwhile.

use execution_engine::types::Stream;

use crate::common::*;

#[tokio::test]
async fn the_deadline_moves_and_what_was_written_is_read() {
    let engine = Listened::new();
    let request = ExecutionRequest { timeout_ms: Some(60_000), ..shell("echo so far; exec sleep 60") };
    let id = engine.execute_with(request, ExecutionOptions::default()).await.unwrap();
    engine.recorder.saw_line(id, "so far").await;
    assert_eq!(engine.read_output(id, Stream::Stdout, None).await.unwrap(), "so far\n");
    assert_eq!(engine.read_output(id, Stream::Stdout, Some(4)).await.unwrap(), "far\n");
    assert_eq!(engine.read_output(id, Stream::Stderr, None).await.unwrap(), "");
    for time in [Duration::ZERO, Duration::MAX] {
        assert_field_refused(engine.extend_timeout(id, time).await, ErrorCode::InvalidRequest, "ms");
    }
    let later = engine.extend_timeout(id, Duration::from_secs(120)).await.unwrap();
    let sooner = engine.extend_timeout(id, Duration::from_millis(100)).await.unwrap();
    assert!(sooner < later);
    let result = soon("the end", engine.wait_for_completion(id)).await.unwrap();
    assert_timed_out(&result, Reason::Timeout);
    assert_eq!(engine.read_output(id, Stream::Stdout, None).await.unwrap(), "so far\n");
    assert_field_refused(engine.extend_timeout(id, Duration::from_secs(1)).await, ErrorCode::InvalidRequest, "id");
    assert_refused(engine.extend_timeout(Uuid::new_v4(), Duration::from_secs(1)).await, ErrorCode::NotFound);
    engine.finish().await;
}

#[tokio::test]
async fn the_exit_is_an_event_before_a_held_pipe_is_drained() {
    let engine = Listened::new();
    let result = soon("the end", engine.run(shell("sleep 5 & exit 7"))).await.unwrap();
    assert_exited(&result, 7);
    assert!(result.leaked);
    let events = engine.recorder.of(result.id);
    let exits = events.iter().filter_map(|event| match event {
        ExecutionEvent::Exited { exit_code, signal, .. } => Some((*exit_code, signal.clone())),
        _ => None,
    });
    assert_eq!(exits.collect::<Vec<_>>(), [(Some(7), None)]);
    engine.finish().await;
}
