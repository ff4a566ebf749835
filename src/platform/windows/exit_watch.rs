//! Waits for the exit of processes, without a thread for each.

use std::ffi::c_void;
use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle};
use std::ptr;
use std::sync::Arc;

use tokio::sync::SetOnce;
use windows_sys::Win32::Foundation::{HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::System::Threading::{
    INFINITE, RegisterWaitForSingleObject, UnregisterWaitEx, WT_EXECUTEINWAITTHREAD, WT_EXECUTEONLYONCE,
};

/// The exit, set by a thread of the system's thread pool when the process has exited.
#[derive(Debug)]
pub(super) struct ExitWatch {
    exited: Arc<SetOnce<()>>,
    wait: HANDLE,
}

// SAFETY: the handle of the wait may be used from any thread; it is used once, when this is dropped.
unsafe impl Send for ExitWatch {}
// SAFETY: as above; the cell may be shared.
unsafe impl Sync for ExitWatch {}

impl ExitWatch {
    /// Starts the wait. The handle of the process must outlive this.
    pub(super) fn new(process: BorrowedHandle<'_>) -> io::Result<Self> {
        let exited = Arc::new(SetOnce::new());
        let mut wait = ptr::null_mut();
        // SAFETY: the cell outlives the wait: `drop` ends the wait, and a call that is running, before it releases the cell.
        let done = unsafe {
            RegisterWaitForSingleObject(
                &raw mut wait,
                process.as_raw_handle(),
                Some(mark_exited),
                Arc::as_ptr(&exited).cast(),
                INFINITE,
                WT_EXECUTEONLYONCE | WT_EXECUTEINWAITTHREAD,
            )
        };
        if done == 0 { Err(io::Error::last_os_error()) } else { Ok(Self { exited, wait }) }
    }

    /// Waits for the exit. Cancel-safe.
    pub(super) async fn exited(&self) {
        self.exited.wait().await;
    }

    pub(super) fn has_exited(&self) -> bool {
        self.exited.get().is_some()
    }
}

impl Drop for ExitWatch {
    fn drop(&mut self) {
        // SAFETY: a wait that was registered and is ended once. With this event the call returns only when `mark_exited`
        // does not run and will not run again.
        unsafe { UnregisterWaitEx(self.wait, INVALID_HANDLE_VALUE) };
    }
}

unsafe extern "system" fn mark_exited(cell: *mut c_void, _timed_out: bool) {
    // SAFETY: the cell that `new` has passed, which is valid as long as the wait.
    let cell = unsafe { &*cell.cast::<SetOnce<()>>() };
    // The callback is called once (`WT_EXECUTEONLYONCE`).
    let _ = cell.set(());
}
