//! Processes that a command leaves behind are ended or left alone, as the option says; the status is the command's own.

use execution_engine::types::Leftovers;

use crate::common::*;

fn kill() -> ExecutionOptions {
    ExecutionOptions { leftovers: Some(Leftovers::Kill), kill_grace_ms: Some(100), ..Default::default() }
}

/// Three processes: one holds the pipe, one has closed it, and one has left the session.
const THREE: &str = "sleep 999 & echo pid $!; sleep 998 >/dev/null 2>&1 & echo pid $!; \
                     (setsid sh -c 'echo pid $$; : > up; exec sleep 997' &)";

/// Waits for the file that the last process writes when it has printed its id and is in its final state.
const UP: &str = "while [ ! -e up ]; do sleep 0.01; done";

/// Returns a shell line that runs in a directory of its own.
fn shell_in(dir: &tempfile::TempDir, line: impl Into<String>) -> ExecutionRequest {
    ExecutionRequest { working_dir: Some(dir.path().to_owned()), ..shell(line) }
}

async fn leaves_three(engine: &Listened, code: i32, options: ExecutionOptions) -> (Arc<ExecutionResult>, Vec<u32>) {
    // The daemon prints its pid before the command exits.
    let (dir, line) = (scratch(), format!("{THREE}; {UP}; exit {code}"));
    let result = soon("the end", engine.run_with(shell_in(&dir, line), options)).await.unwrap();
    let pids = pids_in(&result.stdout);
    assert_eq!(pids.len(), 3, "{result:#?}");
    (result, pids)
}

fn reported(result: &ExecutionResult) -> Vec<u32> {
    let killed = result.killed.as_ref().unwrap_or_else(|| panic!("nothing is reported: {result:#?}"));
    killed.pids.clone()
}

#[tokio::test]
async fn leftovers_are_killed_and_reported_on_request() {
    let engine = Listened::new();
    let (result, pids) = leaves_three(&engine, 0, kill()).await;
    assert_ended(&result, ExecutionStatus::Completed, Reason::Exit);
    assert_eq!(result.exit_code, Some(0));
    assert_gone(&pids);
    assert!(pids.iter().all(|pid| reported(&result).contains(pid)), "{result:#?}");
    assert!(!reported(&result).contains(&result.pid.unwrap()), "the command itself was not killed: {result:#?}");
    engine.finish().await;
}

#[tokio::test]
async fn the_status_is_that_of_the_exit_code() {
    let engine = Listened::new();
    let (result, pids) = leaves_three(&engine, 7, kill()).await;
    assert_ended(&result, ExecutionStatus::Failed, Reason::Exit);
    assert_eq!((result.exit_code, result.signal.as_deref()), (Some(7), None));
    assert_gone(&pids);
    engine.finish().await;
}

#[tokio::test]
async fn a_command_without_leftovers_reports_none_killed() {
    let engine = Listened::new();
    assert_completed(&engine.run_with(shell("sleep 0.01 & wait; echo done"), kill()).await.unwrap());
    engine.finish().await;
}

#[tokio::test]
async fn leftovers_that_ignore_sigterm_are_killed() {
    let engine = Listened::new();
    let stays = "sh -c 'trap \"\" TERM; echo pid $$; : > up; while :; do sleep 0.1; done'";
    let (dir, line) = (scratch(), format!("{stays} & {UP}; exit 0"));
    let result = soon("the end", engine.run_with(shell_in(&dir, line), kill())).await.unwrap();
    assert_ended(&result, ExecutionStatus::Completed, Reason::Exit);
    assert_gone(&pids_in(&result.stdout));
    let mechanism = &result.killed.as_ref().unwrap().mechanism;
    assert!(
        mechanism.starts_with("SIGTERM to the group, then ") && mechanism.contains("then SIGKILL to the group"),
        "{mechanism}"
    );
    engine.finish().await;
}

#[tokio::test]
async fn by_default_leftovers_keep_running() {
    let engine = Listened::new();
    let (result, pids) = leaves_three(&engine, 0, ExecutionOptions::default()).await;
    assert_completed(&result);
    assert!(result.leaked, "two of them still hold the pipe");
    assert!(pids.iter().all(|pid| is_alive(*pid)), "they are left alone");
    // An execution that has ended has no members any more: a late cancel does not reach them.
    soon("a late cancel", engine.cancel(result.id)).await.unwrap();
    assert!(pids.iter().all(|pid| is_alive(*pid)), "they are left alone");
    for pid in pids {
        end(pid).await;
    }
    engine.finish().await;
}

#[tokio::test]
async fn a_daemon_that_holds_the_pipe_delays_the_result_by_the_drain_and_loses_no_byte() {
    let engine = Listened::with(ExecutionConfig { drain_timeout_ms: 100, ..Default::default() });
    let daemon = "(setsid sh -c 'echo pid $$; : > up; exec sleep 999' &)";
    let (dir, line) = (scratch(), format!("{daemon}; {UP}; echo last; exit 3"));
    let result = within(Duration::from_secs(10), "the drain", engine.run(shell_in(&dir, line))).await.unwrap();
    assert_exited(&result, 3);
    assert!(result.leaked && result.stdout.ends_with("last\n"), "{result:#?}");
    end(pids_in(&result.stdout)[0]).await;
    engine.finish().await;
}
