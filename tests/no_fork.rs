//! The host never forks: what it starts costs the same however much memory it holds.
//!
//! A fork copies the page tables of the host. `strace` shows which way each process was made.
#![cfg(target_os = "linux")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process;

use execution_engine::{Command, ExecutionConfig, ExecutionEngine, ExecutionRequest};

const TRACED: &str = "ESCHER_TEST_TRACED";
const THIS_TEST: &str = "every_process_of_the_host_is_made_by_vfork";

#[test]
fn every_process_of_the_host_is_made_by_vfork() {
    if let Some(dir) = std::env::var_os(TRACED) {
        return be_the_host(Path::new(&dir));
    }
    if !strace_works() {
        eprintln!("SKIPPED {THIS_TEST}: `strace` is missing, or may not trace here");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("trace");
    let output = process::Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=clone,clone3,fork,vfork,execve", "-e", "signal=none", "-o"])
        .arg(&log)
        .arg(std::env::current_exe().unwrap())
        .args([THIS_TEST, "--exact", "--nocapture"])
        .env(TRACED, dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));

    let trace = fs::read_to_string(&log).unwrap();
    let births = births(&trace);
    let host = threads_of_the_host(&trace, &births);
    let made: Vec<_> = births.iter().filter(|birth| host.contains(&birth.parent) && !birth.is_thread()).collect();
    for birth in &made {
        assert!(birth.shares_memory_until_exec(), "the host has forked: {}", birth.call);
    }
    let guardian = 1;
    assert_eq!(made.len(), requests(dir.path()).len() + guardian, "one process for each command: {made:#?}");
}

/// Runs in the traced process.
#[tokio::main(flavor = "current_thread")]
async fn be_the_host(dir: &Path) {
    let engine = ExecutionEngine::new(ExecutionConfig::default()).unwrap();
    for (name, request) in requests(dir) {
        let result = engine.run(request).await.unwrap();
        assert!(result.success, "{name}: {result:#?}");
    }
}

/// Returns each kind of command: as it is, with a `PATH` of its own, in another directory, and both.
fn requests(dir: &Path) -> Vec<(String, ExecutionRequest)> {
    let aws = write(&dir.join("aws"), "#!/bin/sh\nexit 0\n");
    let script = write(&dir.join("script.sh"), "#!/bin/sh\nexit 0\n");
    let path = format!("{}:/usr/bin:/bin", aws.parent().unwrap().display());
    let kinds = [
        ("shell", Command::Shell { command: "exit 0".into(), shell: String::new() }),
        ("shell by name", Command::Shell { command: "exit 0".into(), shell: "sh".into() }),
        ("exec", Command::Exec { program: "/bin/true".into(), args: vec![] }),
        ("exec by name", Command::Exec { program: "true".into(), args: vec![] }),
        ("script", Command::Script { path: script.clone(), interpreter: None, args: vec![] }),
        ("script by name", Command::Script { path: script, interpreter: Some("sh".into()), args: vec![] }),
    ];
    let aws = Command::AwsCli {
        service: "s3".into(),
        command: "ls".into(),
        args: vec![],
        profile: None,
        region: Some("eu-central-1".into()),
    };
    let mut requests = Vec::new();
    for (name, command) in kinds.into_iter().chain([("aws", aws)]) {
        for own_path in [false, true] {
            for own_dir in [false, true] {
                if name == "aws" && !own_path {
                    continue;
                }
                let mut request = ExecutionRequest::new(command.clone());
                if own_path {
                    request.env.insert("PATH".into(), path.clone());
                }
                request.working_dir = own_dir.then(|| dir.to_owned());
                requests.push((format!("{name}, own path {own_path}, own directory {own_dir}"), request));
            }
        }
    }
    requests
}

fn write(path: &Path, content: &str) -> std::path::PathBuf {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_owned()
}

fn strace_works() -> bool {
    process::Command::new("strace")
        .args(["-f", "-o", "/dev/null", "true"])
        .stderr(process::Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// A call that made a thread or a process.
#[derive(Debug)]
struct Birth {
    parent: u32,
    child: u32,
    /// The call with its arguments, as `strace` writes it.
    call: String,
}

impl Birth {
    fn is_thread(&self) -> bool {
        self.call.contains("CLONE_THREAD")
    }

    fn shares_memory_until_exec(&self) -> bool {
        let cloned = self.call.contains("CLONE_VFORK") && self.call.contains("CLONE_VM");
        cloned || self.call.starts_with("vfork(")
    }
}

/// Returns every call that made something. A line is `<tid> <call> = <result>`; a call that others run beside is in two
/// lines: `<tid> <call> <unfinished ...>` and `<tid> <... name resumed>) = <result>`.
fn births(trace: &str) -> Vec<Birth> {
    let mut unfinished: BTreeMap<u32, String> = BTreeMap::new();
    let mut births = Vec::new();
    for line in trace.lines() {
        let Some((tid, rest)) = line.split_once(' ') else { continue };
        let Ok(parent) = tid.parse::<u32>() else { continue };
        let rest = rest.trim_start();
        if let Some(call) = rest.strip_suffix("<unfinished ...>") {
            unfinished.insert(parent, call.to_owned());
            continue;
        }
        let call = if rest.starts_with("<...") {
            unfinished.remove(&parent).map(|begun| format!("{begun}{rest}"))
        } else {
            Some(rest.to_owned())
        };
        let Some(call) = call.filter(|call| ["clone", "fork", "vfork"].iter().any(|name| call.starts_with(name)))
        else {
            continue;
        };
        let result = call.rsplit_once(" = ").map(|(_, result)| result.to_owned());
        if let Some(child) = result.and_then(|it| it.split_whitespace().next()?.parse().ok()) {
            births.push(Birth { parent, child, call });
        }
    }
    births
}

/// Returns the first process and all threads that it made, directly or through others.
fn threads_of_the_host(trace: &str, births: &[Birth]) -> BTreeSet<u32> {
    let first = trace.split_once(' ').and_then(|(tid, _)| tid.parse().ok()).expect("a trace begins with the host");
    let mut host = BTreeSet::from([first]);
    loop {
        let before = host.len();
        host.extend(
            births
                .iter()
                .filter(|it| it.is_thread() && host.contains(&it.parent))
                .map(|it| it.child)
                .collect::<Vec<_>>(),
        );
        if host.len() == before {
            return host;
        }
    }
}

#[test]
fn the_trace_is_read_as_strace_writes_it() {
    let trace = "\
10 execve(\"/x\", [\"x\"], 0x7ff) = 0
10 clone3({flags=CLONE_VM|CLONE_THREAD, exit_signal=0}, 88) = 11
11 clone3({flags=CLONE_VM|CLONE_VFORK, exit_signal=SIGCHLD}, 88 <unfinished ...>
12 execve(\"/bin/true\", [], 0x7ff) = 0
11 <... clone3 resumed>) = 12
12 clone(child_stack=NULL, flags=CLONE_CHILD_SETTID|SIGCHLD) = 13
11 vfork() = 14
";
    let births = births(trace);
    assert_eq!(
        births.iter().map(|it| (it.parent, it.child)).collect::<Vec<_>>(),
        [(10, 11), (11, 12), (12, 13), (11, 14)]
    );
    assert_eq!(births.iter().map(Birth::shares_memory_until_exec).collect::<Vec<_>>(), [false, true, false, true]);
    assert_eq!(threads_of_the_host(trace, &births), BTreeSet::from([10, 11]));
}
