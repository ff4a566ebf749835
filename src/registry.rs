//! The records of an engine's executions.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::error::ExecutionError;
use crate::output::{Captures, Keepsake, MainLog};
use crate::platform::Leader;
use crate::process::Controls;
use crate::redact::Vault;
use crate::retained_store::{Completion, Retained, RetainedStore};
use crate::state::{Deadline, StopRequest};
use crate::types::{ExecutionFilter, ExecutionMetadata, ExecutionResult, ExecutionStatus, ExecutionSummary};

/// The longest command in a listing, in characters.
const LONGEST_COMMAND: usize = 200;

/// One execution, from its acceptance to its removal.
#[derive(Debug)]
pub(crate) struct Record {
    id: Uuid,
    command: Mutex<Shown>,
    secrets: Arc<Vault>,
    /// Of the secrets that its output was masked with, at least.
    secrets_version: u64,
    label: Option<Box<str>>,
    source: Option<Box<str>>,
    conversation_id: Option<Box<str>>,
    created_at: DateTime<Utc>,
    /// Set once it runs; each attempt has its own. Held for a move of a pointer.
    leader: Mutex<Option<Weak<Leader>>>,
    /// Its log, if it has one or is to have one.
    log: Option<Arc<MainLog>>,
    /// Go with the record.
    files: OnceLock<Vec<Keepsake>>,
    /// What callers act on while it runs.
    controls: Controls,
    /// Set by every request to end the execution.
    stop: Arc<StopRequest>,
    /// When it is out of time.
    deadline: Arc<Deadline>,
    /// What is kept of the output of the last attempt, until there is a result. Held for a move of a pointer.
    captures: Mutex<Option<Arc<Captures>>>,
    completion: Completion<ExecutionResult>,
}

/// A command as it is shown. It is masked when it is first looked at, and again when there are more secrets.
#[derive(Debug)]
struct Shown {
    text: Box<str>,
    masked_with: Option<u64>,
}

impl Record {
    pub(crate) fn new(
        id: Uuid,
        command: &str,
        metadata: &ExecutionMetadata,
        log: Option<&Arc<MainLog>>,
        created_at: DateTime<Utc>,
        secrets: Arc<Vault>,
        controls: Controls,
    ) -> Self {
        Self {
            id,
            command: Mutex::new(Shown { text: command.into(), masked_with: None }),
            secrets_version: secrets.version(),
            secrets,
            label: metadata.label.as_deref().map(Into::into),
            source: metadata.source.as_deref().map(Into::into),
            conversation_id: metadata.conversation_id.as_deref().map(Into::into),
            created_at,
            leader: Mutex::default(),
            log: log.cloned(),
            files: OnceLock::new(),
            controls,
            stop: Arc::new(StopRequest::new()),
            deadline: Arc::new(Deadline::new()),
            captures: Mutex::default(),
            completion: Completion::new(),
        }
    }

    pub(crate) fn id(&self) -> Uuid {
        self.id
    }

    /// The command as a person would type it, cut short.
    pub(crate) fn command(&self) -> String {
        let version = self.secrets.version();
        let mut shown = self.command.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.masked_with != Some(version) {
            let text = self.secrets.mask(&shown.text);
            let end = text.char_indices().nth(LONGEST_COMMAND).map_or(text.len(), |(end, _)| end);
            *shown = Shown { text: text[..end].into(), masked_with: Some(version) };
        }
        shown.text.to_string()
    }

    /// What is masked of it.
    pub(crate) fn secrets(&self) -> &Arc<Vault> {
        &self.secrets
    }

    /// Whether a secret was added after it began.
    pub(crate) fn has_new_secrets(&self) -> bool {
        self.secrets.version() != self.secrets_version
    }

    pub(crate) fn status(&self) -> ExecutionStatus {
        match self.result() {
            Some(result) => result.status,
            None if self.leader().is_some() => ExecutionStatus::Running,
            None => ExecutionStatus::Pending,
        }
    }

    pub(crate) fn result(&self) -> Option<&Arc<ExecutionResult>> {
        self.completion.result()
    }

    pub(crate) fn log(&self) -> Option<&Arc<MainLog>> {
        self.log.as_ref()
    }

