//! Tests the back end over a mocked IPC: the requests of the window, their responses, and the events.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use escher_tauri_example::commands::run_command;
use escher_tauri_example::{EXECUTION_EVENT, Engine, application, shut_down};
use execution_engine::{Command, ExecutionConfig, ExecutionRequest, ExecutionStatus};
use serde_json::{Value, json};
use tauri::ipc::{CallbackFn, Channel, InvokeBody, InvokeResponseBody};
use tauri::test::{INVOKE_KEY, MockRuntime, get_ipc_response, mock_builder, mock_context, noop_assets};
use tauri::webview::InvokeRequest;
use tauri::{App, Listener, Manager, WebviewWindow, WebviewWindowBuilder};

const HANG: Duration = Duration::from_secs(60);

/// An application with one window, and everything that the window received.
struct Bench {
    app: App<MockRuntime>,
    window: WebviewWindow<MockRuntime>,
    /// The events that all windows got.
    events: Arc<Mutex<Vec<Value>>>,
    /// The messages of each channel.
    channels: Arc<Mutex<HashMap<u32, Vec<Value>>>>,
}

impl Bench {
    fn new() -> Self {
        let channels = Arc::new(Mutex::new(HashMap::<u32, Vec<Value>>::new()));
        let sent = Arc::clone(&channels);
        let builder = mock_builder().channel_interceptor(move |_, channel, index, body| {
            let InvokeResponseBody::Json(text) = body else { panic!("an event is JSON") };
            let mut channels = sent.lock().unwrap();
            let messages = channels.entry(channel.0).or_default();
            assert_eq!(index, messages.len(), "messages are numbered without a gap");
            messages.push(serde_json::from_str(text).unwrap());
            true
        });
        let mut app = application(builder, ExecutionConfig::default()).build(mock_context(noop_assets())).unwrap();
        #[expect(deprecated, reason = "it runs `setup`, which is what a test needs of the event loop")]
        app.run_iteration(|_, _| {});
        let window = WebviewWindowBuilder::new(&app, "main", Default::default()).build().unwrap();
        let events = Arc::new(Mutex::new(Vec::new()));
        let received = Arc::clone(&events);
        app.listen_any(EXECUTION_EVENT, move |event| {
            received.lock().unwrap().push(serde_json::from_str(event.payload()).unwrap());
        });
        Self { app, window, events, channels }
    }

    /// Calls a command, as `invoke` does in the window.
    fn invoke(&self, command: &str, arguments: Value) -> Result<Value, Value> {
        let url = if cfg!(windows) { "http://tauri.localhost" } else { "tauri://localhost" };
        let request = InvokeRequest {
            cmd: command.into(),
            callback: CallbackFn(0),
            error: CallbackFn(1),
            url: url.parse().unwrap(),
            body: InvokeBody::Json(arguments),
            headers: Default::default(),
            invoke_key: INVOKE_KEY.to_string(),
        };
        get_ipc_response(&self.window, request).map(|body| body.deserialize().unwrap())
    }

    fn events_of(&self, id: &str) -> Vec<Value> {
        self.events.lock().unwrap().iter().filter(|event| event["execution_id"] == id).cloned().collect()
    }

    fn status(&self, id: &str) -> Value {
        self.invoke("get_execution_status", json!({ "id": id })).unwrap()
    }
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < HANG, "never came true: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn shell(line: &str) -> Value {
    json!({ "request": { "command": { "type": "shell", "command": line } } })
}

/// Returns the types of events, without `exited`, which may come before the last output or after it.
fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).filter(|kind| *kind != "exited").collect()
}

#[test]
fn a_command_is_accepted_and_its_events_come_to_the_windows() {
    let bench = Bench::new();
    let id = bench.invoke("execute_command", shell("echo one; echo two >&2; exit 3")).unwrap();
    let id = id.as_str().unwrap();
    wait_until("the end comes", || bench.events_of(id).iter().any(|event| event["type"] == "failed"));

    let events = bench.events_of(id);
    let mut seen = kinds(&events);
    seen.sort_unstable();
    assert_eq!(seen, ["failed", "started", "stderr", "stdout"]);
    let line = events.iter().find(|event| event["type"] == "stdout").unwrap();
    assert_eq!(line["line"], "one");
    assert_eq!(bench.status(id), "failed");
    let result = bench.invoke("get_execution_result", json!({ "id": id })).unwrap();
    assert_eq!(
        (&result["exit_code"], &result["stdout"], &result["stderr"]),
        (&json!(3), &json!("one\n"), &json!("two\n"))
    );
}

