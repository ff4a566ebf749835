//! A child has no terminal, even if its host has one: a password prompt fails at once instead of stopping the child.
#![cfg(target_os = "linux")]

use std::process;

use crate::common::*;

/// Runs the body of a test in a process of its own that has a controlling terminal.
fn under_a_terminal<F: FnOnce()>(body: F) {
    if is_alone() {
        return body();
    }
    let test = own_name::<F>();
    if process::Command::new("script").arg("--version").output().is_err() {
        eprintln!("SKIPPED {test}: there is no `script` here (util-linux) to make a terminal with");
        return;
    }
    let binary = std::env::current_exe().unwrap();
    let again = format!("'{}' {test} --exact --nocapture --test-threads=1", binary.display());
    let mut command = process::Command::new("script");
    command.args(["-qec", &again, "/dev/null"]).stdin(process::Stdio::null());
    assert_passes(command, &test);
}

#[test]
fn a_child_cannot_open_the_terminal_of_its_host() {
    under_a_terminal(|| {
        std::fs::File::open("/dev/tty").expect("this host has a terminal");
        block_on(async {
            let engine = Listened::new();
            for line in ["exec < /dev/tty", "exec > /dev/tty", "stty -a < /dev/tty", "read answer < /dev/tty"] {
                let result = soon("a command that wants the terminal", engine.run(shell(line))).await.unwrap();
                assert_eq!(
                    (result.status, result.signal.as_deref()),
                    (ExecutionStatus::Failed, None),
                    "{line}: {result:#?}"
                );
                assert!(result.stderr.contains("/dev/tty"), "{line}: {result:#?}");
            }
            engine.finish().await;
        });
    });
}

/// The terminal of the host is its standard input: a child in the background that reads it would be stopped.
#[test]
fn a_child_of_a_host_with_a_terminal_reads_nothing() {
    under_a_terminal(|| {
        block_on(async {
            let engine = Listened::new();
            let result = soon("a command that reads", engine.run(exec::<&str>("cat", &[]))).await.unwrap();
            assert_completed(&result);
            assert_eq!(result.stdout, "");
            engine.finish().await;
        });
    });
}

#[tokio::test]
async fn a_child_leads_a_session_and_a_group_of_its_own() {
    let engine = Listened::new();
    let result = engine.run(exec("cat", &["/proc/self/stat"])).await.unwrap();
    let pid = result.pid.unwrap().to_string();
    let after_name = result.stdout.rsplit_once(')').unwrap().1;
    let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
    let (group, session, terminal) = (fields[2], fields[3], fields[4]);
    assert_eq!((group, session, terminal), (pid.as_str(), pid.as_str(), "0"));
    engine.finish().await;
}
