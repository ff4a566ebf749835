//! Results and errors: what they say, and what they never print.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use execution_engine::{
    Command, ErrorCode, ExecutionConfig, ExecutionEngine, ExecutionError, ExecutionRequest, ExecutionResult,
    ExecutionStatus, OversizedOutputStrategy,
};

const SECRET: &str = "a line that is for the program alone";

fn engine() -> ExecutionEngine {
    ExecutionEngine::new(ExecutionConfig::default()).unwrap()
}

fn capped(strategy: OversizedOutputStrategy) -> ExecutionEngine {
    let config =
        ExecutionConfig { max_output_size_bytes: 1_000, oversized_output_strategy: strategy, ..Default::default() };
    ExecutionEngine::new(config).unwrap()
}

#[tokio::test]
async fn a_question_mark_makes_an_error_of_a_command_that_failed() {
    async fn last_line(engine: &ExecutionEngine, line: &str) -> Result<String, Box<dyn Error + Send + Sync>> {
        let result = engine.run(Command::shell(line).into()).await?.into_success()?;
        Ok(result.stdout.trim().to_string())
    }
    let engine = engine();
    assert_eq!(last_line(&engine, "echo fine").await.unwrap(), "fine");
    let error = last_line(&engine, "exit 3").await.unwrap_err();
    assert_eq!(error.to_string(), "the command exited with code 3");
}

#[tokio::test]
async fn a_timeout_is_a_result() {
    let request = ExecutionRequest::new(Command::exec("sleep").arg("60")).timeout(Duration::from_millis(50));
    let result = engine().run(request).await.unwrap();
    assert_eq!((result.status, result.success), (ExecutionStatus::Timeout, false));
}

#[tokio::test]
async fn no_debug_text_has_output() {
    let engine = engine();
    let result = engine.run(Command::shell(format!("echo '{SECRET}'; exit 1")).into()).await.unwrap();
    let failed = Arc::clone(&result).into_success().unwrap_err();
    let capped = capped(OversizedOutputStrategy::FailExecution);
    let exceeded = capped.run(Command::shell(format!("yes '{SECRET}'")).into()).await.unwrap_err();
    for text in [format!("{result:?}"), format!("{failed:?}"), format!("{exceeded:?}"), format!("{exceeded:#?}")] {
        assert!(!text.contains(SECRET) && text.len() < 4_000, "{text}");
    }
}

#[tokio::test]
async fn output_above_the_cap_ends_a_command_where_the_strategy_says_so() {
    match capped(OversizedOutputStrategy::FailExecution).run(Command::shell("yes").into()).await {
        Err(ExecutionError::OutputSizeExceeded(result)) => {
            assert_eq!(result.status, ExecutionStatus::Failed);
            assert!(result.stdout_bytes > 1_000 && result.stdout_truncated);
        }
        other => panic!("{other:?}"),
    }
}

/// This was `output_file` in 0.1.
#[tokio::test]
async fn output_above_the_cap_is_in_a_file_for_each_stream() {
    let engine = capped(OversizedOutputStrategy::StreamToFile);
    let result = engine.run(Command::shell("head -c 5000 /dev/zero").into()).await.unwrap();
    let file = result.stdout_overflow_file.as_ref().expect("it was more than the cap");
    assert_eq!(std::fs::metadata(file).unwrap().len(), 5_000);
    assert_eq!(result.stderr_overflow_file, None);
}

#[tokio::test]
async fn an_error_is_data_for_a_front_end() {
    let error = engine().run(Command::exec("/no/such/program").into()).await.unwrap_err();
    assert_eq!((error.code(), error.errno()), (ErrorCode::SpawnFailed, Some("ENOENT")));
    let json = serde_json::to_value(&error).unwrap();
    assert_eq!((&json["code"], &json["errno"]), (&"SPAWN_FAILED".into(), &"ENOENT".into()));
    assert_eq!(json["execution_id"], serde_json::json!(error.execution_id()));
    assert_eq!(json["message"], error.to_string());
    assert!(json.get("result").is_none(), "a result has output");
}

#[tokio::test]
async fn results_and_listings_come_back_from_json() {
    let engine = engine();
    let result = engine.run(Command::shell("echo out; exit 3").into()).await.unwrap();
    let json = serde_json::to_string(&*result).unwrap();
    assert_eq!(serde_json::from_str::<ExecutionResult>(&json).unwrap(), *result);
    let rows = engine.list(&Default::default());
    let json = serde_json::to_string(&rows).unwrap();
    assert_eq!(serde_json::from_str::<Vec<execution_engine::ExecutionSummary>>(&json).unwrap(), rows);
    let stats = serde_json::to_string(&engine.stats()).unwrap();
    assert_eq!(serde_json::from_str::<execution_engine::ExecutionStats>(&stats).unwrap(), engine.stats());
}

/// Tests what a command of a desktop application returns.
#[tokio::test]
async fn ids_and_errors_are_text_where_text_is_wanted() {
    async fn execute(engine: &ExecutionEngine, request: ExecutionRequest) -> Result<String, String> {
        engine.execute(request).await.map(|id| id.to_string()).map_err(|error| error.to_string())
    }
    let engine = engine();
    assert_eq!(execute(&engine, Command::exec("true").into()).await.unwrap().len(), 36);
    assert!(execute(&engine, Command::exec("").into()).await.unwrap_err().contains("command.program"));
}
