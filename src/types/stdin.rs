//! Defines the standard input of a child.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Semaphore, SetOnce};

/// The standard input of a child.
#[derive(Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Stdin {
    /// Empty: the child reads end of file at once.
    #[default]
    Empty,
    /// Bytes, then end of file. It is not an error if the child does not read them.
    Bytes(Vec<u8>),
    /// The chunks of a [`StdinWriter`], at the pace at which the child reads, then end of file.
    Stream(StdinStream),
    /// The data of [`ExecutionEngine::write`](crate::ExecutionEngine::write) while the command runs, until
    /// [`ExecutionEngine::end_input`](crate::ExecutionEngine::end_input).
    Open,
    /// The host's own standard input.
    Inherit,
}

impl From<Vec<u8>> for Stdin {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<&[u8]> for Stdin {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl From<String> for Stdin {
    fn from(text: String) -> Self {
        Self::Bytes(text.into_bytes())
    }
}

impl From<&str> for Stdin {
    fn from(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }
}

impl std::fmt::Debug for Stdin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Self::Stream(_) => f.write_str("Stream"),
            Self::Open => f.write_str("Open"),
            Self::Inherit => f.write_str("Inherit"),
        }
    }
}

/// The child's end of a [`StdinStream::channel`]. It can be read once: if several executions have a clone of it, the first one to start
/// reads the data, and the others read end of file at once.
#[derive(Debug, Clone)]
pub struct StdinStream(Arc<Mutex<Option<StdinReader>>>);

impl PartialEq for StdinStream {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for StdinStream {}

impl StdinStream {
    /// Creates a writer, and the input for [`ExecutionOptions::stdin`](super::ExecutionOptions::stdin) that has the written data.
    ///
    /// ```
    /// # #[tokio::main] async fn main() -> execution_engine::Result<()> {
    /// use execution_engine::{Command, ExecutionEngine, ExecutionOptions, StdinStream};
    ///
    /// let engine = ExecutionEngine::new(Default::default())?;
    /// let (mut writer, stdin) = StdinStream::channel();
    /// let sort = Command::Exec { program: "sort".into(), args: vec![] };
    /// let options = ExecutionOptions { stdin, ..ExecutionOptions::default() };
    /// let id = engine.execute_with(sort.into(), options).await?;
    /// for line in ["b\n", "a\n"] {
    ///     writer.write(line).await.expect("sort reads to the end");
    /// }
    /// drop(writer);
    /// assert_eq!(engine.wait_for_completion(id).await?.stdout, "a\nb\n");
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn channel() -> (StdinWriter, Stdin) {
        let (chunks, inbox) = unbounded_channel();
        let (wanted, failure) = (Arc::new(Semaphore::new(0)), Arc::new(SetOnce::new()));
        let reader =
            StdinReader { inbox, wanted: Arc::clone(&wanted), failure: Arc::clone(&failure), is_requested: false };
        let writer = StdinWriter { chunks, wanted: StdinDemand(wanted), failure };
        (writer, Stdin::Stream(Self(Arc::new(Mutex::new(Some(reader))))))
    }

