//! Secrets that become known while the engine works.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
use std::sync::{Arc, OnceLock, PoisonError, TryLockError};

use uuid::Uuid;

#[cfg(feature = "node")]
use super::host_exit;
use super::{EngineCore, ExecutionEngine};
use crate::command::EnvPolicy;
#[cfg(feature = "node")]
use crate::config::ExecutionConfig;
use crate::error::{ExecutionError, Invalid, Result};
#[cfg(feature = "node")]
use crate::globs::Globs;
use crate::plan::PlanRecord;
#[cfg(feature = "node")]
use crate::platform::ENV_IGNORES_CASE;
use crate::redact::{self, Allowance, Beyond, Vault};
use crate::registry::Record;
use crate::runtime;
#[cfg(feature = "node")]
use crate::types::EnvSnapshot;
use crate::types::{
    ExecutionFilter, ExecutionOptions, ExecutionRequest, ExecutionResult, ExecutionSummary, PlanExecutionResult, Secret,
};

/// The values that may be secret in the refusal of a call from JavaScript.
#[cfg(feature = "node")]
pub(crate) struct SecretsOfCall {
    pub(crate) secrets: Vec<String>,
    /// The variables of the host and of the request.
    pub(crate) variables: EnvSnapshot,
    /// Whether those of them that look secret are, whatever the engine's configuration has.
    pub(crate) masks_variables: bool,
    /// Names that a configuration adds.
    pub(crate) patterns: Vec<String>,
}

#[cfg(feature = "node")]
impl SecretsOfCall {
    fn secrets(&self) -> impl Iterator<Item = &[u8]> {
        self.secrets.iter().map(String::as_bytes)
    }
}

impl ExecutionEngine {
    /// Returns texts of refusals with the secrets of the engine, and those of a call, masked.
    #[cfg(feature = "node")]
    pub(crate) fn mask_texts(&self, mut texts: Vec<String>, call: &SecretsOfCall) -> Vec<String> {
        let shared = self.shared();
        let is_env_masked = call.masks_variables || shared.config.mask_env_secrets;
        let variables = is_env_masked.then(|| shared.policy.secret_ones(call.variables.iter()));
        shared.secrets.mask_texts(&mut of_all(&mut texts), call.secrets().chain(variables.into_iter().flatten()));
        texts
    }

    /// Does the same for a call without an engine: the secrets of all engines of the process are masked.
    #[cfg(feature = "node")]
    pub(crate) fn mask_texts_with(mut texts: Vec<String>, call: &SecretsOfCall) -> Vec<String> {
        for engine in host_exit::engines() {
            engine.secrets.mask_texts(&mut of_all(&mut texts), []);
        }
        let policy = EnvPolicy::new(&ExecutionConfig::default(), &ExecutionOptions::default());
        let is_secret = Globs::new(call.patterns.iter().map(String::as_str), ENV_IGNORES_CASE);
        let is_secret = |(name, _): &(&[u8], &[u8])| is_secret.is_match(&String::from_utf8_lossy(name));
        let by_pattern = call.variables.iter().filter(is_secret).map(|(_, value)| value);
        let variables = call.masks_variables.then(|| by_pattern.chain(policy.secret_ones(call.variables.iter())));
        redact::mask_texts(&mut of_all(&mut texts), call.secrets().chain(variables.into_iter().flatten()).collect());
        texts
    }

    /// Masks one more secret of at least 6 bytes from now on, in what runs already too: in output that comes after the call, in
    /// the results of executions that have not ended, in what [`ExecutionEngine::get_result`], [`ExecutionEngine::read_logs`] and
    /// [`ExecutionEngine::list_executions`] return from now on, and in errors and diagnoses. Events that were emitted, results that
    /// were returned, and the bytes of files stay as they are.
    ///
    /// # Errors
    /// `INVALID_REQUEST` (`value`) when it is too short, or when there are too many secrets.
    pub fn add_secret(&self, value: impl Into<Secret>) -> Result<()> {
        self.add_to(&self.shared().secrets, &value.into())
    }

    /// Does what [`ExecutionEngine::add_secret`] does, for one execution only.
    ///
    /// # Errors
    /// As [`ExecutionEngine::add_secret`]; `NOT_FOUND`.
    pub fn add_secret_of(&self, id: Uuid, value: impl Into<Secret>) -> Result<()> {
        self.add_to(self.record(id)?.secrets(), &value.into())
    }

    fn add_to(&self, vault: &Vault, secret: &Secret) -> Result<()> {
        redact::check_one("value", secret.reveal())
            .and_then(|()| vault.add("value", secret.reveal().as_bytes()))
            .map_err(ExecutionError::InvalidRequest)?;
        self.shared().has_added_secrets.store(true, Release);
        self.shared().mask_records();
        Ok(())
    }

