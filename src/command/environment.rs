//! The variables of a child.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use uuid::Uuid;

use super::WorkingDirectory;
use crate::config::ExecutionConfig;
use crate::error::{Invalid, is_plain_name, name_in_path};
use crate::globs::Globs;
use crate::platform::{self, ENV_IGNORES_CASE, same_name};
use crate::types::{EnvSnapshot, ExecutionOptions, ExecutionRequest, InheritEnv, UNSET, step_of_output};

/// Marks every process of an execution, wherever in the tree it is. Its value is a chain of segments, those of outer engines first:
/// a command may be the host of an engine of its own.
const TAG: &str = "ESCHER_EXECUTION_ID";
/// The path of a command's directory.
const PWD: &str = "PWD";
/// The value with which a child opts out of the tree.
const DETACHED: &[u8] = b"detached";

/// The policy for the variables of a child; made once for an engine, and once more for an execution with options of its
/// own.
#[derive(Debug, Clone)]
pub(crate) struct EnvPolicy {
    inherit: InheritEnv,
    allow: Globs,
    deny: Globs,
    /// Names whose values are secrets.
    secret: Globs,
}

impl EnvPolicy {
    /// Returns the engine's policy, narrowed or widened by the options of one execution. The lists add up.
    pub(crate) fn new(config: &ExecutionConfig, options: &ExecutionOptions) -> Self {
        Self {
            inherit: options.inherit_env.unwrap_or(config.inherit_env),
            allow: name_set(config.env_allow.iter().chain(&options.env_allow)),
            deny: name_set(config.env_deny.iter().chain(&options.env_deny)),
            secret: name_set(&config.env_secret_patterns),
        }
    }

    /// Refuses names that the policy forbids and what no environment can hold.
    pub(crate) fn check(&self, request: &ExecutionRequest) -> Result<(), Invalid> {
        for (name, value) in &request.env {
            let field = || path_of(name);
            if name.is_empty() {
                return Err(Invalid::new(field(), "the name is empty: give it one"));
            }
            // The text after the separator may be the value, in the wrong place.
            if let Some((name, _)) = name.split_once(['=', '\0']) {
                let message = "the name holds `=` or NUL: give the name alone, and the value as its value";
                return Err(Invalid::new(format!("env{}", name_in_path(name)), message));
            }
            if step_of_output(value).is_some() {
                let problem =
                    "only a step of a plan can take the output of another step: give a string, or run both as a plan";
                return Err(Invalid::new(field(), problem));
            }
            if value != UNSET && value.contains('\0') {
                return Err(Invalid::new(
                    field(),
                    "the value holds NUL, which no environment can: encode it, or pass it on stdin",
                ));
            }
            if let Some(same_variable) = same_variable(request, name) {
                return Err(Invalid::new(
                    field(),
                    format!("it is the same variable as {same_variable:?}, for names ignore case here: leave one out"),
                ));
            }
            if same_name(name, TAG) {
                return Err(Invalid::new(field(), "the name belongs to the engine: use another"));
            }
            if value != UNSET && self.deny.is_match(name) {
                return Err(Invalid::new(field(), "the host's `env_deny` forbids the name: leave it out"));
            }
        }
        Ok(())
    }

