//! Counts the allocations of the core: prints a JSON object, for `scripts/guard.mjs`.
//!
//! Counts do not depend on the speed of a machine, but a little on the order of threads: a buffer grows once more, a table of the
//! runtime is made. So each is the least of several rounds.

use std::alloc::{GlobalAlloc, Layout, System};
use std::env::args;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use async_trait::async_trait;
use common::{MIB, lines, nothing};
use execution_engine::{Command, EventHandler, ExecutionConfig, ExecutionEngine, ExecutionEvent, ExecutionRequest};

static COUNT: AtomicU64 = AtomicU64::new(0);

/// The system's allocator, with a tally.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call goes on to the system's allocator as it came, which keeps the contract of the trait. The tally is a number of
// its own: it touches no memory that is handed out, allocates nothing, and cannot panic.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Relaxed);
        // SAFETY: the caller keeps the contract of this same function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Relaxed);
        // SAFETY: the caller keeps the contract of this same function.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.fetch_add(1, Relaxed);
        // SAFETY: the caller keeps the contract of this same function, and the memory came from the system's allocator.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of this same function, and the memory came from the system's allocator.
        unsafe { System.dealloc(memory, layout) }
    }
}

const ROUNDS: usize = 5;
const WARM_UP: u64 = 100;
const RUNS: u64 = 100;
const SMALL: usize = MIB;
const LARGE: usize = 5 * MIB;

/// A listener that looks at each line, as every listener does.
struct Listener(AtomicU64);

#[async_trait]
impl EventHandler for Listener {
    async fn handle_event(&self, event: ExecutionEvent) {
        if let ExecutionEvent::Stdout { line, .. } = event {
            self.0.fetch_add(line.raw().len() as u64, Relaxed);
        }
    }
}

fn main() {
    let folder = PathBuf::from(args().nth(1).expect("give a folder for the files that are streamed"));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime without a driver");
    let found = runtime.block_on(async { (per_run().await, per_thousand_lines(&folder).await) });
    println!("{{\"allocationsPerRun\":{:.1},\"allocationsPer1000Lines\":{:.1}}}", found.0, found.1);
}

/// Counts a short command, after so many that tables have their size and records leave as others come.
async fn per_run() -> f64 {
    let config = ExecutionConfig { max_in_memory_executions: 16, ..ExecutionConfig::default() };
    let engine = ExecutionEngine::new(config).expect("the configuration is fine");
    let run = async |times| {
        for _ in 0..times {
            engine.run(nothing()).await.expect("the command succeeds");
        }
    };
    run(WARM_UP).await;
    let mut least = u64::MAX;
    for _ in 0..ROUNDS {
        let before = COUNT.load(Relaxed);
        run(RUNS).await;
        least = least.min(COUNT.load(Relaxed) - before);
    }
    ratio(least, RUNS)
}

/// Counts the additional cost of more lines.
async fn per_thousand_lines(folder: &std::path::Path) -> f64 {
    let listener = Arc::new(Listener(AtomicU64::new(0)));
    let engine = ExecutionEngine::new(ExecutionConfig::default()).expect("the configuration is fine");
    let engine = engine.with_event_handler(Arc::clone(&listener) as Arc<dyn EventHandler>);
    let mut least = [u64::MAX; 2];
    let mut counts = [0; 2];
    for (at, bytes) in [SMALL, LARGE].into_iter().enumerate() {
        let file = folder.join(format!("lines-{at}"));
        let text = lines(bytes);
        counts[at] = text.split(|byte| *byte == b'\n').count() as u64 - 1;
        std::fs::write(&file, text).expect("the folder can be written to");
        let program = Command::Exec { program: "cat".into(), args: vec![file.to_string_lossy().into_owned()] };
        for _ in 0..ROUNDS {
            let before = COUNT.load(Relaxed);
            engine.run(ExecutionRequest::new(program.clone())).await.expect("the command succeeds");
            least[at] = least[at].min(COUNT.load(Relaxed) - before);
        }
    }
    assert!(listener.0.load(Relaxed) > (ROUNDS * LARGE / 2) as u64, "the listener got the lines");
    ratio((least[1] - least[0]) * 1_000, counts[1] - counts[0])
}

fn ratio(of: u64, to: u64) -> f64 {
    // Tenths are enough, and exact.
    f64::from(u32::try_from(of * 10 / to).unwrap_or(u32::MAX)) / 10.0
}
