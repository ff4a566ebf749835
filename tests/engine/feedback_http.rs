//! Feedback by HTTP, against a server on this machine: batches, repeats, bounds, and nothing else in what is sent.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Mutex;

use execution_engine::{FeedbackSink, HttpFeedback, HttpFeedbackOptions};
use serde_json::Value;

use crate::common::*;

/// The bytes that a server got, and its answers.
#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<Request>>,
    answers: Mutex<Vec<u16>>,
}

#[derive(Clone)]
struct Request {
    head: String,
    body: Vec<u8>,
    answered: u16,
}

impl Request {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn ids(&self) -> Vec<String> {
        let json = self.json();
        let executions = json["executions"].as_array().unwrap();
        executions.iter().map(|execution| execution["execution_id"].as_str().unwrap().to_owned()).collect()
    }
}

impl Seen {
    fn all(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// Returns the ids of all requests that were answered with 200.
    fn accepted(&self) -> Vec<String> {
        self.all().iter().filter(|request| request.answered == 200).flat_map(Request::ids).collect()
    }
}

/// Answers the first requests as it is given, and every other with 200; with 0 it never answers.
fn serve(listener: TcpListener, answers: &[u16]) -> Arc<Seen> {
    let seen = Arc::new(Seen { answers: Mutex::new(answers.to_vec()), ..Seen::default() });
    let server = Arc::clone(&seen);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, seen) = (stream.unwrap(), Arc::clone(&server));
            std::thread::spawn(move || converse(stream, &seen));
        }
    });
    seen
}

/// Handles one connection, to its end.
fn converse(stream: TcpStream, seen: &Seen) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
        let mut body = vec![0; length.expect("a request has a length")];
        reader.read_exact(&mut body).unwrap();
        let answer = {
            let mut answers = seen.answers.lock().unwrap();
            if answers.is_empty() { 200 } else { answers.remove(0) }
        };
        seen.requests.lock().unwrap().push(Request { head, body, answered: answer });
        if answer == 0 {
            // This waits until the other side gives up.
            let _ = reader.read(&mut [0]);
            return;
        }
        if write!(stream, "HTTP/1.1 {answer} Answer\r\nContent-Length: 2\r\n\r\n{{}}").is_err() {
            return;
        }
    }
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Returns an address where nothing listens, and where no other program or test will: on Linux each network of 127 has
/// ports of its own.
fn closed(host: u8) -> SocketAddr {
    let network = if cfg!(target_os = "linux") { format!("127.86.21.{host}:0") } else { "127.0.0.1:0".into() };
    TcpListener::bind(network).unwrap().local_addr().unwrap()
}

/// Returns options with short pauses: a test waits for what it sees, and not for them.
fn options(address: SocketAddr) -> HttpFeedbackOptions {
    let mut options = HttpFeedbackOptions::new(format!("http://{address}/executions"));
    options.linger = Duration::from_millis(20);
    options.backoff = Duration::from_millis(10);
    options.max_backoff = Duration::from_millis(50);
    options
}

fn engine_with(sink: &Arc<HttpFeedback>) -> ExecutionEngine {
    ExecutionEngine::new(ExecutionConfig::default()).unwrap().with_feedback_sink(sink.clone())
}

async fn run_some(engine: &ExecutionEngine, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(engine.run(ExecutionRequest::new(Command::exec("true"))).await.unwrap().id.to_string());
    }
    ids
}

#[tokio::test]
async fn statuses_arrive_once_and_in_order_in_batches() {
    let (listener, address) = listener();
    let seen = serve(listener, &[]);
    let mut options = options(address).header("Authorization", "Bearer of the test");
    options.max_batch = 4;
    options.linger = Duration::from_secs(600);
    let sink = Arc::new(HttpFeedback::new(options).unwrap());
    let engine = engine_with(&sink);
    let ids = run_some(&engine, 10).await;
    soon("the shutdown", engine.shutdown(Duration::ZERO)).await;

    let requests = seen.all();
    let sizes: Vec<_> = requests.iter().map(|request| request.ids().len()).collect();
    assert_eq!(sizes, [4, 4, 2]);
    assert_eq!(seen.accepted(), ids);
    for request in &requests {
        assert!(request.head.starts_with("POST /executions HTTP/1.1\r\n"), "{}", request.head);
        let head = request.head.to_ascii_lowercase();
        assert!(
            head.contains("authorization: bearer of the test\r\n")
                && head.contains("content-type: application/json\r\n")
        );
    }
    let totals = sink.totals();
    assert_eq!((totals.sent, totals.queued, totals.dropped, totals.refused, totals.retries), (10, 0, 0, 0, 0));
}

