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

#[test]
fn every_guaranteed_behaviour_names_tests_that_exist() {
    let page = read("docs/faults.md");
    let rows: Vec<_> = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| Behaviour")).collect();
    let rows = rows.into_iter().filter(|line| !line.starts_with("| ---")).collect::<Vec<_>>();
    assert!(rows.len() > 40, "docs/faults.md has {} rows", rows.len());
    for row in rows {
        let (behaviour, tests) = row.trim_matches(['|', ' ']).rsplit_once(" | ").expect("a row has two cells");
        let tests: Vec<_> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "no test shows: {behaviour}");
        for test in tests {
            assert!(names_a_test(test), "docs/faults.md: there is no test `{test}`");
        }
    }
    assert!(!names_a_test("tests/docs.rs::a_test_that_does_not_exist"), "the check finds a wrong name");
}

/// Whether `file::name` is a test, or `file` a file with tests.
fn names_a_test(test: &str) -> bool {
    let (file, name) = test.split_once("::").map_or((test, None), |(file, name)| (file, Some(name)));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let Ok(source) = fs::read_to_string(path) else { return false };
    let is_rust = Path::new(file).extension().is_some_and(|extension| extension == "rs");
    // A long call begins on one line, and its name is on the next.
    let source = source.split_inclusive('(').fold(String::new(), |source, part| {
        let part = if source.ends_with('(') { part.trim_start() } else { part };
        source + part
    });
    match name {
        Some(name) if is_rust => source.contains(&format!("fn {name}(")),
        Some(name) => ["test(", "describe("].iter().any(|call| source.contains(&format!("{call}'{name}'"))),
        None => source.contains(if is_rust { "#[test]" } else { "test(" }),
    }
}
