//! Without control groups the members of a tree are found by their tag and their parent.

use crate::common::*;
use crate::members::{LONG_GRACE_MS, Members, grace, mechanism};

async fn is_ended(line: &str) {
    for (grace_ms, stopped) in [(LONG_GRACE_MS, "stopped\n"), (0, "")] {
        let engine = Listened::with(ExecutionConfig { control_groups: false, ..Default::default() });
        let members = Members::new();
        let id = engine.execute_with(members.shell(line), grace(grace_ms)).await.unwrap();
        let pid = members.pid("a").await;
        soon("the cancel", engine.cancel(id)).await.unwrap();
        assert_gone(&[pid]);
        assert_eq!(members.text("a.stopped"), stopped);
        let result = engine.get_result(id).await.unwrap();
        assert!(mechanism(&result).contains("escaped") && !mechanism(&result).contains("cgroup"), "{result:#?}");
        engine.finish().await;
    }
}

#[tokio::test]
async fn a_daemon_with_its_tag() {
    is_ended("(setsid sh -c 'setsid sh member.sh a & :' >/dev/null 2>&1 &); exec sleep 999").await;
}

#[tokio::test]
async fn a_child_with_a_scrubbed_environment_whose_parent_runs() {
    is_ended("env -i PATH=\"$PATH\" setsid sh member.sh a >/dev/null 2>&1 & wait").await;
}
