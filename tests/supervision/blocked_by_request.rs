//! If the program, the file or the directory of a request never answers, that request alone waits, and no longer than
//! it may.

use std::path::Path;
use std::time::Instant;

use crate::common::*;
use crate::hanging_mount::{HangingMount, OWN_MOUNTS};
use crate::hosts::{Injection, alone_under, with_words};

const TIMEOUT_MS: u64 = 300;
/// A timeout far beyond the test.
const LONG_TIMEOUT_MS: u64 = 600_000;
/// The longest delay of another command by 40 requests that hang, on an idle machine and in a build without
/// optimizations.
const LONGEST_DELAY: Duration = Duration::from_millis(500);

/// Runs the body with a mount that hangs; reports a skipped test where that is not possible.
fn with_hanging_mount(name: &str, body: impl FnOnce(HangingMount)) {
    match HangingMount::new() {
        Ok(mount) => body(mount),
        Err(error) => eprintln!("SKIPPED {name}: no mount can be made that hangs ({error})"),
    }
}

fn timed(request: ExecutionRequest, timeout_ms: u64) -> ExecutionRequest {
    ExecutionRequest { id: Uuid::new_v4(), timeout_ms: Some(timeout_ms), ..request }
}

/// Returns every way in which a request can name a path.
fn every_kind(mount: &HangingMount) -> Vec<(&'static str, ExecutionRequest)> {
    let path = mount.path("file.sh");
    let interpreted =
        Command::Script { path: path.clone(), interpreter: Some("/bin/sh".into()), args: Vec::new() }.into();
    let env = [("PATH".to_owned(), format!("{}:/usr/bin:/bin", path.display()))].into();
    vec![
        ("program", program(&path)),
        ("script", script(&path)),
        ("script with an interpreter", interpreted),
        ("shell", Command::Shell { command: "true".into(), shell: path.to_str().unwrap().into() }.into()),
        ("working directory", ExecutionRequest { working_dir: Some(path.clone()), ..brief() }),
        ("log", ExecutionRequest { output_log_path: Some(path), ..brief() }),
        ("directory on the PATH", ExecutionRequest { env, ..brief() }),
    ]
}

/// Returns the number of threads that requests can block.
fn spawn_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("/proc").flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.trim_end() == "escher-spawn").count()
}

/// Returns how many of them stay: as many as spawn at once, and eight.
fn kept_threads() -> usize {
    let processors = std::thread::available_parallelism().unwrap().get();
    (processors + 1).min(8) + 8
}

#[test]
fn each_path_of_a_request_that_hangs_ends_by_the_timeout() {
    alone_under(OWN_MOUNTS, || {
        with_hanging_mount("timeout", |mount| {
            block_on(async {
                let engine = Listened::new();
                // The second time all threads that there were at first hang.
                for _ in 0..2 {
                    let mut ids = Vec::new();
                    for (what, request) in every_kind(&mount) {
                        ids.push((what, Instant::now(), engine.execute(timed(request, TIMEOUT_MS)).await.unwrap()));
                    }
                    for (what, begun, id) in ids {
                        let result = soon(what, engine.wait_for_completion(id)).await.unwrap();
                        assert_a_second_after(Duration::from_millis(TIMEOUT_MS), what, begun.elapsed());
                        assert!(begun.elapsed() >= Duration::from_millis(TIMEOUT_MS), "{what}: {result:#?}");
                        assert_timed_out(&result, Reason::Timeout);
                        assert_never_ran(&result);
                        assert!(result.error.is_none(), "{result:#?}");
                    }
                }
                assert_completed(&soon("a healthy one", engine.run(brief())).await.unwrap());
                drop(mount);
                wait_until("the threads are back", || spawn_threads() <= kept_threads()).await;
                wait_until("nothing is left", || zombies().is_empty()).await;
                engine.finish().await;
            });
        });
    });
}

#[test]
fn cancel_ends_an_execution_whose_spawn_hangs() {
    alone_under(OWN_MOUNTS, || {
        with_hanging_mount("cancel", |mount| {
            block_on(async {
                let engine = Listened::new();
                let kinds = every_kind(&mount);
                for round in 0..usize::try_from(repeats()).unwrap() {
                    let (what, request) = &kinds[round % kinds.len()];
                    let id = engine.execute(timed(request.clone(), LONG_TIMEOUT_MS)).await.unwrap();
                    if round % 2 == 0 {
                        // That one begins before this one, and so it hangs by now.
                        assert_completed(&soon("a later one", engine.run(brief())).await.unwrap());
                    }
                    a_second_after(Duration::ZERO, what, engine.cancel(id)).await.unwrap();
                    let result = engine.get_result(id).await.unwrap();
                    assert_cancelled(&result);
                    assert_never_ran(&result);
                }
                drop(mount);
                wait_until("the threads are back", || spawn_threads() <= kept_threads()).await;
                engine.finish().await;
            });
        });
    });
}

