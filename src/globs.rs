//! Globs over the names of environment variables.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::error::Invalid;

/// Checks each pattern; `field[index]` is named.
pub(crate) fn check(field: &str, patterns: &[String]) -> Result<(), Invalid> {
    for (index, pattern) in patterns.iter().enumerate() {
        GlobBuilder::new(pattern).build().map_err(|error| {
            Invalid::new(
                format!("{field}[{index}]"),
                format!("{pattern:?} is not a glob ({}): use *, ? and [a-z]", error.kind()),
            )
        })?;
    }
    Ok(())
}

/// A matcher for several sources of patterns; what [`check`] refuses is left out.
pub(crate) fn set<'a>(patterns: impl IntoIterator<Item = &'a str>, ignore_case: bool) -> GlobSet {
    let mut builder = GlobSetBuilder::new();
    for pattern in patterns {
        if let Ok(glob) = GlobBuilder::new(pattern).case_insensitive(ignore_case).build() {
            builder.add(glob);
        }
    }
    builder.build().unwrap_or_else(|_| GlobSet::empty())
}
