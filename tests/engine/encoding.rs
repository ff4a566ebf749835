//! Text or bytes: in Rust output can be read as both, and reports the encoding that was requested.

use execution_engine::Encoding;
use execution_engine::types::Stream;

use crate::common::*;

const ODD: &str = r"printf 'a\377b\n\303\050\000\n\342\202'";

#[tokio::test]
async fn a_line_reads_as_text_and_keeps_its_bytes() {
    let engine = Listened::new();
    let result = engine.run(shell(ODD)).await.unwrap();
    assert_completed(&result);
    let pieces = engine.recorder.pieces(result.id, Stream::Stdout);
    let lines: Vec<_> = pieces.iter().map(|piece| (piece.line.raw(), piece.line.as_str())).collect();
    let expected: [(&[u8], &str); 3] =
        [(b"a\xffb", "a\u{fffd}b"), (b"\xc3(\0", "\u{fffd}(\0"), (b"\xe2\x82", "\u{fffd}")];
    assert_eq!(lines, expected);
    assert!(pieces.iter().all(|piece| piece.line.encoding() == Encoding::Utf8));
    let owned: Vec<String> = pieces.into_iter().map(|piece| piece.line.into()).collect();
    assert_eq!(owned, ["a\u{fffd}b", "\u{fffd}(\0", "\u{fffd}"]);
    engine.finish().await;
}

/// The setting that is nearer to the command has precedence, in lines and in results.
#[tokio::test]
async fn output_reports_the_encoding_that_was_requested() {
    let (text, bytes) = (Encoding::Utf8, Encoding::Buffer);
    for (engine_wide, own, expected) in
        [(text, None, text), (text, Some(bytes), bytes), (bytes, None, bytes), (bytes, Some(text), text)]
    {
        let engine = Listened::with(ExecutionConfig { encoding: engine_wide, ..ExecutionConfig::default() });
        let options = || ExecutionOptions { encoding: own, ..Default::default() };
        let result = engine.run_with(shell("echo out; echo err >&2"), options()).await.unwrap();
        assert_eq!((result.stdout.encoding(), result.stderr.encoding()), (expected, expected));
        for stream in [Stream::Stdout, Stream::Stderr] {
            let pieces = engine.recorder.pieces(result.id, stream);
            assert!(!pieces.is_empty() && pieces.iter().all(|piece| piece.line.encoding() == expected));
        }
        // This holds for a command that never existed, too.
        let error = engine.run_with(exec::<&str>("/no/such/program", &[]), options()).await.unwrap_err();
        assert_eq!(error.result().unwrap().stdout.encoding(), expected);
        engine.finish().await;
    }
}
