//! A child's pipes. Anonymous pipes cannot be read without a thread for each, so these have random names.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::{AsRawHandle, FromRawHandle, IntoRawHandle, OwnedHandle};
use std::task::{Context, Poll};

use tokio::net::windows::named_pipe::NamedPipeServer;
use uuid::Uuid;
use windows_sys::Win32::Foundation::{GENERIC_READ, GENERIC_WRITE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_FIRST_PIPE_INSTANCE, FILE_FLAG_OVERLAPPED, FILE_READ_ATTRIBUTES, FILE_WRITE_ATTRIBUTES,
    PIPE_ACCESS_INBOUND, PIPE_ACCESS_OUTBOUND,
};
use windows_sys::Win32::System::Pipes::{CreateNamedPipeW, PIPE_REJECT_REMOTE_CLIENTS, PIPE_TYPE_BYTE};

/// The capacity of a pipe.
const BUFFER_BYTES: u32 = 64 * 1024;
/// The most that is written at once: it is copied, so that the system can write in the background.
const WRITE_BYTES: usize = 64 * 1024;

/// The read end of a child's output, registered with the runtime.
#[derive(Debug)]
pub(crate) struct PipeReader(NamedPipeServer);

impl PipeReader {
    /// Resolves when there are bytes, or an end of file. One task waits at a time.
    pub(crate) fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<()> {
        // The read reports an error again.
        self.0.poll_read_ready(context).map(|_| ())
    }

    /// Reads without waiting.
    pub(crate) fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }

    /// Does nothing: there are no terminals here.
    #[expect(clippy::unused_self, reason = "a terminal of another system closes its other end")]
    pub(crate) fn command_exited(&mut self) {}

    /// Reads without waiting. The runtime reads in the background, and has just polled if this follows a timer.
    pub(crate) fn read_unreported(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.try_read(buffer)
    }
}

/// The write end of a child's input, registered with the runtime. Accepted bytes are written even when this is dropped.
#[derive(Debug)]
pub(crate) struct PipeWriter(NamedPipeServer);

/// Waits until a pipe takes bytes, and writes once. Cancel-safe: cancelled, it has written nothing.
pub(crate) async fn write_some(PipeWriter(pipe): &PipeWriter, bytes: &[u8]) -> io::Result<usize> {
    pipe.writable().await?;
    pipe.try_write(&bytes[..bytes.len().min(WRITE_BYTES)])
}

/// Waits until the child has closed its end of a pipe to it. The system does not report that for an idle pipe; the next write
/// fails.
pub(crate) async fn reader_closed(_: &PipeWriter) {
    std::future::pending::<()>().await;
}

/// Creates a pipe: our end, and the one that a child writes to. Must be called within the runtime.
pub(super) fn output() -> io::Result<(PipeReader, File)> {
    let (server, child) = connected(PIPE_ACCESS_INBOUND, GENERIC_WRITE | FILE_READ_ATTRIBUTES)?;
    Ok((PipeReader(server), child))
}

/// Creates a pipe: our end, and the one that a child reads from. Must be called within the runtime.
pub(super) fn input() -> io::Result<(PipeWriter, File)> {
    let (server, child) = connected(PIPE_ACCESS_OUTBOUND, GENERIC_READ | FILE_WRITE_ATTRIBUTES)?;
    Ok((PipeWriter(server), child))
}

/// Returns a connected pipe. Neither end can be inherited yet.
fn connected(direction: u32, child_access: u32) -> io::Result<(NamedPipeServer, File)> {
    let name = format!(r"\\.\pipe\escher-{}-{}", std::process::id(), Uuid::new_v4());
    let units: Vec<u16> = name.encode_utf16().chain([0]).collect();
    // SAFETY: the name ends with a NUL; without attributes the handle is not inherited. The call creates the first and only
    // instance: no other process can have taken the name before, or listen on it too.
    let handle = unsafe {
        CreateNamedPipeW(
            units.as_ptr(),
            direction | FILE_FLAG_FIRST_PIPE_INSTANCE | FILE_FLAG_OVERLAPPED,
            PIPE_TYPE_BYTE | PIPE_REJECT_REMOTE_CLIENTS,
            1,
            BUFFER_BYTES,
            BUFFER_BYTES,
            0,
            std::ptr::null(),
        )
    };
    if handle == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a fresh handle without another owner.
    let ours = unsafe { OwnedHandle::from_raw_handle(handle) };
    // The child's end is synchronous, as programs expect. If another process was faster to open the name, this fails, and so does
    // the spawn.
    let child = OpenOptions::new().access_mode(child_access).open(&name)?;
    debug_assert!(!child.as_raw_handle().is_null());
    // Registered only now that it is connected: the runtime starts to read at once.
    // SAFETY: an overlapped end of a pipe, which this call takes.
    let server = unsafe { NamedPipeServer::from_raw_handle(ours.into_raw_handle()) }?;
    Ok((server, child))
}