#[tokio::test]
async fn the_bytes_sent_have_these_keys_and_nothing_of_the_command() {
    const MARKER: &str = "MarkerThatMustStay";
    let (listener, address) = listener();
    let seen = serve(listener, &[]);
    let sink = Arc::new(HttpFeedback::new(options(address)).unwrap());
    let engine = engine_with(&sink);
    let line = format!("echo {MARKER}; echo {MARKER} >&2; echo $NAME; exit 7");
    let mut request = ExecutionRequest::new(Command::shell(line)).env("NAME", MARKER).env(MARKER, "x").label("nightly");
    request.metadata.source = Some(MARKER.into());
    request.metadata.tags = vec![MARKER.into()];
    engine.run(request).await.unwrap();
    // The message of an error names the program and the directory.
    let missing = ExecutionRequest::new(Command::exec(MARKER)).working_dir(std::env::temp_dir());
    engine.run(missing).await.unwrap_err();
    soon("the shutdown", engine.shutdown(Duration::ZERO)).await;

    let requests = seen.all();
    assert!(!requests.is_empty());
    for request in &requests {
        assert!(!request.head.contains(MARKER), "{}", request.head);
        assert!(!String::from_utf8_lossy(&request.body).contains(MARKER), "{}", String::from_utf8_lossy(&request.body));
        let json = request.json();
        assert_eq!(keys(&json), ["dropped", "executions"]);
        for execution in json["executions"].as_array().unwrap() {
            let fields = [
                "duration_ms",
                "execution_id",
                "exit_code",
                "label",
                "queued_ms",
                "reason",
                "signal",
                "status",
                "stderr_bytes",
                "stdout_bytes",
            ];
            assert_eq!(keys(execution), fields);
        }
    }
    let first = &requests[0].json()["executions"][0];
    assert_eq!(
        (&first["status"], &first["exit_code"], &first["label"]),
        (&"failed".into(), &7.into(), &"nightly".into())
    );
}

