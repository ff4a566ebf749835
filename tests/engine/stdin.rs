//! What a child reads.

use std::process;

use execution_engine::types::Stdin;

use crate::common::*;

async fn run_with_input(engine: &Listened, request: ExecutionRequest, bytes: Vec<u8>) -> Arc<ExecutionResult> {
    let options = ExecutionOptions { stdin: Stdin::Bytes(bytes), ..Default::default() };
    soon("the end", engine.run_with(request, options)).await.unwrap()
}

#[tokio::test]
async fn f49_by_default_a_child_is_at_the_end_of_its_input_at_once() {
    let engine = Listened::new();
    let result = soon("cat", engine.run(exec::<&str>("cat", &[]))).await.unwrap();
    assert_completed(&result);
    assert_eq!(result.stdout_bytes, 0);
    engine.finish().await;
}

#[tokio::test]
async fn f49_input_larger_than_a_pipe_arrives_whole() {
    let engine = Listened::new();
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    let result = run_with_input(&engine, exec::<&str>("cat", &[]), bytes.clone()).await;
    assert_completed(&result);
    assert!(result.stdout.raw() == bytes, "{} of {} bytes came back", result.stdout_bytes, bytes.len());
    engine.finish().await;
}

#[tokio::test]
async fn f49_input_ends_where_it_ends() {
    let engine = Listened::new();
    for input in ["", "one line\n", "no line end"] {
        let result = run_with_input(&engine, exec::<&str>("cat", &[]), input.into()).await;
        assert_completed(&result);
        assert_eq!(result.stdout, input);
    }
    engine.finish().await;
}

#[tokio::test]
async fn f49_a_child_that_does_not_read_its_input_is_not_harmed() {
    let engine = Listened::new();
    let lines = ["true", "exec 0<&-; echo closed", "head -c 3", "sleep 0.1", "exec 0<&-; sleep 0.1; echo late"];
    for line in lines {
        let result = run_with_input(&engine, shell(line), vec![b'x'; 1_000_000]).await;
        assert_completed(&result);
    }
    engine.finish().await;
}

#[tokio::test]
async fn f49_a_child_that_waits_with_its_input_unread_can_be_ended() {
    let engine = Listened::new();
    let options = ExecutionOptions { stdin: Stdin::Bytes(vec![b'x'; 1_000_000]), ..Default::default() };
    let id = engine.start(endless_after(":"), options.clone()).await;
    soon("the cancel", engine.cancel(id)).await.unwrap();
    assert_cancelled(&engine.get_result(id).await.unwrap());
    let request = ExecutionRequest { timeout_ms: Some(200), ..endless() };
    assert_timed_out(&soon("the timeout", engine.run_with(request, options)).await.unwrap(), Reason::Timeout);
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