#[test]
fn forty_that_hang_delay_neither_twenty_others_nor_the_shutdown() {
    alone_under(OWN_MOUNTS, || {
        with_hanging_mount("forty", |mount| {
            block_on(async {
                let engine = Listened::with_slots(100);
                let kinds = every_kind(&mount);
                for round in 0..40 {
                    let (_, request) = &kinds[round % kinds.len()];
                    engine.execute(timed(request.clone(), LONG_TIMEOUT_MS)).await.unwrap();
                }
                for _ in 0..2 {
                    let begun = Instant::now();
                    let mut ids = Vec::new();
                    for _ in 0..20 {
                        ids.push(engine.execute(brief()).await.unwrap());
                    }
                    for id in ids {
                        assert_completed(&soon("a healthy one", engine.wait_for_completion(id)).await.unwrap());
                    }
                    println!("20 healthy ones took {:?}", begun.elapsed());
                    assert_a_second_after(LONGEST_DELAY, "20 healthy ones", begun.elapsed());
                }
                assert!(spawn_threads() >= 40, "they do not hang: this test is none");
                a_second_after(Duration::ZERO, "the shutdown", engine.shutdown(Duration::ZERO)).await;
                assert_eq!((engine.running_count(), engine.available_permits()), (0, 100));
                drop(mount);
                wait_until("the threads are back", || spawn_threads() <= kept_threads()).await;
                wait_until("nothing is left", || zombies().is_empty()).await;
                engine.finish().await;
            });
        });
    });
}

#[test]
fn queued_execution_whose_spawn_hangs_ends_by_the_timeout() {
    alone_under(OWN_MOUNTS, || {
        with_hanging_mount("queued", |mount| {
            block_on(async {
                let engine = Listened::with_slots(1);
                let first = engine.execute(timed(program(&mount.path("p")), TIMEOUT_MS)).await.unwrap();
                // The request waits for the slot, and is not begun on a thread that spawns.
                let queued = engine.execute(timed(program(&mount.path("p")), TIMEOUT_MS)).await.unwrap();
                for id in [first, queued] {
                    let result = soon("its end", engine.wait_for_completion(id)).await.unwrap();
                    assert_timed_out(&result, Reason::Timeout);
                    assert_never_ran(&result);
                }
                drop(mount);
                engine.finish().await;
            });
        });
    });
}

/// Returns a child that would leave a file, long after it has begun.
fn leaves_late(marker: &Path) -> ExecutionRequest {
    shell(format!("sleep 2; touch '{}'", marker.display()))
}

#[test]
fn child_that_comes_after_its_timeout_is_killed_at_birth() {
    alone(|| {
        block_on(async {
            let engine = Listened::new();
            assert_completed(&soon("the first", engine.run(brief())).await.unwrap());
            let dir = scratch();
            let marker = dir.path().join("marker");
            // For the thread that spawns, this is a program on a slow disk.
            let Some(injection) = Injection::new("execve", "delay_enter=4000000") else {
                eprintln!("SKIPPED: `strace` is missing, or may not trace here");
                engine.finish().await;
                return;
            };
            let request = timed(leaves_late(&marker), TIMEOUT_MS);
            let begun = Instant::now();
            let result = soon("the timeout", engine.run(request)).await.unwrap();
            assert_timed_out(&result, Reason::Timeout);
            assert_never_ran(&result);
            assert!(begun.elapsed() < Duration::from_secs(4), "the child was waited for: {:?}", begun.elapsed());
            let words = marker.to_str().unwrap();
            wait_until("the late child is gone", || {
                begun.elapsed() > Duration::from_secs(5) && with_words(words).is_empty() && zombies().is_empty()
            })
            .await;
            drop(injection);
            assert!(!marker.exists());
            engine.finish().await;
        });
    });
}

/// This is the case of a machine whose processors are busy: the child runs, and the thread that has created it does
/// not.
#[test]
fn child_that_runs_before_its_spawn_returns_is_ended_as_a_tree() {
    alone(|| {
        block_on(async {
            let engine = Listened::new();
            assert_completed(&soon("the first", engine.run(brief())).await.unwrap());
            let dir = scratch();
            let Some(injection) = Injection::new("clone,clone3,vfork", "delay_exit=300000") else {
                eprintln!("SKIPPED: `strace` is missing, or may not trace here");
                engine.finish().await;
                return;
            };
            let path = |name: &str| dir.path().join(name).display().to_string();
            let line = format!(
                "trap 'touch {}; exit 3' TERM; : > {}; while :; do sleep 0.01; done",
                path("cleaned-up"),
                path("ready")
            );
            let id = engine.execute(timed(shell(line), LONG_TIMEOUT_MS)).await.unwrap();
            wait_until("it runs", || dir.path().join("ready").exists()).await;
            soon("the cancel", engine.cancel(id)).await.unwrap();
            drop(injection);
            let result = engine.get_result(id).await.unwrap();
            assert_cancelled(&result);
            assert!(result.pid.is_some(), "{result:#?}");
            assert_eq!(result.exit_code, Some(3), "{result:#?}");
            assert!(dir.path().join("cleaned-up").exists());
            engine.finish().await;
        });
    });
}
