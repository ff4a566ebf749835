//! A running child: its leader, its pipes, and the bytes that go in and out.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::command::{SpawnFailure, explain};
use crate::platform::clock::Instant;
use crate::platform::{self, InputId, Launch, Leader, PipeReader, PipeWriter, SpawnThread, Spawned};
use crate::types::{Chunk, Stdin, StdinReader, Stream, TerminalSize};

use self::open_input::OpenReader;
pub(crate) use self::open_input::{OpenInput, PendingWrite, WriteRefused};
pub(crate) use self::terminal::TerminalControl;

mod open_input;
mod terminal;

/// The bytes read at once: as many as the pipe of a child with much output holds.
const READ_BYTES: usize = 256 * 1024;
/// The first read of output in which secrets are masked: what that costs depends on the bytes.
const FIRST_MASKED_BYTES: usize = 4 * 1024;
/// The least that is read at once.
const LEAST_BYTES: usize = 64;
/// A read that takes longer to handle is followed by smaller ones: the thread has other executions to serve.
const LONGEST_TURN: Duration = Duration::from_millis(4);

thread_local! {
    /// The read buffer of each thread of the runtime: a waiting child costs none.
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into_boxed_slice());
}

/// A child and our ends of its pipes. Dropped while the child runs, it kills its group.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) leader: Arc<Leader>,
    pub(crate) outputs: Outputs,
    pub(crate) input: Input,
}

/// The controls of a running command for its callers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Controls {
    /// The input, if it stays open for writes.
    pub(crate) input: Option<Arc<OpenInput>>,
    /// The terminal, if the command has one.
    pub(crate) terminal: Option<Arc<TerminalControl>>,
}

/// Starts a child. Blocks until it runs; must be called within the runtime, where blocking is allowed.
pub(crate) fn spawn(
    launch: &Launch,
    stdin: &Stdin,
    controls: &Controls,
    thread: &SpawnThread,
) -> Result<Process, SpawnFailure> {
    let Spawned { leader, stdout, stderr, stdin: pipe } =
        platform::spawn(launch, thread).map_err(|error| explain(&error, launch))?;
    Ok(Process {
        leader,
        outputs: Outputs { stdout: Some(stdout), stderr, stderr_first: false, pace: ReadPace::default() },
        // The pipe is used only now: a spawn that is tried again finds a stream as it was.
        input: pipe.map_or_else(Input::closed, |pipe| Input::new(pipe, stdin, controls, launch.terminal)),
    })
}

/// The pipes a child writes to, until each meets its end.
#[derive(Debug)]
pub(crate) struct Outputs {
    stdout: Option<PipeReader>,
    stderr: Option<PipeReader>,
    /// The streams take turns, so that a flood on one cannot starve the other.
    stderr_first: bool,
    pace: ReadPace,
}

/// The bytes read at once, so that handling them takes no thread for long.
#[derive(Debug)]
struct ReadPace {
    most: usize,
    /// The time for which reads were handled since others had their turn.
    spent: Duration,
}

impl Default for ReadPace {
    fn default() -> Self {
        Self { most: READ_BYTES, spent: Duration::ZERO }
    }
}

impl ReadPace {
    /// Adapts to a read of `count` bytes whose handling took `elapsed`.
    fn adapt(&mut self, count: usize, elapsed: Duration) {
        self.spent += elapsed;
        if elapsed > LONGEST_TURN {
            let fits = count as u128 * LONGEST_TURN.as_micros() / elapsed.as_micros();
            self.most = usize::try_from(fits).unwrap_or(READ_BYTES).clamp(LEAST_BYTES, READ_BYTES);
        } else if count == self.most && elapsed < LONGEST_TURN / 2 {
            self.most = (self.most * 2).min(READ_BYTES);
        }
    }

    fn is_over(&self) -> bool {
        self.spent > LONGEST_TURN
    }
}

/// The result of one read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    Bytes(usize),
    /// There is nothing to read now.
    Nothing,
    /// The other end is closed.
    End,
}

impl Outputs {
    pub(crate) fn is_open(&self) -> bool {
        self.stdout.is_some() || self.stderr.is_some()
    }

    /// Begins with small reads, because the secrets of the output are masked.
    pub(crate) fn are_masked(&mut self) {
        self.pace.most = FIRST_MASKED_BYTES;
    }

    /// Whether the reads of this turn took long to handle: others should have their turn before the next read.
    pub(crate) fn is_turn_over(&self) -> bool {
        self.pace.is_over()
    }

    /// Begins the next turn, if this one is over. Returns whether it was.
    pub(crate) fn end_turn(&mut self) -> bool {
        let is_over = self.pace.is_over();
        if is_over {
            self.pace.spent = Duration::ZERO;
        }
        is_over
    }

    /// Records that the command has exited: a terminal that nothing else has open is at its end.
    pub(crate) fn command_exited(&mut self) {
        if let Some(stdout) = &mut self.stdout {
            stdout.command_exited();
        }
    }

