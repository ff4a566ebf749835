//! Of three things that may be missing, the error names the one that is.

use crate::common::*;

#[tokio::test]
async fn a_missing_program_is_named() {
    let engine = Listened::new();
    assert_not_spawned(engine.run(exec::<&str>("/nope/tool", &[])).await, "ENOENT", &["program", "/nope/tool"]);
    assert_not_spawned(
        engine.run(exec::<&str>("no-such-tool-anywhere", &[])).await,
        "ENOENT",
        &["program", "no-such-tool-anywhere", "PATH"],
    );
    let shell = Command::Shell { command: "echo hi".into(), shell: "/nope/sh".into() };
    assert_not_spawned(engine.run(shell.into()).await, "ENOENT", &["/nope/sh"]);
    engine.finish().await;
}

#[tokio::test]
async fn a_missing_directory_is_named_even_if_the_program_is_missing_too() {
    let engine = Listened::new();
    for command in [brief(), exec::<&str>("/nope/tool", &[])] {
        let request = ExecutionRequest { working_dir: Some("/nope/dir".into()), ..command };
        assert_not_spawned(engine.run(request).await, "ENOENT", &["working directory", "/nope/dir"]);
    }
    let request = ExecutionRequest { working_dir: Some("/etc/passwd".into()), ..brief() };
    assert_not_spawned(engine.run(request).await, "ENOTDIR", &["working directory", "not a directory"]);
    engine.finish().await;
}

#[tokio::test]
async fn a_missing_interpreter_is_named() {
    let engine = Listened::new();
    let dir = scratch();
    let path = executable(&dir.path().join("tool"), "#!/nope/interpreter -x\necho hi\n");
    for request in [program(&path), script(&path)] {
        assert_not_spawned(engine.run(request).await, "ENOENT", &["interpreter", "/nope/interpreter", "tool"]);
    }
    let named = Command::Script { path, interpreter: Some("no-such-interpreter".into()), args: vec![] };
    assert_not_spawned(engine.run(named.into()).await, "ENOENT", &["interpreter", "no-such-interpreter"]);
    engine.finish().await;
}

#[tokio::test]
async fn a_carriage_return_in_the_shebang_is_named_in_the_error() {
    let engine = Listened::new();
    let dir = scratch();
    let path = executable(&dir.path().join("tool.sh"), "#!/bin/sh\r\necho hi\r\n");
    for request in [program(&path), script(&path)] {
        assert_not_spawned(engine.run(request).await, "ENOENT", &["interpreter", "carriage return"]);
    }
    engine.finish().await;
}

#[tokio::test]
async fn a_missing_script_is_named() {
    let engine = Listened::new();
    assert_not_spawned(engine.run(script("/nope/x.sh")).await, "ENOENT", &["script", "/nope/x.sh"]);
    engine.finish().await;
}

#[tokio::test]
async fn a_program_that_env_cannot_find_is_the_commands_own_failure() {
    let engine = Listened::new();
    let dir = scratch();
    let path = executable(&dir.path().join("tool"), "#!/usr/bin/env no-such-interpreter\n");
    assert_exited(&engine.run(program(&path)).await.unwrap(), 127);
    engine.finish().await;
}

#[tokio::test]
async fn what_was_not_spawned_is_recorded_like_any_other() {
    let engine = Listened::new();
    let id = engine.execute(exec::<&str>("/nope", &[])).await.unwrap();
    let error = assert_refused(engine.wait_for_completion(id).await, ErrorCode::SpawnFailed);
    assert_eq!(error.execution_id(), Some(id));
    assert_eq!(&engine.get_result(id).await.unwrap(), error.result().unwrap());
    assert_eq!(engine.get_status(id).await.unwrap(), ExecutionStatus::Failed);
    let events = engine.recorder.of(id);
    let [ExecutionEvent::Failed { error, .. }] = &events[..] else { panic!("{events:#?}") };
    assert_eq!(error.as_ref().map(|error| error.code), Some(ErrorCode::SpawnFailed));
    engine.finish().await;
}
