//! Turns a request and the host's policy into what is started: program, arguments, environment, directory.

use std::borrow::Cow;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::ExecutionConfig;
use crate::platform::{self, DescriptorOwner, FileKind, HostState, Launch, Mark, ShellArgs, StdinKind};
use crate::types::{Command, ErrorCode, ErrorInfo, ExecutionOptions, ExecutionRequest, Stdin};

pub(crate) use self::check::{check, check_defaults, check_time_left};
use self::directory::{WorkingDirectory, working_dir};
pub(crate) use self::environment::{EnvPolicy, path_of};
use self::explain::{exhausted, missing_interpreter};
pub(crate) use self::explain::{exhaustion_text, explain};
pub(crate) use self::metadata::check_metadata;
use self::script::{interpreter_by_extension, shebang};
pub(crate) use self::signal::signal;

mod check;
mod directory;
mod environment;
mod explain;
mod metadata;
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
    /// Returns the failure of a machine that lacks something that `what` needs.
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

/// Returns the name of an error that the engine finds before it makes a system call.
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
        added.push(("AWS_PAGER", Some("")));
    }
    if options.terminal_size().is_some() {
        // Programs take these two for the size, whatever the terminal says; they are of the terminal of the host.
        added.extend([("TERM", Some("xterm-256color")), ("COLUMNS", None), ("LINES", None)]);
    }
    let segment = environment::segment(request.id);
    let cwd = request.working_dir.as_deref().map(|dir| working_dir(dir, host)).transpose()?;
    let directory = WorkingDirectory { own: cwd.as_deref(), host };
    let env = policy.build(request, options.host_env.as_ref(), &added, &directory, &segment);
    let look_up = LookUp {
        directory,
        path: environment::value(&env, b"PATH").map(platform::path_from_bytes),
        path_ext: environment::value(&env, b"PATHEXT"),
    };
    let (mut verbatim, mut descriptor) = (false, None);
    let (program, args) = match &request.command {
        Command::Shell { command, shell } | Command::StrictShell { command, shell } => {
            let strict = matches!(request.command, Command::StrictShell { .. });
            let (program, given) = shell_line(&look_up, command, shell, strict)?;
            (verbatim, descriptor) = (given.verbatim, given.descriptor);
            (program, given.args)
        }
        Command::Exec { program, args } => {
            (look_up.find(program, "program")?, args.iter().map(OsString::from).collect())
        }
        Command::Script { path, interpreter, args } => script_file(&look_up, path, interpreter.as_deref(), args)?,
        Command::AwsCli { service, command, args, profile, region } => {
            let mut all: Vec<OsString> = vec![service.into(), command.into()];
            all.extend(args.iter().map(OsString::from));
            for (flag, value) in [("--profile", profile), ("--region", region)] {
                if let Some(value) = value {
                    all.extend([flag.into(), value.into()]);
                }
            }
            (look_up.find("aws", "AWS command line")?, all)
        }
    };
    let stdin = match options.stdin {
        Stdin::Empty => StdinKind::Empty,
        Stdin::Bytes(_) | Stdin::Stream(_) | Stdin::Open => StdinKind::Pipe,
        Stdin::Inherit => StdinKind::Inherit,
    };
    let allow_detached = options.allow_detached.unwrap_or(config.allow_detached);
    Ok(Launch {
        role: role(&request.command),
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
        terminal: options.terminal_size(),
        descriptor,
        limits: options.resource_limits(),
        merge_output: options.merge_output.unwrap_or(config.merge_output),
    })
}

/// Returns the role of the program of a command, for messages.
fn role(command: &Command) -> &'static str {
    match command {
        Command::Shell { .. } | Command::StrictShell { .. } => "shell",
        Command::Script { path, .. } if !platform::is_batch(path) => "interpreter",
        Command::Script { .. } | Command::Exec { .. } | Command::AwsCli { .. } => "program",
    }
}

/// Returns the command as a person would type it.
pub(crate) fn display(command: &Command) -> String {
    match command {
        Command::Shell { command, .. } | Command::StrictShell { command, .. } => command.clone(),
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

/// Returns a word as a POSIX shell needs it.
fn quote(word: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,~".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return Cow::Borrowed(word);
    }
    Cow::Owned(format!("'{}'", word.replace('\'', "'\\''")))
}

/// The places where names are looked up, as the child would do it.
struct LookUp<'a> {
    directory: WorkingDirectory<'a>,
    path: Option<PathBuf>,
    /// The extensions of programs, where programs have them.
    path_ext: Option<&'a [u8]>,
}

