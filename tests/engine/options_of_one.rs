//! The options of one execution in place of the configuration: limits, output, retries.

use execution_engine::types::{LineMode, OutputPattern, ResourceLimits, Retry, Stream};

use crate::common::*;

#[cfg(target_os = "linux")]
#[tokio::test]
async fn limits_hold_in_the_child_and_one_that_is_refused_starts_nothing() {
    let engine = Listened::new();
    let limited = |open_files| ExecutionOptions {
        limits: Some(ResourceLimits::new().open_files(open_files)),
        ..Default::default()
    };
    assert_eq!(engine.run_with(shell("ulimit -n"), limited(33)).await.unwrap().stdout, "33\n");
    assert_field_refused(
        engine.execute_with(brief(), limited(0)).await,
        ErrorCode::InvalidRequest,
        "options.limits.open_files",
    );
    let refused = soon("the end", engine.run_with(brief(), limited(1 << 50))).await;
    assert_not_spawned(refused, "EPERM", &["open files", "hard limit"]);
    engine.finish().await;
}

/// Alone: the memory of a command that needs less than its host is not known, and other tests have large outputs.
#[cfg(target_os = "linux")]
#[test]
fn the_memory_of_a_large_command_is_in_its_result() {
    const BYTES: u64 = 300_000_000;
    alone(|| {
        block_on(async {
            let engine = Listened::new();
            let line = format!("head -c {BYTES} /dev/zero | tail -c {BYTES} | wc -c");
            let result = soon("the end", engine.run_with(shell(&line), ExecutionOptions::new())).await.unwrap();
            assert_eq!(result.stdout.trim(), BYTES.to_string());
            let peak = result.peak_memory_bytes.expect("it needs more than this host");
            assert!((BYTES..3 * BYTES).contains(&peak), "{peak}");
            engine.finish().await;
        });
    });
}

#[tokio::test]
async fn whole_lines_and_a_cap_of_its_own() {
    let engine = Listened::new();
    let options =
        ExecutionOptions { lines: Some(LineMode::Whole), max_output_size_bytes: Some(8), ..Default::default() };
    let result = soon("the end", engine.run_with(shell("printf one; sleep 0.4; echo ' line'"), options)).await.unwrap();
    assert_eq!(engine.recorder.lines(result.id, Stream::Stdout), ["one line"]);
    assert_eq!(engine.recorder.pieces(result.id, Stream::Stdout).len(), 1);
    assert!(result.stdout_truncated);
    assert_eq!(result.stdout_bytes, 9);
    engine.finish().await;
}

#[tokio::test]
async fn output_decides_whether_a_failure_is_retried() {
    let engine = Listened::new();
    let attempts = async |pattern: OutputPattern| {
        let retry = Retry { backoff_ms: 1, on_output: vec![pattern], ..Retry::new(2) };
        let options = ExecutionOptions { retry: Some(retry), ..Default::default() };
        let result = soon("the end", engine.run_with(shell("echo ThrottlingException >&2; exit 1"), options)).await;
        result.map(|result| result.attempt)
    };
    assert_eq!(attempts(OutputPattern::Literal("Throttling".into())).await.unwrap(), 2);
    assert_eq!(attempts(OutputPattern::Literal("Thrott.ing".into())).await.unwrap(), 1);
    assert_eq!(attempts(OutputPattern::Regex("(?i)throttling\\w+$".into())).await.unwrap(), 1, "a line end follows");
    assert_eq!(attempts(OutputPattern::Regex("(?im)throttling\\w+$".into())).await.unwrap(), 2);
    let unsupported = attempts(OutputPattern::Regex("(?=a)".into())).await;
    assert_field_refused(unsupported, ErrorCode::InvalidRequest, "options.retry.on_output[0]");
    engine.finish().await;
}

#[cfg(unix)]
#[tokio::test]
async fn the_environment_of_a_login_shell_is_that_of_its_start_files() {
    use execution_engine::{EnvSnapshot, LoginShell};

    let home = scratch();
    write_file(&home.path().join(".bash_profile"), "echo noise; export GREETING=hello", 0o600);
    let variables = [("HOME", home.path().to_str().unwrap().to_owned()), ("PATH", std::env::var("PATH").unwrap())];
    let how = LoginShell::new().shell("bash").host_env(EnvSnapshot::from_iter(variables));
    let env = soon("the shell", ExecutionEngine::login_shell_env(how.clone())).await.unwrap();
    assert_eq!(env["GREETING"], "hello");
    assert!(!env.contains_key("SHLVL"));
    let how = how.timeout(Duration::ZERO);
    assert_field_refused(ExecutionEngine::login_shell_env(how).await, ErrorCode::InvalidRequest, "timeout_ms");
}
