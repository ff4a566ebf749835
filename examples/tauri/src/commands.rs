//! Defines the commands that the window may call. They are in a separate module, since Tauri's macros permit no public command in `lib.rs`.

use std::sync::Arc;

use execution_engine::{
    ExecutionError, ExecutionEvent, ExecutionFilter, ExecutionRequest, ExecutionResult, ExecutionStatus,
    ExecutionSummary, Uuid,
};
use tauri::State;
use tauri::ipc::Channel;

use crate::Engine;

/// Accepts a command and returns its id at once. All windows get its events.
#[tauri::command]
pub async fn execute_command(request: ExecutionRequest, engine: State<'_, Engine>) -> Result<Uuid, ExecutionError> {
    engine.execute(request).await
}

/// Runs a command to its end. Only the caller gets its events, through a channel, at the pace of the window.
#[tauri::command]
pub async fn run_command(
    request: ExecutionRequest,
    on_event: Channel<ExecutionEvent>,
    engine: State<'_, Engine>,
) -> Result<Arc<ExecutionResult>, ExecutionError> {
    let mut events = engine.stream(request)?;
    while let Some(event) = events.next().await {
        // Without a window the other events would not be read: dropping the stream cancels the command.
        if on_event.send(event).is_err() {
            let id = events.id();
            drop(events);
            return engine.wait_for_completion(id).await;
        }
    }
    engine.wait_for_completion(events.id()).await
}

/// Ends a command with its whole process tree, and returns when the tree is gone.
#[tauri::command]
pub async fn cancel_execution(id: Uuid, engine: State<'_, Engine>) -> Result<(), ExecutionError> {
    engine.cancel(id).await
}

/// Returns the status of a command.
#[tauri::command]
pub async fn get_execution_status(id: Uuid, engine: State<'_, Engine>) -> Result<ExecutionStatus, ExecutionError> {
    engine.get_status(id).await
}

/// Returns the result of a command that has ended.
#[tauri::command]
pub async fn get_execution_result(id: Uuid, engine: State<'_, Engine>) -> Result<Arc<ExecutionResult>, ExecutionError> {
    engine.get_result(id).await
}

/// Returns the newest executions that have a record.
#[tauri::command]
pub async fn list_executions(
    limit: Option<usize>,
    engine: State<'_, Engine>,
) -> Result<Vec<ExecutionSummary>, ExecutionError> {
    Ok(engine.list_executions(&ExecutionFilter { limit, ..ExecutionFilter::default() }).await)
}
