//! What the window may call. A module of its own, since Tauri's macros allow no public command in `lib.rs`.

use std::sync::Arc;

use execution_engine::{
    ExecutionError, ExecutionEvent, ExecutionFilter, ExecutionRequest, ExecutionResult, ExecutionStatus,
    ExecutionSummary, Uuid,
};
use tauri::State;
use tauri::ipc::Channel;

use crate::Engine;

/// Accepts a command and returns its id at once. What happens comes as events, to all windows.
#[tauri::command]
pub async fn execute_command(request: ExecutionRequest, engine: State<'_, Engine>) -> Result<Uuid, ExecutionError> {
    engine.execute(request).await
}

/// Runs a command to its end. What happens comes through a channel, to the caller alone, at the pace of the window.
#[tauri::command]
pub async fn run_command(
    request: ExecutionRequest,
    on_event: Channel<ExecutionEvent>,
    engine: State<'_, Engine>,
) -> Result<Arc<ExecutionResult>, ExecutionError> {
    let mut events = engine.stream(request)?;
    while let Some(event) = events.next().await {
        // Without a window the rest would not be read: the stream is dropped, and that cancels the command.
        if on_event.send(event).is_err() {
            let id = events.id();
            drop(events);
            return engine.wait_for_completion(id).await;
        }
    }
    engine.wait_for_completion(events.id()).await
}

/// Ends a command with its whole process tree, and resolves when that is gone.
#[tauri::command]
pub async fn cancel_execution(id: Uuid, engine: State<'_, Engine>) -> Result<(), ExecutionError> {
    engine.cancel(id).await
}

/// Where a command stands.
#[tauri::command]
pub async fn get_execution_status(id: Uuid, engine: State<'_, Engine>) -> Result<ExecutionStatus, ExecutionError> {
    engine.get_status(id).await
}

/// What came of a command that has ended.
#[tauri::command]
pub async fn get_execution_result(id: Uuid, engine: State<'_, Engine>) -> Result<Arc<ExecutionResult>, ExecutionError> {
    engine.get_result(id).await
}

/// The newest commands that the engine knows.
#[tauri::command]
pub async fn list_executions(
    limit: Option<usize>,
    engine: State<'_, Engine>,
) -> Result<Vec<ExecutionSummary>, ExecutionError> {
    Ok(engine.list_executions(&ExecutionFilter { limit, ..ExecutionFilter::default() }).await)
}
