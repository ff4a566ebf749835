//! Compares what is generated from Rust: the schemas, `lib/protocol.js`, `index.d.ts`, tables of the pages.
//!
//! `UPDATE_GENERATED=1 cargo test --features node,schema --test generated` writes them anew, apart from the parts of `index.d.ts` that are
//! written by hand, and compared.

mod declarations;
mod facade;
mod pages;
mod protocol;
mod schemas;
mod settings;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The width of a line in `biome.jsonc`.
const LINE_WIDTH: usize = 140;

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

/// Replaces a part of a file, from `start` to `end`, or compares it with what it should be.
fn assert_part(name: &str, part: impl Fn(&str) -> std::ops::Range<usize>, wanted: &str) {
    // Several tests write to one file.
    static WRITING: Mutex<()> = Mutex::new(());
    let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let text = read(name);
    let part = part(&text);
    assert_is(name, &text[part.clone()], wanted, || {
        let whole = format!("{}{wanted}{}", &text[..part.start], &text[part.end..]);
        // Other tests read the file at this moment, so it is replaced in one step. The folder is in the project, and not the one that
        // `CARGO_TARGET_DIR` names: that may be on another file system.
        let folder = in_project("target");
        fs::create_dir_all(&folder).unwrap();
        let beside = folder.join(format!("{}.new", name.replace('/', "-")));
        fs::write(&beside, whole).unwrap();
        fs::rename(&beside, in_project(name)).unwrap();
    });
}

/// Returns the table below a heading of a page.
fn table_below(heading: &str, text: &str) -> std::ops::Range<usize> {
    let heading = text.find(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no {heading}"));
    let start = heading + text[heading..].find("\n|").unwrap() + 1;
    let end = text[start..].find("\n\n").map_or(text.len(), |length| start + length + 1);
    start..end
}

/// Returns `workingDir` for `working_dir`.
fn camel(snake: &str) -> String {
    let mut words = snake.trim_start_matches("r#").split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let mut letters = word.chars();
        name + &letters.next().map(|letter| letter.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
    })
}