    /// Returns the values of the variables of a request whose names say that they are secret.
    pub(crate) fn secrets_set_by<'a>(&self, request: &'a ExecutionRequest) -> impl Iterator<Item = &'a [u8]> {
        self.secret_ones(set_by(request).map(|(name, value)| (name.as_bytes(), value.as_bytes())))
    }

    /// Returns the values of those of these variables whose names say that they are secret.
    pub(crate) fn secret_ones<'a>(
        &self,
        variables: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    ) -> impl Iterator<Item = &'a [u8]> {
        let is_secret = |name: &[u8]| self.secret.is_match(&String::from_utf8_lossy(name));
        variables.filter(move |(name, _)| is_secret(name)).map(|(_, value)| value)
    }

    fn inherits(&self, name: &str) -> bool {
        let base = match self.inherit {
            InheritEnv::All => true,
            InheritEnv::Core => core_names().is_match(name),
            InheritEnv::None => false,
        };
        (base || self.allow.is_match(name)) && !self.deny.is_match(name)
    }

    /// Builds the child's environment as NUL-ended `NAME=value` entries. `added` replaces what is inherited (`None`
    /// removes it), and the request replaces `added`.
    pub(super) fn build(
        &self,
        request: &ExecutionRequest,
        host: Option<&EnvSnapshot>,
        added: &[(&str, Option<&str>)],
        directory: &WorkingDirectory<'_>,
        segment: &str,
    ) -> Vec<u8> {
        let own;
        let host = if let Some(host) = host {
            host
        } else {
            own = EnvSnapshot::of_this_process();
            &own
        };
        let mut env = Vec::with_capacity(4096);
        let inherited = host.iter().find(|(name, _)| *name == PWD.as_bytes()).map(|(_, value)| value);
        let pwd = (platform::HAS_PWD && self.inherits(PWD)).then(|| directory.pwd(inherited)).flatten();
        let added = added.iter().map(|(name, value)| (*name, value.map(str::as_bytes)));
        let added = added.chain(pwd.as_ref().map(|pwd| (PWD, Some(pwd.as_os_str().as_encoded_bytes()))));
        let everything = self.inherit == InheritEnv::All && self.deny.is_empty();
        for (name, value) in host.iter() {
            let text = String::from_utf8_lossy(name);
            let replaced = same_name(&text, TAG)
                || sets(request, &text)
                || added.clone().any(|(added, _)| same_name(added, &text));
            if !replaced && (everything || self.inherits(&text)) {
                push(&mut env, name, value);
            }
        }
        for (name, value) in added {
            if let Some(value) = value
                && !sets(request, name)
            {
                push(&mut env, name.as_bytes(), value);
            }
        }
        for (name, value) in set_by(request) {
            push(&mut env, name.as_bytes(), value.as_bytes());
        }
        env.extend_from_slice(TAG.as_bytes());
        env.push(b'=');
        let outer = platform::own_tag();
        // A host that has opted out of an outer engine's tree is in no chain.
        if !outer.is_empty() && outer != DETACHED {
            env.extend_from_slice(outer);
            env.push(b':');
        }
        env.extend_from_slice(segment.as_bytes());
        env.push(0);
        env
    }
}

/// Returns the path of a variable of a request.
pub(crate) fn path_of(name: &str) -> String {
    if is_plain_name(name) { format!("env.{name}") } else { format!("env{}", name_in_path(name)) }
}

/// Returns the part of the tag that is this execution's alone, also if another engine has one with the same id, or had
/// one before.
pub(super) fn segment(id: Uuid) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{id}.{:08x}{:08x}", platform::host_number(), COUNT.fetch_add(1, Ordering::Relaxed))
}

fn core_names() -> &'static Globs {
    static CORE: OnceLock<Globs> = OnceLock::new();
    CORE.get_or_init(|| Globs::new(platform::core_env_names().iter().copied(), ENV_IGNORES_CASE))
}

fn name_set<'a>(patterns: impl IntoIterator<Item = &'a String>) -> Globs {
    Globs::new(patterns.into_iter().map(String::as_str), ENV_IGNORES_CASE)
}

/// Returns the variables that a request sets.
fn set_by(request: &ExecutionRequest) -> impl Iterator<Item = (&String, &String)> {
    request.env.iter().filter(|(_, value)| *value != UNSET)
}

/// Whether the request has a variable of that name, or removes it.
fn sets(request: &ExecutionRequest, name: &str) -> bool {
    request.env.contains_key(name) || (ENV_IGNORES_CASE && request.env.keys().any(|set| same_name(set, name)))
}

/// Returns another spelling of `name` that the request has too: it is not clear which of the two counts.
fn same_variable<'a>(request: &'a ExecutionRequest, name: &str) -> Option<&'a String> {
    let differs = |other: &&String| *other != name && same_name(other, name);
    if ENV_IGNORES_CASE { request.env.keys().find(differs) } else { None }
}

fn push(env: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    env.extend_from_slice(name);
    env.push(b'=');
    env.extend_from_slice(value);
    env.push(0);
}

/// Returns the value of a variable, its name in ASCII, in a built environment.
pub(super) fn value<'a>(env: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    env.split(|byte| *byte == 0).find_map(|entry| {
        let (found, rest) = entry.split_at_checked(name.len())?;
        let is_it = if ENV_IGNORES_CASE { found.eq_ignore_ascii_case(name) } else { found == name };
        if is_it { rest.strip_prefix(b"=") } else { None }
    })
}
