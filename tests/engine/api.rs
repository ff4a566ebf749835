//! Short forms of the Rust API.

use std::collections::HashMap;
use std::path::Path;

use execution_engine::{ExecutionFilter, UNSET};

use crate::common::*;

#[test]
fn commands_are_written_in_short() {
    let program = "git".to_owned();
    let args = vec!["-C".to_owned(), "/srv".to_owned(), "log".to_owned()];
    assert_eq!(Command::exec("git").arg("-C").arg(Path::new("/srv")).args(["log"]), Command::Exec { program, args });
    assert_eq!(Command::shell("a | b"), Command::Shell { command: "a | b".into(), shell: String::new() });
    let script = Command::Script { path: "run.py".into(), interpreter: None, args: vec!["x".into()] };
    assert_eq!(Command::script("run.py").arg("x"), script);
    let command = Command::aws("s3", "ls").arg("--summarize");
    assert!(matches!(command, Command::AwsCli { service, args, .. } if service == "s3" && args == ["--summarize"]));
}

#[test]
#[should_panic(expected = "a line for a shell has no arguments")]
fn a_line_for_a_shell_takes_no_arguments() {
    let _ = Command::shell("ls").arg("-l");
}

#[test]
fn a_request_is_written_in_short() {
    let id = Uuid::new_v4();
    let request = ExecutionRequest::new(Command::exec("env"))
        .id(id)
        .env("A", "1")
        .envs([("B", "2"), ("C", "3")])
        .env_remove("HOME")
        .working_dir("/")
        .timeout(Duration::from_micros(1_500))
        .label("all");
    let env = [("A", "1"), ("B", "2"), ("C", "3"), ("HOME", UNSET)];
    let env: HashMap<_, _> = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    assert_eq!((request.id, &request.env), (id, &env));
    assert_eq!(request.working_dir.as_deref(), Some(Path::new("/")));
    assert_eq!(request.timeout_ms, Some(2), "a part of a millisecond counts as one");
    assert_eq!(request.metadata.label.as_deref(), Some("all"));
}

#[cfg(unix)]
#[tokio::test]
async fn an_argument_that_is_not_utf_8_is_refused() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let engine = Listened::new();
    let command = Command::exec("echo").arg("a").arg(OsStr::from_bytes(b"\xff"));
    assert_field_refused(engine.execute(command.into()).await, ErrorCode::InvalidRequest, "command.args[1]");
    engine.finish().await;
}

#[tokio::test]
async fn what_did_not_complete_is_an_error_on_demand() {
    let engine = Listened::new();
    assert!(engine.run(shell("echo fine")).await.unwrap().into_success().is_ok());
    for (line, text) in
        [("exit 3", "the command exited with code 3"), ("kill -9 $$", "the command was ended by SIGKILL")]
    {
        let error = engine.run(shell(line)).await.unwrap().into_success().unwrap_err();
        assert_eq!((error.to_string().as_str(), error.result.success), (text, false));
    }
    let options = ExecutionOptions::default();
    let late = engine.run_with(shell("sleep 60").timeout(Duration::from_millis(50)), options).await.unwrap();
    assert_eq!(late.into_success().unwrap_err().to_string(), "the command did not complete: timeout (timeout)");
    engine.finish().await;
}

#[tokio::test]
async fn no_debug_text_has_output() {
    let engine = Listened::new();
    let result = engine.run(shell("printf '%s%s' priv ate")).await.unwrap();
    assert!(format!("{result:?}").contains("stdout: <7 bytes>"), "{result:?}");
    let missing = engine.run(exec::<&str>("/no/such", &[])).await.unwrap_err();
    for text in [format!("{result:#?}"), format!("{:?}", engine.recorder.all()), format!("{missing:?}")] {
        assert!(!text.contains("private"), "{text}");
    }
    engine.finish().await;
}

#[tokio::test]
async fn results_events_and_listings_cross_as_json_both_ways() {
    let engine = Listened::new();
    let result = engine.run(shell("echo a line; exit 2").label("one")).await.unwrap();
    let json = serde_json::to_string(&result).unwrap();
    assert_eq!(serde_json::from_str::<ExecutionResult>(&json).unwrap(), *result);
    for event in engine.recorder.all() {
        let json = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<ExecutionEvent>(&json).unwrap(), event);
    }
    engine.finish().await;
}

#[tokio::test]
async fn an_error_crosses_as_json_without_output() {
    let engine = Listened::new();
    let error = engine.run(exec::<&str>("/no/such", &[])).await.unwrap_err();
    let json = serde_json::to_value(&error).unwrap();
    assert_eq!((&json["code"], &json["errno"]), (&"SPAWN_FAILED".into(), &"ENOENT".into()));
    assert_eq!(json["message"], error.to_string());
    assert_eq!(json.as_object().unwrap().len(), 5, "{json}");
    let json = serde_json::to_value(engine.run(shell("")).await.unwrap_err()).unwrap();
    assert_eq!(json["field"], "command.command");
    engine.finish().await;
}

#[tokio::test]
async fn what_never_waits_needs_no_future() {
    let engine = Listened::new();
    let id = engine.start(shell("echo ready; sleep 60"), ExecutionOptions::default()).await;
    assert_eq!(engine.status(id).unwrap(), ExecutionStatus::Running);
    assert_refused(engine.result(id), ErrorCode::NotCompleted);
    assert_eq!(engine.list(&ExecutionFilter::default()).len(), 1);
    engine.cancel(id).await.unwrap();
    assert_cancelled(&engine.result(id).unwrap());
    assert_eq!(engine.stats().cancelled, 1);
    engine.finish().await;
}
