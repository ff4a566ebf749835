//! The program that reads a script: its interpreter, else its `#!` line, else the program for its extension.

use std::path::PathBuf;

use crate::common::*;

fn script_with(path: PathBuf, interpreter: Option<&str>, args: &[&str]) -> ExecutionRequest {
    let args = args.iter().map(|arg| (*arg).to_owned()).collect();
    Command::Script { path, interpreter: interpreter.map(Into::into), args }.into()
}

async fn says(engine: &Listened, request: ExecutionRequest) -> String {
    let result = engine.run(request).await.unwrap();
    assert_completed(&result);
    result.stdout.trim_end().to_owned()
}

/// Makes an interpreter that prints what it was given.
fn interpreter(dir: &std::path::Path, name: &str) -> String {
    let path = executable(&dir.join(name), format!("#!/bin/sh\necho {name} \"$@\"\n"));
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_shebang_decides_and_the_file_need_not_be_executable() {
    let engine = Listened::new();
    let dir = scratch();
    let reader = interpreter(dir.path(), "reader");
    // The extension would say otherwise.
    for (line, reported) in [(format!("#!{reader}"), ""), (format!("#! {reader}  -x  y "), "-x  y ")] {
        let path = write_file(&dir.path().join("script.py"), format!("{line}\nbody\n"), 0o600);
        let reported = if reported.is_empty() { String::new() } else { format!(" {}", reported.trim_end()) };
        let expected = format!("reader{reported} {} one two", path.display());
        assert_eq!(says(&engine, script_with(path, None, &["one", "two"])).await, expected);
    }
    engine.finish().await;
}

#[tokio::test]
async fn env_in_the_shebang_looks_on_the_path_of_the_child() {
    let engine = Listened::new();
    let dir = scratch();
    interpreter(dir.path(), "reader");
    let path = write_file(&dir.path().join("script"), "#!/usr/bin/env reader\n", 0o600);
    let env = [("PATH".to_owned(), format!("{}:/usr/bin:/bin", dir.path().display()))].into();
    let request = ExecutionRequest { env, ..script(&path) };
    assert_eq!(says(&engine, request).await, format!("reader {}", path.display()));
    engine.finish().await;
}

#[tokio::test]
async fn a_relative_interpreter_in_the_shebang_starts_at_the_working_directory() {
    let engine = Listened::new();
    let dir = scratch();
    interpreter(dir.path(), "reader");
    let path = executable(&dir.path().join("script"), "#!./reader\n");
    for request in [script("script"), exec::<&str>("./script", &[])] {
        let request = ExecutionRequest { working_dir: Some(dir.path().into()), ..request };
        let said = says(&engine, request).await;
        assert!(said.starts_with("reader ") && said.ends_with(path.file_name().unwrap().to_str().unwrap()), "{said}");
    }
    engine.finish().await;
}

#[tokio::test]
async fn a_script_without_a_shebang_is_read_by_its_extension() {
    let engine = Listened::new();
    let dir = scratch();
    for (name, reader) in [
        ("a.sh", "bash"),
        ("a.bash", "bash"),
        ("a.py", "python3"),
        ("a.js", "node"),
        ("a.rb", "ruby"),
        ("a.pl", "perl"),
        ("A.SH", "bash"),
    ] {
        interpreter(dir.path(), reader);
        let path = write_file(&dir.path().join(name), "body\n", 0o600);
        let env = [("PATH".to_owned(), dir.path().display().to_string())].into();
        let request = ExecutionRequest { env, ..script_with(path.clone(), None, &["one"]) };
        assert_eq!(says(&engine, request).await, format!("{reader} {} one", path.display()));
    }
    engine.finish().await;
}

#[tokio::test]
async fn the_next_best_interpreter_is_taken_when_the_best_is_missing() {
    let engine = Listened::new();
    let dir = scratch();
    interpreter(dir.path(), "sh");
    let path = write_file(&dir.path().join("a.sh"), "body\n", 0o600);
    let env = [("PATH".to_owned(), dir.path().display().to_string())].into();
    let request = ExecutionRequest { env, ..script(&path) };
    assert_eq!(says(&engine, request).await, format!("sh {}", path.display()));
    engine.finish().await;
}

#[tokio::test]
async fn a_script_that_says_nothing_about_its_language_is_refused() {
    let engine = Listened::new();
    let dir = scratch();
    for name in ["script", "script.unknown"] {
        let path = executable(&dir.path().join(name), "echo hi\n");
        assert_not_spawned(engine.run(script(&path)).await, "ENOEXEC", &["#!", "interpreter", name]);
    }
    engine.finish().await;
}

#[tokio::test]
async fn a_named_interpreter_wins() {
    let engine = Listened::new();
    let dir = scratch();
    let reader = interpreter(dir.path(), "reader");
    let path = write_file(&dir.path().join("a.py"), "#!/bin/sh\n", 0o600);
    assert_eq!(
        says(&engine, script_with(path.clone(), Some(&reader), &[])).await,
        format!("reader {}", path.display())
    );
    engine.finish().await;
}

#[tokio::test]
async fn a_relative_script_starts_at_the_working_directory() {
    let engine = Listened::new();
    let dir = scratch();
    std::fs::create_dir(dir.path().join("below")).unwrap();
    write_file(&dir.path().join("below/-a.sh"), "#!/bin/sh\npwd\necho $1\n", 0o600);
    let request = script_with("below/-a.sh".into(), None, &["one"]);
    let request = ExecutionRequest { working_dir: Some(dir.path().into()), ..request };
    let expected = format!("{}\none", dir.path().canonicalize().unwrap().display());
    assert_eq!(says(&engine, request).await, expected);
    engine.finish().await;
}

#[tokio::test]
async fn the_exit_code_is_the_scripts() {
    let engine = Listened::new();
    let dir = scratch();
    let path = write_file(&dir.path().join("a.sh"), "#!/bin/sh\nexit 42\n", 0o600);
    assert_exited(&engine.run(script(&path)).await.unwrap(), 42);
    engine.finish().await;
}
