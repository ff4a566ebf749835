//! What is written once in Rust is nowhere else written differently: the schemas, the table of settings, `index.d.ts`.
//!
//! `UPDATE_GENERATED=1 cargo test --features schema --test generated` writes the schemas and the table anew.

mod declarations;
mod schemas;
mod settings;

use std::fs;
use std::path::{Path, PathBuf};

fn in_project(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    let path = in_project(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Compares a file with what it should be, or writes it.
fn assert_is(name: &str, found: &str, wanted: &str, write: impl FnOnce()) {
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        write();
    } else {
        let line = found.lines().zip(wanted.lines()).find(|(found, wanted)| found != wanted);
        assert!(found == wanted, "{name} is not what the sources give, first at {line:?}: see tests/generated/main.rs");
    }
}

/// `working_dir` → `workingDir`.
fn camel(snake: &str) -> String {
    let mut words = snake.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let mut letters = word.chars();
        name + &letters.next().map(|letter| letter.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
    })
}
