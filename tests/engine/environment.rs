//! A child's variables are exactly what policy says.

use std::collections::BTreeMap;

use execution_engine::InheritEnv;
use execution_engine::types::EnvSnapshot;

use crate::common::*;

/// The host of most tests here.
const HOST: &[(&str, &str)] = &[
    ("PATH", "/usr/bin:/bin"),
    ("HOME", "/home/host"),
    ("LANG", "C"),
    ("LC_ALL", "C"),
    ("TERM", "dumb"),
    ("AWS_REGION", "eu-central-1"),
    ("AWS_SECRET_ACCESS_KEY", "host secret"),
    ("EDITOR", "vi"),
];

fn host(variables: &[(&str, &str)]) -> EnvSnapshot {
    let entries: Vec<_> = variables.iter().map(|(name, value)| format!("{name}={value}\0")).collect();
    EnvSnapshot::from_packed(entries.concat().into_bytes())
}

fn globs(patterns: &str) -> Vec<String> {
    patterns.split_whitespace().map(str::to_owned).collect()
}

fn asking_for(variables: &[(&str, &str)]) -> ExecutionRequest {
    let env = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    ExecutionRequest { env, ..exec("/usr/bin/env", &["-0"]) }
}

/// Returns the variables a child has seen; the engine's own tag is checked and left out.
async fn seen(
    engine: &ExecutionEngine,
    request: ExecutionRequest,
    options: ExecutionOptions,
) -> BTreeMap<String, String> {
    let result = engine.run_with(request, options).await.unwrap();
    assert_completed(&result);
    let mut seen = BTreeMap::new();
    for entry in result.stdout.split_terminator('\0') {
        let (name, value) = entry.split_once('=').expect("an entry has a name");
        assert_eq!(seen.insert(name.to_owned(), value.to_owned()), None, "{name} is there twice");
    }
    let tag = seen.remove("ESCHER_EXECUTION_ID").expect("every process of a tree is marked");
    // The segments of outer engines come first: the tests may run as a command of one.
    let own = tag.rsplit(':').next().unwrap();
    let (id, number) = own.split_once('.').unwrap_or_else(|| panic!("no number in {tag}"));
    assert_eq!(id, result.id.to_string(), "{tag}");
    assert!(number.len() == 16 && number.chars().all(|digit| digit.is_ascii_hexdigit()), "{tag}");
    seen
}

