//! The structure of `src/`: which module may import which, and what is allowed where.
//!
//! `docs/architecture.md` has the table of modules. A module is `src/<name>.rs` and everything in `src/<name>/`; it imports
//! only itself and modules above it in that table.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Has the table of modules, in their order.
const ARCHITECTURE: &str = "docs/architecture.md";

const LONGEST_FILE: usize = 500;

/// The program that the build script compiles.
const GUARDIAN_PROGRAM: &str = "platform/unix/guardian_program";

/// What Node.js has only unsafe forms of.
const NODE_WITHOUT_SAFETY: &str = "platform/node.rs";

/// Words that only one module may use.
const OWNED_WORDS: &[(&str, &str)] = &[
    ("unsafe", "platform"),
    ("libc", "platform"),
    ("napi", "binding"),
    ("napi_derive", "binding"),
    // Nothing else speaks to a network.
    ("ureq", "feedback"),
    ("TcpStream", "feedback"),
    ("TcpListener", "feedback"),
    ("UdpSocket", "feedback"),
];

/// The conditions on the operating system.
const SYSTEMS: &[&str] =
    &["target_os", "target_vendor", "target_family", "target_env", "target_arch", "unix", "windows", "linux", "macos"];

#[test]
fn a_module_imports_only_modules_above_it() {
    let mut problems = String::new();
    for file in source_files() {
        let Some(module) = module_of(&file.path) else { continue };
        // A crate of its own: its `crate` is another one.
        if file.path.starts_with(GUARDIAN_PROGRAM) {
            continue;
        }
        for (line, import) in imports(&file) {
            let problem = match place(&import) {
                None => "is no module: import a name from where it is defined",
                Some(theirs) if Some(theirs) > place(module) => "is below it in the table",
                Some(_) => continue,
            };
            writeln!(problems, "{}:{line}: `{module}` imports `{import}`, which {problem}", file.name()).unwrap();
        }
    }
    assert!(problems.is_empty(), "{problems}the order is that of the table in {ARCHITECTURE}");
}

