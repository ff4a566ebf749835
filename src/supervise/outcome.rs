//! The result of an execution, made from how it ended.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::event::Backpressure;
use crate::output::{Captured, Keepsake, Output, SpillFile};
use crate::platform::{Exit, signal_name};
use crate::redact::{MASK, Vault};
use crate::state::{Over, Pending, Stop};
use crate::types::{Diagnosis, ErrorCode, ErrorInfo, ExecutionResult, ExecutionStatus, Killed, Reason, Text};

use super::job::Job;

/// The longest command line of a diagnosis, in characters.
const LONGEST_COMMAND: usize = 1024;
/// The longest message of an error that is kept, in characters.
const LONGEST_MESSAGE: usize = 4096;

/// An execution that is over, with what its terminal event and the counters need.
pub(crate) struct Finished {
    pub(crate) result: ExecutionResult,
    /// The number of the terminal event.
    pub(crate) sequence: u64,
    pub(crate) lines: u64,
    /// The bound on what is still on its way to the listener.
    pub(crate) backpressure: Option<Arc<Backpressure>>,
    /// Files of output, which are removed when the record is.
    pub(crate) files: Vec<Keepsake>,
}

/// The way in which an execution ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// The engine failed at something that it has to do for the command.
    Broken(ErrorInfo),
    /// The engine ended it; the exit, if it ran.
    Stopped(Stop, Option<Exit>),
    /// The engine ended it because its input failed.
    InputFailed(ErrorInfo, Option<Exit>),
    /// The command ended by itself.
    Exited(Exit),
}

/// Everything that is known of an execution that is over.
pub(super) struct Outcome {
    pub(super) ending: Ending,
    pub(super) over: Over,
    pub(super) output: Box<Output>,
    pub(super) pid: Option<u32>,
    pub(super) killed: Option<Killed>,
    pub(super) diagnosis: Option<Diagnosis>,
    /// A pipe was still open when the drain was over.
    pub(super) leaked: bool,
}

impl Outcome {
    pub(super) fn not_spawned(pending: Pending, output: Box<Output>, error: ErrorInfo) -> Self {
        Self::without_process(pending, output, Ending::Broken(error))
    }

    pub(super) fn stopped_before_spawn(pending: Pending, output: Box<Output>, why: Stop) -> Self {
        Self::without_process(pending, output, Ending::Stopped(why, None))
    }

    fn without_process(pending: Pending, output: Box<Output>, ending: Ending) -> Self {
        Self { ending, over: pending.over(), output, pid: None, killed: None, diagnosis: None, leaked: false }
    }

    /// Ends the output and makes the result.
    pub(super) async fn finish(self, job: &Job) -> Box<Finished> {
        let Self { ending, over, output, pid, killed, mut diagnosis, leaked } = self;
        let captured = output.freeze().await;
        let encoding = job.output_policy().encoding;
        let (status, reason) = classify(&ending);
        let (exit, mut error) = match ending {
            Ending::Broken(error) => (Exit::default(), Some(error)),
            Ending::Stopped(Stop::OutputLimit, exit) => (exit.unwrap_or_default(), Some(beyond_cap(job, &captured))),
            Ending::Stopped(_, exit) => (exit.unwrap_or_default(), None),
            Ending::InputFailed(error, exit) => (exit.unwrap_or_default(), Some(error)),
            Ending::Exited(exit) => (exit, None),
        };
        let processes = diagnosis.iter_mut().flat_map(|diagnosis| &mut diagnosis.processes);
        let commands = processes.map(|process| (&mut process.command, LONGEST_COMMAND));
        let message = error.as_mut().map(|error| (&mut error.message, LONGEST_MESSAGE));
        for (text, longest) in commands.chain(message) {
            if let Some(secrets) = job.secrets.current() {
                *text = secrets.mask_shown(text).into_owned();
            }
            // Cut after masking, so that no part of a secret is left.
            cut_middle(text, longest);
        }
        let overflow = [&captured.stdout_file, &captured.stderr_file].into_iter().flatten();
        let overflow = overflow.map(|file| Arc::clone(file) as Keepsake);
        let files = overflow.chain(captured.log_files.iter().cloned()).collect();
        let path = |file: &Option<Arc<SpillFile>>| file.as_ref()?.path().map(Path::to_owned);
        let result = ExecutionResult {
            exit_code: exit.code,
            signal: exit.signal.map(signal_name),
            stdout_bytes: captured.stdout.written,
            stderr_bytes: captured.stderr.written,
            stdout_overflow_file: path(&captured.stdout_file),
            stderr_overflow_file: path(&captured.stderr_file),
            overflow_lost_bytes: captured.overflow_lost_bytes,
            log_path: captured.log_path.map(|path| masked_path(&job.secrets, path)),
            log_lost_bytes: captured.log_lost_bytes,
            stdout_truncated: captured.stdout.truncated,
            stderr_truncated: captured.stderr.truncated,
            stdout: Text::new(captured.stdout.bytes, encoding),
            stderr: Text::new(captured.stderr.bytes, encoding),
            duration_ms: milliseconds(over.duration),
            queued_ms: milliseconds(over.queued),
            completed_at: over.completed_at,
            pid,
            error,
            leaked,
            killed,
            diagnosis,
            peak_memory_bytes: exit.peak_memory,
            cpu_user_ms: milliseconds(exit.cpu_user),
            cpu_system_ms: milliseconds(exit.cpu_system),
            ..blank(job, over.started_at, status, reason)
        };
        Box::new(Finished {
            result,
            sequence: captured.sequence,
            lines: captured.lines,
            files,
            backpressure: captured.backpressure,
        })
    }
}

