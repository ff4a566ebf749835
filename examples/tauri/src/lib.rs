//! A Tauri back end that runs commands for its window.
//!
//! [`application`] is all of it but the window, so that tests run it over a mocked IPC. The window may run any command: it loads
//! only what is in `ui/`. An application whose window loads anything else must not offer these commands to it.

use std::sync::Arc;
use std::time::Duration;

use execution_engine::{
    EventHandler, ExecutionConfig, ExecutionEngine, ExecutionError, ExecutionEvent, ExecutionFilter, ExecutionRequest,
    ExecutionResult, ExecutionStatus, ExecutionSummary, Uuid, async_trait,
};
use tauri::ipc::Channel;
use tauri::{AppHandle, Builder, Emitter, Manager, Runtime, State};

/// The name of the event that every window gets for whatever `execute_command` started.
pub const EXECUTION_EVENT: &str = "execution-event";

/// What Tauri manages: a command gets it as `State<'_, Engine>`.
pub type Engine = Arc<ExecutionEngine>;

/// Emits what happens to all windows.
struct EmitToWindows<R: Runtime>(AppHandle<R>);

#[async_trait]
impl<R: Runtime> EventHandler for EmitToWindows<R> {
    async fn handle_event(&self, event: ExecutionEvent) {
        // There may be no window any more.
        let _ = self.0.emit(EXECUTION_EVENT, &event);
    }
}

/// Adds the engine and its commands to an application.
pub fn application<R: Runtime>(builder: Builder<R>, config: ExecutionConfig) -> Builder<R> {
    builder
        .setup(move |app| {
            // The handler needs the application, so the engine is made when there is one.
            let handler = Arc::new(EmitToWindows(app.handle().clone()));
            app.manage(Arc::new(ExecutionEngine::new(config)?.with_event_handler(handler)));
            Ok(())
        })
        .invoke_handler(tauri::generate_handler![
            execute_command,
            run_command,
            cancel_execution,
            get_execution_status,
            get_execution_result,
            list_executions,
        ])
}

/// Ends what runs, for an application that exits.
pub fn shut_down<R: Runtime>(app: &AppHandle<R>) {
    if let Some(engine) = app.try_state::<Engine>() {
        tauri::async_runtime::block_on(engine.shutdown(Duration::ZERO));
    }
}

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
    let mut events = engine.stream(request).await?;
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
pub async fn get_execution_result(
    id: Uuid,
    engine: State<'_, Engine>,
) -> Result<Arc<ExecutionResult>, ExecutionError> {
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

/// The examples of the page are compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
