//! Compiles the guardian, which the library embeds.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const PROGRAM: &str = "src/platform/unix/guardian_program";
/// The files that the library and the guardian share.
const SHARED: [&str; 2] = ["src/platform/unix/guardian_table.rs", "src/platform/unix/nested_names.rs"];
/// Options for the compiler of the guardian, one a line. For its linker, where the target can do without a C library: there nothing
/// has to be on the system that runs it.
const OPTIONS: [&str; 2] = ["rustc.args", "without-libc.args"];
/// A guardian that was compiled elsewhere, by its path; or `none`, where nothing can be linked for the target.
const GIVEN: &str = "ESCHER_GUARDIAN_PROGRAM";
/// Options of the compiler that the guardian needs too. Others, such as those of a fuzzer, are for the library alone.
const PASSED_ON: [&str; 5] = ["linker", "link-arg", "link-args", "target-feature", "target-cpu"];
/// Keeps the folders of the machine that builds it out of a program.
const REMAP: &str = "--remap-path-prefix=";

/// The systems that `src/platform` knows.
const SYSTEMS: [&str; 3] = ["linux", "macos", "windows"];

fn main() {
    let system = env::var("CARGO_CFG_TARGET_OS").expect("cargo sets it");
    if !SYSTEMS.contains(&system.as_str()) {
        println!("cargo::error=escher-execution-engine runs on Linux, macOS and Windows, and not on `{system}`");
        return;
    }
    for changed in [PROGRAM].iter().chain(&SHARED) {
        println!("cargo::rerun-if-changed={changed}");
    }
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={GIVEN}");
    if env::var_os("CARGO_CFG_UNIX").is_some() {
        guardian(&PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("guardian"));
    }
}

fn guardian(to: &Path) {
    match env::var_os(GIVEN) {
        Some(none) if none == "none" => fs::write(to, b"").expect("the build folder can be written"),
        Some(path) => {
            println!("cargo::rerun-if-changed={}", path.display());
            fs::copy(&path, to).unwrap_or_else(|error| panic!("{GIVEN}: {} cannot be read: {error}", path.display()));
        }
        None => compile(to),
    }
}

fn compile(to: &Path) {
    let mut compiler = Command::new(env::var_os("RUSTC").expect("cargo sets it"));
    compiler.args(["--edition", "2024", "--crate-type", "bin", "--crate-name", "escher_guardian"]);
    compiler.arg("--target").arg(env::var_os("TARGET").expect("cargo sets it"));
    compiler.args(passed_on());
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        let mut option = OsString::from("linker=");
        option.push(linker);
        compiler.arg("-C").arg(option);
    }
    for options in &OPTIONS[..if can_do_without_libc() { 2 } else { 1 }] {
        compiler.arg(format!("@{PROGRAM}/{options}"));
    }
    if env::var_os("CARGO_CFG_TARGET_ENV").is_some_and(|libc| libc == "musl") {
        // The compiler would link the C library that it brings.
        compiler.args(["-C", "link-self-contained=no"]);
    }
    compiler.arg("-o").arg(to).arg(Path::new(PROGRAM).join("main.rs"));
    let status = compiler.status().unwrap_or_else(|error| panic!("the compiler did not run: {error}"));
    assert!(
        status.success(),
        "the guardian could not be compiled for this target: set {GIVEN} to one that was compiled elsewhere, or to `none` \
         for a library that has no guardian"
    );
}

/// Returns whether `system_calls.rs` knows the system calls of the target.
fn can_do_without_libc() -> bool {
    let of_target = |variable| env::var(variable).unwrap_or_default();
    of_target("CARGO_CFG_TARGET_OS") == "linux"
        && ["x86_64", "aarch64"].contains(&of_target("CARGO_CFG_TARGET_ARCH").as_str())
        && of_target("CARGO_CFG_TARGET_POINTER_WIDTH") == "64"
}

/// Returns the flags of this build that say how things are linked for the target, and which paths are written into
/// them.
fn passed_on() -> Vec<String> {
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let mut passed = Vec::new();
    let mut flags = flags.split('\x1f');
    while let Some(flag) = flags.next() {
        if flag.starts_with(REMAP) {
            passed.push(flag.to_owned());
            continue;
        }
        let option = match flag.strip_prefix("-C") {
            Some("") => flags.next().unwrap_or_default(),
            Some(option) => option,
            None => continue,
        };
        if PASSED_ON.contains(&option.split('=').next().unwrap_or_default()) {
            passed.extend(["-C".to_owned(), option.to_owned()]);
        }
    }
    passed
}
