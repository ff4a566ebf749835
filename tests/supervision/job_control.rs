//! Background jobs of a shell with job control have groups of their own, and stay in the session.

use crate::common::*;
use crate::hosts::{printed_pids, session_of};

#[tokio::test]
async fn a_job_in_a_group_of_its_own_is_ended() {
    if !std::path::Path::new("/bin/bash").exists() {
        eprintln!("SKIPPED a_job_in_a_group_of_its_own_is_ended: there is no /bin/bash");
        return;
    }
    let engine = Listened::new();
    let options = ExecutionOptions { kill_grace_ms: Some(100), ..Default::default() };
    let line = "set -m; sleep 999 & echo pid $!; env -i sleep 998 & echo pid $!; wait";
    // dash has no job control without a terminal.
    let bash = Command::Shell { command: line.into(), shell: "/bin/bash".into() };
    let id = engine.execute_with(bash.into(), options).await.unwrap();
    let leader = i32::try_from(engine.recorder.started(id).await).unwrap();
    let jobs = printed_pids(&engine.recorder, id, 2).await;
    for job in &jobs {
        let job = i32::try_from(*job).unwrap();
        // SAFETY: no memory is involved.
        assert_eq!(unsafe { libc::getpgid(job) }, job, "the job has a group of its own");
        assert_eq!(session_of(job.unsigned_abs()), leader, "and stays in the session");
    }
    soon("the cancel", engine.cancel(id)).await.unwrap();
    let result = engine.get_result(id).await.unwrap();
    assert_cancelled(&result);
    assert_gone(&jobs);
    let killed = result.killed.as_ref().unwrap();
    assert!(jobs.iter().all(|job| killed.pids.contains(job)), "{killed:?}");
    assert_eq!(killed.mechanism, "SIGTERM to the group and to the rest of the session");
    engine.finish().await;
}
