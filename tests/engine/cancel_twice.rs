//! A cancel may come twice, late, or for nothing.

use crate::common::*;

#[tokio::test]
async fn any_number_of_cancels_is_one_end() {
    let engine = Listened::new();
    let id = engine.start(endless_after(":"), ExecutionOptions::default()).await;
    let cancels: Vec<_> = (0..20)
        .map(|_| {
            tokio::spawn({
                let engine = engine.clone();
                async move { engine.cancel(id).await }
            })
        })
        .collect();
    for cancel in cancels {
        soon("the cancel", cancel).await.unwrap().unwrap();
    }
    let first = engine.get_result(id).await.unwrap();
    assert_cancelled(&first);
    engine.cancel(id).await.unwrap();
    assert_eq!(engine.get_result(id).await.unwrap(), first);
    engine.finish().await;
}

#[tokio::test]
async fn a_cancel_of_an_ended_execution_changes_nothing() {
    let engine = Listened::new();
    let result = engine.run(brief()).await.unwrap();
    engine.cancel(result.id).await.unwrap();
    assert_completed(&engine.get_result(result.id).await.unwrap());
    engine.finish().await;
}

#[tokio::test]
async fn a_cancel_of_an_unknown_execution_is_not_found() {
    let engine = Listened::new();
    let id = Uuid::new_v4();
    let error = assert_refused(engine.cancel(id).await, ErrorCode::NotFound);
    assert_eq!(error.execution_id(), Some(id));
    engine.finish().await;
}

#[tokio::test]
async fn a_wait_for_a_cancelled_execution_returns_its_result() {
    let engine = Listened::new();
    let id = engine.start(endless_after(":"), ExecutionOptions::default()).await;
    let waiter = tokio::spawn({
        let engine = engine.clone();
        async move { engine.wait_for_completion(id).await }
    });
    engine.cancel(id).await.unwrap();
    assert_cancelled(&soon("the waiter", waiter).await.unwrap().unwrap());
    engine.finish().await;
}
