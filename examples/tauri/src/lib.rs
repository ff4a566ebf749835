//! Defines a Tauri back end that runs commands for its window.
//!
//! [`application`] has all of it except for the window, so that tests run it over a mocked IPC. The window may run any command, since it
//! loads only the files in `ui/`. An application whose window loads other content must not offer these commands to it.

use std::sync::Arc;
use std::time::Duration;

use execution_engine::{EventHandler, ExecutionConfig, ExecutionEngine, ExecutionEvent, async_trait};
use tauri::{AppHandle, Builder, Emitter, Manager, Runtime};

pub mod commands;

/// The name of the event that all windows get for each event of the executions that `execute_command` started.
pub const EXECUTION_EVENT: &str = "execution-event";

/// The state that Tauri manages: a command gets it as `State<'_, Engine>`.
pub type Engine = Arc<ExecutionEngine>;

/// Emits the events of the engine to all windows.
struct EmitToWindows<R: Runtime>(AppHandle<R>);

#[async_trait]
impl<R: Runtime> EventHandler for EmitToWindows<R> {
    async fn handle_event(&self, event: ExecutionEvent) {
        // The windows may be closed already.
        let _ = self.0.emit(EXECUTION_EVENT, &event);
    }
}

/// Adds the engine and its commands to an application.
pub fn application<R: Runtime>(builder: Builder<R>, config: ExecutionConfig) -> Builder<R> {
    builder
        .setup(move |app| {
            // The handler needs the application, so that the engine is created when the application exists.
            let handler = Arc::new(EmitToWindows(app.handle().clone()));
            app.manage(Arc::new(ExecutionEngine::new(config)?.with_event_handler(handler)));
            Ok(())
        })
        .invoke_handler(tauri::generate_handler![
            commands::execute_command,
            commands::run_command,
            commands::cancel_execution,
            commands::get_execution_status,
            commands::get_execution_result,
            commands::list_executions,
        ])
}

/// Ends the running executions of an application that exits.
pub fn shut_down<R: Runtime>(app: &AppHandle<R>) {
    if let Some(engine) = app.try_state::<Engine>() {
        tauri::async_runtime::block_on(engine.shutdown(Duration::ZERO));
    }
}

/// Compiles the examples of the page.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
