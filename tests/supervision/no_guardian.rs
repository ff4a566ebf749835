//! A machine on which no guardian can be started: executions go on, and each says that it is not guarded.

use crate::common::*;
use crate::hosts::{alone_under, can};

/// Nobody can run a shell, in a view of the file system that only the test has.
const NO_SHELL: &[&str] = &[
    "unshare",
    "-m",
    "/bin/sh",
    "-c",
    "for shell in /bin/dash /bin/sh; do          [ ! -e $shell ] || mount --bind /dev/null \"$(readlink -f $shell)\" || exit 1; done; exec \"$@\"",
    "sh",
];

fn unguarded(engine: &Listened, id: Uuid) -> Vec<String> {
    let events = engine.recorder.of(id).into_iter();
    events
        .filter_map(|event| if let ExecutionEvent::Degraded { message, .. } = event { Some(message) } else { None })
        .collect()
}

#[test]
fn f51_without_a_shell_every_execution_says_that_it_is_degraded() {
    let body = || {
        block_on(async {
            let engine = Listened::new();
            for _ in 0..3 {
                let id = engine.execute(exec::<&str>("/bin/true", &[])).await.unwrap();
                assert_completed(&soon("the end", engine.wait_for_completion(id)).await.unwrap());
                let [message] = &unguarded(&engine, id)[..] else { panic!("{:#?}", engine.recorder.of(id)) };
                assert!(message.contains("the guardian cannot be started: Permission denied"), "{message}");
                assert!(matches!(
                    engine.recorder.of(id)[..2],
                    [ExecutionEvent::Started { .. }, ExecutionEvent::Degraded { .. }]
                ));
            }
            // Everything but the guard is there.
            let id = engine.execute(endless()).await.unwrap();
            let pid = engine.recorder.started(id).await;
            soon("the cancel", engine.cancel(id)).await.unwrap();
            assert_gone(&[pid]);
            assert_eq!(zombies(), [0_u32; 0]);

            // With a shell again, it is tried again.
            let shell = std::fs::canonicalize("/bin/dash").or_else(|_| std::fs::canonicalize("/bin/sh")).unwrap();
            while std::process::Command::new("umount")
                .arg(&shell)
                .stderr(std::process::Stdio::null())
                .status()
                .unwrap()
                .success()
            {}
            let begun = std::time::Instant::now();
            loop {
                let id = engine.execute(exec::<&str>("/bin/true", &[])).await.unwrap();
                assert_completed(&soon("the end", engine.wait_for_completion(id)).await.unwrap());
                if unguarded(&engine, id).is_empty() {
                    break;
                }
                assert!(begun.elapsed() < HANG, "it is never tried again");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            engine.finish().await;
        });
    };
    if can(&body, NO_SHELL) {
        alone_under(NO_SHELL, body);
    }
}

#[test]
fn without_a_shell_nobody_is_told_who_wanted_no_guardian() {
    let body = || {
        block_on(async {
            let engine = Listened::with(ExecutionConfig { guardian: false, ..Default::default() });
            let id = engine.execute(exec::<&str>("/bin/true", &[])).await.unwrap();
            assert_completed(&soon("the end", engine.wait_for_completion(id)).await.unwrap());
            assert_eq!(unguarded(&engine, id), [""; 0]);
            engine.finish().await;
        });
    };
    if can(&body, NO_SHELL) {
        alone_under(NO_SHELL, body);
    }
}
