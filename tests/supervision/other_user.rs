//! A process that the host may not signal is told, and nobody waits for it for ever.

use std::time::Instant;

use crate::common::*;
use crate::hosts::{Stranger, alone_under, can};

const SETUID: &str = "ESCHER_TEST_SETUID";

/// The host is an ordinary user, and its command becomes root: by a copy of `setpriv` that anybody runs as root.
#[test]
fn f16_who_may_not_be_killed_is_told_and_given_up() {
    let dir = scratch();
    let copy = dir.path().join("become-root");
    let is_ready = is_alone() || {
        std::fs::copy("/usr/bin/setpriv", &copy).is_ok() && {
            use std::os::unix::fs::PermissionsExt;
            let open = std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755));
            open.is_ok() && std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o4755)).is_ok()
        }
    };
    let first =
        format!("export {SETUID}='{}'; [ \"$(\"${SETUID}\" --reuid=0 id -ru)\" = 0 ] || exit 1", copy.display());
    let stranger = Stranger::new(2, 500, &first);
    let body = || block_on(give_up(&std::env::var(SETUID).unwrap()));
    if is_ready && can(&body, &stranger.words()) {
        alone_under(&stranger.words(), body);
    } else if !is_ready {
        eprintln!("SKIPPED f16_who_may_not_be_killed_is_told_and_given_up: `setpriv` cannot be copied");
    }
}

async fn give_up(become_root: &str) {
    let engine = Listened::new();
    let options = ExecutionOptions { kill_grace_ms: Some(100), ..Default::default() };
    // It ends by itself: nobody here could end it.
    let line = format!("'{become_root}' --reuid=0 /bin/sh -c 'echo pid $$; exec sleep 20' & wait");
    let id = engine.execute_with(shell(line), options).await.unwrap();
    let root = crate::hosts::pids_told(&engine.recorder, id, 1).await[0];
    let begun = Instant::now();
    soon("the cancel", engine.cancel(id)).await.unwrap();
    let result = engine.get_result(id).await.unwrap();
    assert_cancelled(&result);
    let killed = result.killed.as_ref().unwrap();
    assert!(killed.pids.contains(&i32::try_from(root).unwrap()), "{killed:?}");
    assert!(killed.mechanism.contains(&format!("SIGKILL to {root} was refused")), "{}", killed.mechanism);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    // No spin: five seconds of looking every 50 ms at most cost little.
    // SAFETY: zeroed is a valid rusage, and the call fills it.
    let used = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage.ru_utime.tv_sec + usage.ru_stime.tv_sec
    };
    assert!(used < 3, "{used} s of processor time");
    assert_completed(&soon("the next", engine.run(brief())).await.unwrap());
    engine.finish().await;
}
