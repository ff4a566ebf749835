//! Defines the terminal of a command.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::absent;

/// The size of a terminal, in characters: 1 to 65 535 each. Default: 80 × 24.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct TerminalSize {
    /// The number of characters in a line.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    #[serde(deserialize_with = "read_columns")]
    pub columns: u16,
    /// The number of lines.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    #[serde(deserialize_with = "read_rows")]
    pub rows: u16,
}

fn read_columns<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    absent::or(deserializer, || TerminalSize::default().columns)
}

fn read_rows<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    absent::or(deserializer, || TerminalSize::default().rows)
}

impl TerminalSize {
    /// Creates a size from the numbers of columns and rows.
    #[must_use]
    pub const fn new(columns: u16, rows: u16) -> Self {
        Self { columns, rows }
    }
}

impl Default for TerminalSize {
    fn default() -> Self {
        Self::new(80, 24)
    }
}

/// The terminal of a command. As data it is `false` for none, `true` for one of 80 × 24 characters, or an object with `columns` and `rows`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum TerminalMode {
    /// The command has no terminal.
    #[default]
    None,
    /// The command has a terminal of this size.
    Sized(TerminalSize),
}

impl TerminalMode {
    /// Returns the size of the terminal, if there is one.
    #[must_use]
    pub const fn size(self) -> Option<TerminalSize> {
        match self {
            Self::None => None,
            Self::Sized(size) => Some(size),
        }
    }
}

impl From<TerminalSize> for TerminalMode {
    fn from(size: TerminalSize) -> Self {
        Self::Sized(size)
    }
}

/// Converts `true` into a terminal of 80 × 24 characters, and `false` into none.
impl From<bool> for TerminalMode {
    fn from(is_wanted: bool) -> Self {
        if is_wanted { Self::Sized(TerminalSize::default()) } else { Self::None }
    }
}

/// The form of a terminal mode in data.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
enum TerminalForm {
    IsWanted(bool),
    Size(TerminalSize),
}

impl Serialize for TerminalMode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.size().map_or(TerminalForm::IsWanted(false), TerminalForm::Size).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for TerminalMode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match TerminalForm::deserialize(deserializer)? {
            TerminalForm::IsWanted(is_wanted) => is_wanted.into(),
            TerminalForm::Size(size) => size.into(),
        })
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for TerminalMode {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TerminalMode".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        TerminalForm::json_schema(generator)
    }
}
