//! Spawns each command with one `CreateProcessW`.
//!
//! The standard library's spawn lets a child inherit everything that is inheritable at that moment, pipes of other threads
//! included, and has no job: processes that a child starts before it is put into one would escape.

use std::ffi::c_void;
use std::fs::{File, OpenOptions};
use std::io;
use std::mem::size_of;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::ptr;
use std::sync::Arc;

use windows_sys::Win32::Foundation::{
    ERROR_FILENAME_EXCED_RANGE, HANDLE, HANDLE_FLAG_INHERIT, INVALID_HANDLE_VALUE, SetHandleInformation,
};
use windows_sys::Win32::System::Console::{GetConsoleCP, GetStdHandle, STD_INPUT_HANDLE};
use windows_sys::Win32::System::Threading::{
    CREATE_NEW_PROCESS_GROUP, CREATE_NO_WINDOW, CREATE_SUSPENDED, CREATE_UNICODE_ENVIRONMENT, CreateProcessW,
    DeleteProcThreadAttributeList, EXTENDED_STARTUPINFO_PRESENT, InitializeProcThreadAttributeList,
    LPPROC_THREAD_ATTRIBUTE_LIST, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, PROC_THREAD_ATTRIBUTE_JOB_LIST,
    PROCESS_INFORMATION, ResumeThread, STARTF_USESTDHANDLES, STARTUPINFOEXW, UpdateProcThreadAttribute,
};

use super::command_line::{CommandLine, wide_z};
use super::environment;
use super::job::JobObject;
use super::leader::Leader;
use super::pipe::{self, PipeReader, PipeWriter};
use crate::platform::{Launch, SpawnThread, StdinKind};
use crate::types::ResourceLimits;

/// A child that runs, and our ends of its pipes.
#[derive(Debug)]
pub(crate) struct Spawned {
    pub(crate) leader: Arc<Leader>,
    pub(crate) stdout: PipeReader,
    /// `None` when it shares standard output's pipe.
    pub(crate) stderr: Option<PipeReader>,
    pub(crate) stdin: Option<PipeWriter>,
}

/// Starts a program with its own process group and job, and with three handles only.
///
/// Blocks until the process is created, so it is called on a thread that may block; must be called within the runtime.
pub(crate) fn spawn(launch: &Launch, _: &SpawnThread) -> io::Result<Spawned> {
    debug_assert!(launch.limits == ResourceLimits::default(), "a request with limits is refused on Windows");
    // Everything that can fail without a child comes first.
    let line = CommandLine::new(launch)?;
    let env = environment::block(&launch.env);
    let cwd = launch.cwd.as_deref().or_else(|| launch.host.change_to());
    if cwd.and_then(super::is_too_long_a_directory).is_some() {
        // Some versions of Windows have undefined behaviour for such a path, so the call is not made.
        return Err(io::Error::from_raw_os_error(ERROR_FILENAME_EXCED_RANGE.cast_signed()));
    }
    let cwd = cwd.map(|cwd| wide_z(cwd.as_os_str())).transpose()?;
    let job = JobObject::new()?;
    let (stdin, child_stdin) = match launch.stdin {
        StdinKind::Empty => (None, nul()?.into()),
        StdinKind::Pipe => pipe::input().map(|(ours, child)| (Some(ours), OwnedHandle::from(child)))?,
        StdinKind::Inherit => (None, own_stdin()?),
    };
    let (stdout, child_stdout) = pipe::output()?;
    let (stderr, child_stderr) = if launch.merge_output {
        (None, None)
    } else {
        pipe::output().map(|(ours, child)| (Some(ours), Some(child)))?
    };

    let child = Child {
        stdin: child_stdin.as_raw_handle(),
        stdout: child_stdout.as_raw_handle(),
        stderr: child_stderr.as_ref().unwrap_or(&child_stdout).as_raw_handle(),
    };
    // If the host has no console, a child would open its own window.
    let has_console = has_console();
    let made = child.create(line, &env, cwd.as_deref(), &job, has_console)?;
    // From here on a suspended child exists: if anything fails, its job ends when the values below are dropped.
    let leader = Leader::new(made.pid, made.process, job, has_console)?;
    // SAFETY: the first thread of the child, which was created suspended.
    if unsafe { ResumeThread(made.thread.as_raw_handle()) } == u32::MAX {
        return Err(io::Error::last_os_error());
    }
    Ok(Spawned { leader: Arc::new(leader), stdout, stderr, stdin })
}

/// Opens an empty standard input.
fn nul() -> io::Result<File> {
    OpenOptions::new().read(true).open("NUL")
}

/// Returns the host's standard input, as a handle that can be made inheritable without the host's own becoming so.
fn own_stdin() -> io::Result<OwnedHandle> {
    // SAFETY: the result is checked, and used only for the duplication.
    let handle = unsafe { GetStdHandle(STD_INPUT_HANDLE) };
    if handle.is_null() || handle == INVALID_HANDLE_VALUE {
        return nul().map(OwnedHandle::from);
    }
    // SAFETY: an open handle of the process, which stays open during a spawn.
    unsafe { BorrowedHandle::borrow_raw(handle) }.try_clone_to_owned()
}

