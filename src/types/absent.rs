//! Reads fields in which `null` means the same as an absent field.

use std::collections::HashMap;

use serde::{Deserialize, Deserializer};
use uuid::Uuid;

/// Reads a field whose `null` is its default.
pub(super) fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Reads a field whose `null` is the given default.
pub(super) fn or<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
    default: fn() -> T,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(|value| value.unwrap_or_else(default))
}

/// Reads an id whose `null` is a new one.
pub(super) fn or_fresh<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Uuid, D::Error> {
    Option::deserialize(deserializer).map(|id| id.unwrap_or_else(Uuid::new_v4))
}

/// Reads a flag whose `null` is `true`.
pub(super) fn or_true<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Option::deserialize(deserializer).map(|flag| flag.unwrap_or(true))
}

/// Reads a map, without the keys whose value is `null`.
pub(super) fn entries<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<HashMap<String, T>, D::Error> {
    let entries = Option::<HashMap<String, Option<T>>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(entries.into_iter().filter_map(|(key, value)| Some((key, value?))).collect())
}
