//! The structure of `src/`: which module and file may import which, and what is allowed where.
//!
//! `docs/architecture.md` has the table of modules. A module is `src/<name>.rs` and everything in `src/<name>/`; it imports
//! only itself and modules above it in that table. Within a module, files import each other in no circle; only the file around a
//! part, which composes it, may define what its parts share.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use proc_macro2::{Delimiter, TokenTree};

use self::imports::{Imports, references};
use self::source::{SourceFile, code_files, each_list, group, ident, source_files};

mod imports;
mod source;

/// The page with the table of modules, in their order.
const ARCHITECTURE: &str = "docs/architecture.md";

const LONGEST_FILE: usize = 500;

/// Imports that close a circle by design, and the reason.
const CLOSE_A_CIRCLE: &[(&str, &str, &str)] =
    &[("redact/scan.rs", "redact/stream.rs", "a pass over a buffer changes what its stream has found")];

/// `Result` of an error of the module, and the `SpawnThread` of `runtime` with what `platform` waits for.
const ALIASES: &[&str] = &["Result", "SpawnThread"];

/// The file for the parts of Node.js that have only unsafe forms.
const NODE_WITHOUT_SAFETY: &str = "platform/node.rs";

/// Words that only one module may use.
const OWNED_WORDS: &[(&str, &str)] = &[
    ("unsafe", "platform"),
    ("libc", "platform"),
    ("rustix", "platform"),
    ("napi", "binding"),
    ("napi_derive", "binding"),
    // No other module uses a network.
    ("ureq", "feedback"),
    ("TcpStream", "feedback"),
    ("TcpListener", "feedback"),
    ("UdpSocket", "feedback"),
];

/// The one file that sends signals by number, and the calls that do.
const SIGNALS: &str = "platform/unix/signal.rs";
const SIGNAL_CALLS: &[&str] = &["kill_process", "kill_process_group", "test_kill_process", "killpg", "tgkill"];

/// The conditions on the operating system.
const SYSTEMS: &[&str] =
    &["target_os", "target_vendor", "target_family", "target_env", "target_arch", "unix", "windows", "linux", "macos"];

#[test]
fn a_module_imports_only_modules_above_it() {
    let mut problems = String::new();
    for file in source_files().iter().filter(|file| !file.is_own_crate()) {
        let Some(module) = file.top_module() else { continue };
        for (line, import) in imported_modules(file) {
            let problem = match place(&import) {
                None => "is no module: import a name from where it is defined",
                Some(theirs) if Some(theirs) > place(&module) => "is below it in the table",
                Some(_) => continue,
            };
            writeln!(problems, "{}:{line}: `{module}` imports `{import}`, which {problem}", file.name()).unwrap();
        }
    }
    assert!(problems.is_empty(), "{problems}the order is that of the table in {ARCHITECTURE}");
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let files = source_files();
    let mut imports = Imports::new(&files);
    for (from, to, _) in CLOSE_A_CIRCLE {
        assert!(imports.ignore(from, to), "src/{from} does not import src/{to} any more: take it off the list");
    }
    let circles = imports.circles();
    assert!(circles.is_empty(), "move what they share to a file of its own:\n{}", circles.join("\n"));
}

#[test]
fn the_table_has_every_module_and_no_other() {
    let files = source_files();
    for file in &files {
        if let Some(module) = file.top_module() {
            assert!(place(&module).is_some(), "{}: `{module}` is not in the table of {ARCHITECTURE}", file.name());
        }
    }
    for module in modules() {
        assert!(
            files.iter().any(|file| file.top_module().as_ref() == Some(module)),
            "{ARCHITECTURE}: there is no `{module}`"
        );
    }
}

#[test]
fn the_file_of_a_module_is_named_after_it() {
    for file in source_files() {
        assert!(!file.path.ends_with("mod.rs"), "{}: name it after its folder, beside the folder", file.name());
    }
}

#[test]
fn unsafe_code_napi_and_the_operating_system_stay_in_their_modules() {
    let mut problems = String::new();
    for file in source_files() {
        for problem in misplaced_code(&file) {
            writeln!(problems, "{problem}").unwrap();
        }
    }
    assert!(problems.is_empty(), "{problems}");
}

/// A search for a type finds one definition. Files for different systems define the same types; tests may define what they like.
#[test]
fn no_two_types_have_the_same_name() {
    let files = source_files();
    let files = files.iter().filter(|file| !file.is_own_crate() && !file.is_test());
    let mut problems = String::new();
    let mut defined: HashMap<String, Vec<&SourceFile>> = HashMap::new();
    for file in files {
        for name in defined_types(&file.tokens) {
            let others = defined.entry(name.clone()).or_default();
            for other in others.iter().filter(|other| !are_for_different_systems(&other.path, &file.path)) {
                if !ALIASES.contains(&name.as_str()) {
                    writeln!(problems, "{} and {} define `{name}`", other.name(), file.name()).unwrap();
                }
            }
            others.push(file);
        }
    }
    assert!(problems.is_empty(), "name each type for what only it is:\n{problems}");
}

