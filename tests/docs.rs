//! The documentation speaks of this crate as it is. Its examples are doc tests; `__test__/docs.test.mjs` has the rest.

use std::fs;
use std::path::{Path, PathBuf};

use execution_engine::ExecutionConfig;

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The pages that the crate comes with.
fn pages() -> Vec<String> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let files = fs::read_dir(docs).unwrap().map(|entry| PathBuf::from(entry.unwrap().file_name()));
    let files = files.filter(|file| file.extension().is_some_and(|extension| extension == "md"));
    files.map(|file| format!("docs/{}", file.display())).chain(["README.md".to_owned()]).collect()
}

#[test]
fn every_page_with_rust_is_a_doc_test() {
    let house = read("src/lib.rs");
    for page in pages().iter().filter(|page| read(page).contains("\n```rust\n")) {
        let include = format!("include_str!(\"../{page}\")");
        assert!(house.contains(&include), "src/lib.rs needs `#[doc = {include}]`, so that the examples of {page} run");
    }
}

#[test]
fn no_example_is_excused_from_running() {
    for page in pages() {
        let excused = read(&page).lines().find(|line| line.starts_with("```rust,")).map(str::to_owned);
        assert_eq!(excused, None, "{page}");
    }
}

#[test]
fn every_setting_has_its_row() {
    let rows = read("docs/configuration.md");
    let settings = serde_json::to_value(ExecutionConfig::default()).unwrap();
    for name in settings.as_object().unwrap().keys() {
        assert!(rows.contains(&format!("| `{}` |", camel(name))), "docs/configuration.md has no row for {name}");
    }
}

fn camel(snake: &str) -> String {
    let mut upper = false;
    let letters = snake.chars().filter_map(|letter| {
        let is_border = letter == '_';
        let camel = if upper { letter.to_ascii_uppercase() } else { letter };
        upper = is_border;
        (!is_border).then_some(camel)
    });
    letters.collect()
}
