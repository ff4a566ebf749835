//! The environment block of a new process.

use super::compare_names;

/// Converts `NAME=value` entries, each ended by a NUL, to an environment block: UTF-16, sorted by name, without names that differ
/// only in case. Invalid UTF-8 becomes U+FFFD.
pub(super) fn block(entries: &[u8]) -> Vec<u16> {
    let mut variables: Vec<Variable> =
        entries.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()).map(Variable::new).collect();
    variables.sort_by(|one, other| compare_names(one.name(), other.name()));
    // The first of two spellings counts, as in a look-up in `entries`.
    variables.dedup_by(|later, first| compare_names(later.name(), first.name()).is_eq());
    let mut block: Vec<u16> = variables.iter().flat_map(|variable| variable.entry.iter().copied().chain([0])).collect();
    if block.is_empty() {
        // The block's final NUL is recognized only after an entry's NUL.
        block.push(0);
    }
    block.push(0);
    block
}

struct Variable {
    entry: Vec<u16>,
    /// The length of the name.
    name: usize,
}

impl Variable {
    fn new(entry: &[u8]) -> Self {
        let entry: Vec<u16> = String::from_utf8_lossy(entry).encode_utf16().collect();
        // A name may start with `=`: `cmd.exe` stores the directory of a drive in such a variable.
        let name = entry.iter().skip(1).position(|unit| *unit == u16::from(b'=')).map_or(entry.len(), |at| at + 1);
        Self { entry, name }
    }

    fn name(&self) -> &[u16] {
        &self.entry[..self.name]
    }
}

#[cfg(test)]
mod tests {
    use super::block;

    fn text(entries: &str) -> String {
        String::from_utf16(&block(entries.as_bytes())).unwrap()
    }

    #[test]
    fn names_are_sorted_and_ignore_case() {
        assert_eq!(text("b=2\0A=1\0c=\0"), "A=1\0b=2\0c=\0\0");
        assert_eq!(text("Path=first\0x=\0PATH=second\0"), "Path=first\0x=\0\0");
        assert_eq!(text("A_B=1\0AB=2\0a=3\0"), "a=3\0AB=2\0A_B=1\0\0");
        assert_eq!(text("=C:=C:\\x\0a=b=c\0"), "=C:=C:\\x\0a=b=c\0\0");
        assert_eq!(text("\u{c4}=1\0\u{e4}=2\0"), "\u{c4}=1\0\0");
        assert_eq!(text(""), "\0\0");
    }
}
