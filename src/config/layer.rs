//! A layer of settings: those that one source gives, and no others.

use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::ExecutionConfig;
use crate::error::{ExecutionError, Invalid, Result};

/// The settings that one source, such as a file or the environment, gives. Settings that it does not give are absent.
///
/// ```
/// # fn main() -> execution_engine::Result<()> {
/// use execution_engine::{ExecutionConfig, ExecutionEngine};
///
/// let file = ExecutionEngine::config_from_file("tests/settings/service.toml")?;
/// let vars = ExecutionEngine::config_from_vars([("EXEC_MAX_CONCURRENT", "8")])?;
/// // Explicit before environment before file before default.
/// let config = ExecutionConfig { kill_grace_ms: 1_000, ..vars.over(file).resolve()? };
/// assert_eq!((config.kill_grace_ms, config.max_concurrent_executions), (1_000, 8));
/// # Ok(()) }
/// ```
#[derive(Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct ConfigLayer {
    given: Map<String, Json>,
}

/// Shows the names of the settings only: secrets are never shown.
impl std::fmt::Debug for ConfigLayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.given.keys()).finish()
    }
}

impl ConfigLayer {
    /// Takes values of the right types under names of the table.
    pub(crate) fn new(given: Map<String, Json>) -> Result<Self, Invalid> {
        let layer = Self { given };
        layer.check_consistency()?;
        Ok(layer)
    }

    /// Returns whether the layer has no settings.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.given.is_empty()
    }

    /// Combines both layers. If both have a setting, that of `self` has precedence.
    #[must_use]
    pub fn over(self, lower: Self) -> Self {
        let mut given = lower.given;
        // Two words for one thing: the upper one replaces the lower one, whichever of them it is.
        if ["truncate_large_output", "oversized_output_strategy"].iter().any(|name| self.given.contains_key(*name)) {
            given.remove("truncate_large_output");
            given.remove("oversized_output_strategy");
        }
        given.extend(self.given);
        Self { given }
    }

    /// Returns the configuration with these settings, and with the defaults for the others.
    ///
    /// # Errors
    /// `INVALID_CONFIG` with the field, when settings contradict each other.
    pub fn resolve(self) -> Result<ExecutionConfig> {
        let config = self.into_config().map_err(ExecutionError::InvalidConfig)?;
        config.validate()?;
        Ok(config.normalized())
    }

    pub(crate) fn into_config(self) -> Result<ExecutionConfig, Invalid> {
        self.check_consistency()?;
        let Self { mut given } = self;
        if given.get("truncate_large_output") == Some(&Json::Bool(false)) {
            given.entry("oversized_output_strategy").or_insert_with(|| "fail_execution".into());
        }
        let mut config = ExecutionConfig::default();
        for (name, value) in given {
            if !config.set(&name, value) {
                return Err(Invalid::new(name, "it is no setting, or of another type: correct it, or leave it out"));
            }
        }
        Ok(config)
    }

    /// Checks for contradictions that are certain before the defaults are known.
    fn check_consistency(&self) -> Result<(), Invalid> {
        let number = |name: &str| self.given.get(name).and_then(Json::as_u64);
        if let (Some(default), Some(most)) = (number("default_timeout_ms"), number("max_timeout_ms")) {
            super::check_timeouts(default, most)?;
        }
        let truncates = self.given.get("truncate_large_output");
        let strategy = self.given.get("oversized_output_strategy").and_then(Json::as_str);
        if truncates == Some(&Json::Bool(false)) && strategy == Some("truncate_with_warning") {
            return Err(Invalid::new(
                "truncate_large_output",
                "false contradicts `oversized_output_strategy`, which says to truncate: leave one of them out",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn layer(json: Json) -> ConfigLayer {
        let Json::Object(given) = json else { panic!("give an object") };
        ConfigLayer::new(given).unwrap()
    }

    #[test]
    fn the_upper_layer_wins_and_the_rest_stays() {
        let upper = layer(json!({ "kill_grace_ms": 1 }));
        let lower = layer(json!({ "kill_grace_ms": 2, "max_line_bytes": 128 }));
        let config = upper.over(lower).resolve().unwrap();
        assert_eq!((config.kill_grace_ms, config.max_line_bytes), (1, 128));
        assert_eq!(config.max_timeout_ms, ExecutionConfig::default().max_timeout_ms);
    }

    #[test]
    fn two_words_for_one_thing_do_not_quarrel_across_layers() {
        let says = |json| layer(json).over(layer(json!({ "truncate_large_output": false })));
        let both = says(json!({ "oversized_output_strategy": "truncate_with_warning" }));
        assert!(both.resolve().is_ok());
        let both = layer(json!({ "truncate_large_output": true }))
            .over(layer(json!({ "oversized_output_strategy": "fail_execution" })));
        assert_eq!(both.given.len(), 1, "{both:?}");
    }

    #[test]
    fn contradictions_are_named() {
        let refused = |json| {
            let Json::Object(given) = json else { panic!("give an object") };
            ConfigLayer::new(given).unwrap_err().field
        };
        assert_eq!(refused(json!({ "default_timeout_ms": 2, "max_timeout_ms": 1 })), "default_timeout_ms");
        let both = json!({ "truncate_large_output": false, "oversized_output_strategy": "truncate_with_warning" });
        assert_eq!(refused(both), "truncate_large_output");
        let error = layer(json!({ "default_timeout_ms": 3_600_001 })).resolve().unwrap_err();
        assert_eq!(error.field(), Some("default_timeout_ms"));
    }
}
