//! The secrets of an engine and of each of its executions: they can become more while output comes.

use std::borrow::Cow;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::allowance::{Allowance, Beyond};
use super::{Redactor, Secrets, check_size, lines_of, mask_texts};
use crate::error::Invalid;

/// The number of sets of secrets of executions that an engine keeps ready: most executions have the same variables.
const KEPT_SETS: usize = 4;

/// The bit where the version of an engine begins in that of an execution.
const OWN_BITS: u32 = 32;

/// The secrets of an engine, or those of an execution in addition to its engine's.
#[derive(Default)]
pub(crate) struct Vault {
    engine: Option<Arc<Vault>>,
    /// Counts what was added here; never reset.
    additions: AtomicU64,
    /// The lock is held while a set is made ready, which takes long and happens on threads of the engine.
    preparing: Mutex<()>,
    /// The lock is held for moves of pointers.
    inner: Mutex<VaultState>,
}

type Values = Arc<[Box<[u8]>]>;

/// The secrets that were added in an interval of versions, made ready.
type Added = (usize, usize, Option<Arc<Secrets>>);

#[derive(Default)]
struct VaultState {
    given: Values,
    added: Vec<Box<[u8]>>,
    lines: usize,
    bytes: usize,
    /// The set that was made of the secrets of this version.
    ready: Option<(u64, Option<Arc<Secrets>>)>,
    /// In the vault of an engine: the secrets that its last executions were given, which many of them may share.
    last_given: Vec<Weak<[Box<[u8]>]>>,
    /// In the vault of an engine: the last sets that its executions had, with the version of the engine.
    sets: Vec<(Values, u64, Option<Arc<Secrets>>)>,
    /// In the vault of an engine: the last secrets that were searched in records that are masked again.
    added_ready: Option<Added>,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault").finish_non_exhaustive()
    }
}

