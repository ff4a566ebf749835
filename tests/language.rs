//! The language of the project: no idiom that treats processes and code as persons, and no reference to documents
//! that are not in the project.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

const AREAS: &[&str] = &[
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "index.d.ts",
    "build.rs",
    "Cargo.toml",
    "biome.jsonc",
    "deny.toml",
    "typos.toml",
    ".ci",
    ".github",
    "addon",
    "fuzz/fuzz_targets",
    "docs",
    "benches",
    "examples",
    "scripts",
    "tests",
    "__test__",
    "src",
    "lib",
];

/// The folders that builds leave there.
const BUILT: &[&str] = &["examples/tauri/target", "examples/tauri/gen"];

/// The list of the words.
const EXCEPTIONS: &[&str] = &["tests/language.rs"];

const WORDS: &[&str] = &[
    "who",
    "whom",
    "whoever",
    "somebody",
    "nobody",
    "anybody",
    "everybody",
    "someone",
    "told",
    "tell",
    "tells",
    "telling",
    "hear",
    "hears",
    "heard",
    "hearing",
    // These are wrong of processes, which run, end and are killed.
    "lives",
    "dies",
    "died",
    "dying",
    // These are wrong of modules and folders.
    "rooms",
    "house",
];

/// Folders, and names that their files had: none of them said what the file does.
const FILE_NAMES: &[(&str, &[&str])] = &[
    (
        "src",
        &[
            "admit", "attempts", "contain", "course", "drive", "flow", "keeper", "limit", "model", "outside", "pump",
            "steps", "turns", "watched", "words",
        ],
    ),
    ("lib", &["board", "channels", "events", "json", "live", "plain", "shutdown", "signals"]),
];

/// Documents that are not in the project.
const DOCUMENTS: &[&str] = &["FAULTS.md", "DESIGN.md", "STYLE.md"];

/// Text between these is written by a benchmark run.
const GENERATED: &[(&str, &str)] =
    &[("<!-- bench:start -->", "<!-- bench:end -->"), ("<!-- profile:start -->", "<!-- profile:end -->")];

#[test]
fn no_text_has_a_word_of_the_idiom() {
    let mut problems = String::new();
    for (name, text) in files(AREAS) {
        for (number, line) in written(&text).lines().enumerate() {
            for word in words(line).filter(|word| WORDS.contains(&word.to_lowercase().as_str())) {
                writeln!(problems, "{name}:{}: `{word}`: {}", number + 1, line.trim()).unwrap();
            }
            for document in DOCUMENTS.iter().filter(|document| line.contains(*document)) {
                writeln!(problems, "{name}:{}: {document} is not in the project", number + 1).unwrap();
            }
        }
    }
    assert!(problems.is_empty(), "use the technical term, such as `report`, `receive` or `process`:\n{problems}");
}

#[test]
fn no_file_has_a_name_of_the_idiom() {
    for (folder, names) in FILE_NAMES {
        let bad = files(&[folder]).into_iter().map(|(name, _)| name).filter(|name| {
            let stem = Path::new(name).file_stem().unwrap().to_str().unwrap();
            names.contains(&stem)
        });
        assert_eq!(bad.collect::<Vec<_>>(), [""; 0], "name what the file does");
    }
}

#[test]
fn words_are_found_in_names_and_in_text() {
    assert_eq!(words("f(who_is_told, 'nobody’s')").collect::<Vec<_>>(), ["f", "who", "is", "told", "nobody", "s"]);
    assert_eq!(words("tellHost(ToldOf)").collect::<Vec<_>>(), ["tell", "Host", "Told", "Of"]);
    assert_eq!(written("a\n<!-- bench:start -->\nb\n<!-- bench:end -->\nc"), "a\n\n\n\nc");
}

/// Returns the words of text and of names, in whichever case these are.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let parts = line.split(|char: char| !char.is_alphanumeric());
    let humps = parts.flat_map(|part| {
        let starts = part.char_indices().skip(1).filter(|(_, char)| char.is_uppercase()).map(|(at, _)| at);
        let ends: Vec<usize> = starts.chain([part.len()]).collect();
        let mut from = 0;
        ends.into_iter().map(move |to| &part[std::mem::replace(&mut from, to)..to])
    });
    humps.filter(|word| !word.is_empty())
}

/// Returns a text with empty lines in the place of the generated ones.
fn written(text: &str) -> String {
    let mut until = None;
    let lines = text.lines().map(|line| {
        let is_written = until.is_none() && GENERATED.iter().all(|(start, _)| line != *start);
        if let Some((_, end)) = GENERATED.iter().find(|(start, _)| line == *start) {
            until = Some(*end);
        } else if until == Some(line) {
            until = None;
        }
        if is_written { line } else { "" }
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn files(areas: &[&str]) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut waiting: Vec<PathBuf> = areas.iter().map(|area| root.join(area)).collect();
    while let Some(path) = waiting.pop() {
        if BUILT.iter().any(|built| path == root.join(built)) {
            continue;
        }
        if path.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let name = path.strip_prefix(root).unwrap().display().to_string().replace('\\', "/");
        // A picture or a program is no text.
        let Ok(text) = fs::read_to_string(&path) else { continue };
        if !EXCEPTIONS.contains(&name.as_str()) {
            found.push((name, text));
        }
    }
    assert!(found.len() > 20, "{areas:?} have {} files", found.len());
    found
}
