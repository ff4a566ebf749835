//! Does a fixed amount of work in one module, for a tool that counts instructions: `instructions <module> <amount>`.
//!
//! The guard runs it with two amounts and takes the difference, so that the program's own instructions do not count.

use std::env::args;
use std::hint::black_box;

use common::{MIB, lines, reads};
use execution_engine::ExecutionConfig;
use execution_engine::bench::{Mask, Slots, capture, split};

fn main() {
    let mut given = args().skip(1);
    let module = given.next().expect("give a module");
    let amount: usize = given.next().and_then(|amount| amount.parse().ok()).expect("give an amount");
    // The input is as large for every amount: making it does not count either.
    let stream = lines(MIB);
    let pieces = reads(&stream);
    let repeat = |work: &dyn Fn()| (0..amount).for_each(|_| work());
    match module.as_str() {
        "splitter" => repeat(&|| {
            black_box(split(64 * 1024, black_box(&pieces)));
        }),
        "limiter" => repeat(&|| {
            black_box(capture(256 * 1024, black_box(&pieces)));
        }),
        "redactor" => {
            let mask = Mask::new(&["correct horse", "battery staple"]).expect("there are secrets");
            repeat(&|| {
                black_box(mask.redact(black_box(&pieces)));
            });
        }
        "scheduler" => {
            let slots = Slots::new(&ExecutionConfig { max_concurrent_executions: 8, ..ExecutionConfig::default() });
            repeat(&|| slots.queue(black_box(1_000)));
        }
        other => panic!("there is no workload for {other}"),
    }
}
