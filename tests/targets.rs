//! A build for a system that the engine does not know stops with one clear error, whether or not its standard library is installed.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// The targets: one for each system that the engine runs on.
const SUPPORTED: [&str; 4] =
    ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-musl", "aarch64-apple-darwin", "x86_64-pc-windows-msvc"];

/// Targets for other systems: those of phones, a relative of each system that it runs on, and one without processes.
const UNSUPPORTED: [&str; 5] = [
    "aarch64-linux-android",
    "aarch64-apple-ios",
    "x86_64-unknown-freebsd",
    "x86_64-unknown-uefi",
    "wasm32-unknown-unknown",
];

const MESSAGE: &str = "escher-execution-engine runs on Linux, macOS and Windows, and not on";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rustc() -> Command {
    Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Returns what the compiler sets for a target: names, and `name="value"`. Its standard library is not needed for that.
fn cfgs(target: &str) -> Vec<String> {
    let output = rustc().args(["--print", "cfg", "--target", target]).output().unwrap();
    assert!(output.status.success(), "{target}: {}", stderr(&output));
    stdout(&output).lines().map(str::to_owned).collect()
}

fn system(cfgs: &[String]) -> String {
    let system = cfgs.iter().find_map(|cfg| cfg.strip_prefix("target_os=\"")?.strip_suffix('"'));
    system.expect("each target has a system").to_owned()
}

/// `build.rs` runs on the host, before anything of the library is compiled: with what Cargo sets for a target, it is that build.
#[test]
fn the_build_script_stops_with_one_error_that_names_the_system() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("build-script");
    let compiled = rustc()
        .args(["--edition", "2024", "--crate-name", "build_script"])
        .arg(root().join("build.rs"))
        .arg("-o")
        .arg(&script)
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{}", stderr(&compiled));
    let errors = |target: &str| {
        let output = Command::new(&script)
            .env("CARGO_CFG_TARGET_OS", system(&cfgs(target)))
            .env("CARGO_CFG_UNIX", "")
            .env("OUT_DIR", folder.path())
            .env("ESCHER_GUARDIAN_PROGRAM", "none")
            .output()
            .unwrap();
        assert!(output.status.success(), "{target}: {}", stderr(&output));
        let is_error = |line: &&str| line.starts_with("cargo::error=");
        stdout(&output).lines().filter(is_error).map(str::to_owned).collect::<Vec<_>>()
    };
    for target in UNSUPPORTED {
        let [error] = &errors(target)[..] else { panic!("{target}: one error: {:?}", errors(target)) };
        assert!(error.starts_with(&format!("cargo::error={MESSAGE} `")), "{target}: {error}");
    }
    for target in SUPPORTED {
        assert!(errors(target).is_empty(), "{target}");
    }
}

/// Cargo shows that error, and no other, with the target's name and the real build script; the library is a stand-in, because the crates
/// that the real one needs cannot be compiled without the target's standard library.
#[test]
fn cargo_shows_that_error_and_compiles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("Cargo.toml"),
        "[package]\nname = \"stand-in\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[lib]\npath = \"lib.rs\"\n[workspace]\n",
    )
    .unwrap();
    fs::copy(root().join("build.rs"), folder.path().join("build.rs")).unwrap();
    fs::write(folder.path().join("lib.rs"), "compile_error!(\"the library is compiled\");").unwrap();
    let cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["check", "--offline", "--target", "aarch64-linux-android"])
        .current_dir(&folder)
        .env("CARGO_TARGET_DIR", folder.path().join("target"))
        .env("CARGO_TERM_COLOR", "never")
        .output()
        .unwrap();
    let shown = stderr(&cargo);
    assert!(!cargo.status.success(), "{shown}");
    // Cargo adds one of its own, with nothing new.
    let is_own = |line: &&str| line.starts_with("error") && *line != "error: build script logged errors";
    let errors: Vec<_> = shown.lines().filter(is_own).collect();
    assert_eq!(errors.len(), 1, "{shown}");
    assert!(errors[0].ends_with(&format!("{MESSAGE} `android`")), "{shown}");
    assert!(!shown.contains("the library is compiled"), "{shown}");
}

/// Builds with another build script get to this one. The compiler itself decides whether its condition holds: the names in it are
/// replaced by names of the test, since those of the system cannot be set, and get the values of the target.
#[test]
fn the_library_stops_with_that_error_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("condition.rs");
    let source = fs::read_to_string(root().join("src/platform.rs")).unwrap();
    let end = source.find("compile_error!(").expect("src/platform.rs stops a build for another system");
    let start = source[..end].rfind("#[cfg(").expect("the error has a condition");
    let end = end + source[end..].find(");").unwrap() + ");".len();
    let names = ["target_os", "target_family", "target_vendor", "target_env", "target_arch", "unix", "windows"];
    fs::write(&file, renamed(&source[start..end], &names)).unwrap();

    for (target, is_supported) in SUPPORTED.map(|it| (it, true)).into_iter().chain(UNSUPPORTED.map(|it| (it, false))) {
        let cfgs = cfgs(target);
        let mut compiler = rustc();
        compiler.args(["--edition", "2024", "--crate-type", "lib", "--emit", "metadata", "-A", "unexpected_cfgs"]);
        for cfg in cfgs.iter().filter(|cfg| names.contains(&cfg.split('=').next().unwrap())) {
            compiler.arg("--cfg").arg(format!("its_{cfg}"));
        }
        let output = compiler.arg(&file).current_dir(&folder).output().unwrap();
        let errors: Vec<_> =
            stderr(&output).lines().filter(|line| line.starts_with("error:")).map(str::to_owned).collect();
        if is_supported {
            assert!(output.status.success(), "{target}: {errors:?}");
        } else {
            assert!(!output.status.success(), "a build for {target} would go on");
            assert!(errors[0].contains(MESSAGE), "{target}: {errors:?}");
        }
    }
}

/// Puts `its_` before each of these words.
fn renamed(source: &str, names: &[&str]) -> String {
    let mut renamed = String::new();
    let mut word = String::new();
    for letter in source.chars().chain(['\n']) {
        if letter.is_alphanumeric() || letter == '_' {
            word.push(letter);
            continue;
        }
        let is_name = names.contains(&word.as_str()) && letter != '"';
        renamed += if is_name { "its_" } else { "" };
        renamed += &word;
        word.clear();
        renamed.push(letter);
    }
    renamed
}
