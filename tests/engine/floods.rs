//! Output that is written faster than it is read.

use execution_engine::types::{Stdin, Stream};

use crate::common::*;

const LINES: usize = 50_000;

fn numbers() -> Vec<String> {
    (1..=LINES).map(|number| number.to_string()).collect()
}

#[tokio::test]
async fn floods_on_both_streams_lose_nothing_and_keep_their_order() {
    let engine = Listened::new();
    let result =
        soon("the flood", engine.run(shell(format!("seq 1 {LINES} & seq 1 {LINES} >&2; wait")))).await.unwrap();
    assert_completed(&result);
    let whole = numbers().join("\n") + "\n";
    assert!(result.stdout == whole && result.stderr == whole, "the result has lost something");
    for stream in [Stream::Stdout, Stream::Stderr] {
        assert!(engine.recorder.lines(result.id, stream) == numbers(), "the events of {stream:?} have lost something");
    }
    engine.finish().await;
}

#[tokio::test]
async fn several_floods_at_once_do_not_mix() {
    let engine = Listened::with_slots(6);
    let mut floods = Vec::new();
    for name in ["a", "b", "c", "d", "e", "f"] {
        floods.push((name, engine.execute(shell(format!("seq -f {name}%.0f 1 5000"))).await.unwrap()));
    }
    for (name, id) in floods {
        let result = soon("the flood", engine.wait_for_completion(id)).await.unwrap();
        assert_completed(&result);
        let expected: Vec<_> = (1..=5_000).map(|number| format!("{name}{number}")).collect();
        assert!(engine.recorder.lines(id, Stream::Stdout) == expected, "flood {name} is not its own");
    }
    engine.finish().await;
}

#[tokio::test]
async fn merged_streams_keep_the_order_of_the_writes() {
    let engine = Listened::new();
    let line = "i=0; while [ $i -lt 1000 ]; do i=$((i+1)); echo out $i; echo err $i >&2; done";
    let options = ExecutionOptions { merge_output: Some(true), ..Default::default() };
    let result = soon("the writes", engine.run_with(shell(line), options)).await.unwrap();
    assert_completed(&result);
    let expected: Vec<_> = (1..=1_000).flat_map(|i| [format!("out {i}"), format!("err {i}")]).collect();
    assert_eq!(lines_of(&result.stdout), expected);
    assert_eq!(engine.recorder.lines(result.id, Stream::Stdout), expected);
    assert_eq!((&*result.stderr, result.stderr_bytes), ("", 0));
    engine.finish().await;
}

/// The same bytes go in and come out of a pipe that holds far less: neither side may wait for the other to finish.
#[tokio::test]
async fn a_flood_through_both_ends_of_a_filter_does_not_deadlock() {
    let engine = Listened::new();
    let bytes = numbers().join("\n").repeat(8).into_bytes();
    let options = ExecutionOptions { stdin: Stdin::Bytes(bytes.clone()), ..Default::default() };
    let result = soon("cat", engine.run_with(exec::<&str>("cat", &[]), options)).await.unwrap();
    assert_completed(&result);
    assert!(result.stdout.raw() == bytes, "{} of {} bytes came back", result.stdout_bytes, bytes.len());
    engine.finish().await;
}
