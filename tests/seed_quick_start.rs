//! The quick start of the project's first README, as it was written.

#![expect(clippy::default_trait_access, clippy::wildcard_imports, reason = "the text is not ours to change")]

use execution_engine::*;

#[tokio::main]
async fn main() {
    // 1. Initialize Global Singleton (Run once at startup)
    let config = ExecutionConfig::default();
    ExecutionEngine::init_global(config).expect("Failed to init engine");

    // 2. Access Global Instance
    let engine = ExecutionEngine::global();

    // 3. Start cleanup task (optional, runs in background)
    // engine.start_cleanup_task(); // Note: Method signature might need Arc wrapping if used directly,
    // but global instance manages state internally.

    // 4. Execute command
    let request = ExecutionRequest {
        id: Uuid::new_v4(),
        command: Command::Shell { command: "echo 'Hello World'".to_string(), shell: "/bin/bash".to_string() },
        timeout_ms: Some(5000),
        env: HashMap::new(),
        working_dir: None,
        output_log_path: None,
        metadata: Default::default(),
    };

    let execution_id = engine.execute(request).await.unwrap();

    // 5. Get result (non-blocking wait)
    let result = engine.wait_for_completion(execution_id).await.unwrap();

    println!("Success: {}", result.success);
    println!("Output: {}", result.stdout);

    // The text ends here; what follows checks what it printed.
    assert!(result.success, "{:?}", result.reason);
    assert_eq!(&*result.stdout, "Hello World\n");
}
