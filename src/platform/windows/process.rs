//! Information about processes.

use std::collections::HashMap;
use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::time::Duration;

use windows_sys::Win32::Foundation::{FILETIME, INVALID_HANDLE_VALUE};
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, PROCESSENTRY32W, Process32FirstW, Process32NextW, TH32CS_SNAPPROCESS,
};
use windows_sys::Win32::System::Threading::{
    GetExitCodeProcess, GetProcessTimes, OpenProcess, PROCESS_QUERY_LIMITED_INFORMATION, QueryFullProcessImageNameW,
};

use crate::platform::ProcessInfo;

/// Returns the processor time, in user mode and in the kernel.
pub(super) fn times(process: BorrowedHandle<'_>) -> (Duration, Duration) {
    let [mut created, mut exited, mut kernel, mut user] = [FILETIME::default(); 4];
    // SAFETY: an open handle; the four out-parameters are valid for the call.
    let done = unsafe {
        GetProcessTimes(process.as_raw_handle(), &raw mut created, &raw mut exited, &raw mut kernel, &raw mut user)
    };
    if done == 0 { <_>::default() } else { (duration(user), duration(kernel)) }
}

fn duration(time: FILETIME) -> Duration {
    ticks((i64::from(time.dwHighDateTime) << 32) | i64::from(time.dwLowDateTime))
}

/// Converts from the unit of the system, 100 ns.
pub(super) fn ticks(ticks: i64) -> Duration {
    Duration::from_nanos(u64::try_from(ticks).unwrap_or(0).saturating_mul(100))
}

/// Returns the exit code of a process that has exited.
pub(super) fn exit_code(process: BorrowedHandle<'_>) -> Option<u32> {
    let mut code = 0;
    // SAFETY: an open handle; the out-parameter is valid for the call.
    let done = unsafe { GetExitCodeProcess(process.as_raw_handle(), &raw mut code) };
    (done != 0).then_some(code)
}

/// Describes processes for users. The command is the path of the program: the arguments are in the process's own memory.
pub(super) fn describe(pids: &[u32]) -> Vec<ProcessInfo> {
    if pids.is_empty() {
        return Vec::new();
    }
    let known = snapshot();
    let info = |pid: &u32| {
        let seen = known.get(pid);
        let handle = open(*pid).ok();
        let command = handle.as_ref().and_then(image).or_else(|| seen.map(|it| it.name.clone())).unwrap_or_default();
        let (user, kernel) = handle.as_ref().map(|handle| times(borrow(handle))).unwrap_or_default();
        ProcessInfo {
            pid: *pid,
            parent: seen.map_or(0, |it| it.parent),
            command,
            state: String::from("running"),
            cpu_ms: (user + kernel).as_secs_f64() * 1_000.0,
            waits_for: None,
        }
    };
    pids.iter().map(info).collect()
}

fn borrow(handle: &OwnedHandle) -> BorrowedHandle<'_> {
    std::os::windows::io::AsHandle::as_handle(handle)
}

fn open(pid: u32) -> io::Result<OwnedHandle> {
    // SAFETY: no memory is involved; the result is checked.
    let handle = unsafe { OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, 0, pid) };
    if handle.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a fresh handle without another owner.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

/// Returns the path of the program that a process runs.
fn image(process: &OwnedHandle) -> Option<String> {
    let mut path = [0_u16; 1_024];
    let mut length = 1_024;
    // SAFETY: the buffer has the given length; the call returns how much of it was filled.
    let done = unsafe { QueryFullProcessImageNameW(process.as_raw_handle(), 0, path.as_mut_ptr(), &raw mut length) };
    (done != 0).then(|| String::from_utf16_lossy(&path[..length as usize]))
}

struct Seen {
    parent: u32,
    name: String,
}

/// Lists all processes.
fn snapshot() -> HashMap<u32, Seen> {
    let mut all = HashMap::new();
    // SAFETY: no memory is involved; the result is checked.
    let handle = unsafe { CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0) };
    if handle == INVALID_HANDLE_VALUE {
        return all;
    }
    // SAFETY: a fresh handle without another owner.
    let handle = unsafe { OwnedHandle::from_raw_handle(handle) };
    let mut entry = PROCESSENTRY32W { dwSize: super::size::<PROCESSENTRY32W>(), ..PROCESSENTRY32W::default() };
    // SAFETY: the struct holds its own size; its content is used only after a successful call.
    let mut more = unsafe { Process32FirstW(handle.as_raw_handle(), &raw mut entry) };
    while more != 0 {
        let length = entry.szExeFile.iter().position(|unit| *unit == 0).unwrap_or(entry.szExeFile.len());
        let name = String::from_utf16_lossy(&entry.szExeFile[..length]);
        all.insert(entry.th32ProcessID, Seen { parent: entry.th32ParentProcessID, name });
        // SAFETY: as above.
        more = unsafe { Process32NextW(handle.as_raw_handle(), &raw mut entry) };
    }
    all
}
