//! The global engine. Each test is a process of its own: there is one global engine in each.

use execution_engine::types::Stream;

use crate::common::*;

#[test]
fn there_is_no_global_engine_before_it_was_made() {
    alone(|| {
        assert_refused(ExecutionEngine::try_global(), ErrorCode::NotInitialized);
        assert!(std::panic::catch_unwind(ExecutionEngine::global).is_err());
    });
}

#[test]
fn there_is_one_global_engine_and_it_is_serial() {
    alone(|| {
        block_on(async {
            let bad = ExecutionConfig { max_concurrent_executions: 0, ..Default::default() };
            // The global engine is serial whatever was passed; the rest of a configuration is still checked.
            let worse = ExecutionConfig { max_line_bytes: 0, ..bad.clone() };
            assert_field_refused(ExecutionEngine::init_global(worse), ErrorCode::InvalidConfig, "max_line_bytes");
            let recorder = Recorder::new();
            let engine = ExecutionEngine::init_global_with_handler(bad, recorder.clone()).unwrap();
            assert_eq!(engine.config().max_concurrent_executions, 1);
            let again = ExecutionEngine::init_global(ExecutionConfig::default());
            assert_refused(again, ErrorCode::AlreadyInitialized);
            assert!(std::ptr::eq(engine, ExecutionEngine::global()));

            let dir = scratch();
            let first = engine.execute(waits_for(&dir.path().join("go"))).await.unwrap();
            let second = engine.execute(shell("echo second")).await.unwrap();
            assert_eq!((engine.running_count(), engine.get_concurrency_metrics().currently_pending), (1, 1));
            std::fs::write(dir.path().join("go"), "").unwrap();
            let first = soon("the first", engine.wait_for_completion(first)).await.unwrap();
            let second = soon("the second", engine.wait_for_completion(second)).await.unwrap();
            assert!(second.started_at >= first.completed_at, "they ran at once");
            assert_eq!(recorder.lines(first.id, Stream::Stdout), ["ready"]);
            recorder.check();
        });
    });
}