#[test]
fn the_table_has_every_module_and_no_other() {
    let files = source_files();
    for file in &files {
        if let Some(module) = module_of(&file.path) {
            assert!(place(module).is_some(), "{}: `{module}` is not in the table of {ARCHITECTURE}", file.name());
        }
    }
    for module in modules() {
        assert!(
            files.iter().any(|file| module_of(&file.path) == Some(module)),
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
        let module = module_of(&file.path);
        for (at, token) in file.tokens.iter().enumerate() {
            let line = token.line;
            for (word, owner) in OWNED_WORDS {
                let is_excused = *word == "napi" && file.path == Path::new(NODE_WITHOUT_SAFETY);
                if token.text == *word && module != Some(*owner) && !is_excused {
                    writeln!(problems, "{}:{line}: `{word}` belongs to src/{owner}", file.name()).unwrap();
                }
            }
            let condition = ["cfg", "cfg_attr"].contains(&token.text.as_str());
            if condition && module != Some("platform") && names_a_system(&file.tokens[at + 1..]) {
                writeln!(problems, "{}:{line}: only src/platform may depend on the operating system", file.name())
                    .unwrap();
            }
        }
    }
    assert!(problems.is_empty(), "{problems}");
}

#[test]
fn no_file_is_too_long() {
    for file in source_files() {
        assert!(file.lines <= LONGEST_FILE, "{} has {} lines: split it by concept", file.name(), file.lines);
    }
}

fn place(module: &str) -> Option<usize> {
    modules().iter().position(|name| name == module)
}

/// The first column of the table, from top to bottom.
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

/// The module that a file belongs to; `lib.rs` is in none.
fn module_of(path: &Path) -> Option<&str> {
    let first = path.iter().next()?.to_str()?;
    let module = first.strip_suffix(".rs").unwrap_or(first);
    (module != "lib").then_some(module)
}

/// Whether the parentheses that come next name an operating system.
fn names_a_system(tokens: &[Token]) -> bool {
    let mut depth = 0;
    for token in tokens {
        match token.text.as_str() {
            "(" => depth += 1,
            ")" => depth -= 1,
            word if SYSTEMS.contains(&word) => return true,
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    false
}

struct SourceFile {
    /// Below `src`.
    path: PathBuf,
    lines: usize,
    tokens: Vec<Token>,
}

impl SourceFile {
    fn name(&self) -> String {
        format!("src/{}", self.path.display())
    }

    /// How many modules are around a file's code: 1 for `module.rs`, 2 for `module/part.rs`.
    fn depth(&self) -> usize {
        let is_mod = self.path.file_name().is_some_and(|name| name == "mod.rs" || name == "lib.rs");
        self.path.iter().count() - usize::from(is_mod)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    line: usize,
    /// A word, or one other character.
    text: String,
}

fn source_files() -> Vec<SourceFile> {
    fn walk(dir: &Path, root: &Path, files: &mut Vec<SourceFile>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(root).unwrap().to_owned();
                files.push(SourceFile { path, lines: text.lines().count(), tokens: tokens(&text) });
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&root, &root, &mut files);
    assert!(files.len() > 10, "src has files");
    files
}

/// The modules that a file names, with the line: `crate::module`, `crate::{module, …}`, and `super` as far as it leaves the module.
fn imports(file: &SourceFile) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    // For each open brace, whether a `mod name {` opened it.
    let mut braces: Vec<bool> = Vec::new();
    let mut at = 0;
    while at < file.tokens.len() {
        let word = |offset: usize| file.tokens.get(at + offset).map_or("", |token| token.text.as_str());
        match word(0) {
            "{" => braces.push(at >= 2 && file.tokens[at - 2].text == "mod"),
            "}" => {
                braces.pop();
            }
            "crate" if word(1) == ":" && word(2) == ":" => found.extend(named(&file.tokens[at + 3..])),
            "super" if at == 0 || file.tokens[at - 1].text != ":" => {
                let mut ups = 1;
                while word(ups * 3) == "super" && word(ups * 3 - 1) == ":" {
                    ups += 1;
                }
                let inside = file.depth() + braces.iter().filter(|is_mod| **is_mod).count();
                if ups >= inside {
                    found.extend(named(&file.tokens[at + ups * 3..]));
                }
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// The first names of a path, or of each path in a group.
fn named(tokens: &[Token]) -> Vec<(usize, String)> {
    let name = |token: &Token| (token.line, token.text.clone());
    if tokens.first().is_none_or(|token| token.text != "{") {
        return tokens.first().map(name).into_iter().collect();
    }
    let mut found = Vec::new();
    let mut depth = 0;
    for pair in tokens.windows(2) {
        match pair[0].text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        if depth == 1 && ["{", ","].contains(&pair[0].text.as_str()) && pair[1].text != "}" {
            found.push(name(&pair[1]));
        }
    }
    found
}

/// Splits Rust source into words and other characters; comments, strings and characters are left out.
fn tokens(source: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let (mut rest, mut line) = (source, 1);
    while let Some(first) = rest.chars().next() {
        let skipped = literal_or_comment(rest);
        let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let length = if skipped > 0 { skipped } else { word.max(first.len_utf8()) };
        if skipped == 0 && !first.is_whitespace() {
            found.push(Token { line, text: rest[..length].to_owned() });
        }
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    found
}

/// The length of the comment, string or character that `source` begins with; 0 for anything else.
fn literal_or_comment(source: &str) -> usize {
    let until = |from: usize, end: &str| source[from..].find(end).map_or(source.len(), |at| from + at + end.len());
    if source.starts_with("//") {
        return source.find('\n').unwrap_or(source.len());
    }
    if source.starts_with("/*") {
        return until(2, "*/");
    }
    let prefix = source.find(|c| !"bcr".contains(c)).filter(|at| *at <= 2).unwrap_or(0);
    let body = &source[prefix..];
    let hashes = body.len() - body.trim_start_matches('#').len();
    if source[..prefix].contains('r') && body[hashes..].starts_with('"') {
        return until(prefix + hashes + 1, &format!("\"{}", "#".repeat(hashes)));
    }
    if body.starts_with('"') {
        return prefix + escaped_end(body, '"');
    }
    // 'a' and '\n' are characters, 'a is a lifetime.
    let mut inner = body.strip_prefix('\'').unwrap_or_default().chars();
    match (inner.next(), inner.next()) {
        (Some('\\'), _) => prefix + escaped_end(body, '\''),
        (Some(char), Some('\'')) => prefix + char.len_utf8() + 2,
        _ => 0,
    }
}

/// The length of a literal whose end may be escaped within it.
fn escaped_end(literal: &str, end: char) -> usize {
    let mut escaped = false;
    for (at, char) in literal.char_indices().skip(1) {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if char == end => return at + end.len_utf8(),
            _ => {}
        }
    }
    literal.len()
}

/// Source that exists only for the tests of the rules themselves.
fn source(path: &str, text: &str) -> SourceFile {
    SourceFile { path: path.into(), lines: text.lines().count(), tokens: tokens(text) }
}

#[test]
fn imports_are_found_in_every_form() {
    let imported = |path, text| imports(&source(path, text)).into_iter().map(|(_, module)| module).collect::<Vec<_>>();
    assert_eq!(imported("a.rs", "use crate::b::C;\nfn f() { crate::d::e() }"), ["b", "d"]);
    assert_eq!(imported("a.rs", "use crate::{b::{C, D}, e, f::G};"), ["b", "e", "f"]);
    assert_eq!(imported("a.rs", "use super::b::C;"), ["b"]);
    assert_eq!(imported("a/x.rs", "use super::C; use super::super::b;"), ["b"]);
    assert_eq!(imported("a/mod.rs", "use super::b;"), ["b"]);
    assert_eq!(imported("a.rs", "mod tests { use super::*; use super::super::b::C; }"), ["b"]);
    assert_eq!(
        imported("a.rs", "// crate::b\n/* crate::b */ \"crate::b\" r#\"crate::b\"# '\\'' b'\"' \"\\\"crate::b\""),
        [""; 0]
    );
    assert_eq!(imported("a.rs", "fn f<'a>(x: &'a str) -> crate::b::X { 'x' }"), ["b"]);
}

#[test]
fn conditions_are_read_to_their_end() {
    let names = |text: &str| names_a_system(&tokens(text)[1..]);
    assert!(names("cfg(target_os = \"linux\")") && names("cfg(any(test, not(unix)))"));
    assert!(!names("cfg(test)] fn unix() {}") && !names("cfg(feature = \"unix\")"));
}
