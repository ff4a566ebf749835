//! The shell that reads a line.

use std::path::Path;

use crate::common::*;

fn line_for(shell: &str, line: &str) -> ExecutionRequest {
    Command::Shell { command: line.into(), shell: shell.into() }.into()
}

#[tokio::test]
async fn the_default_shell_is_bash_where_there_is_one() {
    let engine = Listened::new();
    let expected = if Path::new("/bin/bash").exists() { "/bin/bash\n" } else { "/bin/sh\n" };
    let result = engine.run(line_for("", "echo $0")).await.unwrap();
    assert_eq!(result.stdout, expected);
    engine.finish().await;
}

#[tokio::test]
async fn a_shell_is_named_by_its_path_or_its_name() {
    let engine = Listened::new();
    for shell in ["/bin/sh", "sh"] {
        let result = engine.run(line_for(shell, "echo ${0##*/}")).await.unwrap();
        assert_completed(&result);
        assert_eq!(result.stdout, "sh\n");
    }
    engine.finish().await;
}

#[tokio::test]
async fn a_line_may_do_all_that_a_shell_can() {
    let engine = Listened::new();
    let result =
        engine.run(line_for("", "printf 'b\\na\\n' | sort && (echo \"$((1 + 2))\"; false) || exit 5")).await.unwrap();
    assert_exited(&result, 5);
    assert_eq!(result.stdout, "a\nb\n3\n");
    engine.finish().await;
}
