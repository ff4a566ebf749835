//! Random plans of real processes against a simple model. `src/plan/model_tests.rs` has the same without processes, and many more.

use std::collections::HashMap;

use execution_engine::ExecutionResult;
use proptest::prelude::*;

use crate::common::*;
use crate::steps::*;

#[derive(Debug, Clone)]
struct Script {
    duration_ms: u32,
    /// The number of attempts that fail.
    failures: u32,
    attempts: u32,
}

#[derive(Debug, Clone)]
struct Case {
    scripts: Vec<Script>,
    /// The dependencies: each step depends on steps before it; the plan's order is another one.
    dependencies: HashMap<usize, Vec<usize>>,
    slots: usize,
    continues: bool,
    cancelled_after_ms: Option<u64>,
}

fn cases() -> impl Strategy<Value = Case> {
    let script = (0_u32..40, prop::sample::select(vec![0_u32, 0, 0, 1, 2, 9]), 1_u32..4)
        .prop_map(|(duration_ms, failures, attempts)| Script { duration_ms, failures, attempts });
    let edge = (any::<prop::sample::Index>(), any::<prop::sample::Index>());
    (
        prop::collection::vec(script, 1..10),
        prop::collection::vec(edge, 0..12),
        1_usize..5,
        any::<bool>(),
        prop::option::weighted(0.4, 0_u64..120),
        any::<bool>(),
    )
        .prop_map(|(scripts, edges, slots, continues, cancelled_after_ms, is_reversed)| {
            let mut dependencies: HashMap<usize, Vec<usize>> = HashMap::new();
            for (a, b) in edges {
                let (a, b) = (a.index(scripts.len()), b.index(scripts.len()));
                let (low, high) = (a.min(b), a.max(b));
                if low != high {
                    let (step, waits_for) = if is_reversed { (low, high) } else { (high, low) };
                    dependencies.entry(step).or_default().push(waits_for);
                }
            }
            Case { scripts, dependencies, slots, continues, cancelled_after_ms }
        })
}

/// Returns a request that writes `+step` and `-step` around each attempt; short appends do not mix. While one is
/// written, and until the exit after the last, no SIGTERM can make it two, or a `-` that has no `+`.
fn request(notes: &std::path::Path, index: usize, script: &Script) -> ExecutionRequest {
    let notes = notes.display();
    let seconds = f64::from(script.duration_ms) / 1_000.0;
    let failures = script.failures;
    shell(format!(
        "trap '' TERM; echo +{index} >> '{notes}'; trap \"trap '' TERM; echo -{index} >> '{notes}'; exit 99\" TERM; \
         sleep {seconds} & wait; trap '' TERM; \
         n=$(grep -c '^+{index}$' '{notes}'); echo -{index} >> '{notes}'; [ $n -gt {failures} ]"
    ))
}

async fn check(case: Case) {
    let (engine, dir) = (Listened::with_slots(case.slots), scratch());
    let notes = dir.path().join("notes");
    let steps = case.scripts.iter().enumerate().map(|(index, script)| request(&notes, index, script));
    let strategy = ExecutionStrategy::DependencyGraph { dependencies: case.dependencies.clone() };
    let own = case.scripts.iter().map(|script| retrying(attempts(script.attempts)));
    let options =
        PlanOptions { continue_on_error: case.continues, steps: own.enumerate().collect(), ..PlanOptions::default() };
    let plan = plan(strategy, steps);
    let ids: Vec<Uuid> = plan.commands.iter().map(|request| request.id).collect();
    let id = engine.execute_plan_with(plan, options).await.unwrap();
    if let Some(ms) = case.cancelled_after_ms {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        soon("the cancel", engine.cancel_plan(id)).await.unwrap();
    }
    let result = soon("the plan", engine.wait_for_plan(id)).await.unwrap();
    let seen = read_notes(&notes);

    // Exactly one state for each, and the sums are right.
    let stats = result.stats;
    assert_eq!(stats.total, case.scripts.len());
    assert_eq!(stats.completed + stats.failed + stats.cancelled + stats.timeout + stats.skipped, stats.total);
    assert_eq!((result.results.len(), result.skipped.len()), (stats.total - stats.skipped, stats.skipped));
    assert_eq!(stats.timeout, 0);

    // The limit, at every moment.
    let mut running = 0_usize;
    for note in &seen {
        running = if note.starts_with('+') { running + 1 } else { running - 1 };
        assert!(running <= case.slots, "{running} at once: {seen:?}");
    }

    let was_cancelled = result.status == ExecutionStatus::Cancelled;
    assert!(!was_cancelled || case.cancelled_after_ms.is_some());
    let completes = |index: usize| case.scripts[index].failures < case.scripts[index].attempts;
    let of = |index: usize| -> Option<&Arc<ExecutionResult>> { result.results.iter().find(|it| it.id == ids[index]) };
    for index in 0..case.scripts.len() {
        let script = &case.scripts[index];
        let begun = seen.iter().filter(|note| **note == format!("+{index}")).count();
        let dependencies = case.dependencies.get(&index).map_or(&[][..], Vec::as_slice);
        match of(index) {
            None => {
                assert_eq!(begun, 0, "step {index} was skipped and ran");
                let reason = result.skipped.iter().find(|skipped| skipped.index == index).unwrap();
                match reason.because {
                    Some(failed) => assert!(!case.continues && of(failed).is_some_and(|it| !it.success)),
                    None => assert!(was_cancelled && reason.reason == SkipReason::Cancelled),
                }
            }
            Some(end) => {
                for dependency in dependencies {
                    let other = of(*dependency).expect("a started step had all that it waits for");
                    assert!(
                        other.completed_at <= end.started_at + chrono::Duration::milliseconds(1) || end.pid.is_none()
                    );
                    assert!(
                        other.success || case.continues,
                        "step {index} began although {dependency} did not complete"
                    );
                }
                if end.status == ExecutionStatus::Cancelled {
                    assert!(case.cancelled_after_ms.is_some());
                } else {
                    let wanted = (script.failures + 1).min(script.attempts);
                    assert_eq!(end.attempt as usize, begun, "{end:#?}");
                    assert_eq!((end.success, end.attempt), (completes(index), wanted), "{end:#?}");
                }
            }
        }
    }
    if case.cancelled_after_ms.is_none() {
        let all = (0..case.scripts.len()).all(completes);
        let expected = if all { ExecutionStatus::Completed } else { ExecutionStatus::Failed };
        assert_eq!(result.status, expected);
    }

    // Nothing leaks: every slot is free, nothing runs, and nothing is written any more.
    assert_eq!(engine.available_permits(), case.slots);
    for event in ids.iter().flat_map(|id| engine.recorder.of(*id)) {
        if let ExecutionEvent::Started { pid, .. } = event {
            assert!(!is_alive(pid), "{pid} runs");
        }
    }
    engine.finish().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, max_shrink_iters: 40, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_of_processes_does_what_the_model_says(case in cases()) {
        block_on(check(case));
    }
}