    /// Keeps files of output for as long as there is this record.
    pub(crate) fn keep(&self, files: Vec<Keepsake>) {
        if !files.is_empty() {
            let _ = self.files.set(files);
        }
    }

    pub(crate) fn stop(&self) -> &Arc<StopRequest> {
        &self.stop
    }

    /// What callers act on while it runs.
    pub(crate) fn controls(&self) -> &Controls {
        &self.controls
    }

    pub(crate) fn deadline(&self) -> &Arc<Deadline> {
        &self.deadline
    }

    pub(crate) fn set_running(&self, leader: &Arc<Leader>) {
        *self.leader.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::downgrade(leader));
    }

    /// Sets what is kept of the output of an attempt; `None` when the result has it.
    pub(crate) fn set_captures(&self, captures: Option<&Arc<Captures>>) {
        *self.captures.lock().unwrap_or_else(PoisonError::into_inner) = captures.cloned();
    }

    pub(crate) fn captures(&self) -> Option<Arc<Captures>> {
        self.captures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether it has a process now: between two attempts it has none.
    pub(crate) fn has_process(&self) -> bool {
        self.leader().is_some_and(|leader| leader.strong_count() > 0)
    }

    fn leader(&self) -> Option<Weak<Leader>> {
        self.leader.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The process that runs now.
    fn pid(&self) -> Option<u32> {
        self.leader().as_ref().and_then(Weak::upgrade).map(|leader| leader.id())
    }

    /// Kills what can be killed without a look at the processes: for a host that is going away.
    pub(crate) fn kill_now(&self) {
        if self.result().is_none()
            && let Some(leader) = self.leader().as_ref().and_then(Weak::upgrade)
        {
            leader.kill_now();
        }
    }

    /// Sends a signal to the command itself. `false`: it has no process now.
    pub(crate) fn signal(&self, signal: i32) -> std::io::Result<bool> {
        self.leader().as_ref().and_then(Weak::upgrade).map_or(Ok(false), |leader| leader.signal(signal))
    }

    /// Waits for the end and returns the result.
    pub(crate) async fn settled(&self) -> &Arc<ExecutionResult> {
        self.completion.settled().await
    }

    fn summary(&self) -> ExecutionSummary {
        let owned = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
        let result = self.result();
        ExecutionSummary {
            id: self.id,
            status: self.status(),
            command: self.command(),
            label: owned(&self.label),
            source: owned(&self.source),
            conversation_id: owned(&self.conversation_id),
            pid: result.map_or_else(|| self.pid(), |result| result.pid),
            created_at: self.created_at,
            completed_at: result.map(|result| result.completed_at),
            exit_code: result.and_then(|result| result.exit_code),
            duration_ms: result.map(|result| result.duration_ms),
        }
    }

    fn matches(&self, filter: &ExecutionFilter) -> bool {
        let is = |wanted: Option<&str>, has: Option<&str>| wanted.is_none_or(|wanted| has == Some(wanted));
        filter.status.is_none_or(|status| self.status() == status)
            && is(filter.label.as_deref(), self.label.as_deref())
            && is(filter.source.as_deref(), self.source.as_deref())
            && filter.since.is_none_or(|since| self.created_at >= since)
    }
}

/// The executions of an engine.
pub(crate) type Registry = RetainedStore<Record>;

impl Retained for Record {
    type Result = ExecutionResult;

    fn id(&self) -> Uuid {
        self.id
    }

    fn completion(&self) -> &Completion<ExecutionResult> {
        &self.completion
    }

    fn retained_bytes(&self) -> u64 {
        let texts = [&self.label, &self.source, &self.conversation_id].into_iter().flatten();
        let own = texts.map(|text| text.len() as u64).sum::<u64>();
        self.result().map_or(0, |result| own + result.kept_bytes())
    }

    fn duplicate(id: Uuid) -> ExecutionError {
        ExecutionError::DuplicateId(id)
    }
}

impl RetainedStore<Record> {
    /// Newest first.
    pub(crate) fn list(&self, filter: &ExecutionFilter) -> Vec<ExecutionSummary> {
        let found = self.newest_first().filter(|record| record.matches(filter));
        found.take(filter.limit.unwrap_or(usize::MAX)).map(|record| record.summary()).collect()
    }
}
