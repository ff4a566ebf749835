//! Rules by which Windows interprets text that other systems do not interpret: names of files and programs, arguments of batch files.
//! No system call is made here, so that the rules are tested on every system.

/// Characters that `cmd.exe` interprets when a batch file receives or uses them: also in `%~1`, which has lost its quotes, in a block
/// that `)` ends.
const SPECIAL_IN_ARGUMENT: &str = "\"%!^&|<>()";
/// The characters that are refused in the path of a batch file, which may contain `Program Files (x86)`.
const SPECIAL_IN_PATH: &str = "\"%!^&|<>";

/// The separators of the parts of a path.
const SEPARATORS: [char; 2] = ['\\', '/'];

/// The default of `%PATHEXT%`.
const DEFAULT_PATH_EXT: &str = ".COM;.EXE;.BAT;.CMD";

/// Names of devices, in every directory and with every extension.
const DEVICES: &[&str] = &["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"];
/// Names that are devices like [`DEVICES`] when a digit follows. The last three of these also count as digits.
const PORTS: &[&str] = &["COM", "LPT"];
const PORT_DIGITS: &str = "0123456789\u{b9}\u{b2}\u{b3}";

/// Returns a character of an argument that `cmd.exe` could interpret.
pub(super) fn special_in_argument(argument: &str) -> Option<char> {
    special(argument, SPECIAL_IN_ARGUMENT)
}

/// Returns a character in the path of a batch file that `cmd.exe` could interpret.
pub(super) fn special_in_path(path: &str) -> Option<char> {
    special(path, SPECIAL_IN_PATH)
}

fn special(text: &str, these: &str) -> Option<char> {
    // Line ends and other control characters.
    text.chars().find(|c| c.is_control() || these.contains(*c))
}

/// Whether a file is a batch file, by its name. The system ignores blanks and dots at the end of a name, so `x.bat .` is one too
/// (CVE-2024-43402). So is `x.bat:` and what else names a stream of it.
pub(super) fn is_batch(path: &str) -> bool {
    file_name(path).split(':').any(|name| {
        let name = name.trim_end_matches([' ', '.']);
        name.rsplit_once('.').is_some_and(|(_, it)| it.eq_ignore_ascii_case("bat") || it.eq_ignore_ascii_case("cmd"))
    })
}

/// Whether a program is the command processor, by its name.
pub(super) fn is_cmd(program: &str) -> bool {
    is_program(program, "cmd")
}

/// Whether a program is a PowerShell, by its name.
pub(super) fn is_powershell(program: &str) -> bool {
    is_program(program, "powershell") || is_program(program, "pwsh")
}

fn is_program(path: &str, stem: &str) -> bool {
    let name = file_name(path).trim_end_matches([' ', '.']);
    let name = match name.len().checked_sub(4).and_then(|at| name.split_at_checked(at)) {
        Some((name, extension)) if extension.eq_ignore_ascii_case(".exe") => name,
        _ => name,
    };
    name.eq_ignore_ascii_case(stem)
}

/// Returns the extensions of programs, in their order. `path_ext` is the value of `%PATHEXT%` in the environment of the child.
pub(super) fn extensions(path_ext: Option<&str>) -> Vec<&str> {
    let listed = |text| str::split(text, ';').map(str::trim).filter(|it: &&str| it.len() > 1 && it.starts_with('.'));
    let given: Vec<&str> = listed(path_ext.unwrap_or_default()).collect();
    if given.is_empty() { listed(DEFAULT_PATH_EXT).collect() } else { given }
}

/// Returns the file names to try for a program `name`, in order. A dot starts an extension only if that is one of a program:
/// `python3.11` is `python3.11.exe`. The name itself comes last: a file without such an extension, beside one with it, is not for this
/// system.
pub(super) fn program_names(name: &str, extensions: &[&str]) -> Vec<String> {
    let has_extension = |extension: &&str| {
        let at = name.len().checked_sub(extension.len());
        at.and_then(|at| name.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case(extension))
    };
    if name.ends_with(['.', ' ']) || extensions.iter().any(has_extension) {
        return vec![name.to_owned()];
    }
    extensions.iter().map(|extension| format!("{name}{extension}")).chain([name.to_owned()]).collect()
}