#[test]
fn no_file_is_too_long() {
    for area in ["src", "addon", "lib", "tests", "__test__", "scripts", "benches", "examples", "fuzz"] {
        for (path, text) in code_files(area, &["rs", "js", "mjs", "cjs", "ts", "c"]) {
            let lines = text.lines().count();
            assert!(lines <= LONGEST_FILE, "{} has {lines} lines: split it by concept", path.display());
        }
    }
}

fn place(module: &str) -> Option<usize> {
    modules().iter().position(|name| name == module)
}

/// A crate that depends on the engine links an rlib, and no addon. That is a package of its own.
#[test]
fn the_crate_is_an_rlib_alone() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let kinds = |manifest: &str| {
        let manifest: toml::Table = fs::read_to_string(root.join(manifest)).unwrap().parse().unwrap();
        manifest["lib"].get("crate-type").cloned()
    };
    assert_eq!(kinds("Cargo.toml"), None);
    assert_eq!(kinds("addon/Cargo.toml"), Some(vec!["cdylib"].into()));
}

/// Returns the types that a file defines outside functions, `impl` blocks and modules.
fn defined_types(tokens: &[TokenTree]) -> Vec<String> {
    let names = tokens.windows(2).filter_map(|pair| {
        let keyword = ident(pair.first())?.to_string();
        let is_definition = ["struct", "enum", "union", "trait", "type"].contains(&keyword.as_str());
        is_definition.then(|| ident(pair.get(1)).map(ToString::to_string))?
    });
    names.collect()
}

/// Whether no build has both files, by their paths in `platform`.
fn are_for_different_systems(one: &Path, other: &Path) -> bool {
    let families = ["unix", "windows"];
    let is_of = |path: &Path, family: &str| path.starts_with(Path::new("platform").join(family));
    let families_differ = families.iter().any(|family| is_of(one, family) != is_of(other, family));
    let stem = |path: &Path| path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
    let is_linux = |path: &Path| stem(path) == "linux" || path.iter().any(|part| part == "linux");
    let in_platform = one.starts_with("platform") && other.starts_with("platform");
    in_platform && (families_differ || is_linux(one) != is_linux(other) && one.parent() == other.parent())
}

/// Returns the first column of the table, from top to bottom.
fn modules() -> &'static [String] {
    static MODULES: LazyLock<Vec<String>> = LazyLock::new(|| {
        let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(ARCHITECTURE)).unwrap();
        let (_, table) =
            page.split_once("\n| Module | Contents |\n").expect("docs/architecture.md has the table of modules");
        let rows = table.lines().skip(1).take_while(|line| line.starts_with('|'));
        rows.map(|row| row.split('`').nth(1).expect("a row names its module").to_owned()).collect()
    });
    &MODULES
}

/// Returns the modules of the table that a file names, with the line.
fn imported_modules(file: &SourceFile) -> Vec<(usize, String)> {
    let named = references(file, &|_, _| false).into_iter();
    named.filter_map(|reference| Some((reference.line, reference.path.into_iter().next()?))).collect()
}

fn misplaced_code(file: &SourceFile) -> Vec<String> {
    let module = file.top_module();
    let mut problems = Vec::new();
    each_list(&file.tokens, &mut |tokens| {
        for (at, token) in tokens.iter().enumerate() {
            let TokenTree::Ident(word) = token else { continue };
            let line = word.span().start().line;
            for (owned, owner) in OWNED_WORDS {
                let is_excused = *owned == "napi" && file.path == Path::new(NODE_WITHOUT_SAFETY);
                if word == owned && module.as_deref() != Some(*owner) && !is_excused {
                    problems.push(format!("{}:{line}: `{owned}` belongs to src/{owner}", file.name()));
                }
            }
            let is_of_libc = at >= 3 && matches!(&tokens[at - 3], TokenTree::Ident(word) if word == "libc");
            let signals = SIGNAL_CALLS.contains(&word.to_string().as_str()) || (is_of_libc && word == "kill");
            if signals && file.path != Path::new(SIGNALS) && !file.is_own_crate() {
                problems.push(format!("{}:{line}: only src/{SIGNALS} signals", file.name()));
            }
            let is_condition = word == "cfg" || word == "cfg_attr";
            if is_condition && module.as_deref() != Some("platform") && names_a_system(&tokens[at + 1..]) {
                problems.push(format!("{}:{line}: only src/platform may depend on the operating system", file.name()));
            }
        }
    });
    problems
}

/// Whether the condition that comes next, as `(…)` or `!(…)`, names an operating system.
fn names_a_system(tokens: &[TokenTree]) -> bool {
    let condition = tokens.iter().take(2).find_map(|token| group(Some(token), Delimiter::Parenthesis));
    let mut found = false;
    if let Some(condition) = condition {
        each_list(&condition.stream().into_iter().collect::<Vec<_>>(), &mut |tokens| {
            found |= tokens
                .iter()
                .any(|token| matches!(token, TokenTree::Ident(word) if SYSTEMS.contains(&word.to_string().as_str())));
        });
    }
    found
}