impl LookUp<'_> {
    fn absolute(&self, path: &Path) -> Result<PathBuf, SpawnFailure> {
        self.directory.absolute(path)
    }

    /// Finds a program by path, or by name on the child's `PATH`. `what` is the role of the program in errors.
    fn find(&self, name: &str, what: &str) -> Result<PathBuf, SpawnFailure> {
        let is_path = Path::new(name).components().count() > 1 || name.contains(std::path::is_separator);
        if is_path {
            return self.absolute(Path::new(name)).map(|path| platform::executable(path, self.path_ext));
        }
        let path = self.path.clone().unwrap_or_else(platform::default_path);
        let is_complete = |entry: &PathBuf| platform::is_complete(entry);
        let found = if std::env::split_paths(&path).all(|entry| is_complete(&entry)) {
            platform::search(name, path.as_os_str(), Path::new("/"), self.path_ext)
        } else if let Ok(cwd) = self.absolute(Path::new(".")) {
            platform::search(name, path.as_os_str(), &cwd, self.path_ext)
        } else {
            // The host's directory has been deleted, so that relative entries name nothing.
            let complete = std::env::join_paths(std::env::split_paths(&path).filter(is_complete)).unwrap_or_default();
            platform::search(name, &complete, Path::new("/"), self.path_ext)
        };
        found.ok_or_else(|| self.not_on_path(name, what, &path))
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

/// The shell that knows the options of a strict line.
const BASH: &str = "bash";

fn is_bash(shell: &Path) -> bool {
    shell.file_stem().is_some_and(|name| name == BASH)
}

type Program = (PathBuf, Vec<OsString>);

fn shell_line(
    look_up: &LookUp<'_>,
    line: &str,
    shell: &str,
    strict: bool,
) -> Result<(PathBuf, ShellArgs), SpawnFailure> {
    let shell = match shell {
        "" if strict && !is_bash(&platform::default_shell()) => look_up.find(BASH, "`strict` needs bash: shell")?,
        "" => platform::default_shell(),
        named => look_up.find(named, "shell")?,
    };
    let given = platform::shell_args(&shell, line, strict);
    Ok((shell, given))
}

fn script_file(
    look_up: &LookUp,
    path: &Path,
    interpreter: Option<&str>,
    args: &[String],
) -> Result<Program, SpawnFailure> {
    let script = look_up.absolute(path)?;
    check_script(&script, interpreter.is_some())?;
    let (program, mut all): Program = if let Some(interpreter) = interpreter {
        let program = look_up.find(interpreter, "interpreter")?;
        if let Some(problem) = platform::interpreter_problem(&program, &script) {
            let error = io::Error::from(io::ErrorKind::InvalidInput);
            return Err(SpawnFailure::new(&error, format!("script {} {problem}", script.display())));
        }
        let flags = platform::interpreter_flags(&program);
        (program, flags.iter().map(OsString::from).collect())
    } else if platform::is_batch(&script) {
        // The system finds its interpreter.
        return Ok((script, args.iter().map(OsString::from).collect()));
    } else if let Some(line) = shebang(&script)
        .map_err(|error| SpawnFailure::new(&error, format!("script {} cannot be read: {error}", script.display())))?
    {
        if platform::SHEBANG_IS_A_PATH {
            // A relative path starts at the child's directory, as in the kernel.
            let program = look_up.absolute(Path::new(&line.interpreter))?;
            if !program.exists() {
                let error = io::Error::from(io::ErrorKind::NotFound);
                return Err(SpawnFailure::new(&error, missing_interpreter(&line.interpreter, &script)));
            }
            (program, line.argument.into_iter().map(OsString::from).collect())
        } else {
            let (name, flags) = line.by_name();
            match look_up.find(name, "interpreter") {
                Ok(program) => (program, flags),
                // The `#!` line names a program of other systems; the extension may select one of this system.
                Err(missing) => {
                    interpreter_by_extension(&script, |name| look_up.find(name, "interpreter")).map_err(|_| missing)?
                }
            }
        }
    } else {
        interpreter_by_extension(&script, |name| look_up.find(name, "interpreter"))?
    };
    all.push(script.into());
    all.extend(args.iter().map(OsString::from));
    Ok((program, all))
}

/// Refuses what no interpreter can read, and, where the host would have to read the `#!` line, whatever that could block or consume.
/// A path of the child's own descriptors is not looked at: in the host it means another file. One of the host's is refused.
fn check_script(script: &Path, has_interpreter: bool) -> Result<(), SpawnFailure> {
    let explain = |kind: io::ErrorKind, what: &str| {
        SpawnFailure::new(&io::Error::from(kind), format!("script {} {what}", script.display()))
    };
    let refused = match platform::names_descriptor(script) {
        Some(DescriptorOwner::Opener) if has_interpreter => return Ok(()),
        Some(DescriptorOwner::Opener) => {
            Some("is a descriptor of whichever process opens it, and has no `#!` line: set `interpreter`")
        }
        // An interpreter would read it too, and take from the host what it reads.
        Some(DescriptorOwner::Host) => Some(
            "is a descriptor of the host, whose input is its own: give a regular file as `command.path`, or `/dev/stdin` with an `interpreter` and the text as `stdin`",
        ),
        Some(DescriptorOwner::Another) if !has_interpreter => Some(
            "is a descriptor of another process, of which no `#!` line is read: give a regular file as `command.path`, or set `interpreter`",
        ),
        Some(DescriptorOwner::Another) | None => None,
    };
    if let Some(what) = refused {
        return Err(explain(io::ErrorKind::PermissionDenied, what));
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
