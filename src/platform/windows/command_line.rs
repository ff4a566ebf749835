//! Joins a program and its arguments into one command line: Windows passes arguments as a single string.
//!
//! Most programs parse it by the rules of Microsoft's C library, which this module follows. Two have other rules: `cmd.exe`, whose
//! lines are passed on unchanged, and batch files, whose arguments `cmd.exe` parses before they run.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::windows::ffi::OsStrExt;
use std::path::Path;

use windows_sys::Win32::Foundation::ERROR_BAD_LENGTH;

use crate::platform::{Launch, windows_rules};

/// The error for a command line that is too long. The system's own error is less clear.
pub(super) const TOO_LONG: u32 = ERROR_BAD_LENGTH;
/// The longest command line in UTF-16 units, its final NUL included.
const MOST_UNITS: usize = 32_767;
/// The longest that `cmd.exe` takes. Of a longer one it runs nothing, and only prints that it is too long.
const MOST_UNITS_OF_CMD: usize = 8_192;

/// A program that the system can start, and its command line, ended by a NUL.
#[derive(Debug)]
pub(super) struct CommandLine {
    pub(super) program: Vec<u16>,
    pub(super) text: Vec<u16>,
}

impl CommandLine {
    pub(super) fn new(launch: &Launch) -> io::Result<Self> {
        let program = &*launch.program;
        let is_batch = super::is_batch(program);
        let most = if is_batch || is_cmd(program) { MOST_UNITS_OF_CMD } else { MOST_UNITS };
        let line = match launch.args.split_first() {
            _ if is_batch => for_batch(&super::default_shell(), program, &launch.args)?,
            // If the arguments were only the path of a file, `cmd.exe` would start an interactive session.
            Some((file, args)) if !launch.verbatim && is_cmd(program) && super::is_batch(Path::new(file)) => {
                for_batch(program, Path::new(file), args)?
            }
            _ => for_program(launch)?,
        };
        if line.text.len() > most {
            return Err(io::Error::from_raw_os_error(TOO_LONG.cast_signed()));
        }
        Ok(line)
    }
}

fn is_cmd(program: &Path) -> bool {
    windows_rules::is_cmd(&program.to_string_lossy())
}

fn for_program(launch: &Launch) -> io::Result<CommandLine> {
    let program = wide_z(launch.program.as_os_str())?;
    // A file name cannot hold a quote, so nothing in it is escaped.
    let mut text = vec![QUOTE];
    text.extend(launch.program.as_os_str().encode_wide());
    text.push(QUOTE);
    for arg in &launch.args {
        let arg = wide(arg)?;
        text.push(BLANK);
        if launch.verbatim { text.extend(arg) } else { push_quoted(&mut text, &arg, false) }
    }
    text.push(0);
    Ok(CommandLine { program, text })
}

/// Builds `cmd.exe /d /v:off /s /c ""file" "argument" …"`. The system would start `cmd.exe` by itself, with arguments that are
/// quoted for a C program (`BatBadBut`). No quoting is safe in every batch file, so an argument that would need quoting is
/// refused.
fn for_batch(shell: &Path, file: &Path, args: &[OsString]) -> io::Result<CommandLine> {
    let mut text = vec![QUOTE];
    text.extend(shell.as_os_str().encode_wide());
    text.push(QUOTE);
    text.extend(" /d /v:off /s /c \"\"".encode_utf16());
    text.extend(plain("its path", file.as_os_str(), windows_rules::special_in_path)?);
    text.push(QUOTE);
    for (index, arg) in args.iter().enumerate() {
        text.push(BLANK);
        push_quoted(&mut text, &plain(&format!("argument {index}"), arg, windows_rules::special_in_argument)?, true);
    }
    text.extend([QUOTE, 0]);
    Ok(CommandLine { program: wide_z(shell.as_os_str())?, text })
}

/// Returns text that `cmd.exe` does not interpret between quotes; refuses other text.
fn plain(what: &str, text: &OsStr, special: fn(&str) -> Option<char>) -> io::Result<Vec<u16>> {
    if let Some(special) = special(&text.to_string_lossy()) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "it is a batch file, and {what} holds {special:?}, which cmd.exe would not pass on as it is: name the program that the file runs, or write a `shell` command"
            ),
        ));
    }
    wide(text)
}

const QUOTE: u16 = b'"' as u16;
const BACKSLASH: u16 = b'\\' as u16;
const BLANK: u16 = b' ' as u16;
const TAB: u16 = b'\t' as u16;

/// Appends one argument. Backslashes are doubled only before a quote.
fn push_quoted(line: &mut Vec<u16>, arg: &[u16], always: bool) {
    let in_quotes = always || arg.is_empty() || arg.iter().any(|unit| [BLANK, TAB].contains(unit));
    if in_quotes {
        line.push(QUOTE);
    }
    let mut backslashes = 0;
    for &unit in arg {
        if unit == BACKSLASH {
            backslashes += 1;
        } else {
            if unit == QUOTE {
                line.extend(std::iter::repeat_n(BACKSLASH, backslashes + 1));
            }
            backslashes = 0;
        }
        line.push(unit);
    }
    if in_quotes {
        line.extend(std::iter::repeat_n(BACKSLASH, backslashes));
        line.push(QUOTE);
    }
}

/// Converts text to UTF-16. A NUL would end the text early, so it is refused.
pub(super) fn wide(text: &OsStr) -> io::Result<Vec<u16>> {
    let units: Vec<u16> = text.encode_wide().collect();
    if units.contains(&0) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it holds a NUL character, which ends a text"));
    }
    Ok(units)
}

/// Does what [`wide`] does, and appends a NUL.
pub(super) fn wide_z(text: &OsStr) -> io::Result<Vec<u16>> {
    let mut units = wide(text)?;
    units.push(0);
    Ok(units)
}

