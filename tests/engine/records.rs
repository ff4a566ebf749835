//! The records of executions, and their retention.

use std::time::Instant;

use execution_engine::{ExecutionFilter, ExecutionMetadata};

use crate::common::*;

fn remembering(records: usize) -> Listened {
    Listened::with(ExecutionConfig { max_in_memory_executions: records, ..Default::default() })
}

fn labelled(label: &str, request: ExecutionRequest) -> ExecutionRequest {
    let metadata = ExecutionMetadata { label: Some(label.into()), ..Default::default() };
    ExecutionRequest { metadata, ..request }
}

#[tokio::test]
async fn the_oldest_records_leave_when_there_are_too_many() {
    let engine = remembering(3);
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(engine.run(brief()).await.unwrap().id);
    }
    for id in &ids[..2] {
        assert_refused(engine.get_status(*id).await, ErrorCode::NotFound);
        assert_refused(engine.get_result(*id).await, ErrorCode::NotFound);
        assert_refused(engine.wait_for_completion(*id).await, ErrorCode::NotFound);
        assert_refused(engine.remove_execution(*id).await, ErrorCode::NotFound);
        let error = engine.cancel(*id).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::NotFound);
        assert!(error.to_string().contains("raise `max_in_memory_executions`"), "{error} has no remedy");
    }
    for id in &ids[2..] {
        assert_completed(&engine.get_result(*id).await.unwrap());
    }
    assert_eq!(engine.total_count(), 3);
    engine.finish().await;
}

#[tokio::test]
async fn a_living_execution_is_never_forgotten() {
    let engine = remembering(0);
    let id = engine.start(endless_after(":"), ExecutionOptions::default()).await;
    for _ in 0..5 {
        assert_completed(&engine.run(brief()).await.unwrap());
    }
    assert_eq!(engine.get_status(id).await.unwrap(), ExecutionStatus::Running);
    assert_eq!((engine.cleanup().await, engine.total_count()), (0, 1));
    assert_refused(engine.remove_execution(id).await, ErrorCode::NotCompleted);
    engine.cancel(id).await.unwrap();
    assert_refused(engine.get_status(id).await, ErrorCode::NotFound);
    engine.finish().await;
}

#[tokio::test]
async fn records_leave_when_their_output_takes_too_much() {
    let engine = Listened::with(ExecutionConfig { max_retained_output_bytes: 2_500, ..Default::default() });
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(engine.run(shell("printf %01000d 1")).await.unwrap().id);
    }
    assert_refused(engine.get_status(ids[0]).await, ErrorCode::NotFound);
    assert_eq!(engine.total_count(), 2);
    engine.finish().await;
}

#[tokio::test]
async fn records_leave_when_they_are_old() {
    let engine = Listened::with(ExecutionConfig { execution_retention_secs: 1, ..Default::default() });
    let begun = Instant::now();
    let id = engine.run(brief()).await.unwrap().id;
    assert!(engine.cleanup().await == 0 || begun.elapsed() >= Duration::from_secs(1), "a second has not passed");
    tokio::time::sleep(Duration::from_millis(1_050)).await;
    engine.cleanup().await;
    assert_refused(engine.get_status(id).await, ErrorCode::NotFound);
    engine.finish().await;
}

#[tokio::test]
async fn a_record_can_be_removed_by_hand() {
    let engine = Listened::new();
    let id = engine.run(brief()).await.unwrap().id;
    engine.remove_execution(id).await.unwrap();
    assert_refused(engine.get_status(id).await, ErrorCode::NotFound);
    assert_refused(engine.remove_execution(id).await, ErrorCode::NotFound);
    assert_eq!(engine.total_count(), 0);
    engine.finish().await;
}

/// Removed with much output, run again with none: what is kept is counted right, else an eviction goes wrong later.
#[tokio::test]
async fn an_id_is_free_again_when_its_record_has_left() {
    // This engine has no listener: the recorder takes two executions of one id for one.
    let engine = ExecutionEngine::new(ExecutionConfig { max_in_memory_executions: 1, ..Default::default() }).unwrap();
    let loud = shell("printf %01000d 1");
    let quiet = ExecutionRequest { id: loud.id, ..brief() };
    for _ in 0..3 {
        engine.run(loud.clone()).await.unwrap();
        engine.remove_execution(loud.id).await.unwrap();
        assert_completed(&soon("the second life", engine.run(quiet.clone())).await.unwrap());
        assert_completed(&engine.get_result(quiet.id).await.unwrap());
        // Evicts the one before.
        assert_completed(&soon("another", engine.run(brief())).await.unwrap());
        assert_refused(engine.get_status(loud.id).await, ErrorCode::NotFound);
        assert_eq!(engine.total_count(), 1);
    }
}

#[tokio::test]
async fn a_listing_is_newest_first_and_filtered() {
    let engine = Listened::new();
    let done = engine.run(labelled("a", exec("echo", &["x y"]))).await.unwrap().id;
    let failed = engine.run(labelled("b", shell("exit 1"))).await.unwrap().id;
    let running = engine.start(labelled("a", endless_after(":")), ExecutionOptions::default()).await;
    let list = async |filter| engine.list_executions(&filter).await.iter().map(|row| row.id).collect::<Vec<_>>();
    let all = ExecutionFilter::default();
    assert_eq!(list(all.clone()).await, [running, failed, done]);
    assert_eq!(list(ExecutionFilter { limit: Some(2), ..all.clone() }).await, [running, failed]);
    assert_eq!(list(ExecutionFilter { label: Some("a".into()), ..all.clone() }).await, [running, done]);
    assert_eq!(list(ExecutionFilter { status: Some(ExecutionStatus::Failed), ..all.clone() }).await, [failed]);
    let both = ExecutionFilter { label: Some("a".into()), status: Some(ExecutionStatus::Running), ..all.clone() };
    assert_eq!(list(both).await, [running]);
    let rows = engine.list_executions(&all).await;
    assert_eq!((rows[2].command.as_str(), rows[2].label.as_deref()), ("echo 'x y'", Some("a")));
    assert!(rows[2].completed_at.is_some_and(|at| at >= rows[2].created_at) && rows[0].completed_at.is_none());
    engine.finish().await;
}

#[tokio::test]
async fn a_status_goes_from_pending_to_its_end() {
    let engine = Listened::with_slots(1);
    let dir = scratch();
    let first = engine.start(waits_for(&dir.path().join("go")), ExecutionOptions::default()).await;
    let second = engine.execute(brief()).await.unwrap();
    assert_eq!(engine.get_status(first).await.unwrap(), ExecutionStatus::Running);
    assert_eq!(engine.get_status(second).await.unwrap(), ExecutionStatus::Pending);
    assert_refused(engine.get_result(second).await, ErrorCode::NotCompleted);
    std::fs::write(dir.path().join("go"), "").unwrap();
    for id in [first, second] {
        soon("the end", engine.wait_for_completion(id)).await.unwrap();
        assert_eq!(engine.get_status(id).await.unwrap(), ExecutionStatus::Completed);
    }
    engine.finish().await;
}
