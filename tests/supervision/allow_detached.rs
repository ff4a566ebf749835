//! With `allow_detached` a child may opt out of the end of its tree.

use crate::common::*;
use crate::members::{Members, grace};

/// One child opts out and has a child of its own; one has the value `detached`, but stays in the session of the command; one has a session
/// of its own, but not that value.
const LINE: &str = "
ESCHER_EXECUTION_ID=detached setsid sh -c 'sleep 300 & echo $! > kept_child.pid; echo $$ > kept.pid; wait' >/dev/null 2>&1 &
ESCHER_EXECUTION_ID=detached sh member.sh bound >/dev/null 2>&1 &
setsid sh member.sh tagged >/dev/null 2>&1 &
wait
";
const ALL: [&str; 4] = ["kept", "kept_child", "bound", "tagged"];

#[derive(Debug, Clone, Copy, PartialEq)]
enum How {
    Cancel,
    Kill,
    Timeout,
}

/// Ends such a tree, and returns the names of those that keep running.
async fn survivors(config: bool, option: Option<bool>, how: How) -> Vec<&'static str> {
    let engine = Listened::with(ExecutionConfig { allow_detached: config, ..Default::default() });
    let members = Members::new();
    let options = ExecutionOptions { allow_detached: option, ..grace(if how == How::Kill { 0 } else { 10_000 }) };
    let id = engine.execute_with(members.shell(LINE), options).await.unwrap();
    let pids = members.pids(ALL).await;
    if how == How::Timeout {
        engine.extend_timeout(id, Duration::from_millis(1)).await.unwrap();
        let result = soon("the timeout", engine.wait_for_completion(id)).await.unwrap();
        assert_timed_out(&result, Reason::Timeout);
    } else {
        soon("the cancel", engine.cancel(id)).await.unwrap();
    }
    let alive: Vec<_> = ALL.into_iter().zip(pids).filter(|(_, pid)| is_alive(*pid)).collect();
    for (_, pid) in &alive {
        end(*pid).await;
    }
    engine.finish().await;
    alive.into_iter().map(|(name, _)| name).collect()
}

#[tokio::test]
async fn a_child_that_opts_out_keeps_running_with_its_descendants() {
    for how in [How::Cancel, How::Kill, How::Timeout] {
        assert_eq!(survivors(true, None, how).await, ["kept", "kept_child"], "{how:?}");
    }
}

#[tokio::test]
async fn by_default_all_are_ended() {
    for how in [How::Cancel, How::Kill, How::Timeout] {
        assert_eq!(survivors(false, None, how).await, [""; 0], "{how:?}");
    }
}

#[tokio::test]
async fn the_option_takes_precedence_over_the_configuration() {
    assert_eq!(survivors(false, Some(true), How::Cancel).await, ["kept", "kept_child"]);
    assert_eq!(survivors(true, Some(false), How::Cancel).await, [""; 0]);
}
