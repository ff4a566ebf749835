//! Finds the program that reads a script.

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::SpawnFailure;
use crate::platform::{self, INTERPRETERS, Interpreter};

/// The first line of a script, as the kernel reads it: a program and at most one argument.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shebang {
    pub(super) interpreter: String,
    pub(super) argument: Option<String>,
}

impl Shebang {
    /// Returns the line as a name to look up and the arguments after it: for systems that have no `/usr/bin`. `env`
    /// only looks up too.
    pub(super) fn by_name(&self) -> (&str, Vec<OsString>) {
        let mut words = self.argument.as_deref().unwrap_or_default().split_ascii_whitespace().peekable();
        let mut name = self.interpreter.trim_end_matches('\r').rsplit(['/', '\\']).next().unwrap_or_default();
        if name == "env" {
            words.next_if_eq(&"-S");
            name = words.next().unwrap_or(name);
        }
        (name, words.map(OsString::from).collect())
    }
}

/// The bytes that Linux reads of a `#!` line (`BINPRM_BUF_SIZE`).
const LONGEST_LINE: u64 = 256;

/// Returns the `#!` line of a file, if it has one.
pub(super) fn shebang(script: &Path) -> io::Result<Option<Shebang>> {
    let mut head = Vec::new();
    platform::open_regular(script)?.take(LONGEST_LINE).read_to_end(&mut head)?;
    Ok(parse(&head))
}

fn parse(head: &[u8]) -> Option<Shebang> {
    let rest = head.strip_prefix(b"#!")?;
    let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    // A carriage return is part of the name, as it is for the kernel: the error then shows it.
    let line = line.trim_matches([' ', '\t']);
    let (interpreter, argument) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    if interpreter.is_empty() {
        return None;
    }
    let argument = argument.trim_matches([' ', '\t', '\r']);
    Some(Shebang { interpreter: interpreter.to_owned(), argument: (!argument.is_empty()).then(|| argument.to_owned()) })
}

/// The programs that read files of each extension, best first.
const BY_EXTENSION: &[(&str, &[Interpreter])] = &[
    ("sh", &[("bash", &[]), ("sh", &[])]),
    ("bash", &[("bash", &[])]),
    ("zsh", &[("zsh", &[])]),
    ("py", &[("python3", &[]), ("python", &[])]),
    ("js", &[("node", &[])]),
    ("mjs", &[("node", &[])]),
    ("ts", &[("tsx", &[]), ("ts-node", &[]), ("bun", &["run"]), ("deno", &["run", "-A"]), ("node", &[])]),
    ("rb", &[("ruby", &[])]),
    ("pl", &[("perl", &[])]),
    ("ps1", &[("pwsh", &["-NoProfile", "-File"]), ("powershell", &["-NoProfile", "-File"])]),
];

/// Returns the first installed program that reads files of this extension.
pub(super) fn interpreter_by_extension(
    script: &Path,
    find: impl Fn(&str) -> Result<PathBuf, SpawnFailure>,
) -> Result<(PathBuf, Vec<OsString>), SpawnFailure> {
    let extension = script.extension().and_then(|it| it.to_str()).unwrap_or_default().to_ascii_lowercase();
    let Some((_, candidates)) = INTERPRETERS.iter().chain(BY_EXTENSION).find(|(known, _)| *known == extension) else {
        let message = format!(
            "script {} has no `#!` line and no extension that names its language: add one, or set `interpreter`",
            script.display()
        );
        return Err(SpawnFailure { message, errno: Some("ENOEXEC"), is_exhaustion: false });
    };
    let mut missing = None;
    for (name, flags) in *candidates {
        match find(name) {
            Ok(program) => return Ok((program, flags.iter().map(OsString::from).collect())),
            Err(failure) => missing = missing.or(Some(failure)),
        }
    }
    Err(missing.expect("every extension has a candidate"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Option<(String, Option<String>)> {
        parse(text.as_bytes()).map(|it| (it.interpreter, it.argument))
    }

    #[test]
    fn a_shebang_is_read_as_the_kernel_reads_it() {
        assert_eq!(line("#!/bin/sh\necho"), Some(("/bin/sh".into(), None)));
        assert_eq!(line("#! /usr/bin/env node\n"), Some(("/usr/bin/env".into(), Some("node".into()))));
        assert_eq!(line("#!/usr/bin/env -S node --x y\n"), Some(("/usr/bin/env".into(), Some("-S node --x y".into()))));
        assert_eq!(line("#!/bin/sh\r\n"), Some(("/bin/sh\r".into(), None)));
        assert_eq!(line("#!\n"), None);
        assert_eq!(line("echo\n"), None);
        assert_eq!(line(""), None);
    }

    #[test]
    fn where_there_is_no_usr_bin_a_shebang_names_a_program() {
        let by_name = |text: &str| {
            let line = parse(text.as_bytes()).expect("a shebang");
            let (name, flags) = line.by_name();
            (name.to_owned(), flags.into_iter().map(|flag| flag.into_string().unwrap()).collect::<Vec<_>>())
        };
        assert_eq!(by_name("#!/bin/sh\r\n"), ("sh".into(), vec![]));
        assert_eq!(by_name("#!/usr/bin/env node\r\n"), ("node".into(), vec![]));
        assert_eq!(by_name("#!/usr/bin/env -S node --x y\n"), ("node".into(), vec!["--x".into(), "y".into()]));
        assert_eq!(by_name("#!/usr/bin/python3 -u\n"), ("python3".into(), vec!["-u".into()]));
        assert_eq!(by_name("#!C:\\tools\\perl.exe -w\n"), ("perl.exe".into(), vec!["-w".into()]));
    }
}
