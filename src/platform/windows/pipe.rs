//! A child's pipes. Anonymous pipes cannot be read without a thread for each, so ours have names that nobody knows.

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

/// What a pipe holds.
const BUFFER_BYTES: u32 = 64 * 1024;
/// What is written at once: all of it is copied, so that the system can write in the background.
const WRITE_BYTES: usize = 64 * 1024;

/// The read end of a child's output, registered with the runtime.
#[derive(Debug)]
pub(crate) struct PipeReader(NamedPipeServer);

impl PipeReader {
    /// Whether there are bytes, or an end. One waits at a time.
    pub(crate) fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<()> {
        // An error is met again by the read.
        self.0.poll_read_ready(context).map(|_| ())
    }

    /// Reads without waiting.
    pub(crate) fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }

    /// Reads without waiting. What there is has been read in the background by the runtime, which has just looked if this follows a
    /// timer.
    pub(crate) fn read_unreported(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.try_read(buffer)
    }
}

/// The write end of a child's input, registered with the runtime. What was taken is written, even when this is dropped.
#[derive(Debug)]
pub(crate) struct PipeWriter(NamedPipeServer);

impl PipeWriter {
    pub(crate) async fn writable(&self) -> io::Result<()> {
        self.0.writable().await
    }

    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(&bytes[..bytes.len().min(WRITE_BYTES)])
    }
}

/// Waits until the child has closed its end of a pipe to it. The system does not tell that of an idle pipe; the next write
/// meets it.
pub(crate) async fn nobody_reads(_: &PipeWriter) {
    std::future::pending::<()>().await;
}

/// Our end, and the one that a child writes to. Must be called within the runtime.
pub(super) fn output() -> io::Result<(PipeReader, File)> {
    let (server, child) = connected(PIPE_ACCESS_INBOUND, GENERIC_WRITE | FILE_READ_ATTRIBUTES)?;
    Ok((PipeReader(server), child))
}

/// Our end, and the one that a child reads from. Must be called within the runtime.
pub(super) fn input() -> io::Result<(PipeWriter, File)> {
    let (server, child) = connected(PIPE_ACCESS_OUTBOUND, GENERIC_READ | FILE_WRITE_ATTRIBUTES)?;
    Ok((PipeWriter(server), child))
}

/// Neither end can be inherited yet.
fn connected(direction: u32, child_access: u32) -> io::Result<(NamedPipeServer, File)> {
    let name = format!(r"\\.\pipe\escher-{}-{}", std::process::id(), Uuid::new_v4());
    let units: Vec<u16> = name.encode_utf16().chain([0]).collect();
    // SAFETY: the name ends with a NUL; without attributes the handle is not inherited. There is one instance of it, the
    // first: nobody can have taken the name before, or listen beside us.
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
    // SAFETY: fresh and nobody else's.
    let ours = unsafe { OwnedHandle::from_raw_handle(handle) };
    // The child's end is an ordinary one: programs do not expect to wait for it by other means. If somebody was faster at
    // the name, this is refused, and so is the spawn.
    let child = OpenOptions::new().access_mode(child_access).open(&name)?;
    debug_assert!(!child.as_raw_handle().is_null());
    // Registered only now that it is connected: the runtime starts to read at once.
    // SAFETY: an overlapped end of a pipe, which this call takes.
    let server = unsafe { NamedPipeServer::from_raw_handle(ours.into_raw_handle()) }?;
    Ok((server, child))
}