#[cfg(test)]
mod tests {
    use std::os::windows::ffi::OsStringExt;

    use proptest::prelude::*;
    use windows_sys::Win32::UI::Shell::CommandLineToArgvW;

    use super::*;

    fn launch(program: &str, args: &[OsString]) -> Launch {
        Launch::plain(program.into(), args.to_vec())
    }

    fn text(launch: &Launch) -> String {
        let line = CommandLine::new(launch).expect("a command line").text;
        String::from_utf16(line.strip_suffix(&[0]).expect("its end")).expect("UTF-16")
    }

    /// Splits a command line with the function of the system.
    fn taken_apart(line: &[u16]) -> Vec<OsString> {
        let mut count = 0;
        // SAFETY: the line ends with a NUL; the answer holds `count` texts, each ended by one. It is left to the process.
        unsafe {
            let texts = CommandLineToArgvW(line.as_ptr(), &raw mut count);
            assert!(!texts.is_null());
            (0..usize::try_from(count).unwrap())
                .map(|index| {
                    let text = *texts.add(index);
                    let length = (0..isize::MAX as usize).take_while(|at| *text.add(*at) != 0).count();
                    OsString::from_wide(std::slice::from_raw_parts(text, length))
                })
                .collect()
        }
    }

    fn cases() -> impl Strategy<Value = Vec<OsString>> {
        let piece = prop_oneof!["[\\\\\" \t]{0,6}", "[a-z%^&|<>!()\u{e4}]{0,4}", "\\PC{0,4}"];
        let arg = proptest::collection::vec(piece, 0..4).prop_map(|pieces| OsString::from(pieces.concat()));
        proptest::collection::vec(arg, 0..6)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn arguments_round_trip(args in cases()) {
            let line = CommandLine::new(&launch(r"C:\a b\c.exe", &args)).unwrap().text;
            let taken = taken_apart(&line);
            prop_assert_eq!(&taken[0], r"C:\a b\c.exe");
            prop_assert_eq!(&taken[1..], &args[..]);
        }
    }

    #[test]
    fn quotes_are_there_where_they_are_needed() {
        let args: Vec<OsString> =
            ["plain", "", "a b", r#"say "hi""#, r"C:\dir\", r"C:\a b\"].map(OsString::from).into();
        let expected = r#""C:\x.exe" plain "" "a b" "say \"hi\"" C:\dir\ "C:\a b\\""#;
        assert_eq!(text(&launch(r"C:\x.exe", &args)), expected);
    }

    #[test]
    fn a_line_for_cmd_is_passed_on_as_it_is() {
        let args = super::super::shell_args(Path::new(r"C:\cmd.exe"), r#"echo "a b" & dir"#, false);
        let launch = Launch { verbatim: args.verbatim, ..launch(r"C:\cmd.exe", &args.args) };
        assert_eq!(text(&launch), r#""C:\cmd.exe" /d /s /c "echo "a b" & dir""#);
    }

    #[test]
    fn a_batch_file_gets_quoted_arguments_or_none() {
        for name in [r"C:\x.bat", r"C:\x.CMD", r"C:\x.bat .", r"C:\x.cmd..", r"C:\x.bat\y\..", r"C:\x.bat\."] {
            for bad in ["\"", "%PATH%", "a&calc", "a|b", "<", ">", "^", "!x!", "a\nb", "\r", "x) else (echo PWNED"] {
                let error = CommandLine::new(&launch(name, &["fine".into(), bad.into()])).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{bad:?}");
                assert!(error.to_string().contains("argument 1"), "{error}");
            }
        }
        let line = text(&launch(r"C:\a b\x.bat", &["a b".into(), "".into(), r"c\".into()]));
        assert!(line.ends_with(r#"cmd.exe" /d /v:off /s /c ""C:\a b\x.bat" "a b" "" "c\\"""#), "{line}");
        assert!(text(&launch(r"C:\Program Files (x86)\x.bat", &[])).ends_with(r#"(x86)\x.bat"""#));
        assert!(CommandLine::new(&launch(r"C:\100%\x.bat", &[])).is_err());
    }

    #[test]
    fn cmd_that_is_named_as_the_interpreter_of_a_batch_file_runs_it() {
        let line = text(&launch(r"C:\own\cmd.exe", &[r"C:\x.bat".into(), "a b".into()]));
        assert_eq!(line, r#""C:\own\cmd.exe" /d /v:off /s /c ""C:\x.bat" "a b"""#);
        assert!(CommandLine::new(&launch("cmd", &[r"C:\x.bat".into(), ")".into()])).is_err());
        assert_eq!(text(&launch(r"C:\cmd.exe", &["/c".into(), "x.bat".into()])), r#""C:\cmd.exe" /c x.bat"#);
    }

    #[test]
    fn a_command_line_above_the_system_limit_is_too_long() {
        let error = CommandLine::new(&launch(r"C:\x.exe", &["a".repeat(40_000).into()])).unwrap_err();
        assert_eq!(super::super::errno_name(&error), Some("E2BIG"));
        // Arguments that other programs take are too long for `cmd.exe`, with a line or with a batch file.
        let long = launch(r"C:\x.exe", &["a".repeat(9_000).into()]);
        assert!(CommandLine::new(&long).is_ok());
        for program in [r"C:\x.bat", r"C:\Windows\System32\cmd.exe"] {
            let error = CommandLine::new(&launch(program, &["a".repeat(9_000).into()])).unwrap_err();
            assert_eq!(super::super::errno_name(&error), Some("E2BIG"), "{program}");
            assert!(CommandLine::new(&launch(program, &["a".repeat(8_000).into()])).is_ok(), "{program}");
        }
    }
}
