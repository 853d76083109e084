//! The server over real sockets: faults, stop and start, pause.

use std::time::Duration;

use receiver::fault::Manner;
use receiver::{Code, Fault, Keep, Mode, Receiver, Reply, Settings, Token};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const EVENT: &str = r#"{"time":1.000,"event":{"v":1,"seq":0,"id":"a","kind":"api_call","org_id":"acme"}}"#;
const PATIENCE: Duration = Duration::from_secs(10);

async fn connect(receiver: &Receiver) -> TcpStream {
    TcpStream::connect(receiver.addr()).await.expect("it listens")
}

async fn write(stream: &mut TcpStream, body: &str) {
    let head = format!(
        "POST /services/collector/event HTTP/1.1\r\nhost: h\r\nauthorization: Splunk t\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await.expect("sent");
}

/// What comes back until the connection ends.
async fn rest(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("it ends");
    read.map(|_| String::from_utf8_lossy(&answer).into_owned())
}

/// Reads until `end` was seen.
async fn until(stream: &mut TcpStream, end: &str) -> String {
    let mut answer = String::new();
    let read = async {
        while !answer.contains(end) {
            let mut chunk = [0; 1024];
            let count = stream.read(&mut chunk).await.expect("readable");
            assert!(count > 0, "ended early: {answer}");
            answer.push_str(&String::from_utf8_lossy(chunk.get(..count).unwrap_or_default()));
        }
    };
    tokio::time::timeout(PATIENCE, read).await.expect("it comes");
    answer
}

async fn start(settings: Settings) -> Receiver {
    Receiver::start(settings.token(Token::for_orgs("t", ["acme"]))).await.expect("a free port")
}

#[tokio::test]
async fn several_requests_on_one_connection_are_noted_in_order() {
    let receiver = start(Settings::enterprise()).await;
    let mut stream = connect(&receiver).await;
    for status in ["200 OK", "400 Bad Request"] {
        write(&mut stream, if status.starts_with('2') { EVENT } else { "{}" }).await;
        assert!(until(&mut stream, "}").await.starts_with(&format!("HTTP/1.1 {status}")));
    }
    let requests = receiver.requests();
    assert_eq!(
        requests.iter().map(|note| (note.number, note.status)).collect::<Vec<_>>(),
        [(0, 200), (1, 400)]
    );
    assert_eq!(
        (requests[0].token.as_str(), requests[0].indexed, requests[0].wire_bytes),
        ("t", 1, EVENT.len())
    );
    assert_eq!(receiver.indexed()[0].event()["id"], "a");
    assert_eq!((receiver.totals().events, receiver.totals().requests), (1, 2));
    assert_eq!(receiver.report().complaints(), Vec::<String>::new());
}

#[tokio::test]
async fn faults_come_in_order_and_then_the_standing_one() {
    let receiver = start(Settings::enterprise()).await;
    receiver.script([Fault::busy(Some("7")), Fault::none(), Fault::html(http::StatusCode::OK)]);
    receiver.always(Some(Fault::code(Code::TokenDisabled)));
    let mut stream = connect(&receiver).await;
    let mut answers = Vec::new();
    for end in ["}", "}", "</html>", "}"] {
        write(&mut stream, EVENT).await;
        answers.push(until(&mut stream, end).await);
    }
    assert!(answers[0].contains("503") && answers[0].contains("retry-after: 7"), "{}", answers[0]);
    assert!(answers[1].contains("\"code\":0"), "{}", answers[1]);
    assert!(answers[2].contains("200 OK") && answers[2].contains("<html>"), "{}", answers[2]);
    assert!(answers[3].contains("403") && answers[3].contains("\"code\":1"), "{}", answers[3]);
    assert_eq!((receiver.totals().events, receiver.scripted()), (1, 0));
}

#[tokio::test]
async fn a_lost_reply_leaves_the_event_indexed() {
    let receiver = start(Settings::enterprise()).await;
    receiver.script([Fault::reply_lost(), Fault::manner(Manner::Reset)]);
    let mut stream = connect(&receiver).await;
    write(&mut stream, EVENT).await;
    assert_eq!(rest(&mut stream).await.expect("closed in order"), "");
    let mut stream = connect(&receiver).await;
    write(&mut stream, EVENT).await;
    assert_eq!(rest(&mut stream).await.expect_err("reset").kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(receiver.totals().events, 2);
    assert_eq!(receiver.report().feeds[0].repeats_equal, 1);
}

#[tokio::test]
async fn half_answers_and_answers_that_never_end() {
    let receiver = start(Settings::enterprise()).await;
    let quick = Manner::ByteByByte(Duration::from_micros(10));
    receiver.script([Manner::Truncated, quick, Manner::NeverEnds].map(Fault::manner));
    let mut stream = connect(&receiver).await;
    write(&mut stream, EVENT).await;
    let half = rest(&mut stream).await.expect("closed in order");
    assert!(half.starts_with("HTTP/1.1 200 OK") && !half.ends_with('}'), "{half}");
    let mut stream = connect(&receiver).await;
    write(&mut stream, EVENT).await;
    assert!(rest(&mut stream).await.expect("closed in order").ends_with("\"text\":\"Success\"}"));
    let mut stream = connect(&receiver).await;
    write(&mut stream, EVENT).await;
    until(&mut stream, "}").await;
    let more = tokio::time::timeout(Duration::from_millis(50), stream.read_u8()).await;
    assert!(more.is_err(), "neither a byte nor an end: {more:?}");
}

#[tokio::test]
async fn a_reset_in_the_middle_of_a_request() {
    let receiver = start(Settings::enterprise()).await;
    receiver.script([Fault::manner(Manner::ResetWithin(10))]);
    let mut stream = connect(&receiver).await;
    let head = "POST /services/collector HTTP/1.1\r\nhost: h\r\nauthorization: Splunk t\r\ncontent-length: 999\r\n\r\n";
    stream.write_all(format!("{head}{EVENT}").as_bytes()).await.expect("sent");
    assert_eq!(rest(&mut stream).await.expect_err("reset").kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(receiver.totals().events, 0);
}

#[tokio::test]
async fn stopped_it_refuses_and_started_again_it_has_the_same_port() {
    let receiver = start(Settings::enterprise()).await;
    let mut open = connect(&receiver).await;
    receiver.stop().await;
    assert_eq!(rest(&mut open).await.unwrap_or_default(), "");
    assert!(TcpStream::connect(receiver.addr()).await.is_err(), "nobody listens");
    receiver.start_again().await.expect("the port is free");
    let mut stream = connect(&receiver).await;
    write(&mut stream, EVENT).await;
    until(&mut stream, "Success").await;
    assert_eq!(receiver.totals().events, 1);
}

#[tokio::test]
async fn paused_it_answers_nothing() {
    let receiver = start(Settings::enterprise()).await;
    receiver.pause();
    let mut stream = connect(&receiver).await;
    write(&mut stream, EVENT).await;
    assert!(receiver.wait_until(PATIENCE, |totals| totals.requests == 1).await);
    assert!(!receiver.wait_for_events(1, Duration::from_millis(50)).await);
    receiver.resume();
    assert!(receiver.wait_for_events(1, PATIENCE).await);
    until(&mut stream, "Success").await;
}

#[tokio::test]
async fn tokens_can_be_switched_off_and_rotated() {
    let receiver = start(Settings::enterprise()).await;
    let mut stream = connect(&receiver).await;
    let mut code = async |expected: &str| {
        write(&mut stream, EVENT).await;
        until(&mut stream, expected).await;
    };
    receiver.change_token("t", |token| token.disabled = true);
    code("\"code\":1").await;
    receiver.change_token("t", |token| token.disabled = false);
    code("\"code\":0").await;
    receiver.rotate_token("t", "new");
    code("\"code\":4").await;
    receiver.rotate_token("new", "t");
    receiver.set_mode(Mode::OtelLike);
    code("\"OK\"").await;
}

#[tokio::test]
async fn over_the_cap_the_answer_still_reaches_a_client_that_sends_first() {
    let receiver = start(Settings::enterprise().max_body(1_000)).await;
    let mut stream = connect(&receiver).await;
    write(&mut stream, &"x".repeat(3_000_000)).await;
    assert!(until(&mut stream, "</html>").await.starts_with("HTTP/1.1 413"));
}

#[tokio::test]
async fn counting_agrees_with_parsing_and_obeys_faults() {
    for keep in [Keep::Counts, Keep::Audit] {
        let receiver = start(Settings::new(Mode::Lenient).keep(keep)).await;
        receiver.script([
            Fault::none(),
            Fault::code(Code::ServerBusy),
            Fault::indexed_but(Reply::empty(http::StatusCode::OK)),
        ]);
        let mut stream = connect(&receiver).await;
        let body = format!("{EVENT}\n{EVENT}\n");
        for end in ["Success", "busy", "\r\n\r\n"] {
            write(&mut stream, &body).await;
            until(&mut stream, end).await;
        }
        let totals = receiver.totals();
        assert_eq!((totals.events, totals.requests, totals.foreign), (4, 3, 0), "{keep:?}");
        assert_eq!(totals.from_event.count, if keep == Keep::Counts { 4 } else { 1 }, "first arrivals only");
    }
}
