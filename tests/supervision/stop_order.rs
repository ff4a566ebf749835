//! With `StopOrder::Leader` the command gets the stop signal before its helpers, which it may need to shut down.

use std::time::Instant;

use execution_engine::{StopOrder, StopSignal};

use crate::common::*;
use crate::members::{LONG_GRACE_MS, Members, grace, mechanism};

/// Answers `ask` with `answer`. On SIGTERM it records whether the command was done by then.
const HELPER: &str = "
trap 'if [ -e done ]; then echo after; else echo before; fi >> helper.stopped; exit 0' TERM
echo $$ > helper.pid
while :; do [ -e ask ] && mv ask answer; sleep 0.02; done
";
/// A command that asks its helper on SIGTERM, and exits when that has answered.
const ASKS_AT_THE_END: &str = "
trap ': > ask; while [ ! -e answer ]; do sleep 0.02; done; : > done; exit 3' TERM
sh helper.sh &
while :; do sleep 0.02; done
";
/// Ignores SIGTERM, which its helper does not.
const IGNORES: &str = "
sh helper.sh &
trap '' TERM
while [ ! -s helper.pid ]; do sleep 0.02; done
echo $$ > a.pid
while :; do sleep 0.02; done
";

fn leader_first(ms: u64) -> ExecutionOptions {
    ExecutionOptions { stop_order: Some(StopOrder::Leader), ..grace(ms) }
}

async fn started(engine: &Listened, program: &str, options: ExecutionOptions) -> (Members, Uuid) {
    let members = Members::new();
    members.write("helper.sh", HELPER);
    let id = engine.execute_with(members.shell(program), options).await.unwrap();
    members.pid(if program == IGNORES { "a" } else { "helper" }).await;
    (members, id)
}

#[tokio::test]
async fn a_helper_is_stopped_when_the_command_has_exited() {
    let engine = Listened::new();
    let (members, id) = started(&engine, ASKS_AT_THE_END, leader_first(LONG_GRACE_MS)).await;
    soon("the cancel", engine.cancel(id)).await.unwrap();
    let result = engine.get_result(id).await.unwrap();
    assert_eq!(result.exit_code, Some(3), "its helper has answered: {result:#?}");
    assert_eq!(members.text("helper.stopped"), "after\n");
    assert_eq!(mechanism(&result), "SIGTERM to the group");
    engine.finish().await;
}

#[tokio::test]
async fn a_helper_of_a_command_that_ignores_the_signal_is_stopped_after_half_of_the_grace_period() {
    let engine = Listened::new();
    let (members, id) = started(&engine, IGNORES, leader_first(4_000)).await;
    let begun = Instant::now();
    let (cancelled, took) = tokio::join!(soon("the cancel", engine.cancel(id)), async {
        members.written("helper.stopped").await;
        begun.elapsed()
    });
    cancelled.unwrap();
    assert!(took >= Duration::from_secs(2), "the helper was stopped after {took:?}");
    assert_eq!(engine.get_result(id).await.unwrap().signal.as_deref(), Some("SIGKILL"));
    engine.finish().await;
}

#[tokio::test]
async fn a_shortened_grace_period_has_a_shorter_half() {
    let engine = Listened::new();
    let (members, id) = started(&engine, IGNORES, leader_first(LONG_GRACE_MS)).await;
    let both = async { tokio::join!(engine.cancel(id), engine.cancel_with(id, Some(Duration::from_secs(4)))) };
    soon("the cancels", both).await.0.unwrap();
    assert_eq!(members.text("helper.stopped"), "before\n", "it was not killed without a signal");
    engine.finish().await;
}

#[tokio::test]
async fn the_signal_is_the_one_of_the_options() {
    let engine = Listened::with(ExecutionConfig { stop_signal: StopSignal::Hup, ..Default::default() });
    let all = [
        (StopSignal::Term, "SIGTERM"),
        (StopSignal::Int, "SIGINT"),
        (StopSignal::Hup, "SIGHUP"),
        (StopSignal::Quit, "SIGQUIT"),
        (StopSignal::Usr1, "SIGUSR1"),
        (StopSignal::Usr2, "SIGUSR2"),
    ];
    let given = all.into_iter().map(|(signal, name)| (Some(signal), name)).chain([(None, "SIGHUP")]);
    for (stop_signal, name) in given {
        let options = ExecutionOptions { stop_signal, ..grace(LONG_GRACE_MS) };
        let id = engine.start(shell("ulimit -c 0; echo ready; exec sleep 999"), options).await;
        soon("the cancel", engine.cancel(id)).await.unwrap();
        let result = engine.get_result(id).await.unwrap();
        assert_eq!(result.signal.as_deref(), Some(name));
        assert_eq!(mechanism(&result), format!("{name} to the group"));
    }
    engine.finish().await;
}
