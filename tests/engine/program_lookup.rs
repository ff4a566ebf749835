//! A program is looked for as its child would: on the child's `PATH`, from the child's directory.

use std::path::Path;

use execution_engine::InheritEnv;

use crate::common::*;

/// Writes a program that says its name.
fn tool(path: &Path, name: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    executable(path, format!("#!/bin/sh\necho {name}\n"));
}

fn with_path(request: ExecutionRequest, path: &str) -> ExecutionRequest {
    ExecutionRequest { env: [("PATH".to_owned(), path.to_owned())].into(), ..request }
}

async fn says(engine: &Listened, request: ExecutionRequest) -> String {
    let result = engine.run(request).await.unwrap();
    assert_completed(&result);
    result.stdout.trim_end().to_owned()
}

#[tokio::test]
async fn a_bare_name_is_found_on_the_hosts_path() {
    let engine = Listened::new();
    assert_eq!(says(&engine, exec("echo", &["hello"])).await, "hello");
    engine.finish().await;
}

#[tokio::test]
async fn a_path_in_the_request_is_the_one_that_counts() {
    let engine = Listened::new();
    let dir = scratch();
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));
    tool(&first.join("tool"), "first");
    tool(&second.join("tool"), "second");
    let both = format!("{}:{}", first.display(), second.display());
    assert_eq!(says(&engine, with_path(exec::<&str>("tool", &[]), &both)).await, "first");
    assert_eq!(says(&engine, with_path(exec::<&str>("tool", &[]), second.to_str().unwrap())).await, "second");
    // A program that is on the host's PATH only is not found then.
    let elsewhere = with_path(exec("echo", &["hello"]), second.to_str().unwrap());
    assert_not_spawned(engine.run(elsewhere).await, "ENOENT", &["echo", second.to_str().unwrap()]);
    engine.finish().await;
}

#[tokio::test]
async fn what_cannot_be_executed_is_passed_over() {
    let engine = Listened::new();
    let dir = scratch();
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));
    std::fs::create_dir_all(first.join("other")).unwrap();
    write_file(&first.join("tool"), "#!/bin/sh\n", 0o644);
    tool(&second.join("tool"), "second");
    tool(&second.join("other"), "other");
    let both = format!("/nope:{}:{}", first.display(), second.display());
    assert_eq!(says(&engine, with_path(exec::<&str>("tool", &[]), &both)).await, "second");
    assert_eq!(says(&engine, with_path(exec::<&str>("other", &[]), &both)).await, "other");
    engine.finish().await;
}

#[tokio::test]
async fn a_relative_program_starts_at_the_working_directory() {
    let engine = Listened::new();
    let dir = scratch();
    tool(&dir.path().join("tool"), "here");
    tool(&dir.path().join("bin/tool"), "below");
    for (name, expected) in [("./tool", "here"), ("bin/tool", "below"), ("./bin/../tool", "here")] {
        let request = ExecutionRequest { working_dir: Some(dir.path().into()), ..exec::<&str>(name, &[]) };
        assert_eq!(says(&engine, request).await, expected);
    }
    let bare = ExecutionRequest { working_dir: Some(dir.path().into()), ..exec::<&str>("tool", &[]) };
    assert_not_spawned(engine.run(bare).await, "ENOENT", &["tool"]);
    engine.finish().await;
}

#[tokio::test]
async fn a_relative_directory_on_the_path_starts_at_the_working_directory() {
    let engine = Listened::new();
    let dir = scratch();
    tool(&dir.path().join("bin/tool"), "below");
    let request = with_path(exec::<&str>("tool", &[]), "/nope:bin");
    let request = ExecutionRequest { working_dir: Some(dir.path().into()), ..request };
    assert_eq!(says(&engine, request).await, "below");
    engine.finish().await;
}

#[tokio::test]
async fn without_a_path_the_usual_places_are_searched() {
    let engine = Listened::new();
    let options = ExecutionOptions { inherit_env: Some(InheritEnv::None), ..Default::default() };
    let result = engine.run_with(exec("echo", &["hello"]), options).await.unwrap();
    assert_completed(&result);
    assert_eq!(result.stdout, "hello\n");
    engine.finish().await;
}

#[tokio::test]
async fn a_program_with_a_long_name_and_odd_characters_is_found() {
    let engine = Listened::new();
    let dir = scratch();
    let name = format!("{} 'ü' $(x)", "long".repeat(40));
    tool(&dir.path().join(&name), "found");
    let request = with_path(exec::<&str>(&name, &[]), dir.path().to_str().unwrap());
    assert_eq!(says(&engine, request).await, "found");
    engine.finish().await;
}