fn has_console() -> bool {
    // SAFETY: no memory is involved.
    unsafe { GetConsoleCP() != 0 }
}

/// The child's handles.
struct Child {
    stdin: HANDLE,
    stdout: HANDLE,
    stderr: HANDLE,
}

/// A process that does not run yet.
struct Made {
    pid: u32,
    process: OwnedHandle,
    thread: OwnedHandle,
}

impl Child {
    fn create(
        &self,
        mut line: CommandLine,
        env: &[u16],
        cwd: Option<&[u16]>,
        job: &JobObject,
        has_console: bool,
    ) -> io::Result<Made> {
        let mut handles = vec![self.stdin, self.stdout, self.stderr];
        // The list must not have duplicates.
        handles.dedup();
        let jobs = [job.handle()];
        let mut attributes = Attributes::new(2)?;
        // The child is in the job from the start: a host that ends at this moment leaves no process behind.
        attributes.set(PROC_THREAD_ATTRIBUTE_JOB_LIST, &jobs)?;
        attributes.set(PROC_THREAD_ATTRIBUTE_HANDLE_LIST, &handles)?;
        for handle in &handles {
            // The handles become inheritable as late as possible: until they are closed, a spawn by other code of the
            // host inherits them too.
            inheritable(*handle)?;
        }
        let mut startup = STARTUPINFOEXW::default();
        startup.StartupInfo.cb = super::size::<STARTUPINFOEXW>();
        startup.StartupInfo.dwFlags = STARTF_USESTDHANDLES;
        startup.StartupInfo.hStdInput = self.stdin;
        startup.StartupInfo.hStdOutput = self.stdout;
        startup.StartupInfo.hStdError = self.stderr;
        startup.lpAttributeList = attributes.as_ptr();
        let window = if has_console { 0 } else { CREATE_NO_WINDOW };
        let mut made = PROCESS_INFORMATION::default();
        // SAFETY: the texts end with a NUL and the block with two; the command line is ours to be written to; the structs
        // and what the attributes point to are valid until the call returns.
        let done = unsafe {
            CreateProcessW(
                line.program.as_ptr(),
                line.text.as_mut_ptr(),
                ptr::null(),
                ptr::null(),
                1,
                CREATE_SUSPENDED
                    | CREATE_NEW_PROCESS_GROUP
                    | CREATE_UNICODE_ENVIRONMENT
                    | EXTENDED_STARTUPINFO_PRESENT
                    | window,
                env.as_ptr().cast(),
                cwd.map_or(ptr::null(), <[u16]>::as_ptr),
                &raw const startup.StartupInfo,
                &raw mut made,
            )
        };
        if done == 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: both are fresh handles without another owner.
        let (process, thread) =
            unsafe { (OwnedHandle::from_raw_handle(made.hProcess), OwnedHandle::from_raw_handle(made.hThread)) };
        Ok(Made { pid: made.dwProcessId, process, thread })
    }
}

fn inheritable(handle: HANDLE) -> io::Result<()> {
    // SAFETY: a plain flag on a handle that we own.
    let done = unsafe { SetHandleInformation(handle, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT) };
    if done == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The attributes of a new process. The list points to the values, which must not move.
struct Attributes<'a> {
    /// Machine words, so that it is aligned for everything that the system stores in it.
    list: Vec<usize>,
    values: std::marker::PhantomData<&'a [HANDLE]>,
}

impl<'a> Attributes<'a> {
    fn new(count: u32) -> io::Result<Self> {
        let mut bytes = 0;
        // SAFETY: without a list the call only returns the required size.
        unsafe { InitializeProcThreadAttributeList(ptr::null_mut(), count, 0, &raw mut bytes) };
        let mut list = vec![0_usize; bytes.div_ceil(size_of::<usize>())];
        // SAFETY: the list has the required size.
        let done = unsafe { InitializeProcThreadAttributeList(list.as_mut_ptr().cast(), count, 0, &raw mut bytes) };
        if done == 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { list, values: std::marker::PhantomData })
    }

    fn set(&mut self, attribute: u32, value: &'a [HANDLE]) -> io::Result<()> {
        // SAFETY: the list is initialised, and the value outlives it.
        let done = unsafe {
            UpdateProcThreadAttribute(
                self.as_ptr(),
                0,
                attribute as usize,
                value.as_ptr().cast::<c_void>(),
                size_of_val(value),
                ptr::null_mut(),
                ptr::null(),
            )
        };
        if done == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    fn as_ptr(&mut self) -> LPPROC_THREAD_ATTRIBUTE_LIST {
        self.list.as_mut_ptr().cast()
    }
}

impl Drop for Attributes<'_> {
    fn drop(&mut self) {
        // SAFETY: initialised by `new`, deleted once.
        unsafe { DeleteProcThreadAttributeList(self.as_ptr()) };
    }
}
