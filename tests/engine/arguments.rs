//! Arguments arrive as they were given, and no shell ever sees them.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::common::*;

/// Returns the arguments as a child has seen them: `printf` gives each back, ended by a NUL.
async fn seen_by_a_child(engine: &Listened, args: &[String]) -> Vec<String> {
    let mut all = vec!["%s\\0".to_owned()];
    all.extend_from_slice(args);
    let result = engine.run(exec("/usr/bin/printf", &all)).await.unwrap();
    assert_completed(&result);
    let mut seen: Vec<_> = result.stdout.split('\0').map(str::to_owned).collect();
    assert_eq!(seen.pop().as_deref(), Some(""), "each is ended by a NUL");
    seen
}

/// The arguments that a shell would change, and those that are easily lost.
const TRICKY: &[&str] = &[
    "",
    " ",
    "\n",
    "\t",
    "a b",
    "a  b",
    " lead",
    "trail ",
    "'",
    "\"",
    "\\",
    "\\\\",
    "'\"'\"'",
    "$HOME",
    "${PATH}",
    "$(touch pwn)",
    "`touch pwn`",
    "; touch pwn",
    "&& touch pwn",
    "| touch pwn",
    "> pwn",
    "< /dev/null",
    "& touch pwn &",
    "#",
    "*",
    "?",
    "[a-z]",
    "{a,b}",
    "~",
    "!!",
    "%s",
    "%n",
    "%%",
    "\\n",
    "\r\n",
    "\u{1b}[31m",
    "-",
    "--",
    "-n",
    "--help",
    "é",
    "€",
    "😀",
    "\u{fffd}",
    "\u{202e}",
    "\u{7f}",
    "\u{1}",
    "a=b",
    "ESCHER_EXECUTION_ID=x",
];

fn argument() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => any::<String>().prop_map(|text| text.replace('\0', "")),
        1 => proptest::sample::select(TRICKY).prop_map(str::to_owned),
        1 => vec(proptest::sample::select(TRICKY), 0..8).prop_map(|parts| parts.concat()),
        1 => "[ -~\n]{0,300}",
    ]
}

proptest! {
    // 50 × 200 arguments: each child gets many, since a child costs more than an argument.
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 200, ..ProptestConfig::with_cases(50) })]

    #[test]
    fn ten_thousand_arguments_round_trip(args in vec(argument(), 200)) {
        let seen = block_on(async {
            let engine = Listened::new();
            let seen = seen_by_a_child(&engine, &args).await;
            engine.finish().await;
            seen
        });
        prop_assert_eq!(seen, args);
    }
}

#[tokio::test]
async fn no_shell_sees_an_argument() {
    let engine = Listened::new();
    let dir = scratch();
    let args: Vec<_> = TRICKY.iter().map(|arg| (*arg).to_owned()).collect();
    let mut all = vec!["%s\\0".to_owned()];
    all.extend_from_slice(&args);
    let request = ExecutionRequest { working_dir: Some(dir.path().into()), ..exec("/usr/bin/printf", &all) };
    let result = engine.run(request).await.unwrap();
    assert_completed(&result);
    assert_eq!(result.stdout, args.join("\0") + "\0");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "something was executed");
    engine.finish().await;
}

#[tokio::test]
async fn no_shell_sees_a_program() {
    let engine = Listened::new();
    let dir = scratch();
    for name in ["true; touch pwn", "$(touch pwn)", "true && touch pwn", "/bin/true; touch pwn", "true pwn"] {
        let request = ExecutionRequest { working_dir: Some(dir.path().into()), ..exec::<&str>(name, &[]) };
        assert_not_spawned(engine.run(request).await, "ENOENT", &["program"]);
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "something was executed");
    engine.finish().await;
}

#[tokio::test]
async fn no_shell_sees_the_arguments_of_a_script() {
    let engine = Listened::new();
    let dir = scratch();
    let path =
        executable(&dir.path().join("a script;touch pwn.sh"), "#!/bin/sh\nfor arg; do printf '%s\\0' \"$arg\"; done\n");
    let args: Vec<_> = TRICKY.iter().map(|arg| (*arg).to_owned()).collect();
    let command = Command::Script { path, interpreter: None, args: args.clone() };
    let request = ExecutionRequest { working_dir: Some(dir.path().into()), ..command.into() };
    let result = engine.run(request).await.unwrap();
    assert_completed(&result);
    assert_eq!(result.stdout, args.join("\0") + "\0");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "something was executed");
    engine.finish().await;
}

#[tokio::test]
async fn a_program_gets_its_own_path() {
    let engine = Listened::new();
    let dir = scratch();
    let path = executable(&dir.path().join("tool"), "#!/bin/sh\necho \"$0\"\n");
    let result = engine.run(program(&path)).await.unwrap();
    assert_eq!(result.stdout.trim_end(), path.to_str().unwrap());
    engine.finish().await;
}
