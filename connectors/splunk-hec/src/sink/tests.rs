use std::collections::VecDeque;
use std::io::Read as _;
use std::net::SocketAddr;
use std::time::Duration;

use config::{Batch as BatchLimits, RequestLimits, Secret, SecretSource};
use egress::{Allow, Policy};
use flow::clock::Clock;
use flow::testing::deliveries::{Batch, verdict_of};
use futures_util::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::*;
use crate::settings::PartialAccept;

const TOKEN: &str = "0c1d2e3f-canary-token";

/// Answers every request, on any connection, with the next of `replies`, byte for byte, and then hangs up.
struct Collector {
    address: SocketAddr,
    seen: mpsc::Receiver<(String, Vec<u8>)>,
}

impl Collector {
    async fn new(replies: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, seen) = mpsc::channel(64);
        let mut replies = VecDeque::from(replies);
        tokio::spawn(async move {
            while let Ok((mut tcp, _)) = listener.accept().await {
                let request = request(&mut tcp).await;
                let reply = replies.pop_front().expect("more requests than replies");
                tell.send(request).await.unwrap();
                drop(tcp.write_all(reply.as_bytes()).await);
            }
        });
        Self { address, seen }
    }

    async fn request(&mut self) -> (String, Vec<u8>) {
        self.seen.recv().await.unwrap()
    }
}

async fn request(tcp: &mut TcpStream) -> (String, Vec<u8>) {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if bytes.len() == end + 4 + length.parse::<usize>().unwrap() {
                return (head, bytes[end + 4..].to_vec());
            }
        }
        assert_ne!(tcp.read_buf(&mut bytes).await.unwrap(), 0, "the request is whole");
    }
}

fn reply(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\nretry-after: 7\r\n\r\n{body}", body.len())
}

fn settings(address: SocketAddr) -> Settings {
    Settings {
        endpoint: format!("http://{address}/services/collector/event").parse().unwrap(),
        token: SecretSource::from_value(Secret::new(TOKEN.to_owned())),
        index: Some("app_calls".to_owned()),
        sourcetype: "trailwire:record".to_owned(),
        source: "trailwire".to_owned(),
        host: None,
        compression: Compression::None,
        partial_accept: PartialAccept::None,
        batch: BatchLimits { max_bytes: 1_000_000, max_events: 5_000, max_delay: Duration::from_secs(1) },
        request: RequestLimits { timeout: Duration::from_secs(30), concurrency: 4 },
    }
}

fn client() -> Client {
    let allow = vec![Allow { net: "127.0.0.0/8".parse().unwrap(), plaintext: true }];
    Client::new(Policy { allow, ..Policy::default() }, Clock::system()).unwrap()
}

fn sink(settings: Settings) -> Arc<HecSink> {
    Arc::new(HecSink::new(settings, &client(), "acme").unwrap())
}

