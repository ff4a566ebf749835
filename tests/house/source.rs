//! The files of `src/` as tokens: comments are gone, and a string is one literal.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};

/// The program that the build script compiles: a crate of its own, whose `crate` is another one.
pub(crate) const GUARDIAN_PROGRAM: &str = "platform/unix/guardian_program";

pub(crate) struct SourceFile {
    /// Below `src`.
    pub(crate) path: PathBuf,
    pub(crate) lines: usize,
    pub(crate) tokens: Vec<TokenTree>,
}

impl SourceFile {
    pub(crate) fn new(path: impl Into<PathBuf>, text: &str) -> Self {
        let path = path.into();
        let tokens = TokenStream::from_str(text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { path, lines: text.lines().count(), tokens: tokens.into_iter().collect() }
    }

    pub(crate) fn name(&self) -> String {
        format!("src/{}", self.path.display())
    }

    /// The names of the modules around the code of this file; none for `lib.rs`.
    pub(crate) fn module(&self) -> Vec<String> {
        let path = self.path.with_extension("");
        let names = path.iter().map(|name| name.to_str().expect("a name is plain text").to_owned());
        names.filter(|name| name != "lib").collect()
    }

    /// The first of these names, which is the module in the table; `lib.rs` is in none.
    pub(crate) fn top_module(&self) -> Option<String> {
        self.module().into_iter().next()
    }

    pub(crate) fn is_own_crate(&self) -> bool {
        self.path.starts_with(GUARDIAN_PROGRAM)
    }
}

/// Every Rust file below `src`.
pub(crate) fn source_files() -> Vec<SourceFile> {
    fn walk(dir: &Path, root: &Path, files: &mut Vec<SourceFile>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                files.push(SourceFile::new(path.strip_prefix(root).unwrap(), &text));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&root, &root, &mut files);
    assert!(files.len() > 10, "src has files");
    files
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
