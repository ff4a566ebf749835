//! The defaults of an engine for absent options: limits, variables, groups, retries and a terminal.

use execution_engine::{
    EnvSnapshot, ExecutionPlan, ExecutionStrategy, OutputPattern, PlanOptions, ResourceLimits, Retry, RetryOn, Stdin,
    StdinStream, TerminalMode, TerminalSize,
};
use serde_json::json;

use crate::common::*;

fn with(config: ExecutionConfig) -> ExecutionEngine {
    ExecutionEngine::new(config).unwrap()
}

/// Returns what a command writes in each way to run it.
async fn in_each_way(engine: &ExecutionEngine, line: &str, options: &ExecutionOptions) -> Vec<String> {
    let ran = engine.run_with(shell(line), options.clone()).await.unwrap();
    let ids = engine.execute_many_with([shell(line)], options.clone()).await;
    let of_many = engine.wait_for_completion(ids[0].clone().unwrap()).await.unwrap();
    let plan = || ExecutionPlan::new("one step", ExecutionStrategy::Serial { stop_on_error: true }, [shell(line)]);
    let of_plan = PlanOptions { options: options.clone(), ..Default::default() };
    let of_step = PlanOptions::new().step(0, options.clone());
    let mut results = vec![ran, of_many];
    for options in [of_plan, of_step] {
        results.extend(engine.run_plan_with(plan(), options).await.unwrap().results.iter().cloned());
    }
    let (blocking, request, own) = (engine.clone(), shell(line), options.clone());
    let in_terminal = engine.config().terminal.size().is_some() && options.terminal.is_none();
    let own = if in_terminal { own.stdin("\n") } else { own };
    results.push(tokio::task::spawn_blocking(move || blocking.run_sync(request, own)).await.unwrap().unwrap());
    results.iter().map(|result| format!("{} in {}", result.stdout.trim(), result.attempt)).collect()
}

