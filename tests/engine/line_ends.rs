//! The ends of lines.

use execution_engine::types::{Stdin, Stream};

use crate::common::*;

#[tokio::test]
async fn each_line_end_is_reported_with_its_flags() {
    let engine = Listened::new();
    let mut tries = 0;
    let pieces = loop {
        let result = engine.run(shell(r"printf 'unix\nwindows\r\n50%%\r100%%\r\n\n\nno end'")).await.unwrap();
        assert_completed(&result);
        assert_eq!(result.stdout, "unix\nwindows\r\n50%\r100%\r\n\n\nno end", "the result is what was written");
        let pieces = engine.recorder.pieces(result.id, Stream::Stdout);
        tries += 1;
        // On a busy machine the command may pause before it exits; then its last line is shown before its end.
        if tries == 10 || pieces.iter().all(|it| !it.partial) {
            break pieces;
        }
    };
    let reported: Vec<_> = pieces.iter().map(|it| (it.line.as_str(), it.carriage_return)).collect();
    let expected = [
        ("unix", false),
        ("windows", false),
        ("50%", true),
        ("100%", false),
        ("", false),
        ("", false),
        ("no end", false),
    ];
    assert_eq!(reported, expected);
    assert!(pieces.iter().all(|it| !it.partial && !it.continued));
    engine.finish().await;
}

#[tokio::test]
async fn a_long_line_comes_in_pieces() {
    let engine = Listened::with(ExecutionConfig { max_line_bytes: 1_000, ..Default::default() });
    let long = format!("{}\nshort\n", "0123456789".repeat(20_050));
    let options = ExecutionOptions { stdin: Stdin::Bytes(long.clone().into_bytes()), ..Default::default() };
    let result = soon("cat", engine.run_with(exec::<&str>("cat", &[]), options)).await.unwrap();
    assert_completed(&result);
    assert_eq!(result.stdout, long);
    let pieces = engine.recorder.pieces(result.id, Stream::Stdout);
    assert!(pieces.iter().all(|it| it.line.len() <= 1_000), "a piece is too long");
    let (ends, continued): (Vec<_>, Vec<_>) = pieces.iter().partition(|it| !it.continued && !it.partial);
    assert_eq!(ends.len(), 2);
    assert!(continued.len() >= 200, "{}", continued.len());
    engine.finish().await;
}

#[tokio::test]
async fn a_prompt_is_shown_before_its_line_ends() {
    let engine = Listened::new();
    let dir = scratch();
    let answer = dir.path().join("answer");
    let line = format!("printf 'Name: '; while [ ! -e '{}' ]; do sleep 0.01; done; echo Bob", answer.display());
    let id = engine.execute(shell(line)).await.unwrap();
    engine.recorder.saw_line(id, "Name: ").await;
    assert!(engine.recorder.pieces(id, Stream::Stdout)[0].partial);
    std::fs::write(answer, "").unwrap();
    let result = soon("the end", engine.wait_for_completion(id)).await.unwrap();
    assert_completed(&result);
    assert_eq!(result.stdout, "Name: Bob\n");
    let pieces = engine.recorder.pieces(id, Stream::Stdout);
    let reported: Vec<_> = pieces.iter().map(|it| (it.line.as_str(), it.partial)).collect();
    assert_eq!(reported, [("Name: ", true), ("Bob", false)], "a piece is never repeated");
    engine.finish().await;
}

#[tokio::test]
async fn without_stream_output_there_are_no_line_events() {
    let engine = Listened::with(ExecutionConfig { stream_output: false, ..Default::default() });
    let result = engine.run(shell("echo out; echo err >&2")).await.unwrap();
    assert_completed(&result);
    assert_eq!((&*result.stdout, &*result.stderr), ("out\n", "err\n"));
    let events = engine.recorder.of(result.id);
    assert!(events.iter().all(|event| event.line().is_none()), "{events:#?}");
    assert_eq!(events.len(), 3, "started, exited, completed: {events:#?}");
    engine.finish().await;
}
