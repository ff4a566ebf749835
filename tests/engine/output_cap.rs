//! The part of too much output that a result keeps.

use execution_engine::TruncateKeep;
use execution_engine::types::{Stdin, Text};

use crate::common::*;

const CAP: usize = 1_000;

fn capped(keep: TruncateKeep) -> Listened {
    Listened::with(ExecutionConfig { max_output_size_bytes: CAP, truncate_keep: keep, ..Default::default() })
}

/// Returns the stream that comes back when these bytes were written to it.
async fn written(engine: &Listened, bytes: &[u8]) -> Arc<ExecutionResult> {
    let options = ExecutionOptions { stdin: Stdin::Bytes(bytes.to_vec()), ..Default::default() };
    let result = soon("cat", engine.run_with(exec::<&str>("cat", &[]), options)).await.unwrap();
    assert_completed(&result);
    assert_eq!(result.stdout_bytes, bytes.len() as u64, "what was written is counted in full");
    result
}

/// Returns the text before the marker, the numbers of the marker, and the text after it.
fn parts(text: &Text) -> (&str, u64, u64, &str) {
    let (head, rest) = text.split_once("\n[... output truncated: ").expect("there is a marker");
    let (numbers, tail) = rest.split_once(" bytes omitted ...]\n").expect("the marker ends");
    let (omitted, total) = numbers.split_once(" of ").expect("the marker has two numbers");
    (head, omitted.parse().unwrap(), total.parse().unwrap(), tail)
}

#[tokio::test]
async fn output_up_to_the_cap_is_whole() {
    let engine = capped(TruncateKeep::Both);
    for length in [0, 1, CAP - 1, CAP] {
        let bytes = vec![b'x'; length];
        let result = written(&engine, &bytes).await;
        assert!(!result.stdout_truncated, "{length} bytes");
        assert!(result.stdout.raw() == bytes, "{length} bytes");
    }
    engine.finish().await;
}

#[tokio::test]
async fn one_byte_above_the_cap_is_truncated_and_every_byte_accounted_for() {
    let bytes: Vec<u8> = (0..=CAP).map(|i| b'a' + u8::try_from(i % 26).unwrap()).collect();
    let whole = std::str::from_utf8(&bytes).unwrap();
    for (keep, head, tail) in
        [(TruncateKeep::Both, CAP / 2, CAP / 2), (TruncateKeep::Head, CAP, 0), (TruncateKeep::Tail, 0, CAP)]
    {
        let engine = capped(keep);
        let result = written(&engine, &bytes).await;
        assert!(result.stdout_truncated && !result.stderr_truncated);
        assert_eq!(
            parts(&result.stdout),
            (&whole[..head], 1, CAP as u64 + 1, &whole[bytes.len() - tail..]),
            "{keep:?}"
        );
        engine.finish().await;
    }
}

#[tokio::test]
async fn no_character_is_split_by_the_cap() {
    let engine = capped(TruncateKeep::Both);
    for shift in 0..4 {
        let text = format!("{}{}", "x".repeat(shift), "€".repeat(CAP));
        let result = written(&engine, text.as_bytes()).await;
        let (head, omitted, total, tail) = parts(&result.stdout);
        assert_eq!((head.len() + tail.len()) as u64 + omitted, total, "kept and omitted are all there was");
        assert!(!result.stdout.contains('\u{fffd}'), "a character was split");
        assert!(head.len() + tail.len() > CAP - 6, "no more than the split characters are missing");
        assert!(text.starts_with(head) && text.ends_with(tail));
    }
    engine.finish().await;
}

#[tokio::test]
async fn each_stream_has_a_cap_of_its_own() {
    let engine = capped(TruncateKeep::Head);
    let result = engine.run(shell("printf %01000d 1; printf %02000d 1 >&2")).await.unwrap();
    assert_completed(&result);
    assert!(!result.stdout_truncated && result.stderr_truncated);
    assert_eq!((result.stdout_bytes, result.stderr_bytes), (1_000, 2_000));
    engine.finish().await;
}

#[tokio::test]
async fn a_child_far_above_the_cap_is_read_to_its_end() {
    let engine = Listened::with(ExecutionConfig { max_output_size_bytes: 0, ..Default::default() });
    let result = soon("the end", engine.run(exec("head", &["-c", "20000000", "/dev/zero"]))).await.unwrap();
    assert_completed(&result);
    assert_eq!(result.stdout_bytes, 20_000_000);
    assert_eq!(parts(&result.stdout), ("", 20_000_000, 20_000_000, ""));
    engine.finish().await;
}
