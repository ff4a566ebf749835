//! The limit: what this machine does in the least code that still does the work.
//!
//! `spawn` runs a program again and again (own session, default signals, two pipes read to their ends, waited for) on a few threads. They may
//! hand each command over to another thread, as a host has to that keeps its event loop free. `read` reads what a program writes. Each prints
//! one JSON object. `benches/bench.mjs` runs it between the other contenders; it measures no code of the crate, so it stays the same when that
//! changes.

use std::process::ExitCode;

const USAGE: &str = "\
limit spawn [--count N] [--parallel P] [--program PATH] [--handed-over]
limit read [--bytes N] [--program PATH [--arg ARG]...]   default: head -c N /dev/zero

The modules of the crate are measured by `npm run bench:rust`, which is `cargo bench` in benches/core.";

fn main() -> ExitCode {
    // Cargo itself passes `--bench`, and no mode, when it runs all benchmarks.
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if args.is_empty() {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    match run(&args) {
        Ok(json) => {
            println!("{json}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("limit: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(not(unix))]
fn run(_args: &[String]) -> Result<String, String> {
    Err("it is written for Unix".into())
}

#[cfg(unix)]
fn run(args: &[String]) -> Result<String, String> {
    let options = options::parse(args).map_err(|wrong| format!("{wrong}\n{USAGE}"))?;
    match options.mode {
        options::Mode::Spawn => measure::spawn(&options),
        options::Mode::Read => measure::read(&options),
    }
    .map_err(|error| format!("{}: {error}", options.program))
}

#[cfg(unix)]
mod options {
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Mode {
        Spawn,
        Read,
    }

    pub(crate) struct Options {
        pub(crate) mode: Mode,
        pub(crate) program: String,
        pub(crate) args: Vec<String>,
        pub(crate) count: usize,
        pub(crate) parallel: usize,
        pub(crate) bytes: u64,
        pub(crate) is_handed_over: bool,
    }

    pub(crate) fn parse(args: &[String]) -> Result<Options, String> {
        let mut args = args.iter();
        let mode = match args.next().map(String::as_str) {
            Some("spawn") => Mode::Spawn,
            Some("read") => Mode::Read,
            _ => return Err("the first argument is the mode".into()),
        };
        let mut options = Options {
            mode,
            program: String::new(),
            args: Vec::new(),
            count: 1000,
            parallel: 1,
            bytes: 71_000_000,
            is_handed_over: false,
        };
        while let Some(name) = args.next() {
            if name == "--handed-over" {
                options.is_handed_over = true;
                continue;
            }
            let value = args.next().ok_or_else(|| format!("{name} needs a value"))?;
            match name.as_str() {
                "--program" => options.program.clone_from(value),
                "--arg" => options.args.push(value.clone()),
                "--count" => options.count = number(name, value)?,
                "--parallel" => options.parallel = number(name, value)?,
                "--bytes" => options.bytes = number(name, value)?,
                _ => return Err(format!("there is no {name}")),
            }
        }
        if options.program.is_empty() {
            match mode {
                Mode::Spawn => options.program = "/bin/true".into(),
                Mode::Read => {
                    options.program = "/usr/bin/head".into();
                    options.args = vec!["-c".into(), options.bytes.to_string(), "/dev/zero".into()];
                }
            }
        }
        Ok(options)
    }

    fn number<T: std::str::FromStr + PartialOrd + From<u8>>(name: &str, value: &str) -> Result<T, String> {
        value.parse().ok().filter(|number| *number >= T::from(1)).ok_or_else(|| format!("{name} needs a number from 1"))
    }
}

#[cfg(unix)]
mod measure {
    use std::io;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::time::{Duration, Instant};

    use super::child::{Child, Spawner};
    use super::options::Options;

    pub(crate) fn spawn(options: &Options) -> io::Result<String> {
        let spawner = Spawner::new(&options.program, &options.args)?;
        // As for the other contenders, the first commands fill the caches for the later ones.
        run_all(&spawner, options.count.div_ceil(10), options)?;
        let before = cpu_micros();
        let start = Instant::now();
        let mut times = run_all(&spawner, options.count, options)?;
        let seconds = start.elapsed().as_secs_f64();
        let cpu_micros = cpu_micros() - before;
        times.sort_unstable();
        let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)].as_micros();
        #[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 commands run")]
        let per_second = options.count as f64 / seconds;
        Ok(format!(
            r#"{{"seconds":{seconds},"perSecond":{per_second},"cpuMicros":{cpu_micros},"p50Micros":{},"p99Micros":{}}}"#,
            at(50),
            at(99)
        ))
    }

    /// Returns how long each command took.
    fn run_all(spawner: &Spawner, count: usize, options: &Options) -> io::Result<Vec<Duration>> {
        let taken = AtomicUsize::new(0);
        let lane = |run: &dyn Fn() -> io::Result<()>| -> io::Result<Vec<Duration>> {
            let mut times = Vec::with_capacity(count);
            while taken.fetch_add(1, Ordering::Relaxed) < count {
                let start = Instant::now();
                run()?;
                times.push(start.elapsed());
            }
            Ok(times)
        };
        let run = || run_one(spawner);
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..options.parallel)
                .map(|_| {
                    scope.spawn(|| {
                        if !options.is_handed_over {
                            return lane(&run);
                        }
                        let (jobs, given) = mpsc::channel::<()>();
                        let (ends, handed) = mpsc::channel();
                        scope.spawn(move || given.iter().try_for_each(|()| ends.send(run())));
                        lane(&|| {
                            jobs.send(()).map_err(io::Error::other)?;
                            handed.recv().map_err(io::Error::other)?
                        })
                    })
                })
                .collect();
            let mut all = Vec::with_capacity(count);
            for thread in threads {
                all.extend(thread.join().map_err(|_| io::Error::other("a thread panicked"))??);
            }
            Ok(all)
        })
    }

    fn run_one(spawner: &Spawner) -> io::Result<()> {
        let child = spawner.spawn()?;
        // To read one pipe after the other would be wrong for a program that fills the second one; this one writes
        // nothing.
        let read = child.stdout.read_to_end()? + child.stderr.read_to_end()?;
        child.wait()?;
        if read == 0 { Ok(()) } else { Err(io::Error::other("the program must write nothing")) }
    }

    pub(crate) fn read(options: &Options) -> io::Result<String> {
        let spawner = Spawner::new(&options.program, &options.args)?;
        let before = cpu_micros();
        let start = Instant::now();
        let Child { pid, stdout, stderr } = spawner.spawn()?;
        // Closed, not read: a program that complains is ended by that, and fails below.
        drop(stderr);
        let bytes = stdout.read_to_end()?;
        let seconds = start.elapsed().as_secs_f64();
        let cpu_micros = cpu_micros() - before;
        pid.wait()?;
        if bytes != options.bytes {
            return Err(io::Error::other(format!("{bytes} bytes came, not {}", options.bytes)));
        }
        #[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 bytes are read")]
        let per_second = bytes as f64 / seconds;
        Ok(format!(r#"{{"bytes":{bytes},"seconds":{seconds},"perSecond":{per_second},"cpuMicros":{cpu_micros}}}"#))
    }

    /// Returns the processor time of this process in µs, its children not included.
    fn cpu_micros() -> u64 {
        let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
        // SAFETY: the out-parameter is valid for the call, and zeroed is a valid rusage whether it fills it or not.
        let usage = unsafe {
            libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
            usage.assume_init()
        };
        let micros = |time: libc::timeval| {
            u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000 + u64::try_from(time.tv_usec).unwrap_or(0)
        };
        micros(usage.ru_utime) + micros(usage.ru_stime)
    }
}

#[cfg(unix)]
mod child {
    use std::ffi::CString;
    use std::fs::File;
    use std::io::{self, PipeReader, Read};
    use std::mem::MaybeUninit;
    use std::os::fd::AsRawFd;
    use std::ptr;

    use libc::{c_char, c_int, pid_t};

    unsafe extern "C" {
        /// POSIX: the variables of this process.
        static environ: *const *mut c_char;
    }

    #[cfg(target_vendor = "apple")]
    const OWN_SESSION: c_int = 0x0400;
    #[cfg(not(target_vendor = "apple"))]
    const OWN_SESSION: c_int = 0x80;

    /// The data that is the same for each command.
    pub(crate) struct Spawner {
        path: CString,
        args: Vec<CString>,
        attributes: libc::posix_spawnattr_t,
        null: File,
    }

    // SAFETY: the attributes are only read after `new`; on systems where they are a pointer, no other code has it.
    unsafe impl Sync for Spawner {}

    pub(crate) struct Child {
        pub(crate) pid: Pid,
        pub(crate) stdout: Output,
        pub(crate) stderr: Output,
    }

    pub(crate) struct Pid(pid_t);

    pub(crate) struct Output(PipeReader);

    impl Spawner {
        pub(crate) fn new(program: &str, args: &[String]) -> io::Result<Self> {
            let path = CString::new(program)?;
            let args = [program]
                .into_iter()
                .chain(args.iter().map(String::as_str))
                .map(CString::new)
                .collect::<Result<_, _>>()?;
            let mut attributes = MaybeUninit::uninit();
            let mut all = MaybeUninit::uninit();
            let mut none = MaybeUninit::uninit();
            let flags =
                OWN_SESSION | c_int::from(libc::POSIX_SPAWN_SETSIGDEF) | c_int::from(libc::POSIX_SPAWN_SETSIGMASK);
            #[expect(clippy::cast_possible_truncation, reason = "libc's flags are shorts, and all of ours fit")]
            let flags = flags as libc::c_short;
            // SAFETY: the struct and both sets are initialised by the calls they are first given to; the setters copy the
            // sets. SIGKILL and SIGSTOP cannot be changed, and some systems refuse the call.
            let attributes = unsafe {
                check(libc::posix_spawnattr_init(attributes.as_mut_ptr()))?;
                libc::sigfillset(all.as_mut_ptr());
                libc::sigdelset(all.as_mut_ptr(), libc::SIGKILL);
                libc::sigdelset(all.as_mut_ptr(), libc::SIGSTOP);
                libc::sigemptyset(none.as_mut_ptr());
                check(libc::posix_spawnattr_setsigdefault(attributes.as_mut_ptr(), all.as_ptr()))?;
                check(libc::posix_spawnattr_setsigmask(attributes.as_mut_ptr(), none.as_ptr()))?;
                check(libc::posix_spawnattr_setflags(attributes.as_mut_ptr(), flags))?;
                attributes.assume_init()
            };
            Ok(Self { path, args, attributes, null: File::open("/dev/null")? })
        }

        pub(crate) fn spawn(&self) -> io::Result<Child> {
            // Closed on exec in every child: no other lane's child keeps these pipes open.
            let (stdout, child_stdout) = io::pipe()?;
            let (stderr, child_stderr) = io::pipe()?;
            let argv: Vec<*mut c_char> =
                self.args.iter().map(|arg| arg.as_ptr().cast_mut()).chain([ptr::null_mut()]).collect();
            let mut actions = MaybeUninit::uninit();
            let mut pid: pid_t = 0;
            // SAFETY: the actions are initialised first and destroyed last, and only record the numbers, which stay open
            // until the call returns. The path, the attributes and the NULL-terminated arrays outlive the call; nothing
            // in this program changes the environment. The child shares our memory only until it execs.
            let errno = unsafe {
                check(libc::posix_spawn_file_actions_init(actions.as_mut_ptr()))?;
                libc::posix_spawn_file_actions_adddup2(actions.as_mut_ptr(), self.null.as_raw_fd(), 0);
                libc::posix_spawn_file_actions_adddup2(actions.as_mut_ptr(), child_stdout.as_raw_fd(), 1);
                libc::posix_spawn_file_actions_adddup2(actions.as_mut_ptr(), child_stderr.as_raw_fd(), 2);
                let errno = libc::posix_spawn(
                    &raw mut pid,
                    self.path.as_ptr(),
                    actions.as_ptr(),
                    &raw const self.attributes,
                    argv.as_ptr(),
                    environ,
                );
                libc::posix_spawn_file_actions_destroy(actions.as_mut_ptr());
                errno
            };
            check(errno)?;
            Ok(Child { pid: Pid(pid), stdout: Output(stdout), stderr: Output(stderr) })
        }
    }

    impl Child {
        pub(crate) fn wait(self) -> io::Result<()> {
            self.pid.wait()
        }
    }

    impl Pid {
        /// Reaps it; an error unless it ended with 0.
        pub(crate) fn wait(self) -> io::Result<()> {
            let mut status = 0;
            // SAFETY: the out-parameter is valid for the call.
            while unsafe { libc::waitpid(self.0, &raw mut status, 0) } < 0 {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
            if status == 0 { Ok(()) } else { Err(io::Error::other(format!("it ended with wait status {status}"))) }
        }
    }

    impl Output {
        /// Reads and discards; returns the number of bytes.
        pub(crate) fn read_to_end(&self) -> io::Result<u64> {
            thread_local! {
                /// The buffer is as large as a pipe, so that a full one is emptied by one call.
                static BUFFER: std::cell::RefCell<Vec<u8>> = std::cell::RefCell::new(vec![0; 64 * 1024]);
            }
            BUFFER.with_borrow_mut(|buffer| {
                let mut bytes = 0;
                loop {
                    match (&self.0).read(buffer) {
                        Ok(0) => return Ok(bytes),
                        Ok(count) => bytes += count as u64,
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => return Err(error),
                    }
                }
            })
        }
    }

    fn check(errno: c_int) -> io::Result<()> {
        if errno == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(errno)) }
    }
}