fn each(text: &str) -> Vec<String> {
    vec![text.to_owned(); 5]
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn limits_hold_unless_the_options_have_their_own() {
    let engine = with(ExecutionConfig { limits: ResourceLimits::new().open_files(71), ..Default::default() });
    let own = |limits| ExecutionOptions::new().limits(limits);
    assert_eq!(in_each_way(&engine, "ulimit -n", &ExecutionOptions::new()).await, each("71 in 1"));
    let other = own(ResourceLimits::new().open_files(72));
    assert_eq!(in_each_way(&engine, "ulimit -n", &other).await, each("72 in 1"));
    let none = in_each_way(&engine, "ulimit -n", &own(ResourceLimits::new())).await;
    let of_host = with(ExecutionConfig::default()).run(shell("ulimit -n")).await.unwrap();
    assert_eq!(none, each(&format!("{} in 1", of_host.stdout.trim())));
}

#[cfg(unix)]
#[tokio::test]
async fn variables_and_retries_hold_unless_the_options_have_their_own() {
    let path = std::env::var("PATH").unwrap();
    let variables = |name: &str| EnvSnapshot::from_iter([("PATH", path.as_str()), ("WHO", name)]);
    let retry = Retry::new(3).backoff(Duration::ZERO).on([RetryOn::Code(7)]);
    let config = ExecutionConfig { host_env: Some(variables("engine")), retry: Some(retry), ..Default::default() };
    let engine = with(config);
    let line = "echo $WHO; exit 7";
    assert_eq!(in_each_way(&engine, line, &ExecutionOptions::new()).await, each("engine in 3"));
    let own = ExecutionOptions::new().host_env(variables("call")).retry(Retry::new(1));
    assert_eq!(in_each_way(&engine, line, &own).await, each("call in 1"));
    let (_writer, stdin) = StdinStream::channel();
    let streamed = ExecutionOptions { stdin, ..Default::default() };
    assert!(matches!(streamed.stdin, Stdin::Stream(_)));
    assert_field_refused(engine.execute_with(brief(), streamed).await, ErrorCode::InvalidRequest, "options.retry");
}

#[cfg(unix)]
#[tokio::test]
async fn a_terminal_is_there_unless_the_options_have_none() {
    let size = TerminalSize::new(101, 33);
    let engine = with(ExecutionConfig { terminal: size.into(), ..Default::default() });
    let line = "test -t 1 && stty size || echo none";
    for text in in_each_way(&engine, line, &ExecutionOptions::new()).await {
        assert!(text.contains("33 101"), "{text}");
    }
    assert_eq!(in_each_way(&engine, line, &ExecutionOptions::new().terminal(false)).await, each("none in 1"));
    let usual = ExecutionOptions::new().terminal(true);
    assert_eq!(engine.run_with(shell("stty size"), usual).await.unwrap().stdout, "24 80\r\n");
    assert_field_refused(engine.run_sync(brief(), ExecutionOptions::new()), ErrorCode::InvalidRequest, "options.stdin");
    let merged = ExecutionOptions { merge_output: Some(true), ..Default::default() };
    assert_field_refused(engine.execute_with(brief(), merged).await, ErrorCode::InvalidRequest, "options.merge_output");
}

#[tokio::test]
async fn groups_hold_unless_the_options_have_their_own() {
    let engine = Listened::with(ExecutionConfig { groups: vec!["all".to_owned()], ..Default::default() });
    let first = engine.execute_with(endless(), ExecutionOptions::new()).await.unwrap();
    let refused = engine.run_sync(brief(), ExecutionOptions::new());
    assert_field_refused(refused, ErrorCode::ConcurrencyLimitReached, "options.groups[0]");
    for own in [&[][..], &["other"]] {
        let options = ExecutionOptions::new().groups(own.iter().copied());
        assert_completed(&soon("the end", engine.run_with(brief(), options)).await.unwrap());
    }
    engine.cancel(first).await.unwrap();
    engine.finish().await;
}

/// Returns a configuration with all of them as data.
fn all() -> serde_json::Value {
    json!({
        "groups": ["a"],
        "retry": {
            "attempts": 2, "backoff_ms": 1, "max_backoff_ms": 2, "on": ["exit", 7], "on_output": ["text", { "regex": "b+" }],
        },
        "limits": { "open_files": 9 },
        "terminal": { "columns": 100, "rows": 30 },
    })
}

#[test]
fn serde_reads_what_it_writes_and_shows_no_variable() {
    let config: ExecutionConfig = serde_json::from_value(all()).unwrap();
    let retry = config.retry.as_ref().unwrap();
    assert_eq!(retry.on, [RetryOn::Exit, RetryOn::Code(7)]);
    assert_eq!(retry.on_output, [OutputPattern::from("text"), OutputPattern::regex("b+")]);
    assert_eq!(config.limits, ResourceLimits::new().open_files(9));
    assert_eq!(config.terminal, TerminalMode::from(TerminalSize::new(100, 30)));
    let written = serde_json::to_value(&config).unwrap();
    for (name, value) in all().as_object().unwrap() {
        assert_eq!(written[name], *value, "{name}");
    }
    assert_eq!(serde_json::from_value::<ExecutionConfig>(written).unwrap(), config);

    let short = json!({
        "retry": { "attempts": 2, "backoff_ms": null, "max_backoff_ms": null, "on": null, "on_output": null },
        "limits": { "open_files": null }, "terminal": { "columns": null, "rows": 5 },
        "host_env": { "API_TOKEN": "very-secret", "GONE": null },
    });
    let mut config: ExecutionConfig = serde_json::from_value(short).unwrap();
    assert_eq!(config.retry, Some(Retry::new(2)));
    assert_eq!(config.terminal.size(), Some(TerminalSize::new(80, 5)));
    assert!(config.host_env.as_ref().unwrap().iter().eq([(&b"API_TOKEN"[..], &b"very-secret"[..])]));
    let shown = [format!("{config:?}"), serde_json::to_string(&config).unwrap()];
    assert!(shown.iter().all(|text| text.contains("API_TOKEN") && !text.contains("very-secret")), "{shown:?}");
    let masked: ExecutionConfig = serde_json::from_str(&shown[1]).unwrap();
    assert_field_refused(masked.validate(), ErrorCode::InvalidConfig, "host_env[\"API_TOKEN\"]");
    for (flag, mode) in [(true, TerminalMode::from(true)), (false, TerminalMode::None)] {
        config = serde_json::from_value(json!({ "terminal": flag })).unwrap();
        assert_eq!(config.terminal, mode);
    }
    for wrong in [json!({ "limits": { "opened": 1 } }), json!({ "retry": { "attempts": 2, "every": 1 } })] {
        serde_json::from_value::<ExecutionConfig>(wrong).unwrap_err();
    }
}

#[test]
fn what_is_wrong_is_refused_with_its_path() {
    let refused = |config: ExecutionConfig, field| {
        assert_field_refused(config.validate(), ErrorCode::InvalidConfig, field);
        assert_field_refused(ExecutionEngine::new(config).map(drop), ErrorCode::InvalidConfig, field);
    };
    let usual = ExecutionConfig::default;
    refused(ExecutionConfig { groups: vec![String::new()], ..usual() }, "groups[0]");
    refused(ExecutionConfig { retry: Some(Retry::new(0)), ..usual() }, "retry.attempts");
    let pattern = Retry::new(2).on_output([OutputPattern::regex(r"\p{L}")]);
    refused(ExecutionConfig { retry: Some(pattern), ..usual() }, "retry.on_output[0]");
    refused(ExecutionConfig { limits: ResourceLimits::new().open_files(0), ..usual() }, "limits.open_files");
    refused(ExecutionConfig { terminal: TerminalSize::new(0, 1).into(), ..usual() }, "terminal.columns");
}
