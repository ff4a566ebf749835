//! The result of a timeout says what the command was doing.

use std::os::fd::FromRawFd;
use std::process;

use execution_engine::types::{Diagnosis, ProcessDiagnosis, Stdin};

use crate::common::*;

fn diagnosis(result: &ExecutionResult) -> &Diagnosis {
    result.diagnosis.as_ref().unwrap_or_else(|| panic!("no diagnosis: {result:#?}"))
}

fn process_with<'a>(result: &'a ExecutionResult, words: &str) -> &'a ProcessDiagnosis {
    let found = diagnosis(result).processes.iter().find(|process| process.command == words);
    found.unwrap_or_else(|| panic!("no process is {words:?}: {result:#?}"))
}

#[tokio::test]
async fn a_timeout_reports_the_processes_and_the_silence() {
    let engine = Listened::new();
    let request = ExecutionRequest { timeout_ms: Some(4_000), ..shell("sleep 999 & echo hi; sleep 998") };
    let result = soon("the timeout", engine.run(request)).await.unwrap();
    assert_timed_out(&result, Reason::Timeout);
    let silent = diagnosis(&result).silent_ms;
    assert!(silent > 100.0 && silent <= result.duration_ms, "{silent} of {}", result.duration_ms);
    let leader = result.pid.unwrap();
    for words in ["sleep 999", "sleep 998"] {
        let child = process_with(&result, words);
        assert_eq!((child.parent, child.state.as_str(), child.waits_for.as_deref()), (leader, "S", None), "{child:?}");
        assert!(child.cpu_ms < 1_000.0, "{child:?}");
    }
    let shell = diagnosis(&result).processes.iter().find(|process| process.pid == leader);
    assert!(shell.is_some_and(|shell| shell.command.starts_with("/bin/sh -c")), "{result:#?}");
    engine.finish().await;
}

#[tokio::test]
async fn an_idle_timeout_reports_how_long_it_was_silent() {
    let engine = Listened::new();
    let options = ExecutionOptions { idle_timeout_ms: Some(2_000), ..Default::default() };
    let line = "for i in 1 2 3; do echo $i; sleep 0.2; done; exec sleep 997";
    let result = soon("the idle timeout", engine.run_with(shell(line), options)).await.unwrap();
    assert_timed_out(&result, Reason::IdleTimeout);
    let silent = diagnosis(&result).silent_ms;
    assert!((2_000.0..result.duration_ms).contains(&silent), "{silent} of {}", result.duration_ms);
    process_with(&result, "sleep 997");
    engine.finish().await;
}

#[tokio::test]
async fn a_computing_process_is_reported_as_running() {
    let engine = Listened::new();
    let request = ExecutionRequest { timeout_ms: Some(1_500), ..shell("while :; do :; done") };
    let result = soon("the timeout", engine.run(request)).await.unwrap();
    let [only] = &diagnosis(&result).processes[..] else { panic!("{result:#?}") };
    assert!(only.state == "R" && only.cpu_ms > 0.0, "{only:?}");
    engine.finish().await;
}

#[tokio::test]
async fn a_stopped_process_is_reported_as_stopped() {
    let engine = Listened::new();
    let id = engine.execute(shell("kill -STOP $$")).await.unwrap();
    let pid = engine.recorder.started(id).await;
    wait_until("it has stopped", || state(pid) == Some('T')).await;
    engine.extend_timeout(id, Duration::from_millis(1)).await.unwrap();
    let result = soon("the timeout", engine.wait_for_completion(id)).await.unwrap();
    let [only] = &diagnosis(&result).processes[..] else { panic!("{result:#?}") };
    assert_eq!(only.state, "T");
    engine.finish().await;
}

#[tokio::test]
async fn a_process_that_waits_for_its_input_is_reported_as_waiting() {
    let engine = Listened::new();
    let request = ExecutionRequest { timeout_ms: Some(4_000), ..shell("sleep 996 | cat") };
    let result = soon("the timeout", engine.run(request)).await.unwrap();
    assert_eq!(process_with(&result, "cat").waits_for.as_deref(), Some("stdin"), "{result:#?}");
    assert_eq!(process_with(&result, "sleep 996").waits_for, None);
    engine.finish().await;
}

/// A command that asks a question without an answer: the host's own input is a pipe that stays open.
#[test]
fn a_process_that_waits_for_the_hosts_input_is_reported_as_waiting() {
    let (_open, read) = {
        let mut fds = [0; 2];
        // SAFETY: there is room for two descriptors, which are fresh and go to their owners at once.
        unsafe {
            assert_eq!(libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC), 0);
            (std::fs::File::from_raw_fd(fds[1]), std::fs::File::from_raw_fd(fds[0]))
        }
    };
    let feed = |host: &mut process::Command| {
        host.stdin(read);
    };
    alone_after(feed, || {
        block_on(async {
            let engine = Listened::new();
            let options =
                ExecutionOptions { stdin: Stdin::Inherit, idle_timeout_ms: Some(2_000), ..Default::default() };
            // The command is silent from when it was seen to read, and not before: 0 or 63 is the number of `read`.
            let line = r#"(until grep -Eq "^(0|63) 0x0 " /proc/$$/syscall; do echo; sleep 0.1; done) & exec cat -u"#;
            let result = soon("the end", engine.run_with(shell(line), options)).await.unwrap();
            assert_timed_out(&result, Reason::IdleTimeout);
            let cat = process_with(&result, "cat -u");
            assert_eq!(cat.waits_for.as_deref(), Some("stdin"), "{cat:?}");
            engine.finish().await;
        });
    });
}

#[tokio::test]
async fn an_execution_without_a_timeout_has_no_diagnosis() {
    let engine = Listened::new();
    assert_eq!(engine.run(brief()).await.unwrap().diagnosis, None);
    let id = engine.start(endless_after(":"), ExecutionOptions::default()).await;
    soon("the cancel", engine.cancel(id)).await.unwrap();
    assert_eq!(engine.get_result(id).await.unwrap().diagnosis, None);
    engine.finish().await;
}