    /// Returns the reader to the first caller, and `None` to the others.
    pub(crate) fn take(&self) -> Option<StdinReader> {
        // Nothing can panic while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The error of a write without a reader: the child has closed its input or has ended, or it never ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the command does not read its input any more")]
pub struct StdinClosed;

/// The writer of a child's standard input. Dropping it ends the input.
#[derive(Debug)]
pub struct StdinWriter {
    /// Bounded by the number of requested chunks.
    chunks: UnboundedSender<Vec<u8>>,
    wanted: StdinDemand,
    failure: Arc<SetOnce<String>>,
}

impl StdinWriter {
    /// Waits until the pipe has accepted the bytes of the previous call, and passes on the next bytes. Apart from the content of the pipe,
    /// no more than the bytes of one call are in transit. Cancel-safe: a cancelled call has passed on nothing.
    ///
    /// # Errors
    /// [`StdinClosed`] when there is no reader. It ends no execution: a command need not read its input.
    pub async fn write(&mut self, bytes: impl Into<Vec<u8>>) -> Result<(), StdinClosed> {
        self.wanted.next().await?;
        self.hand_over(bytes.into());
        Ok(())
    }

    /// Ends the execution because the input failed before its end: a command must not process incomplete input as if it were complete. The
    /// status is `cancelled`, the reason is `aborted`, and the error has this message. An execution whose command no longer reads its input
    /// continues.
    pub fn fail(self, message: impl Into<String>) {
        self.fail_as("options.stdin", &message.into());
    }

    /// Does what [`StdinWriter::fail`] does, for an input that was given as another option.
    pub(crate) fn fail_as(self, field: &str, message: &str) {
        // Consumes the writer, so that there is no message yet.
        let _ = self.failure.set(format!("{field}: it broke off ({message})"));
    }

    /// Waits until there is no reader. Cancel-safe.
    pub async fn closed(&self) {
        self.chunks.closed().await;
    }

    /// Hands over bytes that were requested.
    pub(crate) fn hand_over(&self, bytes: Vec<u8>) {
        let _ = self.chunks.send(bytes);
    }

    /// Resolves when more input is wanted; call [`StdinWriter::hand_over`] then.
    #[cfg_attr(not(feature = "node"), expect(dead_code, reason = "only the JavaScript input is pulled; Rust waits"))]
    pub(crate) fn demand(&self) -> StdinDemand {
        self.wanted.clone()
    }
}

/// The child's side, which requests one chunk at a time.
#[derive(Debug, Clone)]
pub(crate) struct StdinDemand(Arc<Semaphore>);

impl StdinDemand {
    /// Waits until one more chunk is wanted. Cancel-safe.
    pub(crate) async fn next(&self) -> Result<(), StdinClosed> {
        self.0.acquire().await.map_err(|_| StdinClosed)?.forget();
        Ok(())
    }
}

/// The next part of a child's standard input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Chunk {
    Bytes(Vec<u8>),
    End,
    /// The input broke off, for this reason.
    Failed(String),
}

/// Takes what a [`StdinWriter`] gives. Dropping it signals to the writer that there is no reader any more.
#[derive(Debug)]
pub(crate) struct StdinReader {
    inbox: UnboundedReceiver<Vec<u8>>,
    wanted: Arc<Semaphore>,
    failure: Arc<SetOnce<String>>,
    /// A chunk was requested and has not arrived yet.
    is_requested: bool,
}

impl StdinReader {
    /// Requests a chunk and waits for it. Cancel-safe: it requests each chunk once.
    pub(crate) async fn next(&mut self) -> Chunk {
        if !self.is_requested {
            self.is_requested = true;
            self.wanted.add_permits(1);
        }
        let chunk = tokio::select! {
            biased;
            // Before the end: a writer that has failed is gone too.
            reason = self.failure.wait() => return Chunk::Failed(reason.clone()),
            chunk = self.inbox.recv() => chunk,
        };
        self.is_requested = false;
        chunk.map_or(Chunk::End, Chunk::Bytes)
    }

    /// Waits until there cannot be more, and returns why. Cancel-safe.
    pub(crate) async fn failed(&self) -> String {
        self.failure.wait().await.clone()
    }
}

impl Drop for StdinReader {
    fn drop(&mut self) {
        self.wanted.close();
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn pair() -> (StdinWriter, StdinReader) {
        let (writer, stdin) = StdinStream::channel();
        let Stdin::Stream(stream) = stdin else { panic!("a stream") };
        let reader = stream.take().unwrap();
        assert!(stream.take().is_none(), "it can be read once");
        (writer, reader)
    }

    /// Polls a future once, and drops it.
    fn once<T>(future: impl Future<Output = T>) -> Option<T> {
        let mut context = Context::from_waker(Waker::noop());
        match std::pin::pin!(future).poll(&mut context) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }

    #[tokio::test]
    async fn a_chunk_is_taken_only_when_it_is_asked_for() {
        let (mut writer, mut reader) = pair();
        assert_eq!(once(writer.write("early")), None);
        // Only one chunk is requested, however often the wait is dropped.
        for _ in 0..3 {
            assert_eq!(once(reader.next()), None);
        }
        assert_eq!(once(writer.write("one")), Some(Ok(())));
        assert_eq!(once(writer.write("two")), None);
        assert_eq!(once(reader.next()), Some(Chunk::Bytes(b"one".to_vec())));
        assert_eq!(once(writer.write("two")), None, "it has not requested another");
        assert_eq!(once(reader.next()), None);
        assert_eq!(once(writer.write("two")), Some(Ok(())));
        drop(writer);
        assert_eq!(once(reader.next()), Some(Chunk::Bytes(b"two".to_vec())));
        assert_eq!(once(reader.next()), Some(Chunk::End));
    }

    #[tokio::test]
    async fn a_writer_learns_that_nothing_reads() {
        let (mut writer, reader) = pair();
        assert_eq!(once(writer.closed()), None);
        drop(reader);
        assert_eq!(once(writer.closed()), Some(()));
        assert_eq!(once(writer.write("late")), Some(Err(StdinClosed)));
        let (mut writer, never_run) = StdinStream::channel();
        drop(never_run);
        assert_eq!(once(writer.write("late")), Some(Err(StdinClosed)));
    }

    #[tokio::test]
    async fn a_failure_needs_no_asking() {
        let (writer, mut reader) = pair();
        writer.fail("the disk is gone");
        let message = "options.stdin: it broke off (the disk is gone)";
        assert_eq!(once(reader.failed()).as_deref(), Some(message));
        assert_eq!(once(reader.next()), Some(Chunk::Failed(message.to_owned())));
    }
}
