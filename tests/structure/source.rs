//! The files of `src/` as tokens: comments are gone, and a string is one literal.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};

/// The program that the build script compiles: a crate of its own, whose `crate` is another one.
pub(crate) const GUARDIAN_PROGRAM: &str = "platform/unix/guardian_program";

pub(crate) struct SourceFile {
    /// The path below `src`.
    pub(crate) path: PathBuf,
    pub(crate) tokens: Vec<TokenTree>,
}

impl SourceFile {
    pub(crate) fn new(path: impl Into<PathBuf>, text: &str) -> Self {
        let path = path.into();
        let tokens = TokenStream::from_str(text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { path, tokens: tokens.into_iter().collect() }
    }

    pub(crate) fn name(&self) -> String {
        format!("src/{}", self.path.display())
    }

    /// Returns the names of the modules around the code of this file; none for `lib.rs`.
    pub(crate) fn module(&self) -> Vec<String> {
        let path = self.path.with_extension("");
        let names = path.iter().map(|name| name.to_str().expect("a name is plain text").to_owned());
        names.filter(|name| name != "lib").collect()
    }

    /// Returns the first of these names, which is the module in the table; `lib.rs` is in none.
    pub(crate) fn top_module(&self) -> Option<String> {
        self.module().into_iter().next()
    }

    pub(crate) fn is_own_crate(&self) -> bool {
        self.path.starts_with(GUARDIAN_PROGRAM)
    }

    /// Whether it is compiled for tests alone, by its name.
    pub(crate) fn is_test(&self) -> bool {
        let names = ["tests.rs", "model_tests.rs"];
        names.iter().any(|name| self.path.ends_with(name)) || self.path.iter().any(|part| part == "tests")
    }
}

/// Returns the files with code below a directory of the project, by path, except those that a build or an installation
/// has put there.
pub(crate) fn code_files(area: &str, extensions: &[&str]) -> Vec<(PathBuf, String)> {
    fn walk(dir: &Path, extensions: &[&str], files: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if !path.ends_with("target") && !path.ends_with("node_modules") {
                    walk(&path, extensions, files);
                }
            } else if path.extension().is_some_and(|found| extensions.iter().any(|extension| found == *extension)) {
                let text = fs::read_to_string(&path).unwrap();
                files.push((path, text));
            }
        }
    }
    let mut files = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join(area), extensions, &mut files);
    assert!(!files.is_empty(), "{area} has code");
    files
}

/// Returns every Rust file below `src`.
pub(crate) fn source_files() -> Vec<SourceFile> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = code_files("src", &["rs"]).into_iter();
    files.map(|(path, text)| SourceFile::new(path.strip_prefix(&root).unwrap(), &text)).collect()
}

pub(crate) fn ident(token: Option<&TokenTree>) -> Option<&Ident> {
    match token {
        Some(TokenTree::Ident(ident)) => Some(ident),
        _ => None,
    }
}

pub(crate) fn group(token: Option<&TokenTree>, delimiter: Delimiter) -> Option<&Group> {
    match token {
        Some(TokenTree::Group(group)) if group.delimiter() == delimiter => Some(group),
        _ => None,
    }
}

pub(crate) fn is_punct(token: Option<&TokenTree>, char: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == char)
}

/// Calls `visit` with each list of tokens: that of a file, and that of each group in it.
pub(crate) fn each_list(tokens: &[TokenTree], visit: &mut impl FnMut(&[TokenTree])) {
    visit(tokens);
    for token in tokens {
        if let TokenTree::Group(group) = token {
            each_list(&group.stream().into_iter().collect::<Vec<_>>(), visit);
        }
    }
}
