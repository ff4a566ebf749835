//! Tests reads of a host that is stopped meanwhile.

use super::*;
use crate::platform::clock::asleep;
use crate::platform::unix::pid::Pid;
use crate::platform::unix::procs;

/// Stops this process for longer than the limit, and takes some time after that.
fn read_and_pause(_: &Proc) -> u8 {
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "kill -STOP $PPID; sleep 2.5; kill -CONT $PPID"]).status().unwrap();
    std::thread::sleep(Duration::from_millis(50));
    1
}

#[test]
fn a_read_does_not_hang_because_the_host_was_stopped() {
    asleep::alone("platform::unix::bounded::tests::a_read_does_not_hang_because_the_host_was_stopped", async {
        let own = procs::read(Pid::from_raw(std::process::id().cast_signed()).unwrap()).unwrap();
        let (answers, hanging) = Bounded::default().map(&[own], Duration::from_secs(1), read_and_pause);
        assert_eq!((answers.len(), hanging.len()), (1, 0));
    });
}
