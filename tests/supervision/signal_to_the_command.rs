//! `signal` sends a signal to the command itself, and ends nothing by that.

use crate::common::*;

#[tokio::test]
async fn the_command_handles_it_and_completes() {
    let (engine, dir) = (Listened::new(), scratch());
    let go = dir.path().join("go");
    let line = format!("trap 'echo got it' USR1; echo ready; while [ ! -e '{}' ]; do sleep 0.02; done", go.display());
    let id = engine.start(shell(line), ExecutionOptions::default()).await;
    assert!(engine.signal(id, "SIGUSR1").unwrap());
    engine.recorder.saw_line(id, "got it").await;
    write_file(&go, "", 0o644);
    assert_completed(&soon("the end", engine.wait_for_completion(id)).await.unwrap());
    assert!(!engine.signal(id, "SIGUSR1").unwrap(), "it has ended");
    engine.finish().await;
}

#[tokio::test]
async fn sigstop_stops_it_and_sigcont_lets_it_go_on() {
    let engine = Listened::new();
    let id = engine.start(endless_after(":"), ExecutionOptions::default()).await;
    let pid = engine.recorder.started(id).await;
    assert!(engine.signal(id, "SIGSTOP").unwrap());
    wait_until("it is stopped", || state(pid) == Some('T')).await;
    assert!(engine.signal(id, "SIGCONT").unwrap());
    wait_until("it continues", || state(pid) != Some('T')).await;
    soon("the cancel", engine.cancel(id)).await.unwrap();
    engine.finish().await;
}

#[tokio::test]
async fn one_that_has_exited_gets_none_while_its_output_is_drained() {
    let engine = Listened::new();
    let id = engine.start(shell("echo ready; sleep 3 & exit 0"), ExecutionOptions::default()).await;
    let pid = engine.recorder.started(id).await;
    wait_until("it has exited", || state(pid).is_none_or(|state| state == 'Z')).await;
    assert!(!engine.signal(id, "SIGUSR1").unwrap());
    assert_completed(&soon("the end", engine.wait_for_completion(id)).await.unwrap());
    engine.finish().await;
}

#[tokio::test]
async fn one_that_waits_has_no_process() {
    let engine = Listened::with_slots(1);
    let first = engine.start(endless_after(":"), ExecutionOptions::default()).await;
    let id = engine.execute(brief()).await.unwrap();
    assert!(!engine.signal(id, "SIGKILL").unwrap());
    soon("the cancel", engine.cancel(first)).await.unwrap();
    assert_completed(&soon("its turn", engine.wait_for_completion(id)).await.unwrap());
    engine.finish().await;
}

#[tokio::test]
async fn a_name_that_is_none_and_an_unknown_id_are_refused() {
    let engine = Listened::new();
    assert_refused(engine.signal(Uuid::new_v4(), "SIGUSR1"), ErrorCode::NotFound);
    let id = engine.start(endless_after(":"), ExecutionOptions::default()).await;
    for name in ["SIGTREM", "sigterm", "TERM", "", "15"] {
        assert_field_refused(engine.signal(id, name), ErrorCode::InvalidRequest, "signal");
    }
    assert_eq!(engine.get_status(id).await.unwrap(), ExecutionStatus::Running);
    soon("the cancel", engine.cancel(id)).await.unwrap();
    engine.finish().await;
}
