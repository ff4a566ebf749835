//! How records leave.

use super::*;
use crate::types::Text;

fn registry(config: &ExecutionConfig) -> Registry {
    Registry::new(config)
}

fn ended(registry: &Registry, stdout: &str) -> Arc<Record> {
    let record =
        Arc::new(Record::new(Uuid::new_v4(), "true", &ExecutionMetadata::default(), None, Utc::now(), Arc::default()));
    registry.insert(Arc::clone(&record)).unwrap();
    let result = ExecutionResult {
        stdout: Text::from(stdout.as_bytes().to_vec()),
        ..ExecutionResult::blank(record.id, ExecutionStatus::Completed, record.created_at)
    };
    let _ = registry.complete(&record, Arc::new(result));
    registry.settle(&record);
    record
}

/// However many go, the lock is given up between slices of them.
#[test]
fn records_leave_in_slices() {
    let config = ExecutionConfig {
        enable_auto_cleanup: false,
        execution_retention_secs: 0,
        max_in_memory_executions: 1_000_000,
        ..ExecutionConfig::default()
    };
    let registry = registry(&config);
    for _ in 0..10 * SLICE + 7 {
        ended(&registry, "");
    }
    let mut slices = Vec::new();
    let count = registry.cleanup(|leaving| {
        // It is free: no other code holds it here.
        assert!(registry.inner.try_lock().is_ok());
        slices.push(leaving.len());
    });
    assert_eq!((count, registry.len(), registry.kept()), (10 * SLICE + 7, 0, (0, 0)));
    assert!(slices.len() == 11 && slices.iter().all(|slice| *slice <= SLICE), "{slices:?}");
    assert!(registry.lock().ended.is_empty() && registry.lock().emitting.is_empty());
}

/// A large output may push out very many small ones: an end removes a slice and says that there are more.
#[test]
fn an_end_removes_a_slice_at_most() {
    let registry = registry(&ExecutionConfig {
        max_retained_output_bytes: 2_000,
        max_in_memory_executions: 1_000_000,
        ..ExecutionConfig::default()
    });
    for _ in 0..2_000 {
        ended(&registry, "x");
    }
    assert_eq!(registry.len(), 2_000);
    ended(&registry, &"x".repeat(1_900));
    assert_eq!(registry.len(), 2_001 - SLICE);
    assert_eq!(registry.cleanup(drop), 1_900 - SLICE);
    assert_eq!(registry.kept(), (101, 2_000));
}

#[test]
fn what_was_removed_by_hand_is_counted_once() {
    let registry = registry(&ExecutionConfig { max_in_memory_executions: 100, ..ExecutionConfig::default() });
    let records: Vec<_> = (0..100).map(|_| ended(&registry, "xy")).collect();
    for record in &records[..99] {
        assert_eq!(registry.remove(record.id), Some(true));
        assert_eq!(registry.remove(record.id), None);
    }
    assert_eq!(registry.kept(), (1, 2));
    assert!(registry.lock().ended.len() <= 2 + 64, "their places are forgotten too");
    assert!(registry.next_expiry().is_some());
    registry.remove(records[99].id);
    assert_eq!((registry.next_expiry(), registry.cleanup(drop)), (None, 0));
}