fn names(variables: &BTreeMap<String, String>) -> String {
    variables.keys().map(String::as_str).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn all_of_the_hosts_variables_are_inherited_by_default() {
    let engine = Listened::new();
    let options = ExecutionOptions { host_env: Some(host(HOST)), ..Default::default() };
    let expected: BTreeMap<_, _> = HOST.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    assert_eq!(seen(&engine, asking_for(&[]), options).await, expected);
    engine.finish().await;
}

#[tokio::test]
async fn policy_decides_what_is_inherited() {
    let engine = Listened::new();
    let all_but_aws = "EDITOR HOME LANG LC_ALL PATH TERM";
    let core_and_region = "AWS_REGION HOME LANG LC_ALL PATH TERM";
    // Each case has what is inherited, what is allowed on top, and what is denied; and what the child sees of it.
    let cases = [
        (InheritEnv::All, "", "AWS_*", all_but_aws),
        (InheritEnv::All, "AWS_REGION", "AWS_*", all_but_aws),
        (InheritEnv::All, "", "*", ""),
        (InheritEnv::Core, "", "", "HOME LANG LC_ALL PATH TERM"),
        (InheritEnv::Core, "AWS_*", "*SECRET*", core_and_region),
        (InheritEnv::Core, "", "L*", "HOME PATH TERM"),
        (InheritEnv::None, "", "", ""),
        (InheritEnv::None, "EDITOR AWS_?EGION", "", "AWS_REGION EDITOR"),
        (InheritEnv::None, "[A-D]*", "", "AWS_REGION AWS_SECRET_ACCESS_KEY"),
        (InheritEnv::None, "aws_*", "", ""),
    ];
    for (inherit, allow, deny, expected) in cases {
        let options = ExecutionOptions {
            inherit_env: Some(inherit),
            env_allow: globs(allow),
            env_deny: globs(deny),
            host_env: Some(host(HOST)),
            ..Default::default()
        };
        let seen = seen(&engine, asking_for(&[]), options).await;
        assert_eq!(names(&seen), expected, "{inherit:?}, allow {allow:?}, deny {deny:?}");
    }
    engine.finish().await;
}

#[tokio::test]
async fn a_request_adds_to_what_is_inherited_and_wins() {
    let engine = Listened::new();
    for inherit in [InheritEnv::All, InheritEnv::Core, InheritEnv::None] {
        let options = ExecutionOptions { inherit_env: Some(inherit), host_env: Some(host(HOST)), ..Default::default() };
        let asked = [("HOME", "/home/request"), ("EMPTY", ""), ("ODD NAME", "a=b\nü'\"$HOME")];
        let seen = seen(&engine, asking_for(&asked), options).await;
        for (name, value) in asked {
            assert_eq!(seen.get(name).map(String::as_str), Some(value), "{inherit:?}");
        }
        assert_eq!(seen.contains_key("EDITOR"), inherit == InheritEnv::All);
    }
    engine.finish().await;
}

#[tokio::test]
async fn a_request_cannot_set_what_the_host_denies() {
    let engine = Listened::with(ExecutionConfig { env_deny: globs("LD_*"), ..Default::default() });
    let request = || asking_for(&[("LD_PRELOAD", "/tmp/evil.so")]);
    assert_field_refused(engine.execute(request()).await, ErrorCode::InvalidRequest, "env.LD_PRELOAD");
    let options = ExecutionOptions { env_deny: globs("AWS_*"), ..Default::default() };
    // The lists add up: an option cannot lift what the engine denies.
    assert_field_refused(
        engine.execute_with(request(), options.clone()).await,
        ErrorCode::InvalidRequest,
        "env.LD_PRELOAD",
    );
    let request = asking_for(&[("AWS_PROFILE", "prod")]);
    assert_field_refused(engine.execute_with(request, options).await, ErrorCode::InvalidRequest, "env.AWS_PROFILE");
    engine.finish().await;
}

#[tokio::test]
async fn the_policy_of_the_engine_holds_where_none_is_given() {
    let config = ExecutionConfig {
        inherit_env: InheritEnv::Core,
        env_allow: globs("AWS_*"),
        env_deny: globs("*SECRET*"),
        ..Default::default()
    };
    let engine = Listened::with(config);
    let options = ExecutionOptions { host_env: Some(host(HOST)), ..Default::default() };
    let by_config = seen(&engine, asking_for(&[]), options.clone()).await;
    assert_eq!(names(&by_config), "AWS_REGION HOME LANG LC_ALL PATH TERM");
    let narrower = ExecutionOptions { inherit_env: Some(InheritEnv::None), env_allow: globs("EDITOR"), ..options };
    assert_eq!(names(&seen(&engine, asking_for(&[]), narrower).await), "AWS_REGION EDITOR");
    engine.finish().await;
}

#[tokio::test]
async fn the_tag_of_a_tree_cannot_be_forged() {
    let engine = Listened::new();
    let forged = host(&[("PATH", "/bin"), ("ESCHER_EXECUTION_ID", "another value")]);
    for inherit in [InheritEnv::All, InheritEnv::None] {
        let options = ExecutionOptions {
            inherit_env: Some(inherit),
            env_allow: globs("ESCHER_*"),
            host_env: Some(forged.clone()),
            ..Default::default()
        };
        // `seen` checks that the mark is there once and is the execution's id.
        seen(&engine, asking_for(&[]), options).await;
    }
    engine.finish().await;
}

/// The test runs in a process of its own, since it changes its variables.
#[test]
fn a_child_gets_the_variables_of_the_moment_of_the_call() {
    alone(|| {
        // SAFETY: nothing else runs in this process yet.
        unsafe { std::env::set_var("MOMENT", "asked") };
        block_on(async {
            let engine = Listened::with_slots(1);
            let dir = scratch();
            engine.start(waits_for(&dir.path().join("go")), ExecutionOptions::default()).await;
            let id = engine.execute(shell("echo $MOMENT")).await.unwrap();
            // SAFETY: the engine's threads read no variables: each execution has a copy of its own.
            unsafe { std::env::set_var("MOMENT", "started") };
            std::fs::write(dir.path().join("go"), "").unwrap();
            let result = soon("the end", engine.wait_for_completion(id)).await.unwrap();
            assert_eq!(result.stdout, "asked\n");
            engine.finish().await;
        });
    });
}

#[tokio::test]
async fn a_request_removes_a_variable_that_would_be_inherited() {
    let engine = Listened::new();
    let options = || ExecutionOptions { host_env: Some(host(HOST)), ..Default::default() };
    let request = asking_for(&[("HOME", execution_engine::UNSET), ("LANG", "request")]);
    let wire = serde_json::to_value(&request).unwrap();
    assert_eq!(wire["env"], serde_json::json!({ "HOME": null, "LANG": "request" }));
    assert_eq!(ExecutionEngine::parse_request(&wire.to_string()).unwrap(), request);
    let seen = seen(&engine, request, options()).await;
    assert_eq!((seen.get("HOME"), seen.get("LANG").map(String::as_str)), (None, Some("request")));
    let refused = engine.execute_with(asking_for(&[("A", "\0b")]), options()).await.unwrap_err();
    assert_eq!(refused.field(), Some("env.A"));
    engine.finish().await;
}
