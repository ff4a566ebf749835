//! The documentation names only what the crate has. Its examples are doc tests; `__test__/docs.test.mjs` has the rest.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use execution_engine::ExecutionConfig;

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the pages that the crate comes with.
fn pages() -> Vec<String> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let files = fs::read_dir(docs).unwrap().map(|entry| PathBuf::from(entry.unwrap().file_name()));
    let files = files.filter(|file| file.extension().is_some_and(|extension| extension == "md"));
    files.map(|file| format!("docs/{}", file.display())).chain(["README.md".to_owned()]).collect()
}

#[test]
fn every_page_with_rust_is_a_doc_test() {
    let crate_root = read("src/lib.rs");
    for page in pages().iter().filter(|page| read(page).contains("\n```rust\n")) {
        let include = format!("include_str!(\"../{page}\")");
        assert!(
            crate_root.contains(&include),
            "src/lib.rs needs `#[doc = {include}]`, so that the examples of {page} run"
        );
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

/// Returns the cells of all rows of all tables of a page, headings apart.
fn rows(page: &str, first_heading: &str) -> Vec<Vec<String>> {
    let is_row = |line: &&str| line.starts_with("| ") && !line.starts_with("| ---");
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let rows = page.lines().filter(is_row).map(cells);
    rows.filter(|cells| cells[0] != first_heading).collect()
}

/// Returns the texts of a cell between backquotes.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_guaranteed_behaviour_names_tests_that_exist() {
    let rows = rows(&read("docs/faults.md"), "Behaviour");
    assert!(rows.len() > 40, "docs/faults.md has {} rows", rows.len());
    for row in rows {
        let [behaviour, tests] = &row[..] else { panic!("a row has two cells: {row:?}") };
        let tests = quoted(tests);
        assert!(!tests.is_empty(), "no test shows: {behaviour}");
        for test in tests {
            assert!(names_a_test(test), "docs/faults.md: there is no test `{test}`");
        }
    }
    assert!(!names_a_test("tests/docs.rs::a_test_that_does_not_exist"), "the check finds a wrong name");
}

#[test]
fn every_feature_has_its_names_and_a_test_or_a_reason() {
    let rows = rows(&read("docs/coverage.md"), "Feature");
    assert!(rows.len() > 150, "docs/coverage.md has {} rows", rows.len());
    let declarations = read("index.d.ts");
    let (root, sources) = (read("src/lib.rs"), public_sources());
    let mut problems = String::new();
    for row in rows {
        let [feature, javascript, rust, tests, difference] = &row[..] else { panic!("a row has five cells: {row:?}") };
        let mut problem = |problem: String| writeln!(problems, "{feature}: {problem}").unwrap();
        for name in quoted(javascript).into_iter().filter(|name| !is_declared(&declarations, name)) {
            problem(format!("index.d.ts has no `{name}`"));
        }
        for name in quoted(rust).into_iter().filter(|name| !is_public(&root, &sources, name)) {
            problem(format!("the crate has no public `{name}`"));
        }
        for test in quoted(tests).into_iter().filter(|test| !names_a_test(test)) {
            problem(format!("there is no test `{test}`"));
        }
        if tests.is_empty() {
            problem("no test shows it".into());
        }
        if difference.is_empty()
            && (javascript.is_empty() || rust.is_empty())
            && !(javascript.is_empty() && rust.is_empty())
        {
            problem("it is there in one language only, without a reason".into());
        }
    }
    assert!(problems.is_empty(), "docs/coverage.md:\n{problems}");
}

#[test]
fn names_that_do_not_exist_are_found() {
    let declarations = read("index.d.ts");
    for name in [
        "ExecutionEngine",
        "ExecutionEngine.execute",
        "ExecutionConfig.logDir",
        "ExecutionEvents.stdout",
        "'queue'",
        "ExecutionEngine.constructor",
    ] {
        assert!(is_declared(&declarations, name), "{name}");
    }
    for name in ["Engine", "ExecutionEngine.exec", "ExecutionConfig.execute", "ShellCommand.args", "'nothing'"] {
        assert!(!is_declared(&declarations, name), "{name}");
    }
    let (root, sources) = (read("src/lib.rs"), public_sources());
    for name in [
        "ExecutionEngine",
        "Uuid",
        "ExecutionEngine::execute",
        "Command::Shell",
        "Command::exec",
        "ExecutionConfig::log_dir",
        "EventHandler::handle_event",
    ] {
        assert!(is_public(&root, &sources, name), "{name}");
    }
    for name in [
        "Engine",
        "Registry",
        "ExecutionEngine::submit",
        "ExecutionEngine::nothing",
        "Command::Nothing",
        "ExecutionConfig::shell",
    ] {
        assert!(!is_public(&root, &sources, name), "{name}");
    }
}

/// Whether the declarations export a type, have a member of it (`Type.member`), or a value (`'value'`).
fn is_declared(declarations: &str, name: &str) -> bool {
    if name.starts_with('\'') {
        return declarations.contains(name);
    }
    let (of, member) = name.split_once('.').map_or((name, None), |(of, member)| (of, Some(member)));
    let heads = ["export interface ", "export class ", "export type ", "interface "].map(|head| format!("{head}{of}"));
    let is_head = |line: &str| {
        heads.iter().any(|head| line.strip_prefix(head.as_str()).is_some_and(|rest| !starts_with_word(rest)))
    };
    let mut body = declarations.lines().skip_while(|line| !is_head(line));
    if body.next().is_none() {
        return false;
    }
    let Some(member) = member else { return true };
    body.take_while(|line| *line != "}").any(|line| {
        let line = line.trim_start();
        let line = line.strip_prefix("static ").unwrap_or(line);
        let line = line.strip_prefix("readonly ").unwrap_or(line);
        line.strip_prefix(member).is_some_and(|rest| rest.starts_with(['(', ':', '?', '<']))
    })
}

fn starts_with_word(text: &str) -> bool {
    text.starts_with(|letter: char| letter.is_alphanumeric() || letter == '_')
}

/// Returns the sources that public types are in.
fn public_sources() -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(fs::read_to_string(path).unwrap());
            }
        }
    }
    found
}

