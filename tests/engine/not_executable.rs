//! A file that cannot be executed is an error with a name, and never a guess.

use crate::common::*;

#[tokio::test]
async fn a_file_without_permission_is_named_in_the_error() {
    let engine = Listened::new();
    let dir = scratch();
    let path = write_file(&dir.path().join("tool"), "#!/bin/sh\n", 0o644);
    assert_not_spawned(engine.run(program(&path)).await, "EACCES", &["chmod"]);
    let path = dir.path().to_str().unwrap().to_owned();
    let by_name = ExecutionRequest { env: [("PATH".into(), path)].into(), ..exec::<&str>("tool", &[]) };
    assert_not_spawned(engine.run(by_name).await, "EACCES", &["chmod"]);
    engine.finish().await;
}

#[tokio::test]
async fn a_directory_as_program_is_named_in_the_error() {
    let engine = Listened::new();
    let dir = scratch();
    assert_not_spawned(engine.run(program(dir.path())).await, "EACCES", &["directory"]);
    assert_not_spawned(engine.run(script(dir.path())).await, "EISDIR", &["directory"]);
    engine.finish().await;
}

#[tokio::test]
async fn a_text_without_a_shebang_is_never_given_to_a_shell() {
    let engine = Listened::new();
    let dir = scratch();
    let marker = dir.path().join("ran");
    let text = executable(&dir.path().join("text"), format!("touch '{}'\n", marker.display()));
    let empty = executable(&dir.path().join("empty"), "");
    for path in [text, empty] {
        assert_not_spawned(engine.run(program(&path)).await, "ENOEXEC", &["#!"]);
    }
    assert!(!marker.exists(), "a shell has run it");
    engine.finish().await;
}

#[tokio::test]
async fn too_large_arguments_are_a_typed_error() {
    let engine = Listened::new();
    assert_not_spawned(engine.run(exec("echo", &["x".repeat(256 * 1024)])).await, "E2BIG", &["too large"]);
    let large = (0..200).map(|i| (format!("LARGE_{i}"), "x".repeat(100_000))).collect();
    let request = ExecutionRequest { env: large, ..brief() };
    assert_not_spawned(engine.run(request).await, "E2BIG", &["too large"]);
    assert_completed(&engine.run(brief()).await.unwrap());
    engine.finish().await;
}

#[tokio::test]
async fn other_failures_keep_the_systems_name() {
    let engine = Listened::new();
    let dir = scratch();
    let looped = dir.path().join("loop");
    std::os::unix::fs::symlink(&looped, &looped).unwrap();
    assert_not_spawned(engine.run(program(&looped)).await, "ELOOP", &["loop"]);
    assert_not_spawned(engine.run(exec::<&str>("/etc/passwd/tool", &[])).await, "ENOTDIR", &["/etc/passwd/tool"]);
    let long = format!("/{}", "x".repeat(300));
    assert_not_spawned(engine.run(exec::<&str>(long, &[])).await, "ENAMETOOLONG", &[]);
    engine.finish().await;
}

/// A program that was written a moment ago is held open by the children that are being started meanwhile.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_program_can_be_run_right_after_it_was_written() {
    let engine = Listened::with_slots(8);
    let dir = scratch();
    let true_program = std::fs::read("/bin/true").unwrap();
    let lanes: Vec<_> = (0..4)
        .map(|lane| {
            let (engine, dir, content) = (engine.clone(), dir.path().to_owned(), true_program.clone());
            tokio::spawn(async move {
                for round in 0..30 {
                    let path = executable(&dir.join(format!("tool-{lane}-{round}")), &content);
                    assert_completed(&soon("the tool", engine.run(program(&path))).await.unwrap());
                }
            })
        })
        .collect();
    for lane in lanes {
        lane.await.unwrap();
    }
    engine.finish().await;
}
