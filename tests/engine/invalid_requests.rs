//! A request that cannot run is refused before it is accepted, and the field is named.

use execution_engine::types::Stdin;

use crate::common::*;

fn with_env(name: &str, value: &str) -> ExecutionRequest {
    ExecutionRequest { env: [(name.to_owned(), value.to_owned())].into(), ..brief() }
}

fn aws(service: &str, command: &str, profile: Option<&str>) -> ExecutionRequest {
    Command::AwsCli {
        service: service.into(),
        command: command.into(),
        args: vec![],
        profile: profile.map(Into::into),
        region: None,
    }
    .into()
}

fn script_with(interpreter: &str) -> ExecutionRequest {
    Command::Script { path: "x.sh".into(), interpreter: Some(interpreter.into()), args: vec![] }.into()
}

#[tokio::test]
async fn each_bad_field_is_named() {
    let engine =
        Listened::with(ExecutionConfig { max_timeout_ms: 1_000, default_timeout_ms: 1_000, ..Default::default() });
    let timeout = |ms| ExecutionRequest { timeout_ms: Some(ms), ..brief() };
    let cases = [
        (exec::<&str>("", &[]), "command.program"),
        (exec::<&str>(" \t", &[]), "command.program"),
        (exec::<&str>("a\0b", &[]), "command.program"),
        (exec("echo", &["fine", "fine", "not\0fine"]), "command.args[2]"),
        (shell(""), "command.command"),
        (shell("echo \0"), "command.command"),
        (Command::Shell { command: "x".into(), shell: "\0".into() }.into(), "command.shell"),
        (script(""), "command.path"),
        (script("a\0b"), "command.path"),
        (script_with(""), "command.interpreter"),
        (aws("", "ls", None), "command.service"),
        (aws("s3", "", None), "command.command"),
        (aws("--debug", "ls", None), "command.service"),
        (aws("s3", "--debug", None), "command.command"),
        (aws("s3", "ls", Some("--debug")), "command.profile"),
        (with_env("", "value"), "env[\"\"]"),
        (with_env("A=B", "value"), "env[\"A\"]"),
        (with_env("A\0B", "value"), "env[\"A\"]"),
        (with_env("NAME", "a\0b"), "env.NAME"),
        (with_env("ESCHER_EXECUTION_ID", "mine"), "env.ESCHER_EXECUTION_ID"),
        (timeout(0), "timeout_ms"),
        (timeout(1_001), "timeout_ms"),
        (timeout(u64::MAX), "timeout_ms"),
        (ExecutionRequest { working_dir: Some("".into()), ..brief() }, "working_dir"),
        (ExecutionRequest { working_dir: Some("/a\0b".into()), ..brief() }, "working_dir"),
    ];
    for (request, field) in cases {
        assert_field_refused(engine.execute(request.clone()).await, ErrorCode::InvalidRequest, field);
        assert_field_refused(engine.run(request).await, ErrorCode::InvalidRequest, field);
    }
    assert_eq!(engine.total_count(), 0, "a refused request leaves no record");
    assert_eq!(engine.available_permits(), engine.config().max_concurrent_executions, "nor does it keep a slot");
    assert!(engine.recorder.all().is_empty(), "no event was emitted");
    engine.finish().await;
}

#[tokio::test]
async fn each_bad_option_is_named() {
    let engine = Listened::new();
    let cases = [
        (ExecutionOptions { idle_timeout_ms: Some(0), ..Default::default() }, "options.idle_timeout_ms"),
        (ExecutionOptions { idle_timeout_ms: Some(u64::MAX), ..Default::default() }, "options.idle_timeout_ms"),
        (ExecutionOptions { kill_grace_ms: Some(u64::MAX), ..Default::default() }, "options.kill_grace_ms"),
        (ExecutionOptions { env_allow: vec!["FINE".into(), "[".into()], ..Default::default() }, "options.env_allow[1]"),
        (ExecutionOptions { env_deny: vec!["{a".into()], ..Default::default() }, "options.env_deny[0]"),
    ];
    for (options, field) in cases {
        assert_field_refused(engine.execute_with(brief(), options).await, ErrorCode::InvalidRequest, field);
    }
    engine.finish().await;
}

#[tokio::test]
async fn a_message_names_the_remedy() {
    let engine = Listened::new();
    let request = ExecutionRequest { timeout_ms: Some(3_600_001), ..brief() };
    let error = assert_refused(engine.execute(request).await, ErrorCode::InvalidRequest);
    for word in ["timeout_ms", "3600001", "max_timeout_ms", "3600000"] {
        assert!(error.to_string().contains(word), "{error}");
    }
    engine.finish().await;
}

#[tokio::test]
async fn times_at_their_bounds_are_accepted() {
    let engine = Listened::new();
    let request = ExecutionRequest { timeout_ms: Some(3_600_000), ..brief() };
    let year = 365 * 24 * 3_600_000;
    let options = ExecutionOptions {
        idle_timeout_ms: Some(year),
        kill_grace_ms: Some(year),
        stdin: Stdin::Empty,
        priority: i32::MIN,
        ..Default::default()
    };
    assert_completed(&engine.run_with(request, options).await.unwrap());
    engine.finish().await;
}

#[tokio::test]
async fn an_id_that_is_known_is_refused() {
    let engine = Listened::new();
    let first = brief();
    let again = ExecutionRequest { id: first.id, ..brief() };
    let id = engine.start(ExecutionRequest { id: first.id, ..endless_after(":") }, ExecutionOptions::default()).await;
    assert_eq!(id, first.id);
    let error = assert_refused(engine.execute(again.clone()).await, ErrorCode::DuplicateId);
    assert_eq!(error.execution_id(), Some(id));
    engine.cancel(id).await.unwrap();
    assert_refused(engine.execute(again.clone()).await, ErrorCode::DuplicateId);
    assert_eq!(engine.running_count(), 0, "a refused request keeps no slot");
    assert_eq!(engine.get_stats().await.total, 1);
    engine.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_with_one_id_one_is_accepted() {
    let engine = Listened::new();
    for _ in 0..50 {
        let request = brief();
        let tries: Vec<_> = (0..8)
            .map(|_| {
                let (engine, request) = (engine.clone(), request.clone());
                tokio::spawn(async move { engine.execute(request).await })
            })
            .collect();
        let mut accepted = 0;
        for attempt in tries {
            match attempt.await.unwrap() {
                Ok(_) => accepted += 1,
                Err(error) => assert_eq!(error.code(), ErrorCode::DuplicateId),
            }
        }
        assert_eq!(accepted, 1);
        assert_completed(&soon("the one", engine.wait_for_completion(request.id)).await.unwrap());
    }
    engine.finish().await;
}