/// Whether the root of the crate exports a name, and a source that defines or extends it has a public member (`Type::member`).
fn is_public(root: &str, sources: &[String], name: &str) -> bool {
    let (of, member) = name.split_once("::").map_or((name, None), |(of, member)| (of, Some(member)));
    let exports = root.split("pub use ").skip(1).filter_map(|statement| statement.split(';').next());
    let is_exported = exports
        .flat_map(|names| names.split(|letter: char| !letter.is_alphanumeric() && letter != '_'))
        .any(|word| word == of);
    let Some(member) = member else { return is_exported };
    let heads = ["struct", "enum", "trait", "impl"].map(|head| format!("{head} {of}"));
    let has_member = |source: &String| {
        let is_about = heads.iter().any(|head| {
            source.match_indices(head.as_str()).any(|(at, _)| !starts_with_word(&source[at + head.len()..]))
        });
        is_about && source.lines().any(|line| is_member(line.trim_start(), member))
    };
    is_exported && sources.iter().any(has_member)
}

/// Whether a line declares the member: a field, a function, a function of a trait, a variant, or a setting of the list
/// of settings.
fn is_member(line: &str, member: &str) -> bool {
    let variant = member.starts_with(char::is_uppercase);
    let heads: &[&str] =
        if variant { &[""] } else { &["pub ", "pub fn ", "pub const fn ", "pub async fn ", "async fn ", ""] };
    heads.iter().any(|head| {
        let rest = line.strip_prefix(head).and_then(|rest| rest.strip_prefix(member));
        rest.is_some_and(|rest| match *head {
            "" if variant => rest.is_empty() || rest.starts_with([',', '(', ' ']),
            // A setting: its type and its default follow.
            "" => rest.starts_with(": ") && line.contains(" ="),
            "pub " => rest.starts_with(':'),
            _ => rest.starts_with(['(', '<']),
        })
    })
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