    /// Waits until a stream has bytes or has ended. Pends forever when both have ended. Cancel-safe.
    pub(crate) async fn readable(&mut self) -> Stream {
        poll_fn(|context| {
            let streams =
                if self.stderr_first { [Stream::Stderr, Stream::Stdout] } else { [Stream::Stdout, Stream::Stderr] };
            for stream in streams {
                if self.poll_readable(stream, context).is_ready() {
                    self.stderr_first = stream == Stream::Stdout;
                    return Poll::Ready(stream);
                }
            }
            Poll::Pending
        })
        .await
    }

    fn poll_readable(&self, stream: Stream, context: &mut Context<'_>) -> Poll<()> {
        let pipe = match stream {
            Stream::Stdout => &self.stdout,
            Stream::Stderr => &self.stderr,
        };
        pipe.as_ref().map_or(Poll::Pending, |pipe| pipe.poll_read_ready(context))
    }

    /// Reads once, without waiting, and hands out what came, after [`Outputs::readable`] has reported the stream.
    pub(crate) fn read(&mut self, stream: Stream, take: impl FnOnce(&[u8])) -> Read {
        self.read_by(PipeReader::try_read, stream, take)
    }

    /// Does what [`Outputs::read`] does, even if the pipe was not reported as readable: it may have bytes that are not
    /// reported yet.
    pub(crate) fn read_unreported(&mut self, stream: Stream, take: impl FnOnce(&[u8])) -> Read {
        self.read_by(PipeReader::read_unreported, stream, take)
    }

    fn read_by(
        &mut self,
        read: impl FnOnce(&mut PipeReader, &mut [u8]) -> io::Result<usize>,
        stream: Stream,
        take: impl FnOnce(&[u8]),
    ) -> Read {
        let pipe = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        let Some(open) = pipe.as_mut() else { return Read::End };
        let pace = &mut self.pace;
        let got = BUFFER.with_borrow_mut(|buffer| match read(open, &mut buffer[..pace.most]) {
            Ok(0) => Read::End,
            Ok(count) => {
                let begun = Instant::now();
                take(&buffer[..count]);
                pace.adapt(count, begun.elapsed());
                Read::Bytes(count)
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Read::Nothing
            }
            Err(_) => Read::End,
        });
        if got == Read::End {
            *pipe = None;
        }
        got
    }
}

/// The input that the child has not read yet.
#[derive(Debug)]
pub(crate) struct Input {
    rest: Option<Unwritten>,
    /// The pipe of an input that broke off. It stays open: its end would mean to the child that the input is complete.
    broken: Option<InputWriter>,
    /// A terminal is open as long as the command runs.
    _terminal: Option<Arc<PipeWriter>>,
}

/// The source of more input.
#[derive(Debug)]
enum Source {
    None,
    Stream(StdinReader),
    Open(OpenReader),
}

impl Source {
    /// Takes notice that the child's pipe has all bytes so far. It may have read them and exited before there are more.
    fn written(&mut self) {
        if let Self::Open(reader) = self {
            reader.accepted();
        }
    }

    /// Waits for the next bytes; those before were written. Cancel-safe.
    async fn next(&mut self) -> Chunk {
        match self {
            Self::None => Chunk::End,
            Self::Stream(reader) => reader.next().await,
            Self::Open(reader) => reader.next().await.map_or(Chunk::End, Chunk::Bytes),
        }
    }

    /// Waits until there cannot be more, and returns the reason. Cancel-safe.
    async fn failed(&self) -> String {
        match self {
            Self::Stream(reader) => reader.failed().await,
            Self::None | Self::Open(_) => std::future::pending().await,
        }
    }
}

/// The way to the child.
#[derive(Debug)]
enum InputWriter {
    Pipe(PipeWriter),
    Terminal(Arc<PipeWriter>),
}

impl InputWriter {
    fn writer(&self) -> &PipeWriter {
        match self {
            Self::Pipe(pipe) => pipe,
            Self::Terminal(terminal) => terminal,
        }
    }
}

#[derive(Debug)]
struct Unwritten {
    pipe: InputWriter,
    bytes: Vec<u8>,
    written: usize,
    /// Bytes in all that the pipe has taken.
    given: u64,
    /// The source of more input when these bytes are written.
    more: Source,
    /// For a terminal: whether the last byte that was written ends a line. `None` once its end-of-file character is on
    /// the way.
    ends_line: Option<bool>,
}

/// The outcome of writing a child's input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fed {
    /// The pipe has taken bytes, and may take more.
    Part,
    /// The child has read everything, or has closed its input.
    Done,
    /// The rest cannot be had, for this reason.
    Failed(String),
}

