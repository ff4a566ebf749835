//! A program is looked for as its child would: on the child's `PATH`, from the child's directory.

use std::path::Path;

use crate::common::*;

/// Writes a program that says its name.
fn tool(path: &Path, name: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    executable(path, format!("#!/bin/sh\necho {name}\n"));
}

fn with_path(request: ExecutionRequest, path: &str) -> ExecutionRequest {
    ExecutionRequest { env: [("PATH".to_owned(), path.to_owned())].into(), ..request }
}

#[tokio::test]
async fn a_bare_name_is_found_on_the_hosts_path() {
    let engine = Listened::new();
    let result = engine.run(exec("echo", &["hello"])).await.unwrap();
    assert_completed(&result);
    assert_eq!(result.stdout, "hello\n");
    engine.finish().await;
}
