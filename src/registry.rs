//! The records of an engine's executions.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, TryLockError, Weak};
use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::error::ExecutionError;
use crate::output::{Captures, Keepsake, MainLog};
use crate::platform::Leader;
use crate::platform::clock::Instant;
use crate::process::Controls;
use crate::redact::{self, Allowance, Beyond, Vault};
use crate::retained_store::{Completion, Retained, RetainedStore};
use crate::state::{EndControl, Stop};
use crate::types::{
    ExecutionFilter, ExecutionMetadata, ExecutionRequest, ExecutionResult, ExecutionStatus, ExecutionSummary,
};

/// The longest command in a listing, in characters.
const LONGEST_COMMAND: usize = 200;
/// The characters of a command that are kept until it is masked.
const KEPT_OF_COMMAND: usize = 1_024;

/// The record of an execution, from its acceptance to its removal.
#[derive(Debug)]
pub(crate) struct Record {
    id: Uuid,
    command: Mutex<Shown>,
    secrets: Arc<Vault>,
    /// The least version of the secrets that its result was masked with.
    masked_with: AtomicU64,
    /// The lock is held while the result is masked again, which takes long for much output.
    masking: Mutex<()>,
    /// What a listing shows of its metadata; most executions have none.
    labels: Option<Box<Labels>>,
    created_at: DateTime<Utc>,
    /// The leader of the current attempt, set once it runs. The lock is held for a move of a pointer.
    leader: Mutex<Option<Weak<Leader>>>,
    /// The log, if the execution has one or is to have one.
    log: Option<Arc<MainLog>>,
    /// Go with the record.
    files: OnceLock<Vec<Keepsake>>,
    /// The controls of the execution while it runs.
    controls: Controls,
    /// What ends the execution; `None` when it has its result. The lock is held for a move of a pointer.
    end: Mutex<Option<Arc<EndControl>>>,
    /// The kept output of the last attempt, until there is a result. The lock is held for a move of a pointer.
    captures: Mutex<Option<Arc<Captures>>>,
    completion: Completion<ExecutionResult>,
}

/// The metadata of an execution by which it is listed.
#[derive(Debug, Clone, Default)]
struct Labels {
    label: Option<String>,
    source: Option<String>,
    conversation_id: Option<String>,
}

impl Labels {
    fn of(metadata: &ExecutionMetadata) -> Option<Box<Self>> {
        let ExecutionMetadata { label, source, conversation_id, .. } = metadata;
        let has_some = label.is_some() || source.is_some() || conversation_id.is_some();
        let (label, source, conversation_id) = (label.clone(), source.clone(), conversation_id.clone());
        has_some.then(|| Box::new(Self { label, source, conversation_id }))
    }

    fn bytes(&self) -> u64 {
        let texts = [&self.label, &self.source, &self.conversation_id].into_iter().flatten();
        texts.map(|text| text.len() as u64).sum()
    }
}

/// A command as it is shown. It is masked when it is first looked at, and again when there are more secrets.
#[derive(Debug)]
struct Shown {
    text: Box<str>,
    /// The end of the text may be a part of a secret.
    is_cut: bool,
    masked_with: Option<u64>,
}

impl Shown {
    fn new(command: &str) -> Self {
        let end = command.char_indices().nth(KEPT_OF_COMMAND).map_or(command.len(), |(end, _)| end);
        Self { text: command[..end].into(), is_cut: end < command.len(), masked_with: None }
    }

    /// Masks what is secret in the version of a vault.
    fn mask(&mut self, vault: &Vault, version: u64, allowance: &mut Allowance) -> Result<(), Beyond> {
        if self.masked_with == Some(version) {
            return Ok(());
        }
        if let Some(secrets) = match self.masked_with {
            Some(before) => vault.added_since(before, allowance)?,
            None => vault.current_within(allowance)?,
        } {
            allowance.spend(self.text.len())?;
            let masked =
                if self.is_cut { secrets.mask_beginning(&self.text).into() } else { secrets.mask_shown(&self.text) };
            self.text = masked.into();
        }
        if let Some((end, _)) = self.text.char_indices().nth(LONGEST_COMMAND) {
            (self.text, self.is_cut) = (self.text[..end].into(), true);
        }
        self.masked_with = Some(version);
        Ok(())
    }
}

