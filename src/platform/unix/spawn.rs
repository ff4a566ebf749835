//! Starts the child of a command.
//!
//! The standard library's spawn cannot create a session, and uses `fork` when it has a hook. A fork copies the page tables of the
//! host, which takes half a second in a host of 2 GiB. Here the child shares the memory until its exec, so that the cost does not
//! depend on the host.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::ptr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use libc::c_char;

use super::cgroup::{self, ControlGroup};
use super::exec::{Image, start};
use super::is_exhaustion;
use super::leader::Leader;
use super::limits::rlimits;
use super::pid::Pid;
use super::pipe::{PipeReader, PipeWriter, above_stderr, pipe, set_nonblocking};
use super::procs;
use super::shell::sealed_file;
use super::terminal::Terminal;
use super::tree::Tree;
use crate::platform::{Launch, Mark, SpawnThread, StdinKind};

/// A child that runs, and our ends of its pipes.
#[derive(Debug)]
pub(crate) struct Spawned {
    pub(crate) leader: Arc<Leader>,
    pub(crate) stdout: PipeReader,
    /// `None` when it shares standard output's pipe.
    pub(crate) stderr: Option<PipeReader>,
    pub(crate) stdin: Option<PipeWriter>,
}

/// Starts a program in its own session: no controlling terminal, default signals, no blocked signals, descriptors 0 to 2 only.
///
/// `thread` waits for its pipes and its exit at first. Blocks until the program runs, so it must be called on a thread that may block,
/// within the runtime.
pub(crate) fn spawn(launch: &Launch, thread: &SpawnThread) -> io::Result<Spawned> {
    // Everything that can fail without a child comes first.
    let Streams { stdin, mut stdout, child_stdout, stderr, child_stderr, terminal } = Streams::of(launch, thread)?;

    let file = launch.descriptor.as_deref().map(sealed_file).transpose()?;
    let outputs = [&child_stdout, child_stderr.as_ref().unwrap_or(&child_stdout)].map(AsRawFd::as_raw_fd);
    let fds = [stdin.child_fd(), outputs[0], outputs[1], file.as_ref().map_or(-1, AsRawFd::as_raw_fd)];
    let fds = if file.is_some() { &fds[..] } else { &fds[..3] };
    let program = c_string(launch.program.as_os_str().as_bytes())?;
    let mut argv = vec![program.clone()];
    for arg in &launch.args {
        argv.push(c_string(arg.as_bytes())?);
    }
    let cwd = launch.cwd.as_deref().or_else(|| launch.host.change_to());
    let cwd = cwd.map(|cwd| c_string(cwd.as_os_str().as_bytes())).transpose()?;
    let argv = pointers(argv.iter().map(|arg| arg.as_ptr()));
    let envp = pointers(launch.env.split_inclusive(|byte| *byte == 0).map(|entry| entry.as_ptr().cast()));
    let limits = rlimits(&launch.limits);
    let image = Image {
        program: &program,
        argv: &argv,
        envp: &envp,
        cwd: cwd.as_deref(),
        host: Some((&launch.host, launch.cwd.is_none())),
        fds,
        terminal: terminal.as_deref(),
        cgroup: None,
        limits: &limits,
    };

    let born = procs::now();
    let (pid, group) = start_in_group(&image, if launch.control_group { cgroup::take() } else { None })?;
    // From here on a child exists: nothing below can fail.
    let mut tree = Tree::new(pid, launch.mark.clone(), born, group);
    tree.has_terminal = terminal.is_some();
    stdout.keep_open(child_stdout);
    Ok(Spawned { leader: Leader::of_execution(tree, thread), stdout, stderr, stdin: stdin.into_writer() })
}

/// The streams of a child: our ends, and its.
struct Streams {
    stdin: ChildInput,
    stdout: PipeReader,
    child_stdout: OwnedFd,
    stderr: Option<PipeReader>,
    child_stderr: Option<OwnedFd>,
    /// The path of the terminal that they all are.
    terminal: Option<CString>,
}

impl Streams {
    fn of(launch: &Launch, thread: &SpawnThread) -> io::Result<Self> {
        if let Some(size) = launch.terminal {
            let Terminal { reader: stdout, writer: ours, child: child_stdout, path } = Terminal::open(size, thread)?;
            let stdin = ChildInput::Terminal { ours, child: child_stdout.as_raw_fd() };
            return Ok(Self { stdin, stdout, child_stdout, stderr: None, child_stderr: None, terminal: Some(path) });
        }
        let stdin = ChildInput::new(launch.stdin)?;
        let (stdout, child_stdout) = PipeReader::new(thread)?;
        let (stderr, child_stderr) = if launch.merge_output {
            (None, None)
        } else {
            PipeReader::new(thread).map(|(ours, child)| (Some(ours), Some(child)))?
        };
        Ok(Self { stdin, stdout, child_stdout, stderr, child_stderr, terminal: None })
    }
}

/// Starts a program in a control group, or in the host's if there is none.
fn start_in_group(image: &Image<'_>, group: Option<ControlGroup>) -> io::Result<(Pid, Option<ControlGroup>)> {
    let Some(group) = group else { return start_with_retries(image).map(|pid| (pid, None)) };
    match start_with_retries(&Image { cgroup: Some(group.fd()), ..*image }) {
        Ok(pid) => Ok((pid, Some(group))),
        Err(error) if is_refused_group(&error) => {
            // If the start works without the group, the group was the reason of the refusal.
            let pid = start_with_retries(image)?;
            group.refused(&error);
            Ok((pid, None))
        }
        Err(error) => Err(error),
    }
}

