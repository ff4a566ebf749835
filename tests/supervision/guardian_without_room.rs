//! A guardian that could not be made once is made later.

use std::fs::File;

use crate::common::*;
use crate::hosts::alone_under;

const FEW_DESCRIPTORS: &[&str] = &["/bin/sh", "-c", "ulimit -n 60; exec \"$@\"", "sh"];

/// The first execution meets a process without descriptors; later ones are guarded nevertheless.
#[test]
fn a_lack_of_descriptors_at_the_first_execution_does_not_cost_the_guardian() {
    alone_under(FEW_DESCRIPTORS, || {
        block_on(async {
            let engine = Listened::with(ExecutionConfig { queue_timeout_ms: Some(100), ..Default::default() });
            let mut taken = Vec::new();
            while let Ok(file) = File::open("/dev/null") {
                taken.push(file);
            }
            assert_refused(soon("the end", engine.run(brief())).await, ErrorCode::SpawnFailed);
            drop(taken);
            // A guardian that could not be started is tried again a second later.
            tokio::time::sleep(Duration::from_millis(1_200)).await;
            let id = engine.execute(brief()).await.unwrap();
            assert_completed(&soon("the end", engine.wait_for_completion(id)).await.unwrap());
            let degraded =
                engine.recorder.of(id).into_iter().find(|event| matches!(event, ExecutionEvent::Degraded { .. }));
            assert!(degraded.is_none(), "there is room now, and still no guardian: {degraded:?}");
            engine.finish().await;
        });
    });
}
