//! From a request and the host's policy to what is started: program, arguments, environment, directory.

use std::borrow::Cow;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::ExecutionConfig;
use crate::platform::{self, FileKind, HostState, Launch, Mark, ShellArgs, StdinKind};
use crate::types::{Command, ErrorCode, ErrorInfo, ExecutionOptions, ExecutionRequest, Stdin};

pub(crate) use self::check::check;
use self::directory::{Directory, working_dir};
pub(crate) use self::environment::EnvPolicy;
use self::script::{interpreter_by_extension, shebang};
pub(crate) use self::signal::signal;

mod check;
mod directory;
mod environment;
mod script;
mod signal;

/// Why nothing was started.
#[derive(Debug)]
pub(crate) struct SpawnFailure {
    message: String,
    errno: Option<&'static str>,
    /// The machine is short of something now and may not be later.
    is_exhaustion: bool,
}

impl SpawnFailure {
    /// The machine is short of something that `what` needs.
    pub(crate) fn exhausted(what: &str, error: &io::Error) -> Self {
        Self::new(error, format!("{what}: {}", exhausted(error)))
    }

    pub(crate) fn new(error: &io::Error, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            errno: platform::errno_name(error).or_else(|| kind_name(error.kind())),
            is_exhaustion: platform::is_exhaustion(error),
        }
    }

    pub(crate) fn is_exhaustion(&self) -> bool {
        self.is_exhaustion
    }

    pub(crate) fn into_info(self) -> ErrorInfo {
        ErrorInfo { code: ErrorCode::SpawnFailed, message: self.message, errno: self.errno.map(str::to_owned) }
    }
}

/// For errors that we found ourselves, before the system was asked.
fn kind_name(kind: io::ErrorKind) -> Option<&'static str> {
    match kind {
        io::ErrorKind::NotFound => Some("ENOENT"),
        io::ErrorKind::PermissionDenied => Some("EACCES"),
        io::ErrorKind::NotADirectory => Some("ENOTDIR"),
        io::ErrorKind::IsADirectory => Some("EISDIR"),
        io::ErrorKind::InvalidInput => Some("EINVAL"),
        _ => None,
    }
}

/// Looks up everything that the child needs. Reads the file system, so it is called where blocking is allowed.
pub(crate) fn resolve(
    request: &ExecutionRequest,
    options: &ExecutionOptions,
    config: &ExecutionConfig,
    policy: &EnvPolicy,
    host: &Arc<HostState>,
) -> Result<Launch, SpawnFailure> {
    let mut added = Vec::new();
    if matches!(request.command, Command::AwsCli { .. }) {
        added.push(("AWS_PAGER", ""));
    }
    let segment = environment::segment(request.id);
    let cwd = request.working_dir.as_deref().map(|dir| working_dir(dir, host)).transpose()?;
    let directory = Directory { own: cwd.as_deref(), host };
    let env = policy.build(request, options.host_env.as_ref(), &added, &directory, &segment);
    let place = Place { directory, path: environment::value(&env, b"PATH").map(platform::path_from_bytes) };
    let mut verbatim = false;
    let (program, args) = match &request.command {
        Command::Shell { command, shell } => {
            let (program, given) = shell_line(&place, command, shell)?;
            verbatim = given.verbatim;
            (program, given.args)
        }
        Command::Exec { program, args } => (place.find(program, "program")?, args.iter().map(OsString::from).collect()),
        Command::Script { path, interpreter, args } => script_file(&place, path, interpreter.as_deref(), args)?,
        Command::AwsCli { service, command, args, profile, region } => {
            let mut all: Vec<OsString> = vec![service.into(), command.into()];
            all.extend(args.iter().map(OsString::from));
            for (flag, value) in [("--profile", profile), ("--region", region)] {
                if let Some(value) = value {
                    all.extend([flag.into(), value.into()]);
                }
            }
            (place.find("aws", "AWS command line")?, all)
        }
    };
    let stdin = match options.stdin {
        Stdin::Empty => StdinKind::Empty,
        Stdin::Bytes(_) | Stdin::Stream(_) => StdinKind::Pipe,
        Stdin::Inherit => StdinKind::Inherit,
    };
    let allow_detached = options.allow_detached.unwrap_or(config.allow_detached);
    Ok(Launch {
        program,
        args,
        verbatim,
        env,
        cwd,
        host: Arc::clone(host),
        mark: Mark { segment: segment.into_bytes(), allow_detached },
        // A child that opts out stays in its control group, so that the group could not be killed as one.
        control_group: config.control_groups && !allow_detached,
        stdin,
        merge_output: options.merge_output,
    })
}

