//! Tests how records leave.

use super::*;

/// A record whose result is the bytes that it retains.
#[derive(Debug)]
struct Work {
    id: Uuid,
    completion: Completion<u64>,
}

impl Retained for Work {
    type Result = u64;

    fn id(&self) -> Uuid {
        self.id
    }

    fn completion(&self) -> &Completion<u64> {
        &self.completion
    }

    fn retained_bytes(&self) -> u64 {
        self.completion.result().map_or(0, |bytes| *bytes)
    }

    fn duplicate(id: Uuid) -> ExecutionError {
        ExecutionError::DuplicateId(id)
    }
}

fn store(config: &ExecutionConfig) -> RetainedStore<Work> {
    RetainedStore::new(config)
}

fn inserted(store: &RetainedStore<Work>) -> Arc<Work> {
    let record = Arc::new(Work { id: Uuid::new_v4(), completion: Completion::new() });
    store.insert(Arc::clone(&record)).unwrap();
    record
}

fn ended(store: &RetainedStore<Work>, bytes: u64) -> Arc<Work> {
    let record = inserted(store);
    let _ = store.complete(&record, Arc::new(bytes));
    store.settle(&record);
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
    let store = store(&config);
    for _ in 0..10 * SLICE + 7 {
        ended(&store, 0);
    }
    let mut slices = Vec::new();
    let count = store.cleanup(|leaving| {
        // The lock is free: no other code holds it here.
        assert!(store.inner.try_lock().is_ok());
        slices.push(leaving.len());
    });
    assert_eq!((count, store.len(), store.usage()), (10 * SLICE + 7, 0, (0, 0)));
    assert!(slices.len() == 11 && slices.iter().all(|slice| *slice <= SLICE), "{slices:?}");
    assert!(store.lock().ended.is_empty() && store.lock().emitting.is_empty());
}

/// A large output may push out very many small ones: an end removes a slice and returns that there are more.
#[test]
fn an_end_removes_a_slice_at_most() {
    let store = store(&ExecutionConfig {
        max_retained_output_bytes: 2_000,
        max_in_memory_executions: 1_000_000,
        ..ExecutionConfig::default()
    });
    for _ in 0..2_000 {
        ended(&store, 1);
    }
    assert_eq!(store.len(), 2_000);
    ended(&store, 1_900);
    assert_eq!(store.len(), 2_001 - SLICE);
    assert_eq!(store.cleanup(drop), 1_900 - SLICE);
    assert_eq!(store.usage(), (101, 2_000));
}

#[test]
fn what_was_removed_by_hand_is_counted_once() {
    let store = store(&ExecutionConfig { max_in_memory_executions: 100, ..ExecutionConfig::default() });
    let records: Vec<_> = (0..100).map(|_| ended(&store, 2)).collect();
    for record in &records[..99] {
        assert_eq!(store.remove(record.id), Some(true));
        assert_eq!(store.remove(record.id), None);
    }
    assert_eq!(store.usage(), (1, 2));
    assert!(store.lock().ended.len() <= 2 + 64, "their places are forgotten too");
    assert!(store.next_expiry().is_some());
    store.remove(records[99].id);
    assert_eq!((store.next_expiry(), store.cleanup(drop)), (None, 0));
}

#[test]
fn a_known_id_and_a_closed_store_are_refused() {
    let store = store(&ExecutionConfig::default());
    let record = inserted(&store);
    assert!(matches!(store.insert(Arc::clone(&record)), Err(ExecutionError::DuplicateId(id)) if id == record.id));
    assert!(!store.insert_accepted(Arc::clone(&record)), "its id is known already");
    store.close();
    let later = Arc::new(Work { id: Uuid::new_v4(), completion: Completion::new() });
    assert!(matches!(store.insert(Arc::clone(&later)), Err(ExecutionError::EngineShutDown)));
    assert!(store.is_closed() && store.insert_accepted(later), "it was accepted before");
    assert_eq!(store.len(), 2);
}

#[test]
fn what_has_not_ended_stays_and_its_first_result_counts() {
    let store = store(&ExecutionConfig { max_in_memory_executions: 0, ..ExecutionConfig::default() });
    let record = inserted(&store);
    assert_eq!((store.cleanup(drop), store.remove(record.id)), (0, Some(false)));
    assert!(Arc::ptr_eq(&store.unfinished()[0], &record));
    let _ = store.complete(&record, Arc::new(1));
    assert!(!store.complete(&record, Arc::new(2)), "it has its result");
    assert_eq!((*record.completion.result().unwrap(), store.len(), store.unfinished().len()), (1, 0, 0));
    assert_eq!(store.unsettled().len(), 1, "its last event was not handled");
    store.settle(&record);
    assert!(store.unsettled().is_empty());
}

#[test]
fn a_listing_of_several_slices_begins_with_the_newest() {
    let store = store(&ExecutionConfig { max_in_memory_executions: 1_000_000, ..ExecutionConfig::default() });
    let ids: Vec<_> = (0..2 * SLICE + 3).map(|_| inserted(&store).id).collect();
    let listed: Vec<_> = store.newest_first().map(|record| record.id).collect();
    assert!(listed.iter().eq(ids.iter().rev()));
}
