//! Runs the application: `cargo run` in this folder.

// On Windows this prevents a console window beside the application's own.
#![cfg_attr(not(debug_assertions), windows_subsystem = "windows")]

use execution_engine::ExecutionConfig;

fn main() {
    let app = escher_tauri_example::application(tauri::Builder::default(), ExecutionConfig::default())
        .build(tauri::generate_context!())
        .expect("the application can be built");
    app.run(|app, event| {
        if matches!(event, tauri::RunEvent::Exit) {
            escher_tauri_example::shut_down(app);
        }
    });
}