impl Input {
    fn new(pipe: PipeWriter, stdin: &Stdin, controls: &Controls, terminal: Option<TerminalSize>) -> Self {
        let open = controls.input.as_ref();
        let (bytes, more) = match stdin {
            Stdin::Bytes(bytes) => (bytes.clone(), Source::None),
            Stdin::Stream(stream) => (Vec::new(), stream.take().map_or(Source::None, Source::Stream)),
            Stdin::Open | Stdin::Empty => (Vec::new(), open.map_or(Source::None, |open| Source::Open(open.reader()))),
            Stdin::Inherit => (Vec::new(), Source::None),
        };
        let (pipe, kept) = match &controls.terminal {
            Some(control) => {
                let shared = Arc::new(pipe);
                control.opened(&shared, terminal);
                (InputWriter::Terminal(Arc::clone(&shared)), Some(shared))
            }
            None => (InputWriter::Pipe(pipe), None),
        };
        let ends_line = kept.is_some().then_some(true);
        Self {
            rest: Some(Unwritten { pipe, bytes, written: 0, given: 0, more, ends_line }),
            broken: None,
            _terminal: kept,
        }
    }

    fn closed() -> Self {
        Self { rest: None, broken: None, _terminal: None }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.rest.is_some()
    }

    /// Returns the pipe or terminal, if nothing shows that the child has still to read.
    pub(crate) fn is_read_up(&self) -> Option<InputId> {
        let rest = self.rest.as_ref().filter(|rest| rest.written == rest.bytes.len())?;
        match &rest.pipe {
            InputWriter::Pipe(pipe) => platform::empty_pipe(pipe),
            InputWriter::Terminal(terminal) => platform::terminal_id(terminal),
        }
    }

    /// Returns how many bytes the pipe has taken.
    pub(crate) fn given(&self) -> u64 {
        self.rest.as_ref().map_or(0, |rest| rest.given)
    }

    /// Waits until the pipe takes bytes, and writes once: a child that reads without end must not hold up the other events of its
    /// execution. At the end, or when the child does not read any more, the pipe is closed and the writer is notified. Pends for
    /// ever when it is closed. Cancel-safe: what was written, and what was taken to be written, is kept before the next wait.
    pub(crate) async fn drive(&mut self) -> Fed {
        let Some(rest) = &mut self.rest else { return std::future::pending().await };
        let fed = rest.drive().await;
        if fed == Fed::Part {
            return fed;
        }
        let done = self.rest.take();
        if matches!(fed, Fed::Failed(_)) {
            self.broken = done.map(|done| done.pipe);
        }
        fed
    }
}

impl Unwritten {
    /// Begins to write the end-of-file character of a terminal. `false`: it is no terminal, or the character was written.
    fn begin_end_of_file(&mut self) -> bool {
        let Some(ends_line) = self.ends_line.take() else { return false };
        (self.bytes, self.written) = (platform::end_of_file(self.pipe.writer(), !ends_line), 0);
        true
    }

    async fn drive(&mut self) -> Fed {
        loop {
            if self.written == self.bytes.len() {
                if matches!(self.more, Source::None) {
                    if self.begin_end_of_file() {
                        continue;
                    }
                    return Fed::Done;
                }
                tokio::select! {
                    biased;
                    // A child that closes its end is noticed although there is nothing to write.
                    () = platform::reader_closed(self.pipe.writer()) => return Fed::Done,
                    chunk = self.more.next() => match chunk {
                        Chunk::Bytes(bytes) => (self.bytes, self.written) = (bytes, 0),
                        Chunk::End => self.more = Source::None,
                        Chunk::Failed(reason) => return Fed::Failed(reason),
                    },
                }
                continue;
            }
            let written = tokio::select! {
                biased;
                // A failure counts even if the child reads nothing.
                reason = self.more.failed() => return Fed::Failed(reason),
                written = platform::write_some(self.pipe.writer(), &self.bytes[self.written..]) => written,
            };
            match written {
                Ok(count) => {
                    self.written += count;
                    self.given += count as u64;
                    if self.written == self.bytes.len() {
                        self.more.written();
                    }
                    if let Some(ends_line) = &mut self.ends_line
                        && let Some(last) = self.bytes[..self.written].last()
                    {
                        *ends_line = matches!(last, b'\n' | b'\r');
                    }
                    return Fed::Part;
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                // EPIPE: the child closed its end. It may do that.
                Err(_) => return Fed::Done,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_reads_end_a_turn_together() {
        let mut outputs = Outputs { stdout: None, stderr: None, stderr_first: false, pace: ReadPace::default() };
        let part = LONGEST_TURN / 3;
        for _ in 0..3 {
            outputs.pace.adapt(1, part);
        }
        assert!(!outputs.end_turn());
        outputs.pace.adapt(1, part);
        assert!(outputs.is_turn_over());
        assert!(outputs.end_turn());
        assert!(!outputs.end_turn(), "the next turn has begun");
    }

    #[test]
    fn reads_that_take_long_become_smaller_and_grow_again() {
        let mut pace = ReadPace::default();
        pace.adapt(READ_BYTES, LONGEST_TURN * 4);
        assert_eq!(pace.most, READ_BYTES / 4);
        pace.adapt(pace.most, LONGEST_TURN * 1_000_000);
        assert_eq!(pace.most, LEAST_BYTES);
        pace.adapt(LEAST_BYTES, LONGEST_TURN);
        assert_eq!(pace.most, LEAST_BYTES, "a turn is no longer than it should be");
        pace.adapt(LEAST_BYTES, Duration::ZERO);
        assert_eq!(pace.most, LEAST_BYTES * 2);
    }
}