    /// Returns the result of a record that has ended, as it may be shown now. A large one is masked on a thread of the
    /// engine.
    pub(crate) async fn shown(&self, record: &Arc<Record>) -> Result<Arc<ExecutionResult>> {
        let shown = if let Ok(shown) = record.shown_result(&mut Allowance::of_caller()) {
            shown
        } else {
            let record = Arc::clone(record);
            let masked = runtime::blocking(move || record.shown_result(&mut Allowance::unlimited())).await;
            masked.and_then(Result::ok).flatten()
        };
        shown.ok_or(ExecutionError::NotCompleted(record.id()))
    }

    /// Returns a result whose end is delivered only now: it may have been made before a secret was added. It is masked
    /// on this thread. That is rarely needed, since ends are delivered at once.
    #[cfg(feature = "node")]
    pub(crate) fn delivered(&self, result: Arc<ExecutionResult>) -> Arc<ExecutionResult> {
        let shared = self.shared();
        if !shared.has_added_secrets.load(Acquire) {
            return result;
        }
        let shown = match self.record(result.id) {
            Ok(record) => record.shown_result(&mut Allowance::unlimited()),
            Err(_) => shared
                .secrets
                .added_since(0, &mut Allowance::unlimited())
                .map(|added| added.and_then(|added| added.mask_result(&result)).map(Arc::new)),
        };
        // The result of an attempt that is repeated is not the record's.
        shown.ok().flatten().filter(|shown| shown.attempt == result.attempt).unwrap_or(result)
    }

    /// Masks the result of a plan.
    #[cfg(feature = "node")]
    pub(crate) fn delivered_plan(&self, result: Arc<PlanExecutionResult>) -> Arc<PlanExecutionResult> {
        let record = self.plan(result.plan_id).ok();
        let shown = record.and_then(|record| self.plan_result(&record, &mut Allowance::unlimited()).ok());
        shown.flatten().unwrap_or(result)
    }

    /// Masks an output that came with its event.
    #[cfg(feature = "node")]
    pub(crate) fn mask_output(&self, id: Uuid, text: String) -> [String; 1] {
        let record = self.record(id).ok();
        record.as_ref().map_or(&self.shared().secrets, |record| record.secrets()).mask_short([text], [])
    }

    #[cfg(feature = "node")]
    pub(crate) fn plan_result(
        &self,
        record: &PlanRecord,
        allowance: &mut Allowance,
    ) -> Result<Option<Arc<PlanExecutionResult>>, Beyond> {
        self.shared().shown_plan(record, allowance)
    }

    /// Returns the result of a plan that is over, as it may be shown now.
    pub(crate) async fn shown_plan(&self, record: &Arc<PlanRecord>) -> Result<Arc<PlanExecutionResult>> {
        let shown = if let Ok(shown) = self.shared().shown_plan(record, &mut Allowance::of_caller()) {
            shown
        } else {
            let (shared, record) = (Arc::clone(self.shared()), Arc::clone(record));
            let masked = runtime::blocking(move || shared.shown_plan(&record, &mut Allowance::unlimited())).await;
            masked.and_then(Result::ok).flatten()
        };
        shown.ok_or(ExecutionError::NotCompleted(record.id()))
    }
}

#[cfg(feature = "node")]
fn of_all(texts: &mut [String]) -> Vec<&mut String> {
    texts.iter_mut().collect()
}

impl EngineCore {
    /// Masks what the records keep, in the background.
    pub(super) fn mask_records(self: &Arc<Self>) {
        // Only one pass runs at a time, followed by another one if there is a new reason for it.
        if self.masking_passes.fetch_add(1, AcqRel) > 0 {
            return;
        }
        let shared = Arc::clone(self);
        runtime::start_blocking(move || {
            loop {
                let requested = shared.masking_passes.load(Acquire);
                for record in shared.registry.newest_first() {
                    // A reader that finds a record unmasked masks it by itself.
                    let _ = record.shown_result(&mut Allowance::unlimited());
                    record.mask_shown_command();
                }
                if shared.masking_passes.compare_exchange(requested, 0, AcqRel, Acquire).is_ok() {
                    return;
                }
            }
        });
    }

    /// Lists records on the thread of a caller. Commands beyond its allowance are masked for the next listing.
    pub(super) fn list(self: &Arc<Self>, filter: &ExecutionFilter) -> Vec<ExecutionSummary> {
        let mut allowance = Allowance::of_listing();
        let listed = self.registry.list(filter, &mut allowance);
        if allowance.is_exceeded() && !self.is_masking_listing.swap(true, AcqRel) {
            let (shared, filter) = (Arc::clone(self), filter.clone());
            runtime::start_blocking(move || {
                shared.registry.list(&filter, &mut Allowance::unlimited());
                shared.is_masking_listing.store(false, Release);
            });
        }
        listed
    }

