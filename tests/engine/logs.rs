//! Logs, read through the engine.

use crate::common::*;

fn logging(dir: &tempfile::TempDir) -> Listened {
    Listened::with(ExecutionConfig { log_dir: Some(dir.path().to_owned()), ..Default::default() })
}

#[tokio::test]
async fn a_log_is_read_whole_or_from_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let engine = logging(&dir);
    let result = engine.run(shell("echo one; echo two >&2; echo three")).await.unwrap();
    let log = engine.read_logs(result.id).await.unwrap();
    for line in ["one", "two", "three"] {
        assert!(log.contains(line), "{line} is missing in {log:?}");
    }
    let path = engine.get_log_path(result.id).unwrap().expect("it has a log");
    assert_eq!(result.log_path.as_ref(), Some(&path));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), log);
    assert_eq!(engine.read_logs_tail(result.id, 6).await.unwrap(), log[log.len() - 6..]);
    engine.finish().await;
}

#[tokio::test]
async fn a_log_is_read_while_its_command_runs() {
    let dir = tempfile::tempdir().unwrap();
    let engine = logging(&dir);
    let id = engine.start(shell("echo ready; sleep 60"), ExecutionOptions::default()).await;
    soon("the line in the log", async {
        while !engine.read_logs(id).await.is_ok_and(|log| log.contains("ready")) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    engine.finish().await;
}

#[tokio::test]
async fn what_has_no_log_says_so() {
    let engine = Listened::new();
    let result = engine.run(brief()).await.unwrap();
    assert_refused(engine.read_logs(result.id).await, ErrorCode::LogNotFound);
    assert_refused(engine.read_logs(Uuid::new_v4()).await, ErrorCode::NotFound);
    assert_eq!(engine.get_log_path(result.id).unwrap(), None);
    engine.finish().await;
}
