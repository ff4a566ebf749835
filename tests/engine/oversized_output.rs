//! The effect of each strategy on output above `max_output_size_bytes`.

use execution_engine::OversizedOutputStrategy;

use crate::common::*;

const CAP: usize = 1_000;

fn with(strategy: OversizedOutputStrategy) -> ExecutionConfig {
    ExecutionConfig { max_output_size_bytes: CAP, oversized_output_strategy: strategy, ..Default::default() }
}

/// Writes so many bytes to standard output and three to standard error.
fn writing(bytes: usize) -> ExecutionRequest {
    shell(format!("head -c {bytes} /dev/zero | tr '\\0' x; printf err >&2"))
}

#[tokio::test]
async fn fail_execution_ends_the_command_at_the_cap() {
    let refusing_to_truncate =
        ExecutionConfig { max_output_size_bytes: CAP, truncate_large_output: false, ..Default::default() };
    for config in [with(OversizedOutputStrategy::FailExecution), refusing_to_truncate] {
        let engine = Listened::with(config);
        assert_completed(&engine.run(writing(CAP)).await.unwrap());

        // The command never ends by itself.
        let error = soon("the cap", engine.run(shell("yes"))).await.expect_err("too much output");
        let ExecutionError::OutputSizeExceeded(result) = &error else { panic!("{error:?}") };
        assert_eq!(error.code(), ErrorCode::OutputSizeExceeded);
        assert_eq!((result.status, result.success), (ExecutionStatus::Failed, false));
        assert!(result.stdout_bytes > CAP as u64 && result.stdout_truncated);
        assert_eq!(result.error.as_ref().map(|error| error.code), Some(ErrorCode::OutputSizeExceeded));
        engine.finish().await;
    }
}

#[tokio::test]
async fn stream_to_file_keeps_all_of_it_in_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Listened::with(ExecutionConfig {
        overflow_dir: Some(dir.path().to_owned()),
        ..with(OversizedOutputStrategy::StreamToFile)
    });
    let small = engine.run(writing(CAP)).await.unwrap();
    assert_completed(&small);
    assert_eq!(small.stdout_overflow_file, None, "what fits needs no file");

    let result = engine.run(writing(50 * CAP)).await.unwrap();
    assert_completed(&result);
    assert!(result.stdout_truncated && !result.stderr_truncated);
    assert_eq!((result.stderr_overflow_file.as_ref(), result.overflow_lost_bytes), (None, 0));
    let file = result.stdout_overflow_file.as_ref().expect("the output is longer than its cap");
    assert!(file.starts_with(dir.path().canonicalize().unwrap()), "{}", file.display());
    assert!(std::fs::read(file).unwrap() == vec![b'x'; 50 * CAP], "the file has all of it");
    engine.finish().await;
}