impl Vault {
    /// Returns the secrets of an engine, whose number and size were checked.
    pub(crate) fn of_engine<'a>(given: impl IntoIterator<Item = &'a [u8]>) -> Arc<Self> {
        Arc::new(Self::with(None, given.into_iter().map(Box::from).collect()))
    }

    /// Returns the secrets of an execution: those of its engine, and its own. Those of one before are used again if
    /// they are the same.
    pub(crate) fn of_execution(engine: &Arc<Self>, field: &str, own: &[&[u8]]) -> Result<Arc<Self>, Invalid> {
        #[cfg(test)]
        super::READ_HERE.set(super::READ_HERE.get() + own.len());
        if own.is_empty() {
            return Ok(Arc::new(Self::with(Some(Arc::clone(engine)), Values::default())));
        }
        let known = {
            let inner = engine.lock();
            check_size(field, (inner.lines, inner.bytes), own.iter().copied())?;
            let is_same = |set: &Values| set.iter().map(|secret| &**secret).eq(own.iter().copied());
            inner.last_given.iter().filter_map(Weak::upgrade).find(is_same)
        };
        let values = known.unwrap_or_else(|| {
            let values: Values = own.iter().copied().map(Box::from).collect();
            let last = &mut engine.lock().last_given;
            last.truncate(KEPT_SETS - 1);
            last.insert(0, Arc::downgrade(&values));
            values
        });
        Ok(Arc::new(Self::with(Some(Arc::clone(engine)), values)))
    }

    /// Returns the secrets of another execution that was given the same ones.
    pub(crate) fn of_next_execution(&self) -> Arc<Self> {
        let VaultState { given, lines, bytes, .. } = &*self.lock();
        let inner = VaultState { given: Arc::clone(given), lines: *lines, bytes: *bytes, ..VaultState::default() };
        Arc::new(Self::from_inner(self.engine.clone(), inner))
    }

    fn with(engine: Option<Arc<Self>>, given: Values) -> Self {
        let (lines, bytes) = (lines_of(given.iter()), given.iter().map(|secret| secret.len()).sum());
        Self::from_inner(engine, VaultState { given, lines, bytes, ..VaultState::default() })
    }

    fn from_inner(engine: Option<Arc<Self>>, inner: VaultState) -> Self {
        Self { engine, additions: AtomicU64::new(0), preparing: Mutex::new(()), inner: Mutex::new(inner) }
    }

    /// Masks one more secret from now on.
    pub(crate) fn add(&self, field: &str, secret: &[u8]) -> Result<(), Invalid> {
        let of_engine = self.engine.as_ref().map_or((0, 0), |engine| engine.size());
        let mut inner = self.lock();
        check_size(field, (of_engine.0 + inner.lines, of_engine.1 + inner.bytes), [secret])?;
        if inner.given.iter().chain(&inner.added).any(|known| **known == *secret) {
            return Ok(());
        }
        inner.lines += lines_of([secret]);
        inner.bytes += secret.len();
        inner.added.push(secret.into());
        // The version changes under the lock: a reader of the new version finds the secret.
        self.additions.fetch_add(1, Release);
        Ok(())
    }

    fn size(&self) -> (usize, usize) {
        let inner = self.lock();
        (inner.lines, inner.bytes)
    }

    /// Whether nothing is masked now.
    pub(crate) fn is_empty(&self) -> bool {
        self.size().1 == 0 && self.engine.as_ref().is_none_or(|engine| engine.is_empty())
    }

    /// Changes when there are more secrets: the additions here, and above them those of the engine.
    pub(crate) fn version(&self) -> u64 {
        let of_engine = self.engine.as_ref().map_or(0, |engine| engine.version());
        self.additions.load(Acquire) + (of_engine << OWN_BITS)
    }

    /// Returns the secrets that were added after a version. All others were masked before that.
    pub(crate) fn added_since(&self, version: u64, allowance: &mut Allowance) -> Result<Option<Arc<Secrets>>, Beyond> {
        let [of_engine, own] = [version >> OWN_BITS, version & ((1 << OWN_BITS) - 1)]
            .map(|count| usize::try_from(count).expect("there are at most 100 000"));
        let Some(engine) = &self.engine else { return self.added_from(own, allowance) };
        let mut added = copy_of_added(&self.lock().added, own, allowance)?;
        if added.is_empty() {
            return engine.added_from(of_engine, allowance);
        }
        added.extend(copy_of_added(&engine.lock().added, of_engine, allowance)?);
        Ok(Secrets::new(added.iter().map(|secret| &**secret)))
    }

    /// Does the same in the vault of an engine, whose records were mostly masked at the same time.
    fn added_from(&self, from: usize, allowance: &mut Allowance) -> Result<Option<Arc<Secrets>>, Beyond> {
        let (to, added) = {
            let inner = self.lock();
            let to = inner.added.len();
            if let Some((.., secrets)) = inner.added_ready.as_ref().filter(|ready| (ready.0, ready.1) == (from, to)) {
                return Ok(secrets.clone());
            }
            (to, copy_of_added(&inner.added, from, allowance)?)
        };
        let secrets = Secrets::new(added.iter().map(|secret| &**secret));
        self.lock().added_ready = Some((from, to, secrets.clone()));
        Ok(secrets)
    }

    /// Returns [`Vault::current`], if it is ready or an allowance permits to make it ready.
    pub(crate) fn current_within(&self, allowance: &mut Allowance) -> Result<Option<Arc<Secrets>>, Beyond> {
        if let Some((made_of, secrets)) = self.ready()
            && made_of == self.version()
        {
            return Ok(secrets);
        }
        if allowance.is_unlimited() {
            return Ok(self.current());
        }
        let of_engine = self.engine.as_ref().map_or((0, 0), |engine| engine.size());
        let (lines, bytes) = self.size();
        allowance.prepare(lines + of_engine.0, bytes + of_engine.1)?;
        // This does not call `current`: another thread may hold its lock while it makes a large set ready.
        let (own, of_engine) = (self.own(), self.engine.as_ref().map(|engine| engine.own()));
        Ok(Secrets::new(own.values().chain(of_engine.iter().flat_map(Own::values))))
    }

    /// Returns the current secrets, made ready at the first call. `None`: there are none.
    pub(crate) fn current(&self) -> Option<Arc<Secrets>> {
        if let Some((made_of, secrets)) = self.ready()
            && made_of == self.version()
        {
            return secrets;
        }
        let _preparing = self.preparing.lock().unwrap_or_else(PoisonError::into_inner);
        // The version is read first: a secret that is added meanwhile makes the set old, not wrong.
        let version = self.version();
        if let Some((made_of, secrets)) = self.ready()
            && made_of == version
        {
            return secrets;
        }
        let own = self.own();
        let secrets = match &self.engine {
            None => Secrets::new(own.values()),
            Some(engine) if own.given.is_empty() && own.added.is_empty() => engine.current(),
            Some(engine) => engine.with_own(&own),
        };
        self.lock().ready = Some((version, secrets.clone()));
        secrets
    }

    /// Returns the set that was made ready last, with its version.
    fn ready(&self) -> Option<(u64, Option<Arc<Secrets>>)> {
        self.lock().ready.clone()
    }

    /// Returns the secrets that were given and added here.
    fn own(&self) -> Own {
        let inner = self.lock();
        Own { given: Arc::clone(&inner.given), added: inner.added.clone() }
    }

    /// Returns the set of an execution of this engine.
    fn with_own(&self, own: &Own) -> Option<Arc<Secrets>> {
        let _preparing = self.preparing.lock().unwrap_or_else(PoisonError::into_inner);
        let version = self.additions.load(Acquire);
        let is_kept = own.added.is_empty();
        let is_same = |(given, of, _): &&(Values, u64, _)| Arc::ptr_eq(given, &own.given) && *of == version;
        if is_kept && let Some((.., secrets)) = self.lock().sets.iter().find(is_same) {
            return secrets.clone();
        }
        let secrets = Secrets::new(self.own().values().chain(own.values()));
        if is_kept {
            let mut inner = self.lock();
            inner.sets.retain(|(given, ..)| !Arc::ptr_eq(given, &own.given));
            inner.sets.truncate(KEPT_SETS - 1);
            inner.sets.insert(0, (Arc::clone(&own.given), version, secrets.clone()));
        }
        secrets
    }

    /// Returns short texts with the current secrets masked, and some more. It does not wait until all secrets are
    /// ready.
    pub(crate) fn mask_short<'s, const N: usize>(
        &self,
        mut texts: [String; N],
        more: impl IntoIterator<Item = &'s [u8]>,
    ) -> [String; N] {
        self.mask_texts(&mut texts.each_mut(), more);
        texts
    }

    /// Masks any number of texts.
    pub(crate) fn mask_texts<'s>(&self, texts: &mut [&mut String], more: impl IntoIterator<Item = &'s [u8]>) {
        let (own, of_engine) = (self.own(), self.engine.as_ref().map(|engine| engine.own()));
        let mut all: Vec<&[u8]> = own.values().chain(of_engine.iter().flat_map(Own::values)).collect();
        for secret in more {
            all.push(secret);
        }
        mask_texts(texts, all);
    }

    /// Returns a text for people with the current secrets masked; a mask as a whole if that takes too long.
    pub(crate) fn mask<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.current() {
            Some(secrets) => Cow::Owned(secrets.mask_shown(text).into_owned()),
            None => Cow::Borrowed(text),
        }
    }

    /// Returns a text of any length with the current secrets masked.
    pub(crate) fn mask_output<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.current() {
            Some(secrets) => Cow::Owned(secrets.mask(text).into_owned()),
            None => Cow::Borrowed(text),
        }
    }

    fn lock(&self) -> MutexGuard<'_, VaultState> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn copy_of_added(added: &[Box<[u8]>], from: usize, allowance: &mut Allowance) -> Result<Vec<Box<[u8]>>, Beyond> {
    let added = added.get(from..).unwrap_or_default();
    allowance.prepare(lines_of(added), added.iter().map(|secret| secret.len()).sum())?;
    Ok(added.to_vec())
}

