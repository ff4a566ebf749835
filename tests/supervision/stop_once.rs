//! Each process of a tree gets one stop signal, however many calls end it.

use tokio_util::sync::CancellationToken;

use crate::common::*;
use crate::members::{LONG_GRACE_MS, Members, mechanism};

/// Three processes, of which one has left the session. Each records every signal, and keeps running for 350 ms after the first: that
/// is more than three scans.
const COUNTS: &str = "
use POSIX;
use Time::HiRes 'time';
my $end = time + 60;
my $name = 'leader';
$SIG{TERM} = sub {
  $end = time + 0.35 if $end > time + 1;
  open(my $out, '>>', 'signals'); syswrite($out, qq($name\\n)); close $out;
};
if (!fork) { $name = 'child' } elsif (!fork) { $name = 'daemon'; POSIX::setsid() }
open(my $pid, '>', qq($name.pid)); print $pid qq($$\\n); close $pid;
select(undef, undef, undef, 0.01) while time < $end;
";

async fn end_by_everything_at_once() {
    let members = Members::new();
    let engine = Listened::with(ExecutionConfig { kill_grace_ms: LONG_GRACE_MS, ..Default::default() });
    let abort = CancellationToken::new();
    let options = ExecutionOptions { signal: Some(abort.clone()), ..Default::default() };
    let request = ExecutionRequest { working_dir: Some(members.path().to_owned()), ..exec("perl", &["-e", COUNTS]) };
    let id = engine.execute_with(request, options).await.unwrap();
    members.pids(["leader", "child", "daemon"]).await;
    abort.cancel();
    let all = async {
        tokio::join!(
            engine.cancel(id),
            engine.cancel_all(),
            engine.cancel_with(id, Some(Duration::from_secs(500))),
            engine.shutdown(Duration::ZERO),
            engine.shutdown(Duration::from_millis(5)),
            engine.cancel(id),
        )
    };
    soon("the end", all).await.0.unwrap();
    let signals = members.text("signals");
    let mut signals: Vec<&str> = signals.lines().collect();
    signals.sort_unstable();
    assert_eq!(signals, ["child", "daemon", "leader"]);
    assert!(!mechanism(&engine.get_result(id).await.unwrap()).contains("SIGKILL"));
    engine.finish().await;
}

#[tokio::test]
async fn cancels_an_abort_and_shutdowns_together_send_one_signal_to_each() {
    let mut done = 0;
    while done < repeats() {
        let some = (repeats() - done).min(4);
        futures_of(some).await;
        done += some;
    }
}

async fn futures_of(count: u64) {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..count {
        tasks.spawn(end_by_everything_at_once());
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}
