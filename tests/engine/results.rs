//! The content of a result.

use std::time::Instant;

use chrono::Utc;
use execution_engine::ExecutionMetadata;
use serde_json::json;

use crate::common::*;

#[tokio::test]
async fn a_result_has_the_pid_and_the_times() {
    let engine = Listened::new();
    let (before, clock) = (Utc::now(), Instant::now());
    let request = shell("echo pid $$; sleep 0.1");
    let id = request.id;
    let result = engine.run(request).await.unwrap();
    let (after, elapsed) = (Utc::now(), clock.elapsed().as_secs_f64() * 1_000.0);
    assert_completed(&result);
    assert_eq!(result.id, id);
    assert_eq!(pids_in(&result.stdout), [result.pid.unwrap()]);
    assert!(before <= result.started_at && result.started_at <= result.completed_at && result.completed_at <= after);
    assert!(result.duration_ms >= 100.0 && result.queued_ms >= 0.0, "{result:#?}");
    assert!(result.duration_ms + result.queued_ms <= elapsed, "{} + {}", result.duration_ms, result.queued_ms);
    assert_eq!(result.attempt, 1);
    assert_eq!((result.stdout_bytes, result.stderr_bytes), (result.stdout.len() as u64, 0));
    assert!(!result.stdout_truncated && !result.stderr_truncated && !result.leaked && result.log_lost_bytes == 0);
    engine.finish().await;
}

/// The clock starts with the process, not when the engine is notified: that may be late on a busy machine.
#[tokio::test]
async fn a_duration_spans_the_whole_life() {
    let engine = Listened::with_slots(30);
    let mut ids = Vec::new();
    for _ in 0..120 {
        ids.push(engine.execute(exec("/bin/sleep", &["0.1"])).await.unwrap());
    }
    for id in ids {
        let result = soon("the end", engine.wait_for_completion(id)).await.unwrap();
        assert_completed(&result);
        assert!(result.duration_ms >= 100.0, "it slept for 100 ms, and ran for {} ms?", result.duration_ms);
    }
    engine.finish().await;
}

#[tokio::test]
async fn an_exit_code_is_reported_unchanged() {
    let engine = Listened::new();
    for code in [1, 2, 126, 127, 128, 130, 137, 255] {
        assert_exited(&engine.run(shell(format!("exit {code}"))).await.unwrap(), code);
    }
    engine.finish().await;
}

#[tokio::test]
async fn a_signal_that_the_engine_did_not_send_is_reported() {
    let engine = Listened::new();
    for signal in ["SIGHUP", "SIGKILL", "SIGTERM", "SIGABRT", "SIGSEGV", "SIGPIPE"] {
        let line = format!("kill -{} $$", signal.trim_start_matches("SIG"));
        let result = engine.run(shell(line)).await.unwrap();
        assert_ended(&result, ExecutionStatus::Failed, Reason::Signal);
        assert_eq!((result.exit_code, result.signal.as_deref()), (None, Some(signal)));
        assert!(result.killed.is_none() && result.error.is_none());
    }
    engine.finish().await;
}

#[tokio::test]
async fn processor_time_counts_the_command_and_what_it_waited_for() {
    let engine = Listened::new();
    let busy = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";
    let own = engine.run(shell(busy)).await.unwrap();
    let waited = engine.run(shell(format!("sh -c '{busy}'; exit 0"))).await.unwrap();
    for result in [own, waited] {
        assert_completed(&result);
        assert!(result.cpu_user_ms >= 10.0, "{}", result.cpu_user_ms);
        assert!(result.cpu_system_ms >= 0.0);
        assert!(
            result.cpu_user_ms + result.cpu_system_ms <= result.duration_ms + 100.0,
            "one thread has one processor"
        );
    }
    let idle = engine.run(exec("/bin/sleep", &["0.3"])).await.unwrap();
    assert!(idle.cpu_user_ms + idle.cpu_system_ms < 200.0, "{}", idle.cpu_user_ms + idle.cpu_system_ms);
    engine.finish().await;
}

#[tokio::test]
async fn metadata_is_carried_and_not_read() {
    let engine = Listened::new();
    let metadata: ExecutionMetadata = serde_json::from_value(json!({
        "source": "playbook",
        "conversation_id": "c-1",
        "label": "a\nforged \u{1b}[31mrecord",
        "tags": ["one", "two"],
        "anything": { "nested": [1, 2.5, null, true] },
    }))
    .unwrap();
    for request in [brief(), exec("false", &[""; 0])] {
        let request = ExecutionRequest { metadata: metadata.clone(), ..request };
        let result = engine.run(request).await.unwrap();
        assert_eq!(result.metadata, metadata);
    }
    let request = ExecutionRequest { metadata: metadata.clone(), ..exec("/nope", &[""; 0]) };
    let error = engine.run(request).await.unwrap_err();
    assert_eq!(error.result().unwrap().metadata, metadata);
    engine.finish().await;
}

#[tokio::test]
async fn a_result_is_the_same_for_every_caller() {
    let engine = Listened::new();
    let dir = scratch();
    let id = engine.start(waits_for(&dir.path().join("go")), ExecutionOptions::default()).await;
    assert_refused(engine.get_result(id).await, ErrorCode::NotCompleted);
    let waiters: Vec<_> = (0..50)
        .map(|_| {
            let engine = engine.clone();
            tokio::spawn(async move { engine.wait_for_completion(id).await.unwrap() })
        })
        .collect();
    std::fs::write(dir.path().join("go"), "").unwrap();
    let late = soon("the end", engine.wait_for_completion(id)).await.unwrap();
    for waiter in waiters {
        assert!(Arc::ptr_eq(&soon("a waiter", waiter).await.unwrap(), &late));
    }
    assert!(Arc::ptr_eq(&engine.get_result(id).await.unwrap(), &late));
    let reported = engine.recorder.of(id).last().and_then(result_of).unwrap();
    assert!(Arc::ptr_eq(&reported, &late), "the terminal event carries the result itself");
    engine.finish().await;
}

#[tokio::test]
async fn totals_add_up() {
    let engine = Listened::new();
    engine.run(shell("printf 'a\\nb\\n'; printf c >&2")).await.unwrap();
    engine.run(shell("exit 1")).await.unwrap();
    engine.run(exec("/nope", &[""; 0])).await.unwrap_err();
    engine.run(ExecutionRequest { timeout_ms: Some(20), ..endless() }).await.unwrap();
    let id = engine.execute(endless()).await.unwrap();
    engine.cancel(id).await.unwrap();
    let stats = engine.get_stats().await;
    assert_eq!((stats.total, stats.completed, stats.failed, stats.timeout, stats.cancelled), (5, 1, 2, 1, 1));
    assert_eq!((stats.stdout_bytes, stats.stderr_bytes, stats.lines), (4, 1, 3));
    engine.finish().await;
}
