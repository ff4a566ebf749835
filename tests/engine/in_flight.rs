//! The bytes that all executions have in flight are bounded together. Each test has a process of its own: the bound is
//! that of the process, and would hold up the other tests.

use std::sync::atomic::{AtomicUsize, Ordering};

use execution_engine::{EventHandler, async_trait};
use tokio::sync::Semaphore;

use crate::common::*;

#[cfg(target_os = "linux")]
const MIB: u64 = 1024 * 1024;

/// Takes a piece of a line for each permit, and counts the lines.
struct Metered {
    permits: Semaphore,
    taken: AtomicUsize,
}

#[async_trait]
impl EventHandler for Metered {
    async fn handle_event(&self, event: ExecutionEvent) {
        if let ExecutionEvent::Stdout { partial, .. } = event {
            if let Ok(permit) = self.permits.acquire().await {
                permit.forget();
            }
            self.taken.fetch_add(usize::from(!partial), Ordering::Relaxed);
        }
    }
}

fn metered(slots: usize) -> (ExecutionEngine, Arc<Metered>) {
    let handler = Arc::new(Metered { permits: Semaphore::new(0), taken: AtomicUsize::new(0) });
    let config = ExecutionConfig {
        max_concurrent_executions: slots,
        // The kept output is another matter, and would take memory that is to be measured.
        max_output_size_bytes: 64 * 1024,
        ..ExecutionConfig::default()
    };
    (ExecutionEngine::new(config).unwrap().with_event_handler(handler.clone()), handler)
}

/// Without the bound, each of them would have a mebibyte in flight.
#[cfg(target_os = "linux")]
#[test]
fn unread_floods_are_bounded_together() {
    const FLOODS: usize = 120;
    alone(|| {
        block_on(async {
            let (engine, handler) = metered(FLOODS);
            let mut floods = Vec::new();
            for _ in 0..FLOODS {
                floods.push(engine.execute(exec("yes", &[&"x".repeat(1_000)])).await.unwrap());
            }
            let mut pids = Vec::new();
            wait_until("all of them run", || {
                pids = children_named("yes");
                pids.len() == FLOODS
            })
            .await;
            let mut looks = 0;
            wait_until("all of them wait to be read", || {
                let all_wait = pids.iter().all(|pid| state(*pid) == Some('S'));
                looks = if all_wait { looks + 1 } else { 0 };
                looks == 50
            })
            .await;
            soon("the cancel", engine.cancel_all()).await;
            let mut read = 0;
            for id in floods {
                let result = engine.get_result(id).await.unwrap();
                assert!(result.stdout_bytes > 0, "each made some progress");
                read += result.stdout_bytes;
            }
            // Beyond the bound each is read once, and what its pipe still held when it had gone: a wide one holds 256 KiB.
            let most = (64 * MIB) + (FLOODS as u64) * (64 + 256) * 1024;
            assert!(read <= most, "{read} bytes were read, {most} at most were to be");
            assert!(read > 32 * MIB, "{read} bytes were read: they were held up too early");
            handler.permits.close();
        });
    });
}

/// The pool is full of what a few hold, and the others still come to their end; and so do these, when they are taken.
#[test]
fn every_execution_ends_with_all_its_lines() {
    alone(|| {
        block_on(async {
            // The number of lines is just below what each may have in flight by itself.
            const LINES: usize = 1_690;
            let (engine, handler) = metered(96);
            let mut running = Vec::new();
            for _ in 0..96 {
                running.push(engine.execute(shell(format!("exec seq -f %0600.0f 1 {LINES}"))).await.unwrap());
            }
            // Small steps are used, so that the bound is met and left many times.
            let feeding = Arc::clone(&handler);
            let feeder = tokio::spawn(async move {
                while feeding.taken.load(Ordering::Relaxed) < 96 * LINES {
                    if feeding.permits.available_permits() < 1_000 {
                        feeding.permits.add_permits(1_000);
                    }
                    tokio::task::yield_now().await;
                }
            });
            for id in running {
                let result = soon("the end", engine.wait_for_completion(id)).await.unwrap();
                assert_completed(&result);
            }
            soon("the last line", feeder).await.unwrap();
            assert_eq!(handler.taken.load(Ordering::Relaxed), 96 * LINES);
        });
    });
}
