//! Many requests by one call: each is accepted or refused by itself.

use execution_engine::StdinStream;

use crate::common::*;

fn says(word: &str) -> ExecutionRequest {
    Command::exec("echo").arg(word).into()
}

#[tokio::test]
async fn each_request_is_accepted_or_refused_by_itself_and_in_order() {
    let engine = Listened::new();
    let known = Uuid::new_v4();
    let requests = [
        says("a").id(known),
        Command::exec("").into(),
        says("b").id(known),
        says("c").timeout(Duration::from_secs(1 << 40)),
        says("d").env("A=B", "x"),
        says("e"),
    ];
    let accepted = engine.execute_many(requests).await;
    assert_eq!(accepted.len(), 6);
    assert_eq!(accepted[0].as_ref().unwrap(), &known);
    let field = |index: usize| accepted[index].as_ref().unwrap_err().field().unwrap_or_default().to_owned();
    assert_eq!(field(1), "requests[1].command.program");
    assert_eq!(accepted[2].as_ref().unwrap_err().code(), ErrorCode::DuplicateId);
    assert_eq!(field(3), "requests[3].timeout_ms");
    assert!(field(4).starts_with("requests[4].env"), "{}", field(4));
    for (index, line) in [(0, "a\n"), (5, "e\n")] {
        let id = *accepted[index].as_ref().unwrap();
        assert_eq!(engine.wait_for_completion(id).await.unwrap().stdout, line);
    }
    assert!(engine.execute_many([]).await.is_empty());
    engine.finish().await;
}

/// These are more than one task starts.
#[tokio::test]
async fn those_that_wait_run_in_their_order() {
    let dir = scratch();
    let engine = Listened::with(ExecutionConfig { max_concurrent_executions: 1, ..Default::default() });
    let blocker = engine.start(waits_for(&dir.path().join("go")), ExecutionOptions::default()).await;
    let many = engine.execute_many((0..300).map(|_| brief())).await;
    let ids: Vec<Uuid> = many.into_iter().map(|accepted| accepted.unwrap()).collect();
    engine.cancel(ids[1]).await.unwrap();
    assert_never_ran(&engine.get_result(ids[1]).await.unwrap());
    std::fs::write(dir.path().join("go"), "").unwrap();
    assert_completed(&soon("the blocker", engine.wait_for_completion(blocker)).await.unwrap());
    let mut before = None;
    for (index, id) in ids.iter().enumerate().filter(|(index, _)| *index != 1) {
        let result = engine.wait_for_completion(*id).await.unwrap();
        assert_completed(&result);
        assert!(before <= Some(result.started_at), "number {index} began before the one before it");
        before = Some(result.started_at);
    }
    engine.finish().await;
}

#[tokio::test]
async fn the_options_are_those_of_each() {
    let engine = Listened::new();
    let cat = || ExecutionRequest::new(Command::exec("cat"));
    let options = ExecutionOptions { stdin: "given".into(), ..ExecutionOptions::default() };
    for accepted in engine.execute_many_with([cat(), cat()], options).await {
        assert_eq!(engine.wait_for_completion(accepted.unwrap()).await.unwrap().stdout, "given");
    }
    let (_writer, stdin) = StdinStream::channel();
    let options = ExecutionOptions { stdin, ..ExecutionOptions::default() };
    for refused in engine.execute_many_with([cat(), cat()], options).await {
        assert_field_refused(refused, ErrorCode::InvalidRequest, "options.stdin");
    }
    let options = ExecutionOptions { kill_grace_ms: Some(u64::MAX), ..ExecutionOptions::default() };
    let [refused] = engine.execute_many_with([cat()], options).await.try_into().unwrap();
    assert_field_refused(refused, ErrorCode::InvalidRequest, "options.kill_grace_ms");
    engine.finish().await;
}

#[tokio::test]
async fn a_full_queue_and_a_shutdown_refuse_what_is_left() {
    let config = ExecutionConfig { max_concurrent_executions: 1, max_queued_executions: 2, ..Default::default() };
    let engine = Listened::with(config);
    let many = engine.execute_many((0..5).map(|_| endless())).await;
    let codes: Vec<_> = many.iter().map(|accepted| accepted.as_ref().err().map(ExecutionError::code)).collect();
    assert_eq!(codes, [None, None, None, Some(ErrorCode::QueueFull), Some(ErrorCode::QueueFull)]);
    assert_eq!(engine.cancel_all_with(Some(Duration::ZERO)).await, 3);
    engine.shutdown(Duration::ZERO).await;
    let [refused] = engine.execute_many([brief()]).await.try_into().unwrap();
    assert_eq!(refused.unwrap_err().code(), ErrorCode::EngineShutDown);
    engine.finish().await;
}
