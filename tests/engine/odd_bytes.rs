//! Bytes stay bytes; text reads as text.

use execution_engine::types::{Stdin, Stream};

use crate::common::*;

/// Runs `cat`, fed with these bytes.
async fn copied(engine: &Listened, bytes: Vec<u8>) -> Arc<ExecutionResult> {
    let options = ExecutionOptions { stdin: Stdin::Bytes(bytes), ..Default::default() };
    soon("cat", engine.run_with(exec::<&str>("cat", &[]), options)).await.unwrap()
}

#[tokio::test]
async fn invalid_utf8_is_replaced_in_text_and_kept_in_bytes() {
    let engine = Listened::new();
    let result = engine.run(shell(r"printf 'a\377b\n'; printf '\303\050\n' >&2")).await.unwrap();
    assert_completed(&result);
    assert_eq!((result.stdout.raw(), &*result.stdout), (&b"a\xffb\n"[..], "a\u{fffd}b\n"));
    assert_eq!((result.stderr.raw(), &*result.stderr), (&b"\xc3(\n"[..], "\u{fffd}(\n"));
    assert_eq!(engine.recorder.lines(result.id, Stream::Stdout), ["a\u{fffd}b"]);
    assert_eq!(engine.recorder.lines(result.id, Stream::Stderr), ["\u{fffd}("]);
    engine.finish().await;
}

/// Half of it is there when the unfinished line is shown: that half is held back.
#[tokio::test]
async fn a_character_split_across_writes_stays_whole() {
    let engine = Listened::new();
    let dir = scratch();
    let go = dir.path().join("go");
    let wait = format!("while [ ! -e '{}' ]; do sleep 0.01; done", go.display());
    let line = format!(r"printf 'x\342'; sleep 0.01; printf '\202'; {wait}; printf '\254y\n'");
    let id = engine.execute(shell(line)).await.unwrap();
    engine.recorder.saw_line(id, "x").await;
    std::fs::write(go, "").unwrap();
    let result = soon("the end", engine.wait_for_completion(id)).await.unwrap();
    assert_completed(&result);
    assert_eq!(result.stdout, "x€y\n");
    let pieces = engine.recorder.pieces(id, Stream::Stdout);
    let reported: Vec<_> = pieces.iter().map(|piece| (piece.line.as_str(), piece.partial)).collect();
    assert_eq!(reported, [("x", true), ("€y", false)]);
    engine.finish().await;
}

#[tokio::test]
async fn a_character_that_never_ends_is_replaced() {
    let engine = Listened::new();
    let result = engine.run(shell(r"printf 'x\342\202'")).await.unwrap();
    assert_completed(&result);
    assert_eq!(result.stdout.raw(), b"x\xe2\x82");
    assert_eq!(engine.recorder.lines(result.id, Stream::Stdout), ["x\u{fffd}"]);
    engine.finish().await;
}

#[tokio::test]
async fn a_nul_is_a_character_like_any_other() {
    let engine = Listened::new();
    let result = engine.run(shell(r"printf 'a\000b\n\000'")).await.unwrap();
    assert_completed(&result);
    assert_eq!(result.stdout, "a\0b\n\0");
    assert_eq!(engine.recorder.lines(result.id, Stream::Stdout), ["a\0b", "\0"]);
    engine.finish().await;
}

#[tokio::test]
async fn every_byte_comes_back_as_it_was() {
    let engine = Listened::new();
    let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(300_000).collect();
    let result = copied(&engine, bytes.clone()).await;
    assert_completed(&result);
    assert!(result.stdout.raw() == bytes, "{} bytes came back", result.stdout.raw().len());
    assert_eq!(result.stdout_bytes, 300_000);
    engine.finish().await;
}
