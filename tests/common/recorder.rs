//! A listener that remembers everything, and what must hold for all recorded events.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use execution_engine::types::Stream;
use execution_engine::{EventHandler, Text, async_trait};

use super::{Arc, ExecutionEvent, ExecutionResult, Uuid, wait_until};

/// A line of one stream, or a piece of one.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    pub(crate) line: Text,
    pub(crate) partial: bool,
    pub(crate) continued: bool,
    pub(crate) carriage_return: bool,
}

#[derive(Default)]
pub(crate) struct Recorder {
    events: Mutex<Vec<ExecutionEvent>>,
}

#[async_trait]
impl EventHandler for Recorder {
    async fn handle_event(&self, event: ExecutionEvent) {
        self.lock().push(event);
    }
}

impl Recorder {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<ExecutionEvent>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn all(&self) -> Vec<ExecutionEvent> {
        self.lock().clone()
    }

    /// Returns the events of one execution, as they came.
    pub(crate) fn of(&self, id: Uuid) -> Vec<ExecutionEvent> {
        self.lock().iter().filter(|event| event.execution_id() == id).cloned().collect()
    }

    /// Returns the line events of one stream, piece by piece.
    pub(crate) fn pieces(&self, id: Uuid, stream: Stream) -> Vec<Piece> {
        self.of(id).into_iter().filter_map(|event| piece_of(&event, stream)).collect()
    }

    /// Returns the whole lines of one stream.
    pub(crate) fn lines(&self, id: Uuid, stream: Stream) -> Vec<String> {
        joined(&self.pieces(id, stream))
    }

    /// Waits until a line, or a piece of one, was received on standard output.
    pub(crate) async fn saw_line(&self, id: Uuid, line: &str) {
        wait_until(&format!("execution {id} says {line:?}"), || self.received(id, line)).await;
    }

    fn received(&self, id: Uuid, line: &str) -> bool {
        self.lock()
            .iter()
            .any(|event| matches!(event, ExecutionEvent::Stdout { execution_id, line: it, .. } if *execution_id == id && it == line))
    }

    /// Waits until an execution has emitted `started`, and returns the pid.
    pub(crate) async fn started(&self, id: Uuid) -> u32 {
        let pid = || {
            self.lock().iter().find_map(|event| match event {
                ExecutionEvent::Started { execution_id, pid, .. } if *execution_id == id => Some(*pid),
                _ => None,
            })
        };
        wait_until(&format!("execution {id} starts"), || pid().is_some()).await;
        pid().expect("just seen")
    }

    /// Checks what holds for every execution with a terminal event.
    pub(crate) fn check(&self) {
        let mut by_execution: HashMap<Uuid, Vec<ExecutionEvent>> = HashMap::new();
        for event in self.all() {
            by_execution.entry(event.execution_id()).or_default().push(event);
        }
        for (id, events) in by_execution {
            check_order(id, &events);
            check_lines(&events);
        }
    }
}

/// Checks that there is one terminal event, the last; numbers from 0 without a gap; `queued` before `started` before
/// lines.
fn check_order(id: Uuid, events: &[ExecutionEvent]) {
    let sequences: Vec<u64> = events.iter().map(ExecutionEvent::sequence).collect();
    let expected: Vec<u64> = (0..events.len() as u64).collect();
    assert_eq!(sequences, expected, "execution {id}: the sequence has gaps or jumps: {events:#?}");
    let terminal = events.iter().filter(|event| event.is_terminal()).count();
    assert_eq!(terminal, 1, "execution {id} has {terminal} terminal events: {events:#?}");
    assert!(
        events.last().is_some_and(ExecutionEvent::is_terminal),
        "execution {id} continues after its end: {events:#?}"
    );
    for attempt in attempts(events) {
        let stages: Vec<u8> = attempt.iter().map(stage).collect();
        assert!(stages.is_sorted(), "execution {id}: events are out of order: {events:#?}");
        let started = attempt.iter().filter(|event| matches!(event, ExecutionEvent::Started { .. })).count();
        assert!(started <= 1, "execution {id} started twice: {events:#?}");
    }
    if let Some(result) = events.last().and_then(result_of) {
        let retries = events.iter().filter(|event| matches!(event, ExecutionEvent::Retry { .. })).count();
        let attempt = usize::try_from(result.attempt).unwrap();
        let was_given_up = retries == attempt;
        assert!(was_given_up || retries + 1 == attempt, "execution {id}: {retries} retries in {result:#?}");
        assert_eq!(result.retries.len() + 1, attempt, "execution {id}: {result:#?}");
    }
}