    /// Returns the result of a plan with all current secrets masked; `None` while the plan is not over.
    pub(super) fn shown_plan(
        &self,
        record: &PlanRecord,
        allowance: &mut Allowance,
    ) -> Result<Option<Arc<PlanExecutionResult>>, Beyond> {
        let Some(result) = record.result().filter(|_| self.has_added_secrets.load(Acquire)) else {
            return Ok(record.result());
        };
        let mut masked_with = match record.masked_with.try_lock() {
            Ok(masked_with) => masked_with,
            // Another thread masks it. This thread waits only for a short result, which is masked in a moment.
            Err(TryLockError::WouldBlock)
                if !allowance.suffices(result.results.iter().map(|step| redact::shown_bytes(step)).sum()) =>
            {
                return Err(Beyond);
            }
            Err(_) => record.masked_with.lock().unwrap_or_else(PoisonError::into_inner),
        };
        let version = self.secrets.version();
        let added = self.secrets.added_since(*masked_with, allowance)?;
        let shown = |step: &Arc<ExecutionResult>, allowance: &mut Allowance| match (self.registry.get(step.id), &added)
        {
            // The execution has secrets of its own too.
            (Some(record), _) => Ok(record.shown_result(allowance)?.unwrap_or_else(|| Arc::clone(step))),
            (None, Some(added)) => {
                allowance.spend(redact::shown_bytes(step))?;
                Ok(added.mask_result(step).map_or_else(|| Arc::clone(step), Arc::new))
            }
            (None, None) => Ok(Arc::clone(step)),
        };
        let results = result.results.iter().map(|step| shown(step, allowance)).collect::<Result<Vec<_>, Beyond>>()?;
        let mut steps = result.steps.clone();
        if let Some(added) = &added {
            for step in &mut steps {
                allowance.spend(step.name.len())?;
                step.name = added.mask_beginning(&step.name);
            }
        }
        *masked_with = version;
        let is_same = results.iter().zip(&result.results).all(|(shown, kept)| Arc::ptr_eq(shown, kept));
        if is_same && steps == result.steps {
            return Ok(Some(result));
        }
        let masked = PlanExecutionResult { results, steps, ..result.without_output() };
        Ok(Some(record.replace(masked)))
    }

    /// Masks the secrets of the engine, and some more, in the refusals of one call.
    pub(super) fn mask_refusals<'i, 's>(
        &self,
        refusals: impl IntoIterator<Item = &'i mut Invalid>,
        more: impl IntoIterator<Item = &'s [u8]>,
    ) {
        let texts = refusals.into_iter().flat_map(|Invalid { field, problem }| [field, problem]);
        self.secrets.mask_texts(&mut texts.collect::<Vec<_>>(), more);
    }

    /// Returns a refusal in which the secrets of the engine and some more are masked.
    pub(super) fn masked<'s>(&self, invalid: Invalid, more: impl IntoIterator<Item = &'s [u8]>) -> Invalid {
        let [field, problem] = self.secrets.mask_short([invalid.field, invalid.problem], more);
        Invalid { field, problem }
    }

    /// Returns the secrets of one execution besides those of the engine.
    pub(super) fn own_secrets<'a>(
        &self,
        request: &'a ExecutionRequest,
        options: &'a ExecutionOptions,
        policy: &EnvPolicy,
    ) -> impl Iterator<Item = &'a [u8]> {
        self.common_secrets(options, policy).chain(self.secret_variables(request, options, policy))
    }

    /// Returns the secrets of all executions with these options.
    pub(super) fn common_secrets<'a>(
        &self,
        options: &'a ExecutionOptions,
        policy: &EnvPolicy,
    ) -> impl Iterator<Item = &'a [u8]> {
        let host = options.host_env.as_ref().filter(|_| self.masks_variables(options));
        let variables = host.map(|host| policy.secret_ones(host.iter()).filter(|value| is_long_enough(value)));
        options.secrets.iter().map(|secret| secret.reveal().as_bytes()).chain(variables.into_iter().flatten())
    }

    /// Returns the variables of a request that are to be masked.
    pub(super) fn secret_variables<'a>(
        &self,
        request: &'a ExecutionRequest,
        options: &ExecutionOptions,
        policy: &EnvPolicy,
    ) -> impl Iterator<Item = &'a [u8]> {
        let variables = self.masks_variables(options).then(|| policy.secrets_set_by(request));
        variables.into_iter().flatten().filter(|value| is_long_enough(value))
    }

    fn masks_variables(&self, options: &ExecutionOptions) -> bool {
        options.mask_env_secrets.unwrap_or(self.config.mask_env_secrets)
    }

    /// Returns the secrets of one execution. `common` is of the executions with these options, and is set by the first
    /// of them.
    pub(super) fn secrets_of(
        &self,
        request: &ExecutionRequest,
        options: &ExecutionOptions,
        policy: &EnvPolicy,
        common: &CommonSecrets,
    ) -> Result<Arc<Vault>, Invalid> {
        let field = if self.masks_variables(options) { "options.mask_env_secrets" } else { "options.secrets" };
        let variables: Vec<_> = self.secret_variables(request, options, policy).collect();
        let of_these = |more: &[&[u8]]| {
            let own: Vec<_> = self.common_secrets(options, policy).chain(more.iter().copied()).collect();
            Vault::of_execution(&self.secrets, field, &own)
        };
        if !variables.is_empty() {
            return of_these(&variables);
        }
        if let Some(vault) = common.get() {
            return Ok(vault.of_next_execution());
        }
        let vault = of_these(&[])?;
        Ok(common.get_or_init(|| vault).of_next_execution())
    }
}

