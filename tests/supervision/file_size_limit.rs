//! A host with a limit on the size of its files (`ulimit -f`), which does not ignore SIGXFSZ.

use execution_engine::types::OversizedOutputStrategy;

use crate::common::*;
use crate::hosts::alone_under;

const LIMIT: u64 = 64 * 1024;

#[test]
fn a_file_that_meets_the_limit_of_the_host_is_counted_and_does_not_end_the_host() {
    let fsize = format!("--fsize={LIMIT}");
    let wrapper = ["prlimit", &*fsize];
    alone_under(&wrapper, || block_on(with_long_output()));
}

async fn with_long_output() {
    let dir = scratch();
    let engine = ExecutionEngine::new(ExecutionConfig {
        log_dir: Some(dir.path().join("logs")),
        overflow_dir: Some(dir.path().join("overflow")),
        oversized_output_strategy: OversizedOutputStrategy::StreamToFile,
        max_output_size_bytes: 1_000,
        min_free_disk_bytes: 0,
        ..Default::default()
    })
    .unwrap();
    let result = soon("the end", engine.run(shell("seq 100000"))).await.unwrap();
    assert_completed(&result);
    let logged = std::fs::metadata(result.log_path.as_ref().unwrap()).unwrap().len();
    let overflow = std::fs::metadata(result.stdout_overflow_file.as_ref().unwrap()).unwrap().len();
    assert_eq!((logged, overflow), (LIMIT, LIMIT));
    assert_eq!((result.log_lost_bytes, result.overflow_lost_bytes), (588_895 - LIMIT, 588_895 - LIMIT));

    // A line that is too long for an argument is put into a file without a name.
    let line = format!(": {}; echo never", "x".repeat(200_000));
    let error = soon("the refusal", engine.run(shell(&line))).await.unwrap_err();
    assert!(error.to_string().contains("File too large"), "{error}");
    assert_completed(&soon("the next one", engine.run(shell("exit 0"))).await.unwrap());
    engine.shutdown(Duration::ZERO).await;
}
