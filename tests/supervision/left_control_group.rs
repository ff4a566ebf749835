//! A member that has moved itself out of the control group of its execution is ended like the others.

use crate::common::*;
use crate::delegated::mount;
use crate::members::{LONG_GRACE_MS, Members, grace, mechanism};

fn group_of(pid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default()
}

async fn is_stopped(by_timeout: bool) {
    let Some(root) = mount().map(|mount| mount.join("cgroup.procs")) else {
        eprintln!("SKIPPED members that leave their control group: there is no version 2 here");
        return;
    };
    let (engine, members) = (Listened::new(), Members::new());
    let leave = format!("echo $$ > '{}' && exec sh member.sh a", root.display());
    members.write("leave.sh", &leave);
    let request = members.shell("echo pid $$; setsid sh leave.sh & sh member.sh b & wait");
    let id = engine.execute_with(request, grace(LONG_GRACE_MS)).await.unwrap();
    let [a, b] = members.pids(["a", "b"]).await;
    if group_of(a) == group_of(b) {
        eprintln!("SKIPPED members that leave their control group: this process may not create or leave any");
        soon("the cancel", engine.cancel(id)).await.unwrap();
        return;
    }
    if by_timeout {
        engine.extend_timeout(id, Duration::from_millis(1)).await.unwrap();
    } else {
        soon("the cancel", engine.cancel(id)).await.unwrap();
    }
    let result = soon("the end", engine.wait_for_completion(id)).await.unwrap();
    assert_gone(&[a, b]);
    for name in ["a", "b"] {
        assert_eq!(
            members.text(&format!("{name}.stopped")),
            "stopped\n",
            "{name} has had the signal once: {result:#?}"
        );
    }
    assert!(!mechanism(&result).contains("SIGKILL"), "{result:#?}");
    let killed = &result.killed.as_ref().unwrap().pids;
    assert!(killed.contains(&a), "{result:#?}");
    engine.finish().await;
}

#[tokio::test]
async fn when_it_is_cancelled() {
    is_stopped(false).await;
}

/// The members that are in the group get the signal before any scan finds the one that is not.
#[tokio::test]
async fn when_its_time_is_over() {
    is_stopped(true).await;
}
