//! Bounds on the metadata of an execution: the engine keeps all of it for as long as the record.

use std::io;

use serde_json::Value;

use crate::config::ExecutionConfig;
use crate::error::Invalid;
use crate::types::ExecutionMetadata;

/// The greatest depth of data: deeper data is an accident.
const DEEPEST: usize = 100;

/// Checks the metadata of a request or of a plan.
pub(crate) fn check_metadata(metadata: &ExecutionMetadata, config: &ExecutionConfig) -> Result<(), Invalid> {
    if *metadata == ExecutionMetadata::default() {
        return Ok(());
    }
    // This check comes first: the checks after it go down to the bottom.
    if metadata.extra.values().any(|value| is_deeper_than(value, DEEPEST)) {
        let problem = format!("it is nested more than {DEEPEST} levels deep: give flatter data");
        return Err(Invalid::new("metadata", problem));
    }
    let most = config.max_metadata_bytes;
    let mut counter = Counter { left: most };
    if serde_json::to_writer(&mut counter, metadata).is_ok() {
        return Ok(());
    }
    let problem = format!(
        "as JSON it is longer than `max_metadata_bytes` ({most}): give less, keep the rest elsewhere under the id, or raise \
         `max_metadata_bytes`"
    );
    Err(Invalid::new("metadata", problem))
}

fn is_deeper_than(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels == 0 || items.iter().any(|item| is_deeper_than(item, levels - 1)),
        Value::Object(entries) => levels == 0 || entries.values().any(|value| is_deeper_than(value, levels - 1)),
        _ => false,
    }
}

/// Takes so many bytes and keeps none.
struct Counter {
    left: usize,
}

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self.left.checked_sub(bytes.len()).ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(extra: Value) -> ExecutionMetadata {
        serde_json::from_value(extra).unwrap()
    }

    #[test]
    fn the_bound_is_on_the_bytes_of_the_json_text() {
        let config = ExecutionConfig { max_metadata_bytes: 11, ..ExecutionConfig::default() };
        check_metadata(&ExecutionMetadata::default(), &config).unwrap();
        check_metadata(&with(json!({ "a": "12345" })), &ExecutionConfig::default()).unwrap();
        let long = check_metadata(&with(json!({ "a": "123456" })), &config).unwrap_err();
        assert_eq!(long.field, "metadata");
        assert!(long.problem.contains("`max_metadata_bytes` (11)"), "{}", long.problem);
        let wide = check_metadata(&with(json!({ "a": "ééé€" })), &config).unwrap_err();
        assert_eq!(wide.field, "metadata", "bytes, not characters");
    }

    #[test]
    fn the_depth_is_bounded_and_named() {
        let nested = |levels: usize| (0..levels).fold(json!(1), |value, _| json!([value]));
        let config = ExecutionConfig::default();
        check_metadata(&with(json!({ "a": nested(DEEPEST) })), &config).unwrap();
        let deep = check_metadata(&with(json!({ "a": 1, "b c": nested(DEEPEST + 1) })), &config).unwrap_err();
        assert_eq!(deep.field, "metadata");
    }
}
