//! The directory in which a command runs.

use crate::common::*;

#[tokio::test]
async fn a_command_runs_in_its_directory() {
    let engine = Listened::new();
    let dir = scratch();
    let real = dir.path().canonicalize().unwrap();
    for request in [exec::<&str>("/bin/pwd", &[]), shell("pwd")] {
        let result = engine.run(ExecutionRequest { working_dir: Some(real.clone()), ..request }).await.unwrap();
        assert_completed(&result);
        assert_eq!(result.stdout.trim_end(), real.to_str().unwrap());
    }
    let result = engine.run(exec::<&str>("/bin/pwd", &[])).await.unwrap();
    assert_eq!(result.stdout.trim_end(), std::env::current_dir().unwrap().to_str().unwrap(), "default: the host's");
    engine.finish().await;
}

#[tokio::test]
async fn a_directory_may_have_any_name() {
    let engine = Listened::new();
    let dir = scratch();
    let odd = dir.path().canonicalize().unwrap().join("-a b'\"$(x)\nü");
    std::fs::create_dir(&odd).unwrap();
    let request = ExecutionRequest { working_dir: Some(odd.clone()), ..exec::<&str>("/bin/pwd", &[]) };
    let result = engine.run(request).await.unwrap();
    assert_eq!(result.stdout, format!("{}\n", odd.display()));
    engine.finish().await;
}

#[tokio::test]
async fn a_directory_removed_while_the_command_waits_is_named_in_the_error() {
    let engine = Listened::with_slots(1);
    let dir = scratch();
    let gone = dir.path().join("gone");
    std::fs::create_dir(&gone).unwrap();
    let blocker = engine.start(waits_for(&dir.path().join("go")), ExecutionOptions::default()).await;
    let id = engine.execute(ExecutionRequest { working_dir: Some(gone.clone()), ..brief() }).await.unwrap();
    std::fs::remove_dir(&gone).unwrap();
    std::fs::write(dir.path().join("go"), "").unwrap();
    assert_not_spawned(soon("the end", engine.wait_for_completion(id)).await, "ENOENT", &["working directory", "gone"]);
    assert_completed(&soon("the blocker", engine.wait_for_completion(blocker)).await.unwrap());
    engine.finish().await;
}

#[tokio::test]
async fn pwd_is_the_directory_of_the_command() {
    let engine = Listened::new();
    let dir = scratch();
    let real = dir.path().canonicalize().unwrap();
    let request = ExecutionRequest { working_dir: Some(real.clone()), ..exec("printenv", &["PWD"]) };
    assert_eq!(engine.run(request).await.unwrap().stdout, format!("{}\n", real.display()));
    engine.finish().await;
}