impl Record {
    pub(crate) fn new(
        request: &ExecutionRequest,
        command: &str,
        log: Option<&Arc<MainLog>>,
        created_at: DateTime<Utc>,
        secrets: Arc<Vault>,
        controls: Controls,
        end: Arc<EndControl>,
    ) -> Self {
        Self {
            id: request.id,
            command: Mutex::new(Shown::new(command)),
            masked_with: AtomicU64::new(secrets.version()),
            masking: Mutex::new(()),
            secrets,
            labels: Labels::of(&request.metadata),
            created_at,
            leader: Mutex::default(),
            log: log.cloned(),
            files: OnceLock::new(),
            controls,
            end: Mutex::new(Some(end)),
            captures: Mutex::default(),
            completion: Completion::new(),
        }
    }

    pub(crate) fn id(&self) -> Uuid {
        self.id
    }

    /// Returns the command as a person would type it, cut short. As long as a secret might be in it, it is masked as a
    /// whole.
    pub(crate) fn command(&self, allowance: &mut Allowance) -> String {
        let version = self.secrets.version();
        let mut shown = self.command.lock().unwrap_or_else(PoisonError::into_inner);
        match shown.mask(&self.secrets, version, allowance) {
            Ok(()) => shown.text.to_string(),
            Err(Beyond) => redact::MASK.to_owned(),
        }
    }

    /// Returns the secrets that are masked in the record.
    pub(crate) fn secrets(&self) -> &Arc<Vault> {
        &self.secrets
    }

    /// Whether a secret was added after its result was masked.
    pub(crate) fn has_new_secrets(&self) -> bool {
        self.secrets.version() != self.masked_with.load(Acquire)
    }

    /// Masks the command again, if it was shown.
    pub(crate) fn mask_shown_command(&self) {
        let version = self.secrets.version();
        let mut shown = self.command.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.masked_with.is_some() {
            // Masking without a limit cannot fail.
            let _ = shown.mask(&self.secrets, version, &mut Allowance::unlimited());
        }
    }

    /// Returns the result with all current secrets masked; `None` while the execution has not ended.
    pub(crate) fn shown_result(&self, allowance: &mut Allowance) -> Result<Option<Arc<ExecutionResult>>, Beyond> {
        // Looked at first: the result that was masked with this version, or a later one, is there by then.
        if !self.has_new_secrets() {
            return Ok(self.result());
        }
        let Some(kept) = self.result() else { return Ok(None) };
        let _masking = match self.masking.try_lock() {
            Ok(masking) => masking,
            // Another thread masks it. This thread waits only for a short result, which is masked in a moment.
            Err(TryLockError::WouldBlock) if !allowance.suffices(redact::shown_bytes(&kept)) => return Err(Beyond),
            Err(_) => self.masking.lock().unwrap_or_else(PoisonError::into_inner),
        };
        // Again: it may have been replaced meanwhile.
        let Some(result) = self.result() else { return Ok(None) };
        let (version, masked) = self.mask_added(&result, allowance)?;
        let shown = masked.map_or(result, |masked| self.completion.replace(masked));
        self.masked_with.store(version, Release);
        Ok(Some(shown))
    }

    /// Masks in the result of an execution that ends what was added since it began.
    pub(crate) fn mask_ending(&self, result: ExecutionResult) -> ExecutionResult {
        if !self.has_new_secrets() {
            return result;
        }
        let Ok((version, masked)) = self.mask_added(&result, &mut Allowance::unlimited()) else { return result };
        self.masked_with.store(version, Release);
        masked.unwrap_or(result)
    }

    /// Masks what was added since, and records which version of the secrets that is.
    fn mask_added(
        &self,
        result: &ExecutionResult,
        allowance: &mut Allowance,
    ) -> Result<(u64, Option<ExecutionResult>), Beyond> {
        let version = self.secrets.version();
        let Some(secrets) = self.secrets.added_since(self.masked_with.load(Acquire), allowance)? else {
            return Ok((version, None));
        };
        allowance.spend(redact::shown_bytes(result))?;
        Ok((version, secrets.mask_result(result)))
    }

    pub(crate) fn status(&self) -> ExecutionStatus {
        // Looked at first: it is released once there is a result.
        let has_started = self.leader().is_some();
        match self.result() {
            Some(result) => result.status,
            None if has_started => ExecutionStatus::Running,
            None => ExecutionStatus::Pending,
        }
    }