/// Says what kept the system from starting `launch`: the directory, the program, or what the program needs to run.
pub(crate) fn explain(error: &io::Error, launch: &Launch) -> SpawnFailure {
    let program = launch.program.display();
    if let Some(cwd) = &launch.cwd
        && let Err(failure) = working_dir(cwd, &launch.host)
    {
        return failure;
    }
    let name = platform::errno_name(error);
    let message = match name {
        Some("ENOENT") if launch.program.exists() => match shebang(&launch.program) {
            Ok(Some(line)) => missing_interpreter(&line.interpreter, &launch.program),
            _ => format!(
                "program {program} exists, but the loader or library that it was linked for does not: install it, or use a build for this system"
            ),
        },
        Some("ENOENT") => format!("program {program} does not exist: check the path, or install it"),
        Some("EACCES") if launch.program.is_dir() => format!("program {program} is a directory: name a file in it"),
        Some("EACCES") => special(&launch.program).map_or_else(
            || {
                format!(
                    "program {program} may not be executed: {}, or run it as a script",
                    platform::not_executable(Some(error))
                )
            },
            |what| format!("program {program} is {what}: name a regular file"),
        ),
        Some("ENOEXEC") => format!(
            "program {program} is neither a binary for this machine nor a script with a `#!` line: run it as a script with an interpreter"
        ),
        Some("E2BIG") => format!(
            "the arguments and the environment of {program} are too large for the system ({} bytes): pass the data on stdin or in a file",
            argument_bytes(launch)
        ),
        _ if platform::is_exhaustion(error) => exhausted(error),
        _ => format!("program {program} could not be started: {error}"),
    };
    SpawnFailure::new(error, message)
}

/// What a machine is short of, and by which limit.
pub(crate) fn exhaustion_text(error: &io::Error) -> String {
    exhaustion_text_of(platform::errno_name(error), error)
}

/// [`exhaustion_text`] of an error that is known by its name.
pub(crate) fn exhaustion_text_of(errno: Option<&str>, error: &dyn std::fmt::Display) -> String {
    match errno {
        Some("EMFILE" | "ENFILE") => format!("too many files are open ({error}): raise the limit (ulimit -n)"),
        _ => format!(
            "the system has no room for another process ({error}): end some, raise the limit (ulimit -u, or pids.max of the control group)"
        ),
    }
}

/// [`exhaustion_text`], with what else helps a command that is to be started.
fn exhausted(error: &io::Error) -> String {
    format!("{}, or lower `max_concurrent_executions`", exhaustion_text(error))
}

fn argument_bytes(launch: &Launch) -> usize {
    launch.env.len() + launch.args.iter().map(|arg| arg.len() + 1).sum::<usize>()
}

/// What a file is, if it is neither a regular one nor a directory.
fn special(path: &Path) -> Option<&'static str> {
    match platform::file_kind(&std::fs::metadata(path).ok()?) {
        FileKind::Special(what) => Some(what),
        FileKind::Regular | FileKind::Directory => None,
    }
}

/// The command as a person would type it.
pub(crate) fn display(command: &Command) -> String {
    match command {
        Command::Shell { command, .. } => command.clone(),
        Command::Exec { program, args } => words([program.as_str()], args),
        Command::Script { path, interpreter, args } => {
            let path = path.to_string_lossy();
            words(interpreter.as_deref().into_iter().chain([&*path]), args)
        }
        Command::AwsCli { service, command, args, profile, region } => {
            let mut all = args.clone();
            for (flag, value) in [("--profile", profile), ("--region", region)] {
                if let Some(value) = value {
                    all.extend([flag.to_owned(), value.clone()]);
                }
            }
            words(["aws", service, command], &all)
        }
    }
}

fn words<'a>(first: impl IntoIterator<Item = &'a str>, rest: &'a [String]) -> String {
    let quoted: Vec<_> = first.into_iter().chain(rest.iter().map(String::as_str)).map(quote).collect();
    quoted.join(" ")
}

/// A word as a POSIX shell would need it.
fn quote(word: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,~".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return Cow::Borrowed(word);
    }
    Cow::Owned(format!("'{}'", word.replace('\'', "'\\''")))
}

/// Where names are looked up: as the child would.
struct Place<'a> {
    directory: Directory<'a>,
    path: Option<PathBuf>,
}

