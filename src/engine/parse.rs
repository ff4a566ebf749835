//! Parses what comes from outside before there is an engine: requests on a wire, settings in files and variables.

use std::path::Path;

use super::ExecutionEngine;
use crate::command::{self, EnvPolicy};
use crate::config::{ConfigLayer, ExecutionConfig, MOST_METADATA_BYTES, MOST_MS};
use crate::error::{ExecutionError, Invalid, Result};
use crate::types::{ExecutionOptions, ExecutionRequest};
use crate::wire::{self, Case, ParsedRequest};

impl ExecutionEngine {
    /// Reads a request in wire form: JSON text with names such as `working_dir`, unknown keys refused. An absent id is a fresh one.
    ///
    /// # Errors
    /// `INVALID_REQUEST` with the field.
    pub fn parse_request(json: &str) -> Result<ExecutionRequest> {
        let value = wire::parse_json(json).map_err(ExecutionError::InvalidRequest)?;
        Self::parse_wire(&value).map(|parsed| parsed.request)
    }

    pub(crate) fn parse_wire(value: &wire::Value) -> Result<ParsedRequest> {
        let parsed = wire::request(value, Case::Snake).map_err(ExecutionError::InvalidRequest)?;
        // Bounds that an engine's configuration sets are that engine's to check.
        let config = ExecutionConfig {
            max_timeout_ms: MOST_MS,
            max_metadata_bytes: MOST_METADATA_BYTES,
            ..ExecutionConfig::default()
        };
        let options = ExecutionOptions::default();
        let policy = EnvPolicy::new(&config, &options);
        command::check(&parsed.request, &options, &config, &policy).map_err(ExecutionError::InvalidRequest)?;
        Ok(parsed)
    }

    /// Reads the `EXEC_*` variables of this process: `EXEC_MAX_TIMEOUT_MS` for `max_timeout_ms`, and so on.
    ///
    /// # Errors
    /// `INVALID_CONFIG` with the variable.
    pub fn config_from_env() -> Result<ConfigLayer> {
        let mut vars = Vec::new();
        for (name, value) in std::env::vars_os() {
            // A variable whose name is no text is no setting.
            let Ok(name) = name.into_string() else { continue };
            if !name.starts_with("EXEC_") {
                continue;
            }
            let Ok(value) = value.into_string() else {
                let invalid = Invalid::new(name, "it is not UTF-8: give text");
                return Err(ExecutionError::InvalidConfig(invalid));
            };
            vars.push((name, value));
        }
        wire::config_env(&vars).map_err(ExecutionError::InvalidConfig)
    }

    /// Does what [`ExecutionEngine::config_from_env`] does, for variables that are given.
    ///
    /// # Errors
    /// `INVALID_CONFIG` with the variable.
    pub fn config_from_vars<N: Into<String>, V: Into<String>>(
        vars: impl IntoIterator<Item = (N, V)>,
    ) -> Result<ConfigLayer> {
        let vars: Vec<_> = vars.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        wire::config_env(&vars).map_err(ExecutionError::InvalidConfig)
    }

    /// Reads the settings of a `.toml` or `.json` file. They may be in a table `execution`; other tables are ignored
    /// then.
    ///
    /// # Errors
    /// `INVALID_CONFIG` with the key; the message has the file and the line.
    pub fn config_from_file(path: impl AsRef<Path>) -> Result<ConfigLayer> {
        wire::config_file(path.as_ref()).map_err(ExecutionError::InvalidConfig)
    }
}
