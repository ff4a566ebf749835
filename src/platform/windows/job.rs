//! The job object of an execution: every process of its tree starts in it and cannot leave it.

use std::io;
use std::mem::{offset_of, size_of};
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr;
use std::time::Duration;

use windows_sys::Win32::Foundation::{ERROR_MORE_DATA, HANDLE};
use windows_sys::Win32::System::JobObjects::{
    CreateJobObjectW, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE, JOBOBJECT_BASIC_ACCOUNTING_INFORMATION,
    JOBOBJECT_BASIC_PROCESS_ID_LIST, JOBOBJECT_EXTENDED_LIMIT_INFORMATION, JobObjectBasicAccountingInformation,
    JobObjectBasicProcessIdList, JobObjectExtendedLimitInformation, QueryInformationJobObject, SetInformationJobObject,
    TerminateJobObject,
};

use super::{process, size};

#[derive(Debug)]
pub(super) struct JobObject(OwnedHandle);

impl JobObject {
    /// Creates a job that ends with its last handle, which is this one and is not inherited. No process may break away from it.
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: without attributes and a name; the result is checked.
        let handle = unsafe { CreateJobObjectW(ptr::null(), ptr::null()) };
        if handle.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a fresh handle without another owner.
        let job = Self(unsafe { OwnedHandle::from_raw_handle(handle) });
        job.limit(JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE)?;
        Ok(job)
    }

    pub(super) fn handle(&self) -> HANDLE {
        self.0.as_raw_handle()
    }

    fn limit(&self, flags: u32) -> io::Result<()> {
        let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
        limits.BasicLimitInformation.LimitFlags = flags;
        // SAFETY: the struct is the one of this class, and its length is passed.
        let done = unsafe {
            SetInformationJobObject(
                self.handle(),
                JobObjectExtendedLimitInformation,
                (&raw const limits).cast(),
                size::<JOBOBJECT_EXTENDED_LIMIT_INFORMATION>(),
            )
        };
        if done == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Lets the remaining processes outlive the job's handle.
    pub(super) fn release(&self) {
        // The call fails only for an invalid handle.
        let _ = self.limit(0);
    }

    /// Ends all processes in the job, and in the jobs within it, in one step: none is missed, however fast it starts others.
    pub(super) fn terminate(&self, code: u32) -> io::Result<()> {
        // SAFETY: a handle that we own.
        if unsafe { TerminateJobObject(self.handle(), code) } == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Returns the living members.
    pub(super) fn members(&self) -> Vec<u32> {
        let head = offset_of!(JOBOBJECT_BASIC_PROCESS_ID_LIST, ProcessIdList);
        let mut room: usize = 64;
        loop {
            // Machine words, so that the buffer is aligned for the struct.
            let mut buffer = vec![0_usize; head.div_ceil(size_of::<usize>()) + room];
            let bytes = u32::try_from(buffer.len() * size_of::<usize>()).unwrap_or(u32::MAX);
            // SAFETY: the buffer has the given length and aligned for the struct of this class.
            let done = unsafe {
                QueryInformationJobObject(
                    self.handle(),
                    JobObjectBasicProcessIdList,
                    buffer.as_mut_ptr().cast(),
                    bytes,
                    ptr::null_mut(),
                )
            };
            if done == 0 && io::Error::last_os_error().raw_os_error() != Some(ERROR_MORE_DATA.cast_signed()) {
                return Vec::new();
            }
            let list = buffer.as_ptr().cast::<JOBOBJECT_BASIC_PROCESS_ID_LIST>();
            // SAFETY: the call has filled the struct in; the buffer was zeroed before.
            let (assigned, listed) = unsafe { ((*list).NumberOfAssignedProcesses, (*list).NumberOfProcessIdsInList) };
            if done != 0 && assigned <= listed {
                let ids = buffer.iter().skip(head / size_of::<usize>()).take(listed as usize);
                #[expect(clippy::cast_possible_truncation, reason = "process ids have 32 bits; the list has words")]
                return ids.map(|id| *id as u32).collect();
            }
            // The buffer was too small, or more processes were started meanwhile.
            room = room.max(assigned as usize) * 2;
        }
    }

    /// Returns the processor time of all processes that are or were in the job: in user mode, in the kernel.
    pub(super) fn times(&self) -> (Duration, Duration) {
        let mut used = JOBOBJECT_BASIC_ACCOUNTING_INFORMATION::default();
        // SAFETY: the struct is the one of this class, and its length is passed.
        let done = unsafe {
            QueryInformationJobObject(
                self.handle(),
                JobObjectBasicAccountingInformation,
                (&raw mut used).cast(),
                size::<JOBOBJECT_BASIC_ACCOUNTING_INFORMATION>(),
                ptr::null_mut(),
            )
        };
        if done == 0 {
            return <_>::default();
        }
        (process::ticks(used.TotalUserTime), process::ticks(used.TotalKernelTime))
    }
}
