//! From how an execution ended to its result.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::output::Output;
use crate::platform::{Exit, signal_name};
use crate::state::{Over, Pending, Stop};
use crate::types::{Diagnosis, ErrorCode, ErrorInfo, ExecutionResult, ExecutionStatus, Killed, Reason, Text};

use super::{Finished, Job};

/// How an execution ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// The engine could not do its part.
    Broken(ErrorInfo),
    /// The engine ended it; the exit, if it ran.
    Stopped(Stop, Option<Exit>),
    /// It ended by itself.
    Exited(Exit),
}

/// Everything about an execution that is over.
pub(super) struct Outcome {
    pub(super) ending: Ending,
    pub(super) over: Over,
    pub(super) output: Output,
    pub(super) pid: Option<u32>,
    pub(super) killed: Option<Killed>,
    pub(super) diagnosis: Option<Diagnosis>,
    pub(super) leaked: bool,
}

impl Outcome {
    pub(super) fn not_spawned(pending: Pending, output: Output, error: ErrorInfo) -> Self {
        Self::without_process(pending, output, Ending::Broken(error))
    }

    pub(super) fn stopped_before_spawn(pending: Pending, output: Output, why: Stop) -> Self {
        Self::without_process(pending, output, Ending::Stopped(why, None))
    }

    fn without_process(pending: Pending, output: Output, ending: Ending) -> Self {
        Self { ending, over: pending.over(), output, pid: None, killed: None, diagnosis: None, leaked: false }
    }

    pub(super) fn finish(self, job: &Job) -> Finished {
        let Self { ending, over, mut output, pid, killed, diagnosis, leaked } = self;
        let sequence = output.take_sequence();
        let captured = output.freeze();
        let (status, reason) = classify(&ending);
        let (exit, error) = match ending {
            Ending::Broken(error) => (Exit::default(), Some(error)),
            Ending::Stopped(_, exit) => (exit.unwrap_or_default(), None),
            Ending::Exited(exit) => (exit, None),
        };
        let result = ExecutionResult {
            exit_code: exit.code,
            signal: exit.signal.map(signal_name),
            stdout_bytes: captured.stdout.written,
            stderr_bytes: captured.stderr.written,
            stdout_truncated: captured.stdout.truncated,
            stderr_truncated: captured.stderr.truncated,
            stdout: Text::from(captured.stdout.bytes),
            stderr: Text::from(captured.stderr.bytes),
            duration_ms: milliseconds(over.duration),
            queued_ms: milliseconds(over.queued),
            completed_at: over.completed_at,
            pid,
            error,
            leaked,
            killed,
            diagnosis,
            cpu_user_ms: milliseconds(exit.cpu_user),
            cpu_system_ms: milliseconds(exit.cpu_system),
            ..blank(job, over.started_at, status, reason)
        };
        Finished { result, sequence, lines: captured.lines, flow: captured.flow }
    }
}

/// What is left to tell when a defect of the engine has taken the rest.
pub(super) fn broken(job: &Job, accepted_at: DateTime<Utc>, panic: &str, sequence: u64) -> Finished {
    let message = format!(
        "the engine failed at this execution ({panic}) and has ended it; others are not affected: please report it"
    );
    let error = ErrorInfo { code: ErrorCode::Internal, message, errno: None };
    let result = ExecutionResult { error: Some(error), ..blank(job, accepted_at, ExecutionStatus::Failed, None) };
    Finished { result, sequence, lines: 0, flow: None }
}

/// The last attempt as it was, and why there is no other.
pub(super) fn given_up(last: ExecutionResult, why: Stop) -> ExecutionResult {
    ExecutionResult {
        status: why.status(),
        success: false,
        reason: Some(why.reason()),
        error: None,
        completed_at: Utc::now(),
        ..last
    }
}

/// A result that says nothing yet.
fn blank(job: &Job, started_at: DateTime<Utc>, status: ExecutionStatus, reason: Option<Reason>) -> ExecutionResult {
    ExecutionResult {
        id: job.request.id,
        status,
        success: status == ExecutionStatus::Completed,
        exit_code: None,
        signal: None,
        stdout: Text::default(),
        stderr: Text::default(),
        duration_ms: 0.0,
        queued_ms: 0.0,
        started_at,
        completed_at: Utc::now(),
        pid: None,
        attempt: 1,
        retries: Vec::new(),
        error: None,
        reason,
        stdout_bytes: 0,
        stderr_bytes: 0,
        stdout_truncated: false,
        stderr_truncated: false,
        log_lost_bytes: 0,
        leaked: false,
        killed: None,
        diagnosis: None,
        cpu_user_ms: 0.0,
        cpu_system_ms: 0.0,
        metadata: job.request.metadata.clone(),
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

fn classify(ending: &Ending) -> (ExecutionStatus, Option<Reason>) {
    match ending {
        Ending::Broken(error) => {
            let reason = (error.code == ErrorCode::SpawnFailed).then_some(Reason::SpawnFailed);
            (ExecutionStatus::Failed, reason)
        }
        Ending::Stopped(why, _) => (why.status(), Some(why.reason())),
        Ending::Exited(exit) => match (exit.code, exit.signal) {
            (Some(0), _) => (ExecutionStatus::Completed, Some(Reason::Exit)),
            (_, Some(_)) => (ExecutionStatus::Failed, Some(Reason::Signal)),
            _ => (ExecutionStatus::Failed, Some(Reason::Exit)),
        },
    }
}
