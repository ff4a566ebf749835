//! A secret that is added while commands run is masked from then on.

use execution_engine::ErrorCode;
use uuid::Uuid;

use crate::common::*;

#[tokio::test]
async fn an_added_secret_is_masked_in_what_comes_and_in_what_is_returned() {
    let engine = ExecutionEngine::new(ExecutionConfig::default()).unwrap();
    let first = engine.run(shell("echo s3cret-token; echo other-token")).await.unwrap();
    assert_eq!(first.stdout, "s3cret-token\nother-token\n");
    engine.add_secret("s3cret-token").unwrap();
    engine.add_secret_of(first.id, "other-token").unwrap();
    assert_eq!(engine.get_result(first.id).await.unwrap().stdout, "***\n***\n");
    let second = engine.run(shell("echo s3cret-token; echo other-token")).await.unwrap();
    assert_eq!(second.stdout, "***\nother-token\n");
}

#[tokio::test]
async fn what_cannot_be_added_is_refused() {
    let engine = ExecutionEngine::new(ExecutionConfig::default()).unwrap();
    let error = engine.add_secret("short").unwrap_err();
    assert_eq!((error.code(), error.field()), (ErrorCode::InvalidRequest, Some("value")));
    assert!(!error.to_string().contains("`short`"), "{error}");
    assert_eq!(engine.add_secret_of(Uuid::new_v4(), "s3cret-token").unwrap_err().code(), ErrorCode::NotFound);
}