/// The secrets that the executions of one call have in common, once they are known.
pub(super) type CommonSecrets = OnceLock<Arc<Vault>>;

fn is_long_enough(value: &[u8]) -> bool {
    value.len() >= redact::LEAST_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ExecutionConfig;
    use crate::redact::MASKED_HERE;
    use crate::types::Command;

    const TOKEN: &str = "ghs_3x4mple-t0ken";
    const MUCH: usize = 10 * 1024 * 1024;

    async fn prints(engine: &ExecutionEngine, script: String) -> Uuid {
        engine.run(ExecutionRequest::new(Command::shell(script))).await.unwrap().id
    }

    /// An event loop waits for no more than the allowance of a call.
    #[tokio::test]
    async fn much_that_was_kept_is_not_masked_on_the_thread_of_a_caller() {
        if !crate::platform::HAS_LIMITS {
            // The lines are for a shell of Unix: that of Windows has no `head`, and takes 8 191 characters.
            return;
        }
        let engine = ExecutionEngine::new(ExecutionConfig::default()).unwrap();
        let large = prints(&engine, format!("echo {TOKEN}; head -c {} /dev/zero", MUCH - 100)).await;
        for _ in 0..50 {
            prints(&engine, format!(": {TOKEN} {}", "x".repeat(10_000))).await;
        }
        MASKED_HERE.set(0);
        for secret in ["another-s3cret", TOKEN] {
            engine.add_secret(secret).unwrap();
            for _ in 0..3 {
                let before = MASKED_HERE.get();
                let shown = engine.result(large);
                let listed = engine.list(&ExecutionFilter::default());
                assert!(MASKED_HERE.get() - before <= 2 * 64 * 1024, "{} bytes", MASKED_HERE.get() - before);
                assert!(secret != TOKEN || shown.map_or(true, |result| !result.stdout.contains(TOKEN)));
                assert!(secret != TOKEN || listed.iter().all(|summary| !summary.command.contains(TOKEN)));
            }
        }
        let before = MASKED_HERE.get();
        let result = engine.get_result(large).await.unwrap();
        assert!(result.stdout.starts_with("***\n"));
        assert!(engine.wait_for_completion(large).await.unwrap().stdout.starts_with("***\n"));
        assert!(engine.result(large).is_ok(), "it was masked once");
        assert!(MASKED_HERE.get() - before <= 64 * 1024);
    }

    #[tokio::test]
    async fn what_is_small_is_masked_at_once() {
        let engine = ExecutionEngine::new(ExecutionConfig::default()).unwrap();
        let id = prints(&engine, format!("echo {TOKEN}")).await;
        engine.add_secret(TOKEN).unwrap();
        assert_eq!(engine.result(id).unwrap().stdout.trim_end(), "***");
        assert_eq!(engine.list(&ExecutionFilter::default())[0].command, "echo ***");
    }

    /// With 20 000 secrets the commands of waiting executions are masked in the background.
    #[tokio::test]
    async fn a_listing_does_not_make_many_secrets_ready() {
        let secrets = (0..20_000).map(|number| Secret::from(format!("a-s3cret-of-many-{number}"))).collect();
        let config = ExecutionConfig { secrets, max_concurrent_executions: 1, ..ExecutionConfig::default() };
        let engine = ExecutionEngine::new(config).unwrap();
        let sleeps = Command::shell("sleep 60; : a-s3cret-of-many-17");
        for _ in 0..3 {
            engine.execute(ExecutionRequest::new(sleeps.clone())).await.unwrap();
        }
        let commands = || engine.list(&ExecutionFilter::default()).into_iter().map(|summary| summary.command);
        assert!(commands().all(|command| command.ends_with("***")), "some are ready, and none shows a secret");
        while !commands().all(|command| command == "sleep 60; : ***") {
            tokio::task::yield_now().await;
        }
        engine.cancel_all().await;
    }
}