/// Whether the control group may be the reason that a child was not started.
fn is_refused_group(error: &io::Error) -> bool {
    let refusals = [
        libc::ENOSYS,
        libc::EPERM,
        libc::EACCES,
        libc::EINVAL,
        libc::EBUSY,
        libc::ENODEV,
        libc::ENOENT,
        libc::EOPNOTSUPP,
        libc::EBADF,
        libc::E2BIG,
    ];
    error.raw_os_error().is_some_and(|errno| refusals.contains(&errno))
}

/// The description of a program that helps the host.
pub(super) struct Helper<'a> {
    /// The name in process listings, and the only argument.
    pub(super) name: &'a CStr,
    /// The standard input.
    pub(super) input: RawFd,
    /// The descriptor 3.
    pub(super) table: RawFd,
    /// The descriptor 4: a pidfd of the host, where the system has pidfds.
    pub(super) host: Option<RawFd>,
}

/// Starts a helper without output. It has its own session, and no arguments or variables by which a search for the processes of a
/// command could find it. `image` is its descriptor 5. Must be called within the runtime.
pub(super) fn spawn_helper(helper: &Helper<'_>, program: &CStr, image: Option<RawFd>) -> io::Result<Leader> {
    let null = dev_null()?;
    let argv = pointers([helper.name.as_ptr()].into_iter());
    let envp = pointers(std::iter::empty());
    let fds = [helper.input, null, null, helper.table, helper.host.unwrap_or(null), image.unwrap_or(null)];
    let fds = if image.is_some() { &fds[..] } else { &fds[..5] };
    let image = Image {
        program,
        argv: &argv,
        envp: &envp,
        cwd: None,
        host: None,
        fds,
        terminal: None,
        cgroup: None,
        limits: &[],
    };
    let born = procs::now();
    let pid = start_with_retries(&image)?;
    Ok(Leader::new(Tree::new(pid, Mark::default(), born, None), &SpawnThread::none()))
}

/// Starts a program; retries after `ETXTBSY`, which is temporary: a child of another thread holds a just-written program open for
/// writing until its own exec.
fn start_with_retries(image: &Image<'_>) -> io::Result<Pid> {
    let mut pause = Duration::from_millis(1);
    loop {
        match start(image) {
            Err(error) if error.raw_os_error() == Some(libc::ETXTBSY) && pause < Duration::from_millis(500) => {
                std::thread::sleep(pause);
                pause *= 2;
            }
            outcome => return outcome,
        }
    }
}

fn c_string(bytes: &[u8]) -> io::Result<CString> {
    CString::new(bytes).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

/// Returns a null-terminated array of pointers to the strings.
fn pointers(strings: impl Iterator<Item = *const c_char>) -> Vec<*mut c_char> {
    strings.map(<*const c_char>::cast_mut).chain([ptr::null_mut()]).collect()
}

/// The standard input of the child.
enum ChildInput {
    Null(RawFd),
    Pipe { ours: PipeWriter, child: OwnedFd },
    Terminal { ours: PipeWriter, child: RawFd },
    Inherit,
}

impl ChildInput {
    fn new(kind: StdinKind) -> io::Result<Self> {
        match kind {
            StdinKind::Empty => dev_null().map(Self::Null),
            StdinKind::Inherit => Ok(Self::Inherit),
            StdinKind::Pipe => {
                let (read, write) = pipe()?;
                set_nonblocking(&write)?;
                Ok(Self::Pipe { ours: PipeWriter::from_owned_fd_unchecked(write)?, child: read })
            }
        }
    }

    fn child_fd(&self) -> RawFd {
        match self {
            Self::Null(fd) => *fd,
            Self::Pipe { child, .. } => child.as_raw_fd(),
            Self::Terminal { child, .. } => *child,
            Self::Inherit => libc::STDIN_FILENO,
        }
    }

    fn into_writer(self) -> Option<PipeWriter> {
        match self {
            Self::Pipe { ours, .. } | Self::Terminal { ours, .. } => Some(ours),
            Self::Null(_) | Self::Inherit => None,
        }
    }
}

const NULL_DEVICE: &str = "/dev/null";

/// The system has no `/dev/null`.
#[derive(Debug, thiserror::Error)]
#[error("{NULL_DEVICE} cannot be opened ({0})")]
struct NullDevice(io::Error);

/// Keeps errors of a machine that is short of descriptors: it has the device.
fn explain_null_device(error: io::Error) -> io::Error {
    if is_exhaustion(&error) { error } else { io::Error::new(error.kind(), NullDevice(error)) }
}

/// Whether an error means that there is no `/dev/null`.
pub(crate) fn is_null_device_missing(error: &io::Error) -> bool {
    matches!(error.get_ref(), Some(inner) if inner.is::<NullDevice>())
}

/// Returns the descriptor of `/dev/null`, which all children share. It is open as long as the process runs.
fn dev_null() -> io::Result<RawFd> {
    static NULL: OnceLock<OwnedFd> = OnceLock::new();
    if let Some(fd) = NULL.get() {
        return Ok(fd.as_raw_fd());
    }
    let opened = above_stderr(std::fs::File::open(NULL_DEVICE).map_err(explain_null_device)?.into())?;
    Ok(NULL.get_or_init(|| opened).as_raw_fd())
}