fn batch() -> Batch {
    Batch::new()
        .org("acme", 0)
        .record(1_727_164_800_123, r#"{"v":1,"seq":0,"id":"a"}"#)
        .record(1_727_164_800_124, r#"{"v":1,"seq":1,"id":"b"}"#)
}

async fn deliver(sink: &Arc<HecSink>) -> Verdict {
    let (delivery, watch) = batch().delivery();
    let Attempt::Settled(settled) = Arc::clone(sink).deliver(delivery).await else { panic!("no acks yet") };
    let verdict = verdict_of(settled);
    assert!(!watch.abandoned());
    let shown = format!("{verdict:?} {sink:?}");
    assert!(!shown.contains("canary"), "{shown}");
    verdict
}

#[tokio::test]
async fn the_request_is_what_a_collector_expects() {
    let mut collector = Collector::new(vec![reply(200, r#"{"text":"Success","code":0}"#)]).await;
    let sink = sink(settings(collector.address));
    assert_eq!(deliver(&sink).await, Verdict::Accepted);
    let (head, body) = collector.request().await;
    let channel = head.lines().find_map(|line| line.strip_prefix("x-splunk-request-channel: ")).unwrap();
    let groups: Vec<usize> = channel.split('-').map(str::len).collect();
    assert_eq!(groups, [8, 4, 4, 4, 12]);
    assert!(channel.chars().all(|c| c == '-' || matches!(c, '0'..='9' | 'a'..='f')));
    let shown = format!(
        "{}\n\n{}",
        head.replace(channel, "CHANNEL").replace('\r', ""),
        String::from_utf8(body).unwrap()
    );
    insta::assert_snapshot!(shown.replace(&collector.address.to_string(), "ADDRESS"));
}

#[tokio::test]
async fn answers_become_verdicts() {
    let seven = Some(Duration::from_secs(7));
    let bad = r#"{"text":"Event field is required","code":12,"invalid-event-number":1}"#;
    let cases = [
        (401, r#"{"text":"Invalid authorization","code":3}"#, "blocked"),
        (403, &format!(r#"{{"text":"Invalid token {TOKEN}","code":4}}"#), "blocked"),
        (307, "", "blocked"),
        (404, "<html>", "blocked"),
        (413, "<html>", "split"),
        (400, bad, "row 1"),
        (429, "", "retry"),
        (503, r#"{"text":"Server is busy","code":9}"#, "retry"),
    ];
    let replies = cases.iter().map(|(status, body, _)| reply(*status, body)).collect();
    let collector = Collector::new(replies).await;
    let sink = sink(settings(collector.address));
    for (status, _, expected) in cases {
        let verdict = match deliver(&sink).await {
            Verdict::Blocked(cause) => {
                assert_eq!(cause.code, Some(u32::from(status)));
                "blocked"
            }
            Verdict::Split(_) => "split",
            Verdict::PerRow { accepted_prefix: 0, refused: Some(1), .. } => "row 1",
            Verdict::Retry { after, .. } if after == seven => "retry",
            other => panic!("{status}: {other:?}"),
        };
        assert_eq!(verdict, expected, "{status}");
    }
}

#[tokio::test]
async fn a_collector_that_keeps_the_prefix() {
    let bad = r#"{"text":"Incorrect index","code":7,"invalid-event-number":2}"#;
    let collector = Collector::new(vec![reply(400, bad)]).await;
    let sink = sink(Settings { partial_accept: PartialAccept::Prefix, ..settings(collector.address) });
    let verdict = deliver(&sink).await;
    assert!(matches!(verdict, Verdict::PerRow { accepted_prefix: 1, refused: Some(1), .. }), "{verdict:?}");
}

#[tokio::test]
async fn a_lost_reply_is_unknown_and_sent_again() {
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 27\r\n\r\n{\"text\"";
    let collector = Collector::new(vec![String::new(), cut.to_owned()]).await;
    let operators = HecSink::new(settings(collector.address), &client(), egress::OPERATOR).unwrap();
    let operators = Arc::new(operators);
    for _ in 0..2 {
        let Verdict::Retry { after: None, cause } = deliver(&operators).await else {
            panic!("judged otherwise")
        };
        assert!(cause.what.contains("not known"), "{}", cause.what);
    }
}

#[tokio::test]
async fn an_organisation_hears_of_its_receiver_in_the_network_only_that_it_does_not_work() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let collector = Collector::new(vec![String::new()]).await;
    let mut told = Vec::new();
    for address in [closed, collector.address] {
        let Verdict::Retry { after: None, cause } = deliver(&sink(settings(address))).await else {
            panic!("judged otherwise")
        };
        assert!(cause.what.contains("the events are sent again"), "{}", cause.what);
        told.push(cause);
    }
    // Whether anything could be sent would tell that the port is open.
    assert_eq!(told.first(), told.last());
}

#[tokio::test(start_paused = true)]
async fn a_collector_that_never_ends_its_reply_costs_the_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        request(&mut tcp).await;
        tcp.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{").await.unwrap();
        std::future::pending::<()>().await;
    });
    let sink = sink(settings(address));
    let start = Clock::system().now().instant;
    assert!(matches!(deliver(&sink).await, Verdict::Retry { .. }));
    assert_eq!(Clock::system().now().instant.duration_since(start).as_secs(), 30);
}

#[tokio::test]
async fn an_endless_success_is_bounded() {
    let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(1 << 20));
    let huge_head = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(1 << 20));
    let collector = Collector::new(vec![endless, huge_head]).await;
    let sink = sink(settings(collector.address));
    // The status decides when the body is not JSON.
    assert_eq!(deliver(&sink).await, Verdict::Accepted);
    assert!(matches!(deliver(&sink).await, Verdict::Retry { .. }));
}

#[tokio::test]
async fn gzip_carries_the_same_body_and_is_given_up_when_refused() {
    let ok = || reply(200, r#"{"text":"Success","code":0}"#);
    let mut collector = Collector::new(vec![ok(), reply(415, "<html>"), ok()]).await;
    let sink = sink(Settings { compression: Compression::Gzip, ..settings(collector.address) });
    assert_eq!(deliver(&sink).await, Verdict::Accepted);
    assert!(matches!(deliver(&sink).await, Verdict::Retry { .. }));
    assert_eq!(deliver(&sink).await, Verdict::Accepted);
    let (head, packed) = collector.request().await;
    assert!(head.contains("content-encoding: gzip"));
    let mut unpacked = Vec::new();
    #[allow(clippy::disallowed_methods, reason = "the test packed it itself")]
    flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut unpacked).unwrap();
    collector.request().await;
    let (head, plain) = collector.request().await;
    assert!(!head.contains("content-encoding"));
    assert_eq!(unpacked, plain);
}

#[tokio::test]
async fn a_refused_channel_is_renewed_once() {
    let refused = || reply(400, r#"{"text":"Invalid data channel","code":11}"#);
    let ok = || reply(200, r#"{"text":"Success","code":0}"#);
    let mut collector = Collector::new(vec![refused(), refused(), ok(), refused()]).await;
    let sink = sink(settings(collector.address));
    assert!(matches!(deliver(&sink).await, Verdict::Retry { .. }));
    assert!(matches!(deliver(&sink).await, Verdict::Blocked(_)), "the second one is no accident");
    assert_eq!(deliver(&sink).await, Verdict::Accepted);
    assert!(matches!(deliver(&sink).await, Verdict::Retry { .. }), "a success makes it an accident again");
    let mut channels = Vec::new();
    for _ in 0..4 {
        let (head, _) = collector.request().await;
        channels.push(head.lines().find(|line| line.starts_with("x-splunk")).unwrap().to_owned());
    }
    assert_ne!(channels[0], channels[1]);
    assert_eq!(channels[1], channels[2]);
    assert_eq!(channels[2], channels[3]);
}

#[tokio::test]
async fn an_address_that_the_operator_does_not_allow_blocks() {
    let settings = settings("127.0.0.1:9".parse().unwrap());
    let strict = Client::new(Policy::default(), Clock::system()).unwrap();
    let sink = Arc::new(HecSink::new(settings, &strict, "acme").unwrap());
    let Verdict::Blocked(cause) = deliver(&sink).await else { panic!("judged otherwise") };
    assert!(!cause.what.contains("127") && cause.remedy.contains("egress.allow"));
}

#[tokio::test]
async fn a_token_that_is_no_header_blocks_and_is_not_shown() {
    for token in ["", "canary\r\nx: y", "canary token", "canary\u{e9}"] {
        let token = SecretSource::from_value(Secret::new(token.to_owned()));
        let sink = sink(Settings { token, ..settings("127.0.0.1:9".parse().unwrap()) });
        assert!(matches!(deliver(&sink).await, Verdict::Blocked(_)));
    }
}

#[tokio::test]
async fn a_cancelled_attempt_is_an_abandoned_delivery() {
    let collector = Collector::new(vec![]).await;
    let sink = sink(settings(collector.address));
    let (delivery, watch) = batch().delivery();
    let attempt = sink.deliver(delivery);
    assert!(!watch.abandoned());
    assert!(attempt.now_or_never().is_none());
    assert!(watch.abandoned());
}

#[tokio::test]
async fn what_cannot_be_confirmed_is_sent_again() {
    let sink = sink(settings("127.0.0.1:9".parse().unwrap()));
    let (delivery, watch) = batch().delivery();
    let due = vec![Unconfirmed { delivery, handle: 3, ask_after: Duration::from_secs(1) }];
    let mut attempts = sink.confirm(due).await;
    let Some(Attempt::Settled(settled)) = attempts.pop() else { panic!("settled") };
    assert!(matches!(verdict_of(settled), Verdict::Retry { .. }));
    assert!(attempts.is_empty() && !watch.abandoned());
}

#[test]
fn the_shape_is_that_of_the_settings() {
    let sink = sink(settings("127.0.0.1:9".parse().unwrap()));
    let shape = sink.shape();
    assert_eq!((shape.max_events, shape.max_bytes), (5_000, 1_000_000));
    assert_eq!(shape.overhead, 784);
}

fn write_token(path: &std::path::Path, token: &str) {
    use std::os::unix::fs::OpenOptionsExt as _;
    // A file of its own each time, so that its inode tells it from the one before within the same tick of the clock.
    let new = path.with_extension("new");
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new).unwrap();
    file.write_all(token.as_bytes()).unwrap();
    std::fs::rename(new, path).unwrap();
}

async fn deliver_at(sink: &Arc<HecSink>, at: flow::clock::Instant) -> Verdict {
    let (delivery, _watch) = batch().at(at).delivery();
    let Attempt::Settled(settled) = Arc::clone(sink).deliver(delivery).await else { panic!("no acks yet") };
    verdict_of(settled)
}

#[tokio::test]
async fn a_token_is_looked_up_every_five_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    write_token(&path, "first");
    let ok = r#"{"text":"Success","code":0}"#;
    let mut collector = Collector::new(vec![reply(200, ok); 4]).await;
    let token = SecretSource::from_file(&path);
    let sink = sink(Settings { token, ..settings(collector.address) });
    let start = Clock::system().now().instant;
    let mut used = Vec::new();
    for (millis, token) in [(0, "first"), (10, "second"), (4_999, "second"), (5_000, "second")] {
        write_token(&path, token);
        assert_eq!(deliver_at(&sink, start + Duration::from_millis(millis)).await, Verdict::Accepted);
        let (head, _) = collector.request().await;
        used.extend(
            head.lines().find_map(|line| line.strip_prefix("authorization: Splunk ")).map(str::to_owned),
        );
    }
    assert_eq!(used, ["first", "first", "first", "second"]);
    std::fs::remove_file(&path).unwrap();
    let gone = deliver_at(&sink, start + Duration::from_secs(10)).await;
    assert!(matches!(gone, Verdict::Blocked(_)), "{gone:?}: what cannot be read any more is not used");
}

#[tokio::test]
async fn a_refusal_of_a_token_that_was_replaced_meanwhile_blocks_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    write_token(&path, "first");
    let (ok, bad) = (r#"{"text":"Success","code":0}"#, r#"{"text":"Invalid token","code":4}"#);
    let replies = vec![reply(200, ok), reply(403, bad), reply(403, bad)];
    let mut collector = Collector::new(replies).await;
    let token = SecretSource::from_file(&path);
    let sink = sink(Settings { token, ..settings(collector.address) });
    let start = Clock::system().now().instant;
    assert_eq!(deliver_at(&sink, start).await, Verdict::Accepted);
    write_token(&path, "second");
    let verdict = deliver_at(&sink, start).await;
    assert!(matches!(verdict, Verdict::Retry { .. }), "{verdict:?}");
    let verdict = deliver_at(&sink, start).await;
    assert!(matches!(verdict, Verdict::Blocked(_)), "{verdict:?}: the new one is refused as well");
    let mut used = Vec::new();
    for _ in 0..3 {
        let (head, _) = collector.request().await;
        used.extend(
            head.lines().find_map(|line| line.strip_prefix("authorization: Splunk ")).map(str::to_owned),
        );
    }
    assert_eq!(used, ["first", "first", "second"]);
}
