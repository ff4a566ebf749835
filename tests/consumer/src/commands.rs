//! Commands and requests: as literals, and in the short form.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use execution_engine::{
    Command, ErrorCode, ExecutionConfig, ExecutionEngine, ExecutionMetadata, ExecutionPlan, ExecutionRequest,
    ExecutionStrategy, UNSET, Uuid,
};

#[test]
fn the_short_form_of_a_command_is_the_literal() {
    let literals = [
        Command::Shell { command: "ls -la".to_string(), shell: String::new() },
        Command::Exec { program: "echo".to_string(), args: vec!["hello".to_string(), "you".to_string()] },
        Command::Script { path: PathBuf::from("script.sh"), interpreter: None, args: vec!["-v".to_string()] },
        Command::AwsCli {
            service: "s3".to_string(),
            command: "ls".to_string(),
            args: vec!["s3://bucket".to_string()],
            profile: None,
            region: None,
        },
    ];
    let short = [
        Command::shell("ls -la"),
        Command::exec("echo").arg("hello").args(["you"]),
        Command::script("script.sh").arg("-v"),
        Command::aws("s3", "ls").arg("s3://bucket"),
    ];
    assert_eq!(literals, short);
}

#[test]
fn arguments_are_whatever_std_takes() {
    let of_std = Command::exec(Path::new("/bin/cp")).arg(OsString::from("-r")).args([Path::new("/a"), Path::new("/b")]);
    assert_eq!(of_std, Command::exec("/bin/cp").args(["-r", "/a", "/b"]));
}

#[test]
fn the_short_form_of_a_request_is_the_literal() {
    let id = Uuid::new_v4();
    let short = ExecutionRequest::new(Command::shell("make"))
        .id(id)
        .env("CI", "1")
        .envs([("A", "b")])
        .env_remove("EDITOR")
        .working_dir("/srv")
        .timeout(Duration::from_secs(60))
        .output_log_path("/var/log/make.log")
        .metadata(ExecutionMetadata::default().source("playbook").tag("nightly").entry("build", 7))
        .label("make");
    let mut metadata = ExecutionMetadata::default();
    metadata.source = Some("playbook".to_string());
    metadata.tags = vec!["nightly".to_string()];
    metadata.label = Some("make".to_string());
    metadata.extra.insert("build".to_string(), 7.into());
    let variables = [("CI", "1"), ("A", "b"), ("EDITOR", UNSET)];
    let literal = ExecutionRequest {
        id,
        command: Command::shell("make"),
        env: variables.map(|(name, value)| (name.to_string(), value.to_string())).into(),
        working_dir: Some("/srv".into()),
        timeout_ms: Some(60_000),
        output_log_path: Some("/var/log/make.log".into()),
        metadata,
    };
    assert_eq!(short, literal);
}

#[tokio::test]
async fn a_plan_is_a_literal_or_made_of_commands() {
    let strategies = [
        ExecutionStrategy::Serial { stop_on_error: true },
        ExecutionStrategy::Parallel { max_concurrency: Some(2) },
        ExecutionStrategy::DependencyGraph { dependencies: [(1, vec![0])].into() },
    ];
    let engine = ExecutionEngine::new(ExecutionConfig::default()).unwrap();
    for strategy in strategies {
        let literal = ExecutionPlan {
            id: Uuid::new_v4(),
            description: "two steps".to_string(),
            strategy: strategy.clone(),
            commands: vec![ExecutionRequest::new(Command::exec("true")), Command::exec("true").into()],
            metadata: Default::default(),
        };
        let id = engine.execute_plan(literal).await.unwrap();
        let result = engine.wait_for_plan(id).await.unwrap();
        assert_eq!((result.plan_id, result.results.len(), result.stats.completed), (id, 2, 2));
        let short = ExecutionPlan::new("two steps", strategy, [Command::exec("true"), Command::exec("true")]);
        assert!(engine.run_plan(short).await.unwrap().success);
    }
}

#[tokio::test]
async fn a_script_and_the_aws_command_line_run() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("greet.sh");
    std::fs::write(&script, "echo \"hello $1\"\n").unwrap();
    let engine = ExecutionEngine::new(ExecutionConfig::default()).unwrap();
    let result = engine.run(Command::script(&script).arg("you").into()).await.unwrap();
    assert_eq!(result.stdout, "hello you\n");

    // A program of that name stands for the AWS command line.
    let aws = folder.path().join("aws");
    std::fs::write(&aws, "#!/bin/sh\necho \"$@\"\n").unwrap();
    std::fs::set_permissions(&aws, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let request = ExecutionRequest::new(Command::aws("s3", "ls").arg("s3://bucket")).env("PATH", path);
    assert!(engine.run(request).await.unwrap().stdout.starts_with("s3 ls s3://bucket"));
}

#[tokio::test]
async fn what_is_wrong_with_a_request_has_a_code_and_a_field() {
    let engine = ExecutionEngine::new(ExecutionConfig::default()).unwrap();
    let refused = engine.execute(Command::exec("").into()).await.unwrap_err();
    assert_eq!((refused.code(), refused.field()), (ErrorCode::InvalidRequest, Some("command.program")));
}
