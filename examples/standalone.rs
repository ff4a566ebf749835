//! Uses the engine in a plain Rust program: `cargo run --example standalone`.
//!
//! Runs a pipeline, a program, a command that fails and one that takes too long, and prints their lines as they are written.

use std::process::ExitCode;
use std::sync::Arc;

use execution_engine::{
    Command, EventHandler, ExecutionConfig, ExecutionEngine, ExecutionEvent, ExecutionRequest, ExecutionStatus,
    async_trait,
};

/// Prints the events, each line after the id of its execution.
struct LivePrinter;

#[async_trait]
impl EventHandler for LivePrinter {
    async fn handle_event(&self, event: ExecutionEvent) {
        let id = event.execution_id().to_string();
        let id = &id[..8];
        match event {
            ExecutionEvent::Started { command, pid, .. } => println!("[{id}] $ {command}  (pid {pid})"),
            ExecutionEvent::Stdout { line, .. } => println!("[{id}] {line}"),
            ExecutionEvent::Stderr { line, .. } => println!("[{id}] ! {line}"),
            _ => {}
        }
    }
}

/// A command and its expected status.
struct Step {
    request: ExecutionRequest,
    expected: ExecutionStatus,
}

fn steps() -> Vec<Step> {
    let shell = |line: &str| ExecutionRequest::new(Command::Shell { command: line.into(), shell: String::new() });
    let exec = |program: &str, args: &[&str]| {
        let args = args.iter().map(ToString::to_string).collect();
        ExecutionRequest::new(Command::Exec { program: program.into(), args })
    };
    vec![
        Step { request: shell("printf 'pear\\napple\\nfig\\n' | sort"), expected: ExecutionStatus::Completed },
        // No shell reads these arguments: the dollar sign has no special meaning.
        Step { request: exec("echo", &["costs $5", "; and no more"]), expected: ExecutionStatus::Completed },
        Step { request: shell("echo 'no luck' >&2; exit 3"), expected: ExecutionStatus::Failed },
        Step {
            request: ExecutionRequest { timeout_ms: Some(300), ..exec("sleep", &["60"]) },
            expected: ExecutionStatus::Timeout,
        },
    ]
}

#[tokio::main]
async fn main() -> execution_engine::Result<ExitCode> {
    let config = ExecutionConfig { max_concurrent_executions: 4, ..Default::default() };
    let engine = ExecutionEngine::new(config)?.with_event_handler(Arc::new(LivePrinter));

    // `execute` returns as soon as a command is accepted, so that all of them run at once.
    let mut accepted = Vec::new();
    for Step { request, expected } in steps() {
        accepted.push((engine.execute(request).await?, expected));
    }

    // A command that fails or times out has a result. An error would mean that the engine could not run it as requested.
    let mut ended = Vec::new();
    for (id, expected) in accepted {
        ended.push((engine.wait_for_completion(id).await?, expected));
    }

    println!();
    for (result, _) in &ended {
        let code = result.exit_code.map_or_else(|| "-".to_owned(), |code| code.to_string());
        println!("{:<10} code {code:<3} {:>7.1} ms", result.status.as_str(), result.duration_ms);
    }
    let stats = engine.get_stats().await;
    println!("{} commands, {} lines", stats.total, stats.lines);
    let as_intended = ended.iter().all(|(result, expected)| result.status == *expected);
    Ok(if as_intended { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
