//! The forms that serde reads and writes, for programs that do it themselves.

use execution_engine::ExecutionPlan;
use serde_json::{Value, json};

use crate::common::*;

/// Returns the wire form with `null` for one field.
fn with_null(whole: &Value, path: &str) -> Value {
    let mut whole = whole.clone();
    *whole.pointer_mut(path).unwrap_or_else(|| panic!("no {path}")) = Value::Null;
    whole
}

/// Returns the wire form without that field.
fn without(whole: &Value, path: &str) -> Value {
    let mut whole = whole.clone();
    let (parent, name) = path.rsplit_once('/').unwrap();
    whole.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
    whole
}

#[test]
fn null_in_a_request_is_an_absent_field_as_in_parse_request() {
    let metadata = json!({ "source": "s", "conversation_id": "c", "label": "l", "tags": ["t"], "more": 1 });
    let of = |command: Value| {
        json!({
            "id": Uuid::new_v4(), "command": command, "env": { "A": "b" }, "working_dir": "/", "timeout_ms": 5,
            "output_log_path": "/tmp/log", "metadata": metadata,
        })
    };
    let shell = of(json!({ "type": "shell", "command": "true", "shell": "/bin/sh", "strict": true }));
    let exec = of(json!({ "type": "exec", "program": "true", "args": ["x"] }));
    let script = of(json!({ "type": "script", "path": "a.sh", "interpreter": "sh", "args": ["x"] }));
    let aws =
        json!({ "type": "aws_cli", "service": "s3", "command": "ls", "args": ["x"], "profile": "p", "region": "r" });
    let aws = of(aws);
    let fields = [
        (&shell, "/command/shell"),
        (&shell, "/command/strict"),
        (&exec, "/command/args"),
        (&script, "/command/interpreter"),
        (&script, "/command/args"),
        (&aws, "/command/args"),
        (&aws, "/command/profile"),
        (&aws, "/command/region"),
        (&exec, "/env"),
        (&exec, "/working_dir"),
        (&exec, "/timeout_ms"),
        (&exec, "/output_log_path"),
        (&exec, "/metadata"),
        (&exec, "/metadata/source"),
        (&exec, "/metadata/conversation_id"),
        (&exec, "/metadata/label"),
        (&exec, "/metadata/tags"),
    ];
    for (whole, path) in fields {
        let read =
            |wire: Value| serde_json::from_value::<ExecutionRequest>(wire).unwrap_or_else(|e| panic!("{path}: {e}"));
        let nulled = with_null(whole, path);
        assert_eq!(read(nulled.clone()), read(without(whole, path)), "{path}");
        assert_eq!(read(nulled.clone()), ExecutionEngine::parse_request(&nulled.to_string()).unwrap(), "{path}");
    }
    let fresh = serde_json::from_value::<ExecutionRequest>(with_null(&exec, "/id")).unwrap();
    assert_ne!(json!(fresh.id), exec["id"]);
    for path in ["/command", "/command/program", "/command/type"] {
        serde_json::from_value::<ExecutionRequest>(with_null(&exec, path)).expect_err(path);
    }
}

#[test]
fn null_in_a_plan_is_an_absent_field() {
    let of = |strategy: Value| {
        json!({
            "id": Uuid::new_v4(), "description": "d", "strategy": strategy, "metadata": { "label": "l" },
            "commands": [{ "id": Uuid::new_v4(), "command": { "type": "exec", "program": "true" } }],
        })
    };
    let serial = of(json!({ "type": "serial", "stop_on_error": false }));
    let parallel = of(json!({ "type": "parallel", "max_concurrency": 2 }));
    let graph = of(json!({ "type": "dependency_graph", "dependencies": { "1": [0] } }));
    let fields = [
        (&serial, "/strategy/stop_on_error"),
        (&parallel, "/strategy/max_concurrency"),
        (&graph, "/strategy/dependencies/1"),
        (&serial, "/metadata"),
    ];
    for (whole, path) in fields {
        let read =
            |wire: Value| serde_json::from_value::<ExecutionPlan>(wire).unwrap_or_else(|e| panic!("{path}: {e}"));
        assert_eq!(read(with_null(whole, path)), read(without(whole, path)), "{path}");
    }
    let fresh = serde_json::from_value::<ExecutionPlan>(with_null(&serial, "/id")).unwrap();
    assert_ne!(json!(fresh.id), serial["id"]);
}

#[test]
fn null_in_a_configuration_is_the_default_of_that_field() {
    let default = serde_json::to_value(ExecutionConfig::default()).unwrap();
    for name in default.as_object().unwrap().keys() {
        let read =
            serde_json::from_value::<ExecutionConfig>(json!({ name: null })).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(read, ExecutionConfig::default(), "{name}");
    }
    serde_json::from_value::<ExecutionConfig>(json!({ "max_timeout": null })).expect_err("no such field");
}

#[tokio::test]
async fn an_event_without_output_has_everything_else() {
    let engine = Listened::new();
    let id = engine.run(shell("echo out; echo err >&2; exit 3")).await.unwrap().id;
    let events = engine.recorder.of(id);
    let last = events.last().unwrap();
    let lean = last.clone().without_output();
    let mut expected = serde_json::to_value(last).unwrap();
    expected["result"]["stdout"] = json!("");
    expected["result"]["stderr"] = json!("");
    assert_eq!(serde_json::to_value(&lean).unwrap(), expected);
    assert_eq!(expected["result"]["stdout_bytes"], 4);
    assert_eq!(serde_json::from_value::<ExecutionEvent>(expected).unwrap(), lean);
    assert_eq!(last.result().unwrap().stdout, "out\n", "the record keeps it");
    let started = events.into_iter().find(|event| matches!(event, ExecutionEvent::Started { .. })).unwrap();
    assert_eq!(started.clone().without_output(), started);
    engine.finish().await;
}