#[test]
fn imports_are_found_in_every_form() {
    let imported = |path: &str, text: &str| {
        imported_modules(&SourceFile::new(path, text)).into_iter().map(|(_, module)| module).collect::<Vec<_>>()
    };
    assert_eq!(imported("a.rs", "use crate::b::C;\nfn f() { crate::d::e() }"), ["b", "d"]);
    assert_eq!(imported("a.rs", "use crate::{b::{C, D}, e, f::G};"), ["b", "b", "e", "f"]);
    assert_eq!(imported("a.rs", "use super::b::C;"), ["b"]);
    assert_eq!(imported("a/x.rs", "use super::C; use super::super::b;"), ["a", "b"]);
    assert_eq!(imported("a.rs", "mod tests { use super::*; use super::super::b::C; }"), ["a", "b"]);
    assert_eq!(
        imported(
            "a.rs",
            "// crate::b\n/* crate::b */ f!(\"crate::b\", r#\"crate::b\"#, '\\'', b'\"', \"\\\"crate::b\");"
        ),
        [""; 0]
    );
    assert_eq!(imported("a.rs", "fn f<'a>(x: &'a str) -> crate::b::X { g!('x', crate::d::<u8>) }"), ["b", "d"]);
}

#[test]
fn circles_are_found_through_names_that_are_passed_on() {
    let circles = |files: &[(&str, &str)]| {
        let files: Vec<_> = files.iter().map(|(path, text)| SourceFile::new(*path, text)).collect();
        Imports::new(&files).circles()
    };
    let entry = ("a.rs", "pub use self::x::X; use self::{y, z as w}; mod x; mod y; mod z; struct Shared;");
    // Parts may use what the file around them defines, and each other in one direction.
    let parts = [("lib.rs", "mod a;"), entry, ("a/x.rs", "use super::{Shared, y::Y};"), ("a/y.rs", ""), ("a/z.rs", "")];
    assert_eq!(circles(&parts), [""; 0]);
    let found = circles(&[parts[0], entry, parts[2], ("a/y.rs", "fn f() { crate::a::X }"), parts[4]]);
    assert_eq!(found, ["src/a/x.rs:1 imports src/a/y.rs, src/a/y.rs:1 imports src/a/x.rs"]);
    // The cycle goes by another name, by way of three files, and inside a macro.
    let three = [("a/y.rs", "\nuse super::w::Z;"), ("a/z.rs", "f! { { super::X } }")];
    let found = circles(&[parts[0], entry, parts[2], three[0], three[1]]);
    assert_eq!(
        found,
        ["src/a/x.rs:1 imports src/a/y.rs, src/a/y.rs:2 imports src/a/z.rs, src/a/z.rs:1 imports src/a/x.rs"]
    );
}

#[test]
fn types_are_found_by_their_definitions() {
    let types = |text: &str| defined_types(&SourceFile::new("a.rs", text).tokens);
    let text =
        "pub(crate) struct A { b: B } enum C<T> { D(T) } impl E { type F = G; } mod tests { struct H; } trait I {}";
    assert_eq!(types(text), ["A", "C", "I"]);
    let differ = |one: &str, other: &str| are_for_different_systems(Path::new(one), Path::new(other));
    assert!(
        differ("platform/unix/a.rs", "platform/windows/b.rs")
            && differ("platform/unix/a/linux.rs", "platform/unix/a/other.rs")
    );
    assert!(!differ("platform/unix/a.rs", "platform/unix/b.rs") && !differ("output.rs", "platform/windows/b.rs"));
}

#[test]
fn conditions_are_read_to_their_end() {
    let names = |text: &str| names_a_system(&SourceFile::new("a.rs", text).tokens[1..]);
    assert!(names("cfg(target_os = \"linux\")") && names("cfg(any(test, not(unix)))") && names("cfg!(windows)"));
    assert!(!names("cfg(test); fn unix() {}") && !names("cfg(feature = \"unix\")"));
}

#[test]
fn code_in_the_wrong_module_is_found() {
    let found = |path: &str, text: &str| misplaced_code(&SourceFile::new(path, text)).len();
    assert_eq!(found("a.rs", "fn f() { unsafe { g() } }\n#[cfg(unix)] use libc::c_int;"), 3);
    assert_eq!(found("platform/x.rs", "fn f() { unsafe { g() } }\n#[cfg(unix)] use libc::c_int;"), 0);
    assert_eq!(found("platform/x.rs", "fn f() { libc::kill(1, 2); group.kill(); killpg(1, 2) }"), 2);
    assert_eq!(found(SIGNALS, "fn f() { libc::kill(1, 2) }"), 0);
}
