//! Defines the snapshot of the host's environment variables.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The placeholder for a secret, and for the value of a variable.
pub(crate) const MASK: &str = "***";

/// A snapshot of the host's environment variables: `NAME=value` entries, each ended by a NUL character. It can be collected from pairs of
/// names and values, such as those of [`ExecutionEngine::login_shell_env`](crate::ExecutionEngine::login_shell_env). Entries that no
/// environment can hold are left out: those with an empty name, `=` in the name, or a NUL character.
///
/// As data it is an object. Values may be secret: `Debug` shows only the names, and the serialized form has `***` for each value.
///
/// ```
/// # use execution_engine::EnvSnapshot;
/// let host = EnvSnapshot::from_iter([("LANG", "C"), ("no=name", "")]);
/// assert!(host.iter().eq([(&b"LANG"[..], &b"C"[..])]));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct EnvSnapshot(Arc<[u8]>);

impl<N: AsRef<OsStr>, V: AsRef<OsStr>> FromIterator<(N, V)> for EnvSnapshot {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        let mut packed = Vec::new();
        for (name, value) in variables {
            let (name, value) = (name.as_ref().as_encoded_bytes(), value.as_ref().as_encoded_bytes());
            let is_possible = memchr::memchr2(b'=', 0, name).is_none() && memchr::memchr(0, value).is_none();
            if is_possible && !name.is_empty() {
                packed.extend_from_slice(name);
                packed.push(b'=');
                packed.extend_from_slice(value);
                packed.push(0);
            }
        }
        Self(packed.into())
    }
}

impl EnvSnapshot {
    /// Returns a snapshot of the variables of this process.
    #[must_use]
    pub fn of_this_process() -> Self {
        std::env::vars_os().collect()
    }

    /// Creates a snapshot from packed entries. Those of an [`Arc`] are shared, not copied.
    #[must_use]
    pub fn from_packed(packed: impl Into<Arc<[u8]>>) -> Self {
        Self(packed.into())
    }

    /// Returns an iterator over the entries as name and value. Entries without a name are skipped.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.0.split(|byte| *byte == 0).filter_map(|entry| {
            let equals = memchr::memchr(b'=', entry)?;
            (equals > 0).then(|| (&entry[..equals], &entry[equals + 1..]))
        })
    }
}

impl fmt::Debug for EnvSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|(name, _)| String::from_utf8_lossy(name))).finish()
    }
}

impl Serialize for EnvSnapshot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(name, _)| (String::from_utf8_lossy(name), MASK)))
    }
}

/// Reads an object. A variable whose value is `null` is left out.
impl<'de> Deserialize<'de> for EnvSnapshot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let variables = BTreeMap::<String, Option<String>>::deserialize(deserializer)?;
        let impossible = |(name, value): (&String, &Option<String>)| {
            name.is_empty() || name.contains(['=', '\0']) || value.as_ref().is_some_and(|value| value.contains('\0'))
        };
        if variables.iter().any(impossible) {
            return Err(D::Error::custom(
                "a variable has an empty name, `=` in its name, or NUL: give a name and a value",
            ));
        }
        Ok(variables.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for EnvSnapshot {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "EnvSnapshot".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        BTreeMap::<String, Option<String>>::json_schema(generator)
    }
}
