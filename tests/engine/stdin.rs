//! The input that a child reads.

use std::process;

use execution_engine::types::{Stdin, StdinClosed, StdinStream, StdinWriter};

use crate::common::*;

async fn run_with_input(engine: &Listened, request: ExecutionRequest, bytes: Vec<u8>) -> Arc<ExecutionResult> {
    let options = ExecutionOptions { stdin: Stdin::Bytes(bytes), ..Default::default() };
    soon("the end", engine.run_with(request, options)).await.unwrap()
}

#[tokio::test]
async fn by_default_a_child_is_at_the_end_of_its_input_at_once() {
    let engine = Listened::new();
    let result = soon("cat", engine.run(exec::<&str>("cat", &[]))).await.unwrap();
    assert_completed(&result);
    assert_eq!(result.stdout_bytes, 0);
    engine.finish().await;
}

#[tokio::test]
async fn input_larger_than_a_pipe_arrives_whole() {
    let engine = Listened::new();
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    let result = run_with_input(&engine, exec::<&str>("cat", &[]), bytes.clone()).await;
    assert_completed(&result);
    assert!(result.stdout.raw() == bytes, "{} of {} bytes came back", result.stdout_bytes, bytes.len());
    engine.finish().await;
}

#[tokio::test]
async fn input_ends_where_it_ends() {
    let engine = Listened::new();
    for input in ["", "one line\n", "no line end"] {
        let result = run_with_input(&engine, exec::<&str>("cat", &[]), input.into()).await;
        assert_completed(&result);
        assert_eq!(result.stdout, input);
    }
    engine.finish().await;
}

#[tokio::test]
async fn a_child_that_does_not_read_its_input_is_not_harmed() {
    let engine = Listened::new();
    let lines = ["true", "exec 0<&-; echo closed", "head -c 3", "sleep 0.1", "exec 0<&-; sleep 0.1; echo late"];
    for line in lines {
        let result = run_with_input(&engine, shell(line), vec![b'x'; 1_000_000]).await;
        assert_completed(&result);
    }
    engine.finish().await;
}

#[tokio::test]
async fn a_child_that_waits_with_its_input_unread_can_be_ended() {
    let engine = Listened::new();
    let options = ExecutionOptions { stdin: Stdin::Bytes(vec![b'x'; 1_000_000]), ..Default::default() };
    let id = engine.start(endless_after(":"), options.clone()).await;
    soon("the cancel", engine.cancel(id)).await.unwrap();
    assert_cancelled(&engine.get_result(id).await.unwrap());
    let request = ExecutionRequest { timeout_ms: Some(200), ..endless() };
    assert_timed_out(&soon("the timeout", engine.run_with(request, options)).await.unwrap(), Reason::Timeout);
    engine.finish().await;
}

/// Returns a command and the writer of its input.
async fn fed(engine: &Listened, request: ExecutionRequest) -> (Uuid, StdinWriter) {
    let (writer, stdin) = StdinStream::channel();
    let options = ExecutionOptions { stdin, ..Default::default() };
    (engine.execute_with(request, options).await.unwrap(), writer)
}

#[tokio::test]
async fn what_is_written_bit_by_bit_arrives_as_it_is_written() {
    let engine = Listened::new();
    let (id, mut writer) = fed(&engine, exec::<&str>("cat", &[])).await;
    // The answer to one is there before the next is written.
    for line in ["one", "", "three", "é"] {
        soon("the write", writer.write(format!("{line}\n"))).await.unwrap();
        engine.recorder.saw_line(id, line).await;
    }
    soon("no bytes at all", writer.write("")).await.unwrap();
    soon("a NUL", writer.write([0])).await.unwrap();
    drop(writer);
    let result = soon("cat", engine.wait_for_completion(id)).await.unwrap();
    assert_completed(&result);
    assert_eq!(result.stdout, "one\n\nthree\né\n\0");
    engine.finish().await;
}

