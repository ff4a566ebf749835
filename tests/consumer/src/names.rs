//! The names that a glob import brings.

/// With the prelude, names of the standard library have their usual meaning.
mod with_prelude {
    use execution_engine::prelude::*;

    pub(super) fn parse(text: &str) -> Result<u32, std::num::ParseIntError> {
        text.parse()
    }

    pub(super) fn engine() -> Option<ExecutionEngine> {
        ExecutionEngine::new(ExecutionConfig::default()).ok()
    }

    pub(super) fn requests() -> Vec<ExecutionRequest> {
        vec![ExecutionRequest::new(Command::exec("true"))]
    }
}

/// A name that is imported by itself has precedence over one that a glob brings.
mod with_globs {
    use std::process::Command;

    use execution_engine::*;
    use tokio_stream::Stream;

    pub(super) fn command() -> Command {
        Command::new("true")
    }

    pub(super) fn is_a_stream(events: EventStream) -> impl Stream<Item = ExecutionEvent> {
        events
    }

    /// The engine's own `Result` takes another error too.
    pub(super) fn parse(text: &str) -> Result<u32, std::num::ParseIntError> {
        text.parse()
    }
}

#[tokio::test]
async fn a_glob_import_shadows_nothing() {
    assert_eq!((with_prelude::parse("7"), with_globs::parse("7")), (Ok(7), Ok(7)));
    let engine = with_prelude::engine().unwrap();
    assert_eq!(with_prelude::requests().len(), 1);
    assert!(with_globs::command().status().unwrap().success());
    let events = engine.stream(execution_engine::Command::exec("true").into()).unwrap();
    let _ = with_globs::is_a_stream(events);
}

#[test]
fn types_of_other_crates_come_with_the_engine() {
    let id = execution_engine::Uuid::new_v4();
    let now: execution_engine::DateTime<execution_engine::Utc> = std::time::SystemTime::now().into();
    let token = execution_engine::CancellationToken::new();
    let variables = execution_engine::HashMap::from([("A".to_string(), "b".to_string())]);
    let request =
        execution_engine::ExecutionRequest::new(execution_engine::Command::exec("true")).id(id).envs(variables);
    let options = execution_engine::ExecutionOptions::new().signal(token);
    let filter = execution_engine::ExecutionFilter::new().since(now);
    assert!(request.id == id && options.signal.is_some() && filter.since == Some(now));
}
