//! A kernel, or a sandbox, without `close_range` (Linux before 5.9): a child nevertheless gets none of the host's descriptors.

use crate::common::*;
use crate::hosts::alone_under;

const WITHOUT: &[&str] =
    &["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=close_range", "-e", "inject=close_range:error=ENOSYS"];

/// A command that prints which descriptors are open. `[ -e` opens none itself.
const LIST: &str = "n=0; while [ $n -lt 100 ]; do [ -e /dev/fd/$n ] && echo fd $n; n=$((n+1)); done";

#[test]
fn a_child_sees_0_1_and_2_where_nothing_closes_many_at_once() {
    alone_under(WITHOUT, || {
        // SAFETY: duplicates of a descriptor that stays open; no memory is involved. None has CLOEXEC.
        let ours: Vec<_> = (0..20).map(|_| unsafe { libc::dup(2) }).collect();
        assert!(ours.iter().all(|fd| (3..100).contains(fd)), "{ours:?}");
        block_on(async {
            let engine = Listened::new();
            for _ in 0..3 {
                let result = soon("the end", engine.run(shell(LIST))).await.unwrap();
                assert_completed(&result);
                assert_eq!(lines_of(&result.stdout), ["fd 0", "fd 1", "fd 2"]);
            }
            engine.finish().await;
        });
    });
}