#[tokio::test]
async fn much_that_is_written_bit_by_bit_arrives_whole() {
    let engine = Listened::new();
    let (id, mut writer) = fed(&engine, exec::<&str>("cat", &[])).await;
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    let mut rest = &bytes[..];
    let mut size = 0;
    while !rest.is_empty() {
        size = (size * 7 + 1) % 200_000;
        let (chunk, after) = rest.split_at(size.min(rest.len()));
        soon("the write", writer.write(chunk)).await.unwrap();
        rest = after;
    }
    drop(writer);
    let result = soon("cat", engine.wait_for_completion(id)).await.unwrap();
    assert!(result.stdout.raw() == bytes, "{} of {} bytes came back", result.stdout_bytes, bytes.len());
    engine.finish().await;
}

#[tokio::test]
async fn a_writer_goes_at_the_pace_of_the_child() {
    let engine = Listened::new();
    let dir = scratch();
    let go = dir.path().join("go");
    let line = format!("echo ready; while [ ! -e '{}' ]; do sleep 0.01; done; exec wc -c", go.display());
    let (id, mut writer) = fed(&engine, shell(line)).await;
    engine.recorder.saw_line(id, "ready").await;
    let written = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = Arc::clone(&written);
    let writing = tokio::spawn(async move {
        for _ in 0..64 {
            writer.write(vec![b'x'; 65_536]).await.unwrap();
            count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    });
    let taken = || written.load(std::sync::atomic::Ordering::Relaxed);
    wait_until("the pipe is filled", || taken() > 0).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    // This is what a pipe holds (64 KiB; 1 MiB at most), and one more chunk that is being written.
    assert!(taken() <= 17, "{} chunks were taken of a child that reads none", taken());
    std::fs::write(go, "").unwrap();
    soon("the rest", writing).await.unwrap();
    let result = soon("wc", engine.wait_for_completion(id)).await.unwrap();
    assert_eq!(result.stdout, format!("ready\n{}\n", 64 * 65_536));
    engine.finish().await;
}

/// This holds while nothing is written, too, and however the child stops reading.
#[tokio::test]
async fn a_writer_learns_that_its_child_does_not_read() {
    let engine = Listened::new();
    let lines =
        ["true", "exec 0<&-; echo closed; exec sleep 1000", "head -c 3 >&2; exec 0<&-; sleep 0.2", "kill -9 $$"];
    for line in lines {
        let (id, mut writer) = fed(&engine, shell(line)).await;
        while soon("the write", writer.write("xyz")).await.is_ok() {}
        soon("the news", writer.closed()).await;
        assert_eq!(writer.write("late").await, Err(StdinClosed));
        if line.contains("1000") {
            engine.recorder.saw_line(id, "closed").await;
            soon("the cancel", engine.cancel(id)).await.unwrap();
        }
        let result = soon("the end", engine.wait_for_completion(id)).await.unwrap();
        assert!(result.error.is_none(), "{result:#?}");
    }
    engine.finish().await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_child_that_closes_its_input_is_noticed_with_nothing_to_write() {
    let engine = Listened::new();
    let (id, writer) = fed(&engine, shell("echo ready; exec 0<&-; exec sleep 1000")).await;
    engine.recorder.saw_line(id, "ready").await;
    soon("the news", writer.closed()).await;
    assert_eq!(engine.get_status(id).await.unwrap(), ExecutionStatus::Running);
    soon("the cancel", engine.cancel(id)).await.unwrap();
    engine.finish().await;
}

#[tokio::test]
async fn a_writer_that_writes_nothing_delays_no_execution() {
    let engine = Listened::new();
    let (id, writer) = fed(&engine, shell("exit 3")).await;
    assert_exited(&soon("the end", engine.wait_for_completion(id)).await.unwrap(), 3);
    soon("the news", writer.closed()).await;
    let request = ExecutionRequest { timeout_ms: Some(100), ..exec::<&str>("cat", &[]) };
    let (id, writer) = fed(&engine, request).await;
    assert_timed_out(&soon("the timeout", engine.wait_for_completion(id)).await.unwrap(), Reason::Timeout);
    soon("the news", writer.closed()).await;
    engine.finish().await;
}

#[tokio::test]
async fn a_writer_learns_that_its_command_never_ran() {
    let engine = Listened::with_slots(1);
    let busy = engine.start(endless_after(":"), ExecutionOptions::default()).await;
    let (id, writer) = fed(&engine, exec::<&str>("cat", &[])).await;
    soon("the cancel", engine.cancel(id)).await.unwrap();
    soon("the news", writer.closed()).await;
    soon("the cancel", engine.cancel(busy)).await.unwrap();
    let (missing, writer) = fed(&engine, exec::<&str>("/no/such/program", &[])).await;
    assert_refused(soon("the end", engine.wait_for_completion(missing)).await, ErrorCode::SpawnFailed);
    soon("the news", writer.closed()).await;
    engine.finish().await;
}

/// The command would process incomplete input: it is ended, and does not see an end of the file before that.
#[tokio::test]
async fn an_input_that_fails_ends_its_command() {
    let engine = Listened::new();
    let line = "trap '' TERM; while read line; do echo got $line; done; echo whole; sleep 1000";
    let (writer, stdin) = StdinStream::channel();
    let mut writer = writer;
    let options = ExecutionOptions { stdin, kill_grace_ms: Some(300), ..Default::default() };
    let id = engine.execute_with(shell(line), options).await.unwrap();
    writer.write("a part\n").await.unwrap();
    engine.recorder.saw_line(id, "got a part").await;
    writer.fail("the disk is gone");
    let error = assert_refused(soon("the end", engine.wait_for_completion(id)).await, ErrorCode::InvalidRequest);
    assert_eq!((error.field(), error.execution_id()), (Some("options.stdin"), Some(id)));
    assert!(error.to_string().contains("the disk is gone"), "{error}");
    let result = error.result().expect("the error carries the result");
    assert_ended(result, ExecutionStatus::Cancelled, Reason::Aborted);
    assert_eq!(result.stdout, "got a part\n", "it has not met an end of its input");
    assert_eq!(result.signal.as_deref(), Some("SIGKILL"));
    engine.finish().await;
}

#[tokio::test]
async fn an_input_that_fails_while_its_child_reads_nothing_ends_it_too() {
    let engine = Listened::new();
    let (id, mut writer) = fed(&engine, endless_after(":")).await;
    writer.write(vec![b'x'; 2_000_000]).await.unwrap();
    engine.recorder.saw_line(id, "ready").await;
    writer.fail("the disk is gone");
    assert_refused(soon("the end", engine.wait_for_completion(id)).await, ErrorCode::InvalidRequest);
    engine.finish().await;
}

#[tokio::test]
async fn an_input_that_fails_too_late_changes_nothing() {
    let engine = Listened::new();
    let (id, writer) = fed(&engine, shell("exec 0<&-; echo done")).await;
    assert_completed(&soon("the end", engine.wait_for_completion(id)).await.unwrap());
    writer.fail("no reader");
    assert_completed(&engine.get_result(id).await.unwrap());
    engine.finish().await;
}

/// The host is a process of its own here, with an input that it is given.
#[test]
fn an_inherited_input_is_the_hosts() {
    let dir = scratch();
    let file = write_file(&dir.path().join("input"), "from the host\n", 0o600);
    let feed = |host: &mut process::Command| {
        host.stdin(std::fs::File::open(&file).unwrap());
    };
    alone_after(feed, || {
        block_on(async {
            let engine = Listened::new();
            let options = ExecutionOptions { stdin: Stdin::Inherit, ..Default::default() };
            let result = soon("cat", engine.run_with(exec::<&str>("cat", &[]), options)).await.unwrap();
            assert_eq!(result.stdout, "from the host\n");
            engine.finish().await;
        });
    });
}
