//! One import, one engine for the whole process.

use execution_engine::*;

#[tokio::test]
async fn the_global_engine_runs_a_request_that_is_written_as_a_literal() {
    assert_eq!(ExecutionEngine::try_global().unwrap_err().code(), ErrorCode::NotInitialized);
    ExecutionEngine::init_global(ExecutionConfig::default()).expect("the defaults are valid");
    let engine = ExecutionEngine::global();
    assert_eq!(engine.config().max_concurrent_executions, 1, "it runs one command at a time");

    let request = ExecutionRequest {
        id: Uuid::new_v4(),
        command: Command::Shell { command: "echo \"$GREETING\"".to_string(), shell: "/bin/bash".to_string() },
        env: HashMap::from([("GREETING".to_string(), "Hello".to_string())]),
        working_dir: None,
        timeout_ms: Some(5_000),
        output_log_path: None,
        metadata: Default::default(),
    };
    let id = engine.execute(request).await.unwrap();
    let result = engine.wait_for_completion(id).await.unwrap();
    assert!(result.success);
    assert_eq!(result.stdout, "Hello\n");

    let again = ExecutionEngine::init_global(ExecutionConfig::default()).unwrap_err();
    assert_eq!(again.code(), ErrorCode::AlreadyInitialized);
}