fn keys(json: &Value) -> Vec<&str> {
    json.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn a_batch_is_repeated_after_503_429_and_no_answer() {
    let (listener, address) = listener();
    let seen = serve(listener, &[503, 429, 0]);
    let mut options = options(address);
    options.timeout = Duration::from_secs(2);
    let sink = Arc::new(HttpFeedback::new(options).unwrap());
    let engine = engine_with(&sink);
    let ids = run_some(&engine, 1).await;
    wait_until("the status arrives", || seen.accepted() == ids).await;
    let requests = seen.all();
    assert_eq!(requests.iter().map(|request| request.answered).collect::<Vec<_>>(), [503, 429, 0, 200]);
    assert!(requests.iter().all(|request| request.body == requests[0].body), "the same batch each time");
    wait_until("it is counted", || sink.totals().sent == 1).await;
    assert_eq!(sink.totals().retries, 3);
}

#[tokio::test]
async fn a_server_that_is_not_there_gets_everything_when_it_is() {
    let address = closed(7);
    let sink = Arc::new(HttpFeedback::new(options(address)).unwrap());
    let engine = engine_with(&sink);
    let ids = run_some(&engine, 3).await;
    wait_until("a connection is refused", || sink.totals().retries >= 2).await;
    let seen = serve(TcpListener::bind(address).unwrap(), &[]);
    wait_until("all of them arrive", || seen.accepted() == ids).await;
}

#[tokio::test]
async fn what_waits_is_bounded_and_what_was_dropped_is_reported() {
    let address = closed(8);
    let mut options = options(address);
    (options.max_batch, options.max_queued) = (2, 5);
    let sink = Arc::new(HttpFeedback::new(options).unwrap());
    let engine = engine_with(&sink);
    let ids = run_some(&engine, 40).await;
    wait_until("all have come", || sink.totals().queued + sink.totals().dropped == 40).await;
    let totals = sink.totals();
    assert!(totals.queued <= 7, "{totals:?}");

    let seen = serve(TcpListener::bind(address).unwrap(), &[]);
    wait_until("the rest arrives", || sink.totals().queued == 0).await;
    let totals = sink.totals();
    assert_eq!(totals.sent + totals.dropped, 40, "{totals:?}");
    let accepted = seen.accepted();
    assert_eq!(accepted.len() as u64, totals.sent);
    assert_eq!(accepted[accepted.len() - 5..], ids[35..], "the newest are kept");
    let reported: u64 = seen.all().iter().map(|request| request.json()["dropped"].as_u64().unwrap()).sum();
    assert_eq!(reported, totals.dropped);
}

#[tokio::test]
async fn a_refusal_is_counted_and_not_repeated() {
    let (listener, address) = listener();
    let seen = serve(listener, &[400, 302]);
    let mut options = options(address);
    options.max_batch = 1;
    let sink = Arc::new(HttpFeedback::new(options).unwrap());
    let engine = engine_with(&sink);
    let ids = run_some(&engine, 3).await;
    wait_until("the third arrives", || seen.accepted() == ids[2..]).await;
    wait_until("it is counted", || sink.totals().sent == 1).await;
    let totals = sink.totals();
    assert_eq!((totals.refused, totals.retries, totals.dropped), (2, 0, 0));
    assert_eq!(seen.all().last().unwrap().json()["dropped"], 2, "the server learns that two are missing");
}

#[tokio::test]
async fn a_shutdown_sends_what_waits_and_does_not_wait_for_a_dead_server() {
    let (first, address) = listener();
    let seen = serve(first, &[]);
    let mut patient = options(address);
    patient.linger = Duration::from_secs(600);
    let sink = Arc::new(HttpFeedback::new(patient).unwrap());
    let engine = engine_with(&sink);
    let ids = run_some(&engine, 2).await;
    soon("the shutdown", engine.shutdown(Duration::ZERO)).await;
    assert_eq!(seen.accepted(), ids);

    let (silent, address) = listener();
    let sink = Arc::new(HttpFeedback::new(options(address)).unwrap());
    let engine = engine_with(&sink);
    run_some(&engine, 2).await;
    soon("a shutdown beside a server that does not answer", engine.shutdown(Duration::ZERO)).await;
    drop(silent);
}

#[tokio::test]
async fn a_dropped_sink_sends_what_waits() {
    let (listener, address) = listener();
    let seen = serve(listener, &[503]);
    let mut patient = options(address);
    patient.linger = Duration::from_secs(600);
    let sink = Arc::new(HttpFeedback::new(patient).unwrap());
    let engine = engine_with(&sink);
    let ids = run_some(&engine, 2).await;
    wait_until("both have come", || sink.totals().queued == 2).await;
    drop(engine);
    drop(sink);
    wait_until("they arrive", || seen.accepted() == ids).await;
}

#[tokio::test]
async fn a_flush_skips_the_pause_of_a_retry() {
    let (listener, address) = listener();
    let seen = serve(listener, &[503]);
    let mut slow = options(address);
    (slow.backoff, slow.max_backoff) = (Duration::from_secs(600), Duration::from_secs(600));
    let sink = Arc::new(HttpFeedback::new(slow).unwrap());
    let engine = engine_with(&sink);
    let ids = run_some(&engine, 1).await;
    wait_until("the first attempt failed", || sink.totals().retries == 1).await;
    soon("the flush", sink.flush()).await;
    assert_eq!(seen.accepted(), ids);
}

/// `Duration::MAX` is how an application says "never".
#[tokio::test]
async fn the_longest_times_are_times_too() {
    let (listener, address) = listener();
    let seen = serve(listener, &[503]);
    let mut longest = options(address);
    (longest.linger, longest.timeout, longest.drain) = (Duration::MAX, Duration::MAX, Duration::MAX);
    (longest.backoff, longest.max_backoff) = (Duration::MAX, Duration::MAX);
    let sink = Arc::new(HttpFeedback::new(longest).unwrap());
    let engine = engine_with(&sink);
    let mut ids = run_some(&engine, 1).await;
    wait_until("it has come", || sink.totals().queued == 1).await;
    let flush = tokio::spawn({
        let sink = sink.clone();
        async move { sink.flush().await }
    });
    wait_until("the first attempt failed", || sink.totals().retries == 1).await;
    soon("a flush that skips the pause", sink.flush()).await;
    soon("the flush before", flush).await.unwrap();
    ids.extend(run_some(&engine, 1).await);
    wait_until("another one has come", || sink.totals().queued == 1).await;
    drop(engine);
    drop(sink);
    wait_until("what waited is sent after the drop", || seen.accepted() == ids).await;
}

#[test]
fn options_that_cannot_work_are_refused_with_the_field() {
    type Change = fn(&mut HttpFeedbackOptions);
    let address: SocketAddr = "127.0.0.1:9".parse().unwrap();
    let with = |change: Change| {
        let mut options = options(address);
        change(&mut options);
        HttpFeedback::new(options).unwrap_err()
    };
    let cases: [(&str, Change); 9] = [
        ("url", |options| options.url = "SecretPart".into()),
        ("url", |options| options.url = "ftp://SecretPart/x".into()),
        ("url", |options| options.url = String::new()),
        ("headers[0]", |options| options.headers = vec![("a b".into(), "SecretPart".into())]),
        ("headers[1]", |options| {
            options.headers = vec![("a".into(), "b".into()), ("c".into(), "SecretPart\r\nx: y".into())];
        }),
        ("max_batch", |options| options.max_batch = 0),
        ("max_queued", |options| options.max_queued = 0),
        ("timeout", |options| options.timeout = Duration::ZERO),
        ("backoff", |options| options.backoff = Duration::ZERO),
    ];
    for (field, change) in cases {
        let error = with(change);
        assert_eq!(error.code(), ErrorCode::InvalidConfig);
        let text = format!("{error} {error:?}");
        assert!(text.contains(field) && !text.contains("SecretPart"), "{text}");
    }
    let debug = format!("{:?}", options(address).header("Authorization", "SecretPart"));
    assert!(debug.contains("Authorization") && !debug.contains("SecretPart"), "{debug}");
}
