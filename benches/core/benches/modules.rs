//! Measures how fast each module is by itself: `npm run bench:rust`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use common::{MIB, lines, nothing, reads};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use execution_engine::bench::{Mask, Records, Slots, capture, split};
use execution_engine::{ExecutionConfig, ExecutionEngine, ExecutionResult};
use tokio::runtime::{Builder, Runtime};

const STREAM: usize = 8 * MIB;

fn splitter(criterion: &mut Criterion) {
    let stream = lines(STREAM);
    let unbroken = vec![b'a'; STREAM];
    let mut group = criterion.benchmark_group("splitter");
    group.throughput(Throughput::Bytes(STREAM as u64));
    for (name, stream) in [("lines", &stream), ("one line", &unbroken)] {
        let pieces = reads(stream);
        group.bench_function(name, |bencher| bencher.iter(|| split(64 * 1024, black_box(&pieces))));
    }
    group.finish();
}

fn limiter(criterion: &mut Criterion) {
    let stream = lines(STREAM);
    let pieces = reads(&stream);
    let mut group = criterion.benchmark_group("limiter");
    group.throughput(Throughput::Bytes(STREAM as u64));
    for (name, cap) in [("within the cap", STREAM * 2), ("beyond the cap", MIB)] {
        group.bench_function(name, |bencher| bencher.iter(|| capture(cap, black_box(&pieces))));
    }
    group.finish();
}

fn redactor(criterion: &mut Criterion) {
    let stream = lines(STREAM);
    let pieces = reads(&stream);
    let mut group = criterion.benchmark_group("redactor");
    group.throughput(Throughput::Bytes(STREAM as u64));
    // One secret is not there, and one is in nearly every line.
    for (name, secret) in [("nothing found", "correct horse"), ("much found", "compiled ")] {
        let mask = Mask::new(&[secret]).expect("there is a secret");
        group.bench_function(name, |bencher| bencher.iter(|| mask.redact(black_box(&pieces))));
    }
    group.finish();
}

fn registry(criterion: &mut Criterion) {
    let result = one_result();
    let mut group = criterion.benchmark_group("registry");
    for kept in [1_000, 50_000] {
        let config = ExecutionConfig { max_in_memory_executions: kept, ..ExecutionConfig::default() };
        let records = Records::new(&config);
        let last = (0..kept).map(|_| records.live(&result)).last().expect("there are some");
        group.bench_function(BenchmarkId::new("a record's life, others kept", kept), |bencher| {
            bencher.iter(|| records.live(&result));
        });
        let last = if records.has(last) { last } else { records.live(&result) };
        group.bench_function(BenchmarkId::new("look-up, others kept", kept), |bencher| {
            bencher.iter(|| records.has(black_box(last)));
        });
        group.bench_function(BenchmarkId::new("the newest 100, others kept", kept), |bencher| {
            bencher.iter(|| records.list(black_box(100)));
        });
    }
    group.finish();
}

fn scheduler(criterion: &mut Criterion) {
    let slots = Slots::new(&ExecutionConfig { max_concurrent_executions: 8, ..ExecutionConfig::default() });
    let mut group = criterion.benchmark_group("scheduler");
    group.bench_function("a free slot", |bencher| bencher.iter(|| slots.take()));
    for waiting in [8_i32, 1_000] {
        group.throughput(Throughput::Elements(u64::from(waiting.unsigned_abs())));
        group.bench_function(BenchmarkId::new("a queue of", waiting), |bencher| bencher.iter(|| slots.queue(waiting)));
    }
    group.finish();
}

fn spawn(criterion: &mut Criterion) {
    let runtime = runtime();
    let engine = ExecutionEngine::new(ExecutionConfig::default()).expect("the configuration is fine");
    let mut group = criterion.benchmark_group("spawn");
    group.sample_size(30).measurement_time(Duration::from_secs(5));
    for at_once in [1_u64, 8] {
        group.throughput(Throughput::Elements(at_once));
        group.bench_function(BenchmarkId::new("runs at a time", at_once), |bencher| {
            bencher.iter(|| {
                runtime.block_on(async {
                    let runs: Vec<_> = (0..at_once)
                        .map(|_| {
                            let engine = engine.clone();
                            tokio::spawn(async move { engine.run(nothing()).await })
                        })
                        .collect();
                    for run in runs {
                        run.await.expect("no panic").expect("the command succeeds");
                    }
                });
            });
        });
    }
    group.finish();
}

fn runtime() -> Runtime {
    Builder::new_current_thread().build().expect("a runtime without a driver")
}

fn one_result() -> Arc<ExecutionResult> {
    let engine = ExecutionEngine::new(ExecutionConfig::default()).expect("the configuration is fine");
    runtime().block_on(engine.run(nothing())).expect("the command succeeds")
}

criterion_group!(modules, splitter, limiter, redactor, registry, scheduler, spawn);
criterion_main!(modules);