/// Returns why a path is not the path of a regular file, with the remedy: it or a part of it is a device, or the stream of another
/// file.
pub(super) fn file_path_problem(path: &str) -> Option<&'static str> {
    let in_namespace = after_device_prefix(path);
    let path = in_namespace.unwrap_or(path);
    if in_namespace.is_some_and(|rest| !is_below_a_disk(rest)) || is_on_share_of_pipes(path, in_namespace.is_some()) {
        return Some(
            r"it is the path of a device, a pipe or a mailslot, such as \\.\COM10: name a file on a drive or a share",
        );
    }
    let mut parts = path.split(SEPARATORS);
    let first = parts.next().unwrap_or_default();
    let first = match first.as_bytes() {
        // A path after a drive without a separator is relative to a directory of that drive.
        [drive, b':', ..] if drive.is_ascii_alphabetic() => &first[2..],
        _ => first,
    };
    [first].into_iter().chain(parts).find_map(|part| {
        if is_device(part) {
            Some("a part of it is the name of a device (CON, NUL, COM1…), with whatever extension: take another name")
        } else if part.contains(':') {
            Some("a part of it holds a colon, which names a stream of another file: leave the colon out")
        } else {
            None
        }
    })
}

/// Returns what follows `\\\\.\\`, `\\\\?\\` or `\\??\\`, with either separator. It names any object of the system, not only files.
fn after_device_prefix(path: &str) -> Option<&str> {
    let (prefix, rest) = path.split_at_checked(4)?;
    let prefix = prefix.replace('/', r"\");
    [r"\\.\", r"\\?\", r"\??\"].contains(&&*prefix).then_some(rest)
}

/// Whether a path after such a prefix leads into a drive, a volume or a share. The system resolves `..` in some of these paths, which
/// then leads out of it.
fn is_below_a_disk(rest: &str) -> bool {
    let mut parts = rest.split(SEPARATORS);
    let first = parts.next().unwrap_or_default();
    let is_drive = matches!(first.as_bytes(), [drive, b':'] if drive.is_ascii_alphabetic());
    let is_volume = first.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("Volume{"));
    let is_share = first.eq_ignore_ascii_case("UNC");
    let mut below = parts.peekable();
    (is_drive || is_volume || is_share) && below.peek().is_some() && below.all(|part| part.trim_end() != "..")
}

/// Whether a path is `\\\\server\\pipe\\…` or `\\\\server\\mailslot\\…`: these names are not of shares.
fn is_on_share_of_pipes(path: &str, in_namespace: bool) -> bool {
    let parts: Vec<&str> = path.split(SEPARATORS).collect();
    let share = match parts[..] {
        [unc, _, share, ..] if in_namespace && unc.eq_ignore_ascii_case("UNC") => share,
        ["", "", _, share, ..] if !in_namespace => share,
        _ => return false,
    };
    let share = share.trim_end_matches([' ', '.']);
    share.eq_ignore_ascii_case("pipe") || share.eq_ignore_ascii_case("mailslot")
}

fn is_device(part: &str) -> bool {
    // The system ignores everything from the first dot or colon on, and blanks before it.
    let name = part.split(['.', ':']).next().unwrap_or_default().trim_matches(' ');
    let is_port = |port: &&str| {
        let digit = name.get(port.len()..).unwrap_or_default();
        name.get(..port.len()).is_some_and(|start| start.eq_ignore_ascii_case(port))
            && digit.chars().count() == 1
            && PORT_DIGITS.contains(digit)
    };
    DEVICES.iter().any(|device| name.eq_ignore_ascii_case(device)) || PORTS.iter().any(is_port)
}

/// Returns the name of the file that a path leads to, as the system resolves it: `x.bat\\y\\..` and `x.bat\\.` are `x.bat`.
fn file_name(path: &str) -> &str {
    let mut parts = Vec::new();
    for part in path.split(SEPARATORS) {
        if part.trim_end_matches(' ') == ".." {
            parts.pop();
        } else if !part.trim_end_matches([' ', '.']).is_empty() {
            parts.push(part);
        }
    }
    parts.pop().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_argument_that_could_become_code_in_a_batch_file_is_found() {
        for bad in
            ["x) else (echo PWNED", "(", "100%", "%PATH%", "a^", "\"", "a\nb", "a\r", "a&b", "|", "<", ">", "!x!"]
        {
            assert!(special_in_argument(bad).is_some(), "{bad:?}");
        }
        for bad in ["\0", "\u{1a}", "\t", "\u{b}", "\u{c}", "\u{85}"] {
            assert!(special_in_argument(bad).is_some(), "{bad:?}");
        }
        for good in
            ["", "a b", "--flag=value", r"C:\dir\file.txt", "a,b;c", "it's", "@x", "~", "#", "*?", "ä漢😀", "[a]{b}$`"]
        {
            assert_eq!(special_in_argument(good), None, "{good:?}");
        }
    }

    #[test]
    fn a_batch_file_may_be_in_program_files_x86() {
        assert_eq!(special_in_path(r"C:\Program Files (x86)\tool\run.cmd"), None);
        assert_eq!(special_in_path(r"C:\100%\run.cmd"), Some('%'));
        assert_eq!(special_in_path("C:\\a&b\\run.cmd"), Some('&'));
    }

    proptest! {
        /// A parser that knows only what ends a word, a command or a block of `cmd.exe` finds one word.
        #[test]
        fn what_is_passed_on_has_no_end_of_a_command(argument in "[a-z()&|<>^%!\"\\\\ \r\n\t;,=@ä]{0,12}") {
            let passes = special_in_argument(&argument).is_none();
            prop_assert_eq!(passes, !argument.contains(|c| "()&|<>^%!\"\r\n\t".contains(c)));
        }
    }

    #[test]
    fn a_batch_file_is_known_by_its_name() {
        for name in [r"C:\x.bat", r"C:\x.CMD", r"C:\x.bat .", r"C:\x.cmd..", "x.y.bat", "d/x.BaT"] {
            assert!(is_batch(name), "{name}");
        }
        // The system resolves these before it looks at the extension.
        for name in [
            r"C:\x.bat\.",
            r"C:\x.bat\y\..",
            "C:/x.cmd/./y/z/../..",
            r"C:\x.bat\y\.. ",
            r"C:\x.bat\. .",
            r"C:\x.bat\\.",
            r"x.bat\..\x.bat",
        ] {
            assert!(is_batch(name), "{name}");
        }
        for name in [r"C:\x.bat:", r"C:\x.bat::$DATA", r"C:\x.exe:y.cmd", "C:x.bat"] {
            assert!(is_batch(name), "{name}");
        }
        for name in [r"C:\x.bat\y.exe", r"C:\x.bat\y", r"C:\x.bat\..", r"C:\x.bat\..\y", "bat", "x.batch", "..", ""] {
            assert!(!is_batch(name), "{name}");
        }
    }

    #[test]
    fn the_programs_with_rules_of_their_own_are_known_by_their_names() {
        for name in ["cmd", "CMD.EXE", r"C:\Windows\System32\cmd.exe", "cmd.exe."] {
            assert!(is_cmd(name), "{name}");
        }
        for name in ["cmd.cmd", "mycmd.exe", r"C:\cmd\x.exe", "cmd.com", ".exe", ""] {
            assert!(!is_cmd(name), "{name}");
        }
        assert!(is_powershell(r"C:\x\PowerShell.exe") && is_powershell("pwsh") && !is_powershell("powershell_ise.exe"));
    }

    #[test]
    fn a_name_with_a_dot_finds_its_program() {
        let names = |name, path_ext| program_names(name, &extensions(path_ext));
        assert_eq!(names("python3.11", Some(".COM;.EXE")), ["python3.11.COM", "python3.11.EXE", "python3.11"]);
        assert_eq!(names("node", Some(".EXE")), ["node.EXE", "node"]);
        assert_eq!(names("node.exe", Some(".COM;.EXE")), ["node.exe"]);
        assert_eq!(names("x.cmd.exe", Some(".EXE;.CMD")), ["x.cmd.exe"]);
        assert_eq!(names("tool.py", Some(".EXE;.py")), ["tool.py"]);
        assert_eq!(names("node.", None), ["node."]);
        assert_eq!(names("ä", Some(".EXE")), ["ä.EXE", "ä"]);
    }

    #[test]
    fn the_extensions_are_those_of_the_child() {
        assert_eq!(extensions(Some(".XYZ; .exe;;exe;.")), [".XYZ", ".exe"]);
        for none in [None, Some(""), Some(";;"), Some("exe")] {
            assert_eq!(extensions(none), [".COM", ".EXE", ".BAT", ".CMD"], "{none:?}");
        }
    }

    #[test]
    fn a_log_is_neither_a_device_nor_the_stream_of_another_file() {
        for device in [
            r"C:\logs\CON",
            r"C:\logs\nul",
            r"C:\logs\NUL.log",
            r"C:\logs\Com1.txt",
            r"C:\logs\COM1 .log",
            r"C:\logs\LPT9",
            r"C:\logs\aux.",
            r"C:\logs\prn...",
            r"C:\logs\CON .",
            r"C:\CON\a.log",
            "C:/logs/nul",
            r"C:\logs\CONOUT$",
            "C:\\com\u{b9}",
            r"C:\nul.tar.gz",
            r"C:NUL",
            r"\\?\C:\logs\NUL",
            r"C:\a\nul:x",
            r"\\.\PhysicalDrive0",
            r"\\.\COM10",
            r"\\.\C:",
            r"\\?\C:",
            r"\\.\pipe\name",
            "//./pipe/name",
            r"\\?\pipe\name",
            r"\??\pipe\name",
            r"\\?\GLOBALROOT\Device\Null",
            r"\\?\Volume{3f2504e0}",
            r"\\.\C:\..\PhysicalDrive0",
            r"\\.\C:\x\.. \..\pipe\name",
            r"\\server\pipe\name",
            "//server/PIPE/name",
            r"\\server\mailslot\name",
            r"\\?\UNC\server\pipe\name",
        ] {
            assert!(file_path_problem(device).is_some_and(|it| it.contains("device")), "{device}");
        }
        for stream in [
            r"C:\a.log:x",
            r"C:\a.log:x:$DATA",
            r"C:\logs:x\a.log",
            r"C:\logs::$INDEX_ALLOCATION\a",
            r"\\server\share\a:b",
        ] {
            assert!(file_path_problem(stream).is_some_and(|it| it.contains("stream")), "{stream}");
        }
        for good in [
            r"C:\logs\a.log",
            r"C:\logs\console.log",
            r"C:\logs\com10",
            r"C:\logs\COM",
            r"C:\logs\nullable",
            r"C:\logs\a.nul",
            r"\\?\C:\logs\a.log",
            r"\\server\share\a.log",
            r"\\server\share\pipe\a.log",
            r"\\?\UNC\server\share\a.log",
            r"\\?\Volume{3f2504e0}\a.log",
            r"\\.\C:\logs\a.log",
            r"C:\logs\..\a.log",
            r"C:\pipe\a.log",
            "C:/a b/c",
            r"C:\",
            "",
            r"C:\lpt",
            "C:\\comä",
            r"C:\logs\a.b.c",
        ] {
            assert_eq!(file_path_problem(good), None, "{good}");
        }
    }
}
