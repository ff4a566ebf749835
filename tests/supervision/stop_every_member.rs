//! Each process of a tree gets the stop signal, wherever it is, and has the grace period to clean up.

use crate::common::*;
use crate::members::{LONG_GRACE_MS, Members, grace, mechanism};

async fn is_stopped(line: &str, expected: &str) {
    let (engine, members) = (Listened::new(), Members::new());
    let id = engine.execute_with(members.shell(line), grace(LONG_GRACE_MS)).await.unwrap();
    let pid = members.pid("a").await;
    soon("the cancel", engine.cancel(id)).await.unwrap();
    assert_gone(&[pid]);
    // `timeout` passes the signal on, so its child may have met it twice.
    assert!(members.text("a.stopped").starts_with("stopped\n"), "it has handled the signal");
    assert!(!members.path().join("a.lock").exists(), "it has released its lock");
    let result = engine.get_result(id).await.unwrap();
    assert_cancelled(&result);
    assert!(mechanism(&result).contains(expected) && !mechanism(&result).contains("SIGKILL"), "{result:#?}");
    engine.finish().await;
}

#[tokio::test]
async fn a_child_of_the_command() {
    is_stopped("sh member.sh a & wait", "SIGTERM to the group").await;
}

#[tokio::test]
async fn below_a_program_that_makes_a_process_group() {
    is_stopped("timeout 600 sh member.sh a & wait", "SIGTERM to the group and to the rest of the session").await;
}

#[tokio::test]
async fn in_a_session_that_the_command_waits_for() {
    is_stopped("setsid -w sh member.sh a & wait", "escaped it, found by control group, tag or parent").await;
}

#[tokio::test]
async fn a_daemon() {
    is_stopped("(setsid sh member.sh a >/dev/null 2>&1 &); exec sleep 999", "that escaped it").await;
}

/// The handler is there before the fork, so the late member has it from its first instruction.
const STARTS_ANOTHER: &str = "
use POSIX;
my ($leader, $stopped) = ($$, 0);
sub mark { open(my $file, '>>', $_[0]); print $file qq($_[1]\\n); close $file }
$SIG{TERM} = sub { if ($$ == $leader) { $stopped = 1 } else { mark('b.stopped', 'stopped'); exit 0 } };
mark('a.pid', $$);
select(undef, undef, undef, 0.01) until $stopped;
my $child = fork;
if (!$child) { POSIX::setsid(); mark('b.pid', $$); select(undef, undef, undef, 0.01) while 1 }
waitpid($child, 0);
exit 7;
";

#[tokio::test]
async fn a_member_that_appears_during_the_grace_period() {
    let (engine, members) = (Listened::new(), Members::new());
    let request =
        ExecutionRequest { working_dir: Some(members.path().to_owned()), ..exec("perl", &["-e", STARTS_ANOTHER]) };
    let id = engine.execute_with(request, grace(4_000)).await.unwrap();
    members.pid("a").await;
    soon("the cancel", engine.cancel(id)).await.unwrap();
    let result = engine.get_result(id).await.unwrap();
    assert_cancelled(&result);
    assert_eq!(result.exit_code, Some(7), "the command has met the end of its child");
    assert_eq!(members.text("b.stopped"), "stopped\n");
    assert_gone(&members.pids(["a", "b"]).await);
    engine.finish().await;
}