/// The secrets that were given to a vault and added to it, as they were at a time.
struct Own {
    given: Values,
    added: Vec<Box<[u8]>>,
}

impl Own {
    fn values(&self) -> impl Iterator<Item = &[u8]> {
        self.given.iter().chain(&self.added).map(|secret| &**secret)
    }
}

/// Masks one stream with whatever is secret when its bytes come.
#[derive(Debug)]
pub(crate) struct StreamMask {
    vault: Arc<Vault>,
    version: Option<u64>,
    redactor: Option<Box<Redactor>>,
}

impl StreamMask {
    pub(crate) fn new(vault: Arc<Vault>) -> Self {
        Self { vault, version: None, redactor: None }
    }

    /// Does what [`Redactor::feed`] does.
    pub(crate) fn feed(&mut self, bytes: &[u8], take: impl FnOnce(&[u8])) {
        let version = self.vault.version();
        if self.version != Some(version) {
            self.version = Some(version);
            if let Some(secrets) = self.vault.current() {
                match &mut self.redactor {
                    Some(redactor) => redactor.replace(secrets),
                    None => self.redactor = Some(Box::new(Redactor::new(secrets))),
                }
            }
        }
        match &mut self.redactor {
            Some(redactor) => redactor.feed(bytes, take),
            None => take(bytes),
        }
    }

    /// Does what [`Redactor::finish`] does.
    pub(crate) fn finish(&mut self, take: impl FnOnce(&[u8])) {
        if let Some(redactor) = &mut self.redactor {
            redactor.finish(take);
        }
    }

    /// Does what [`Redactor::backspace`] does.
    pub(crate) fn backspace(&mut self) -> bool {
        self.redactor.as_mut().is_some_and(|redactor| redactor.backspace())
    }

    /// Masks a message about the stream.
    pub(crate) fn mask_text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.vault.mask(text)
    }

    /// Masks an unfinished line, without an end of it that may become a secret.
    pub(crate) fn mask_beginning(&self, text: String) -> String {
        match self.vault.current() {
            Some(secrets) => secrets.mask_beginning(&text),
            None => text,
        }
    }
}
