//! The AWS command line.

use crate::common::*;

/// Makes a directory with an `aws` that prints what it was given.
fn fake_aws() -> (tempfile::TempDir, String) {
    let dir = scratch();
    let body = "#!/bin/sh\nfor arg; do printf '%s|' \"$arg\"; done\nprintf '\\npager=[%s]\\n' \"${AWS_PAGER-unset}\"\n";
    executable(&dir.path().join("aws"), body);
    let path = format!("{}:/usr/bin:/bin", dir.path().display());
    (dir, path)
}

fn aws(args: &[&str], profile: Option<&str>, region: Option<&str>, env: &[(&str, &str)]) -> ExecutionRequest {
    let command = Command::AwsCli {
        service: "s3".into(),
        command: "ls".into(),
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        profile: profile.map(Into::into),
        region: region.map(Into::into),
    };
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    ExecutionRequest { env, ..command.into() }
}

#[tokio::test]
async fn aws_is_called_with_its_pager_off() {
    let engine = Listened::new();
    let (_dir, path) = fake_aws();
    let request = aws(&["--recursive", "a b"], Some("dev"), Some("eu-west-1"), &[("PATH", &path)]);
    let result = engine.run(request).await.unwrap();
    assert_completed(&result);
    assert_eq!(result.stdout, "s3|ls|--recursive|a b|--profile|dev|--region|eu-west-1|\npager=[]\n");
    engine.finish().await;
}

#[tokio::test]
async fn aws_gets_no_option_that_was_not_requested() {
    let engine = Listened::new();
    let (_dir, path) = fake_aws();
    let result = engine.run(aws(&[], None, None, &[("PATH", &path)])).await.unwrap();
    assert_eq!(result.stdout, "s3|ls|\npager=[]\n");
    engine.finish().await;
}

#[tokio::test]
async fn a_pager_that_the_request_asks_for_is_kept() {
    let engine = Listened::new();
    let (_dir, path) = fake_aws();
    let result = engine.run(aws(&[], None, None, &[("PATH", &path), ("AWS_PAGER", "less")])).await.unwrap();
    assert_eq!(result.stdout, "s3|ls|\npager=[less]\n");
    engine.finish().await;
}

#[tokio::test]
async fn a_missing_aws_is_named_in_the_error() {
    let engine = Listened::new();
    let dir = scratch();
    let path = dir.path().to_str().unwrap();
    assert_not_spawned(engine.run(aws(&[], None, None, &[("PATH", path)])).await, "ENOENT", &["AWS", path]);
    engine.finish().await;
}
