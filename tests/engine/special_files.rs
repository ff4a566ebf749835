//! FIFOs, devices and descriptors as scripts and programs: the host opens none of them.

use std::path::{Path, PathBuf};

use crate::common::*;

const TIMEOUT_MS: u64 = 300;

fn fifo(path: &Path) -> PathBuf {
    let status = std::process::Command::new("mkfifo").arg(path).status().expect("mkfifo");
    assert!(status.success());
    path.to_owned()
}

fn interpreted(path: impl Into<PathBuf>) -> ExecutionRequest {
    Command::Script { path: path.into(), interpreter: Some("/bin/sh".into()), args: Vec::new() }.into()
}

#[tokio::test]
async fn special_file_as_script_without_interpreter_is_refused_at_once() {
    let engine = Listened::new();
    let dir = scratch();
    let socket = dir.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let cases =
        [(fifo(&dir.path().join("fifo")), "a FIFO"), (socket, "a socket"), (PathBuf::from("/dev/null"), "a device")];
    for (path, what) in cases {
        let answer = within(Duration::from_secs(5), what, engine.run(script(&path))).await;
        assert_not_spawned(answer, "EACCES", &[what, "set `interpreter`", path.to_str().unwrap()]);
    }
    engine.finish().await;
}

#[tokio::test]
async fn fifo_as_script_with_interpreter_ends_by_its_timeout() {
    let engine = Listened::new();
    let dir = scratch();
    let request = ExecutionRequest { timeout_ms: Some(TIMEOUT_MS), ..interpreted(fifo(&dir.path().join("fifo"))) };
    let limit = Duration::from_millis(TIMEOUT_MS);
    let result = a_second_after(limit, "the timeout", engine.run(request)).await.unwrap();
    assert_timed_out(&result, Reason::Timeout);
    assert!(result.pid.is_some(), "the interpreter hangs, and not the engine");
    engine.finish().await;
}

#[tokio::test]
async fn fifo_as_program_is_refused_and_named() {
    let engine = Listened::new();
    let dir = scratch();
    let path = fifo(&dir.path().join("fifo"));
    assert_not_spawned(engine.run(program(&path)).await, "EACCES", &["a FIFO"]);
    engine.finish().await;
}

#[tokio::test]
async fn own_descriptor_as_script_without_interpreter_is_refused() {
    let engine = Listened::new();
    for path in ["/dev/stdin", "/dev/./stdin", "/dev/fd/0", "/proc/self/fd/0", "/proc/thread-self/fd/0"] {
        assert_not_spawned(engine.run(script(path)).await, "EACCES", &["descriptor", "set `interpreter`"]);
    }
    engine.finish().await;
}

#[tokio::test]
async fn own_descriptor_as_script_with_interpreter_is_that_of_the_child() {
    let engine = Listened::new();
    for path in ["/dev/stdin", "/dev/fd/0"] {
        let stdin = execution_engine::types::Stdin::Bytes(b"echo from the input".to_vec());
        let options = ExecutionOptions { stdin, ..Default::default() };
        let result = soon("the script", engine.run_with(interpreted(path), options)).await.unwrap();
        assert_completed(&result);
        assert_eq!(result.stdout, "from the input\n");
    }
    engine.finish().await;
}