/// Replaces the middle of a long text by three dots: the record retains the text.
fn cut_middle(text: &mut String, longest: usize) {
    const DOTS: &str = " … ";
    let count = text.chars().count();
    if count <= longest {
        return;
    }
    // A message ends with the remedy, and a command begins with its program.
    let (head, tail) = (longest * 3 / 4, longest / 4 - DOTS.chars().count());
    let place = |chars: usize| text.char_indices().nth(chars).map_or(text.len(), |(at, _)| at);
    let (from, to) = (place(head), place(count - tail));
    text.replace_range(from..to, DOTS);
    text.shrink_to_fit();
}

/// Returns a path without secrets. If one was masked, there is no such file: the path only informs.
fn masked_path(secrets: &Vault, path: PathBuf) -> PathBuf {
    match secrets.mask(&path.to_string_lossy()) {
        masked if masked.contains(MASK) => PathBuf::from(&*masked),
        _ => path,
    }
}

fn beyond_cap(job: &Job, captured: &Captured) -> ErrorInfo {
    let stream = if captured.stdout.truncated { "stdout" } else { "stderr" };
    let cap = job.output_policy().cap;
    let message = format!(
        "{stream} is longer than `max_output_size_bytes` ({cap}), so the command was ended: raise it, or use another `oversized_output_strategy`"
    );
    ErrorInfo { code: ErrorCode::OutputSizeExceeded, message, errno: None }
}

/// Returns the error of an execution whose input failed. `reason` begins with the option.
pub(super) fn input_failed(reason: &str) -> ErrorInfo {
    let message = format!(
        "invalid request: {reason}, and the command was ended, since its input was incomplete: correct the source of the input"
    );
    ErrorInfo { code: ErrorCode::InvalidRequest, message, errno: None }
}

/// Returns the end of an execution that a defect of the engine has ended: its output is lost.
pub(crate) fn broken(job: &Job, accepted_at: DateTime<Utc>, panic: &str, sequence: u64) -> Finished {
    let message = format!(
        "the engine failed at this execution ({panic}) and has ended it; others are not affected: please report it"
    );
    let message = job.secrets.mask(&message).into_owned();
    let error = ErrorInfo { code: ErrorCode::Internal, message, errno: None };
    let result = ExecutionResult { error: Some(error), ..blank(job, accepted_at, ExecutionStatus::Failed, None) };
    Finished { result, sequence, lines: 0, files: Vec::new(), backpressure: None }
}

/// Returns the result of the last attempt, with the reason why there is no other: the execution was stopped before its
/// next attempt.
pub(crate) fn stopped_before_retry(last: ExecutionResult, why: Stop) -> ExecutionResult {
    ExecutionResult {
        status: why.status(),
        success: false,
        reason: Some(why.reason()),
        error: None,
        completed_at: Utc::now(),
        ..last
    }
}

/// Returns a result with the data that is known before an end.
fn blank(job: &Job, started_at: DateTime<Utc>, status: ExecutionStatus, reason: Option<Reason>) -> ExecutionResult {
    let encoding = job.output_policy().encoding;
    ExecutionResult {
        stdout: Text::new(Vec::new(), encoding),
        stderr: Text::new(Vec::new(), encoding),
        reason,
        metadata: job.request.metadata.clone(),
        ..ExecutionResult::blank(job.request.id, status, started_at)
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

fn classify(ending: &Ending) -> (ExecutionStatus, Option<Reason>) {
    match ending {
        Ending::Broken(error) => {
            let not_spawned = matches!(error.code, ErrorCode::SpawnFailed | ErrorCode::InvalidRequest);
            let reason = not_spawned.then_some(Reason::SpawnFailed);
            (ExecutionStatus::Failed, reason)
        }
        Ending::Stopped(why, _) => (why.status(), Some(why.reason())),
        // The reason is that of an abort signal: the caller's part has failed.
        Ending::InputFailed(..) => (ExecutionStatus::Cancelled, Some(Reason::Aborted)),
        Ending::Exited(exit) => match (exit.code, exit.signal) {
            (Some(0), _) => (ExecutionStatus::Completed, Some(Reason::Exit)),
            (_, Some(_)) => (ExecutionStatus::Failed, Some(Reason::Signal)),
            _ => (ExecutionStatus::Failed, Some(Reason::Exit)),
        },
    }
}