#[test]
fn a_channel_gets_the_events_of_its_own_call_and_the_windows_do_not() {
    let bench = Bench::new();
    let run = |channel: u32, line: &str| {
        let mut arguments = shell(line);
        arguments["onEvent"] = json!(format!("__CHANNEL__:{channel}"));
        bench.invoke("run_command", arguments).unwrap()
    };
    let first = run(1, "seq 3");
    let second = run(2, "echo other");
    assert_eq!((&first["status"], &first["stdout"]), (&json!("completed"), &json!("1\n2\n3\n")));

    let channels = bench.channels.lock().unwrap();
    let lines = |channel| -> Vec<&Value> {
        let events: &Vec<Value> = &channels[&channel];
        events.iter().filter(|event| event["type"] == "stdout").map(|event| &event["line"]).collect()
    };
    assert_eq!(lines(1), ["1", "2", "3"]);
    assert_eq!(lines(2), ["other"]);
    assert_eq!(kinds(&channels[&1]), ["started", "stdout", "stdout", "stdout", "completed"]);
    assert!(channels[&2].iter().all(|event| event["execution_id"] == second["id"]));
    assert!(bench.events.lock().unwrap().is_empty());
}

#[test]
fn a_command_is_cancelled_with_its_tree() {
    let bench = Bench::new();
    let id = bench.invoke("execute_command", shell("sleep 600 & echo ready; wait")).unwrap();
    let id = id.as_str().unwrap();
    wait_until("it runs", || bench.events_of(id).iter().any(|event| event["type"] == "stdout"));
    bench.invoke("cancel_execution", json!({ "id": id })).unwrap();
    assert_eq!(bench.status(id), "cancelled");
    let result = bench.invoke("get_execution_result", json!({ "id": id })).unwrap();
    assert_eq!(result["killed"]["pids"].as_array().unwrap().len(), 2, "the shell and its child: {result}");
}

#[test]
fn the_newest_are_listed_first() {
    let bench = Bench::new();
    let ids: Vec<_> = (0..3).map(|_| bench.invoke("execute_command", shell("true")).unwrap()).collect();
    let list = bench.invoke("list_executions", json!({ "limit": 2 })).unwrap();
    let listed: Vec<_> = list.as_array().unwrap().iter().map(|row| &row["id"]).collect();
    assert_eq!(listed, [&ids[2], &ids[1]]);
    assert_eq!(bench.invoke("list_executions", json!({})).unwrap().as_array().unwrap().len(), 3);
}

#[test]
fn errors_reach_the_window_with_their_code_and_field() {
    let bench = Bench::new();
    let mut request = shell("true");
    request["request"]["timeout_ms"] = json!(0);
    let error = bench.invoke("execute_command", request).unwrap_err();
    assert_eq!((&error["code"], &error["field"]), (&json!("INVALID_REQUEST"), &json!("timeout_ms")), "{error}");
    let unknown = json!({ "id": "00000000-0000-4000-8000-000000000000" });
    for command in ["cancel_execution", "get_execution_status", "get_execution_result"] {
        assert_eq!(bench.invoke(command, unknown.clone()).unwrap_err()["code"], "NOT_FOUND", "{command}");
    }
    let missing = json!({ "request": { "command": { "type": "exec", "program": "no-such-program-here" } }, "onEvent": "__CHANNEL__:3" });
    let error = bench.invoke("run_command", missing).unwrap_err();
    assert_eq!((&error["code"], &error["errno"]), (&json!("SPAWN_FAILED"), &json!("ENOENT")), "{error}");
}

#[test]
fn a_window_that_is_gone_cancels_what_it_ran() {
    let bench = Bench::new();
    let gone = Channel::new(|_| Err(tauri::Error::WebviewNotFound));
    let request = ExecutionRequest::new(Command::shell("exec sleep 600"));
    let result = tauri::async_runtime::block_on(run_command(request, gone, bench.app.state())).unwrap();
    assert_eq!(result.status, ExecutionStatus::Cancelled);
}

#[test]
fn an_application_that_exits_ends_what_runs() {
    let bench = Bench::new();
    let id = bench.invoke("execute_command", shell("exec sleep 600")).unwrap();
    shut_down(bench.app.handle());
    assert_eq!(bench.status(id.as_str().unwrap()), "cancelled");
    assert_eq!(bench.app.state::<Engine>().running_count(), 0);
    assert_eq!(bench.invoke("execute_command", shell("true")).unwrap_err()["code"], "ENGINE_SHUT_DOWN");
}