    pub(crate) fn result(&self) -> Option<Arc<ExecutionResult>> {
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

    /// Requests the end of the execution. Nothing happens when it has its result.
    pub(crate) fn request_stop(&self, reason: Stop, grace: Option<Duration>) {
        if let Some(end) = self.end() {
            end.stop.request(reason, grace);
        }
    }

    /// Moves the deadline to `timeout` from now, `most` after the attempt to spawn at the latest; `None` when the execution ends or is to
    /// end: then no time is left, although its loop may not have noticed that.
    pub(crate) fn move_deadline(&self, timeout: Duration, most: Duration) -> Option<Instant> {
        let end = self.end().filter(|end| self.result().is_none() && end.stop.reason().is_none())?;
        end.deadline.extend(timeout, most)
    }

    fn end(&self) -> Option<Arc<EndControl>> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the controls of the execution while it runs.
    pub(crate) fn controls(&self) -> &Controls {
        &self.controls
    }

    pub(crate) fn set_running(&self, leader: &Arc<Leader>) {
        *self.leader.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::downgrade(leader));
    }

    /// Sets what is kept of the output of an attempt.
    pub(crate) fn set_captures(&self, captures: &Arc<Captures>) {
        *self.captures.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(captures));
    }

    /// Releases what only an execution without a result needs. A weak pointer alone keeps the memory of its leader.
    pub(crate) fn release(&self) {
        *self.leader.lock().unwrap_or_else(PoisonError::into_inner) = None;
        *self.captures.lock().unwrap_or_else(PoisonError::into_inner) = None;
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = None;
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

    /// Returns the process id of the current attempt.
    fn pid(&self) -> Option<u32> {
        self.leader().as_ref().and_then(Weak::upgrade).map(|leader| leader.id())
    }

    /// Kills what can be killed without another scan of the processes: for a host that is going away.
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
    pub(crate) async fn settled(&self) -> Arc<ExecutionResult> {
        self.completion.settled().await
    }

    fn summary(&self, allowance: &mut Allowance) -> ExecutionSummary {
        let Labels { label, source, conversation_id } = self.labels.as_deref().cloned().unwrap_or_default();
        let result = self.result();
        ExecutionSummary {
            id: self.id,
            status: self.status(),
            command: self.command(allowance),
            label,
            source,
            conversation_id,
            pid: result.as_ref().map_or_else(|| self.pid(), |result| result.pid),
            created_at: self.created_at,
            completed_at: result.as_ref().map(|result| result.completed_at),
            exit_code: result.as_ref().and_then(|result| result.exit_code),
            duration_ms: result.map(|result| result.duration_ms),
        }
    }

    fn matches(&self, filter: &ExecutionFilter) -> bool {
        let labels = self.labels.as_deref();
        let is = |wanted: &Option<String>, has: fn(&Labels) -> &Option<String>| {
            wanted.is_none() || labels.map_or(&None, has) == wanted
        };
        filter.status.is_none_or(|status| self.status() == status)
            && is(&filter.label, |labels| &labels.label)
            && is(&filter.source, |labels| &labels.source)
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
        let own = self.labels.as_deref().map_or(0, Labels::bytes);
        self.result().map_or(0, |result| own + result.kept_bytes())
    }

    fn duplicate(id: Uuid) -> ExecutionError {
        ExecutionError::DuplicateId(id)
    }
}

impl RetainedStore<Record> {
    /// Returns the executions that match, the newest first.
    pub(crate) fn list(&self, filter: &ExecutionFilter, allowance: &mut Allowance) -> Vec<ExecutionSummary> {
        let found = self.newest_first().filter(|record| record.matches(filter));
        found.take(filter.limit.unwrap_or(usize::MAX)).map(|record| record.summary(allowance)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Command;

    #[test]
    fn a_record_that_has_ended_keeps_nothing_of_the_run() {
        let end = EndControl::new();
        let request = ExecutionRequest::new(Command::exec("true"));
        let (secrets, controls) = (Arc::default(), Controls::default());
        let record = Record::new(&request, "true", None, Utc::now(), secrets, controls, Arc::clone(&end));
        record.request_stop(Stop::Cancelled, None);
        assert_eq!(end.stop.reason(), Some(Stop::Cancelled));
        record.release();
        assert_eq!(Arc::strong_count(&end), 1);
        record.request_stop(Stop::Shutdown, None);
        assert_eq!(record.move_deadline(Duration::from_secs(1), Duration::from_secs(2)), None);
        assert!(!record.has_process() && record.captures().is_none());
    }

    #[test]
    fn a_deadline_moves_until_the_execution_is_to_end() {
        let request = ExecutionRequest::new(Command::exec("true"));
        let (secrets, controls) = (Arc::default(), Controls::default());
        let record = Record::new(&request, "true", None, Utc::now(), secrets, controls, EndControl::new());
        let times = (Duration::from_secs(1), Duration::from_secs(2));
        assert!(record.move_deadline(times.0, times.1).is_some());
        record.request_stop(Stop::Cancelled, None);
        assert_eq!(record.move_deadline(times.0, times.1), None);
    }
}