impl Place<'_> {
    fn absolute(&self, path: &Path) -> Result<PathBuf, SpawnFailure> {
        self.directory.absolute(path)
    }

    /// A program by path, or by name on the child's `PATH`. `what` says in errors what was being looked for.
    fn find(&self, name: &str, what: &str) -> Result<PathBuf, SpawnFailure> {
        let is_path = Path::new(name).components().count() > 1 || name.contains(std::path::is_separator);
        if is_path {
            return self.absolute(Path::new(name)).map(platform::executable);
        }
        let path = self.path.clone().unwrap_or_else(platform::default_path);
        let found = match self.absolute(Path::new(".")) {
            Ok(cwd) => which::which_in(name, Some(&path), cwd),
            // The host's directory has been deleted, so that relative entries name nothing.
            Err(_) => {
                let absolute = std::env::split_paths(&path).filter(|entry| platform::is_complete(entry));
                let absolute = std::env::join_paths(absolute).unwrap_or_default();
                which::which_in(name, Some(absolute), Path::new("/"))
            }
        };
        found.map_err(|_| self.not_on_path(name, what, &path))
    }

    fn not_on_path(&self, name: &str, what: &str, path: &Path) -> SpawnFailure {
        let entries = std::env::split_paths(path).filter_map(|entry| self.absolute(&entry).ok());
        let blocked = entries.map(|entry| entry.join(name)).find(|file| file.is_file());
        if let Some(file) = blocked {
            let error = io::Error::from(io::ErrorKind::PermissionDenied);
            return SpawnFailure::new(
                &error,
                format!(
                    "{what} {name:?} was found at {}, but may not be executed: {}",
                    file.display(),
                    platform::not_executable(None)
                ),
            );
        }
        let error = io::Error::from(io::ErrorKind::NotFound);
        SpawnFailure::new(
            &error,
            format!(
                "{what} {name:?} was not found on the PATH ({}): install it, or give its full path",
                path.display()
            ),
        )
    }
}

type Program = (PathBuf, Vec<OsString>);

fn shell_line(place: &Place, line: &str, shell: &str) -> Result<(PathBuf, ShellArgs), SpawnFailure> {
    let shell = if shell.is_empty() { platform::default_shell() } else { place.find(shell, "shell")? };
    let given = platform::shell_args(&shell, line);
    Ok((shell, given))
}

fn script_file(
    place: &Place,
    path: &Path,
    interpreter: Option<&str>,
    args: &[String],
) -> Result<Program, SpawnFailure> {
    let script = place.absolute(path)?;
    check_script(&script, interpreter.is_some())?;
    let (program, mut all): Program = if let Some(interpreter) = interpreter {
        (place.find(interpreter, "interpreter")?, Vec::new())
    } else if platform::is_batch(&script) {
        // The system knows who reads it.
        return Ok((script, args.iter().map(OsString::from).collect()));
    } else if let Some(line) = shebang(&script)
        .map_err(|error| SpawnFailure::new(&error, format!("script {} cannot be read: {error}", script.display())))?
    {
        if platform::SHEBANG_IS_A_PATH {
            // As for the kernel: a relative one starts at the child's directory.
            let program = place.absolute(Path::new(&line.interpreter))?;
            if !program.exists() {
                let error = io::Error::from(io::ErrorKind::NotFound);
                return Err(SpawnFailure::new(&error, missing_interpreter(&line.interpreter, &script)));
            }
            (program, line.argument.into_iter().map(OsString::from).collect())
        } else {
            let (name, flags) = line.by_name();
            match place.find(name, "interpreter") {
                Ok(program) => (program, flags),
                // It names a program of other systems; the extension may know one of this.
                Err(missing) => {
                    interpreter_by_extension(&script, |name| place.find(name, "interpreter")).map_err(|_| missing)?
                }
            }
        }
    } else {
        interpreter_by_extension(&script, |name| place.find(name, "interpreter"))?
    };
    all.push(script.into());
    all.extend(args.iter().map(OsString::from));
    Ok((program, all))
}

/// Refuses what no interpreter can read, and, where the host would have to read the `#!` line, whatever that could block or consume.
/// A path of the child's own descriptors is not looked at: in the host it means another file.
fn check_script(script: &Path, has_interpreter: bool) -> Result<(), SpawnFailure> {
    let explain = |kind: io::ErrorKind, what: &str| {
        SpawnFailure::new(&io::Error::from(kind), format!("script {} {what}", script.display()))
    };
    if platform::names_own_descriptor(script) {
        return if has_interpreter {
            Ok(())
        } else {
            let what = "is a descriptor of whichever process opens it, and has no `#!` line: set `interpreter`";
            Err(explain(io::ErrorKind::PermissionDenied, what))
        };
    }
    let found = std::fs::metadata(script).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => explain(error.kind(), "does not exist: check the path and the working directory"),
        _ => SpawnFailure::new(&error, format!("script {} cannot be read: {error}", script.display())),
    })?;
    match platform::file_kind(&found) {
        FileKind::Directory => Err(explain(io::ErrorKind::IsADirectory, "is a directory: name a file in it")),
        FileKind::Special(what) if !has_interpreter => {
            let what = format!("is {what}, of which no `#!` line is read: name a regular file, or set `interpreter`");
            Err(explain(io::ErrorKind::PermissionDenied, &what))
        }
        FileKind::Regular | FileKind::Special(_) => Ok(()),
    }
}

fn missing_interpreter(interpreter: &str, script: &Path) -> String {
    let cause = if interpreter.ends_with('\r') {
        "its `#!` line ends with a carriage return: save the file with LF line ends"
    } else {
        "install it, or correct the `#!` line"
    };
    format!("interpreter {interpreter:?} of script {} does not exist: {cause}", script.display())
}
