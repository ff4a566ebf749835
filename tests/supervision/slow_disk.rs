//! A disk that takes a log slowly holds the command up; its lines stay whole.

use execution_engine::config::LogFormat;
use execution_engine::types::Stream;

use crate::common::*;
use crate::hosts::{alone_under, preload};

const LINES: usize = 100_000;

#[test]
fn a_slow_log_cuts_no_line() {
    let dir = scratch();
    // The inner process has it loaded already.
    let library = if is_alone() { Some(dir.path().join("loaded")) } else { preload("slow_writes", dir.path()) };
    let Some(library) = library else {
        eprintln!("SKIPPED a_slow_log_cuts_no_line: there is no C compiler");
        return;
    };
    let loaded = format!("LD_PRELOAD={}", library.display());
    let wrapper = ["env", &loaded];
    alone_under(&wrapper, || {
        block_on(async {
            for format in [LogFormat::Raw, LogFormat::Jsonl] {
                writes_a_log(format).await;
            }
        });
    });
}

async fn writes_a_log(log_format: LogFormat) {
    let dir = scratch();
    let config = ExecutionConfig { log_dir: Some(dir.path().to_owned()), log_format, ..Default::default() };
    let engine = Listened::with(config);
    let begun = std::time::Instant::now();
    // Output that the command itself writes is no file.
    let result = within(Duration::from_secs(100), "the end", engine.run(shell(format!("seq {LINES}")))).await.unwrap();
    assert_completed(&result);
    assert!(begun.elapsed() > Duration::from_millis(500), "the disk is fast: this test is none");
    let pieces = engine.recorder.pieces(result.id, Stream::Stdout);
    assert_eq!(pieces.len(), LINES);
    assert!(pieces.iter().all(|piece| !piece.partial && !piece.continued && !piece.carriage_return));
    if log_format == LogFormat::Jsonl {
        let log = std::fs::read_to_string(result.log_path.as_ref().unwrap()).unwrap();
        assert_eq!(log.lines().count(), LINES);
        assert!(!log.contains("partial"));
    }
    engine.finish().await;
}