/// Returns the events of each attempt; that of the retry is the last of its attempt.
fn attempts(events: &[ExecutionEvent]) -> impl Iterator<Item = &[ExecutionEvent]> {
    events.split_inclusive(|event| matches!(event, ExecutionEvent::Retry { .. }))
}

fn stage(event: &ExecutionEvent) -> u8 {
    match event {
        ExecutionEvent::Queued { .. } => 0,
        ExecutionEvent::Started { .. } => 1,
        _ if is_line(event) || is_data(event) => 2,
        // Lines may follow these: an exit does not wait for what is left in the pipes.
        ExecutionEvent::Waiting { .. } | ExecutionEvent::Exited { .. } => 2,
        _ => 3,
    }
}

fn is_line(event: &ExecutionEvent) -> bool {
    matches!(event, ExecutionEvent::Stdout { .. } | ExecutionEvent::Stderr { .. })
}

fn is_data(event: &ExecutionEvent) -> bool {
    matches!(event, ExecutionEvent::Data { .. })
}

/// Checks that the pieces make up the output of the result: each line once, none missing, none invented.
fn check_lines(events: &[ExecutionEvent]) {
    let Some(result) = events.last().and_then(result_of) else { return };
    // The result is that of the last attempt; one that was given up in a pause is that of the one before it.
    let Some(events) = attempts(events).last() else { return };
    // Lines of a terminal have no control sequences; the result has them.
    if !events.iter().any(is_line) || events.iter().any(is_data) {
        return;
    }
    for (stream, text, truncated) in [
        (Stream::Stdout, &result.stdout, result.stdout_truncated),
        (Stream::Stderr, &result.stderr, result.stderr_truncated),
    ] {
        let Ok(text) = std::str::from_utf8(text.raw()) else { continue };
        if truncated {
            continue;
        }
        let pieces: Vec<Piece> = events.iter().filter_map(|event| piece_of(event, stream)).collect();
        assert_eq!(joined(&pieces), lines_of(text), "the lines of {stream:?} are not what the command wrote");
    }
}

pub(crate) fn result_of(event: &ExecutionEvent) -> Option<Arc<ExecutionResult>> {
    event.result().map(Arc::clone)
}

fn piece_of(event: &ExecutionEvent, of: Stream) -> Option<Piece> {
    match (event, of) {
        (ExecutionEvent::Stdout { line, partial, continued, carriage_return, .. }, Stream::Stdout)
        | (ExecutionEvent::Stderr { line, partial, continued, carriage_return, .. }, Stream::Stderr) => Some(Piece {
            line: line.clone(),
            partial: *partial,
            continued: *continued,
            carriage_return: *carriage_return,
        }),
        _ => None,
    }
}

/// Joins pieces: a line is its pieces up to the first that is neither `partial` nor `continued`.
fn joined(pieces: &[Piece]) -> Vec<String> {
    let lines = pieces.split_inclusive(|piece| !piece.partial && !piece.continued);
    lines.map(|line| line.iter().map(|piece| piece.line.as_str()).collect()).collect()
}

/// Returns the lines of a whole text: ended by `\n`, `\r\n` or a lone `\r`.
pub(crate) fn lines_of(text: &str) -> Vec<String> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    if lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}
