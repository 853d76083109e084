//! Metrics reach the collector that the operator names, wherever that is, and nothing secret is shown for debugging.

use std::collections::BTreeMap;
use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use trailwire::run::Daemon;
use trailwire::sinks::types;

/// Takes one request, answers it with `status`, and gives its head and body.
async fn collector(listener: TcpListener, status: &str) -> (String, Vec<u8>) {
    let (mut tcp, _) = listener.accept().await.expect("a connection");
    let mut bytes = Vec::new();
    let (head, body) = loop {
        let at = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(at) = at {
            let head = String::from_utf8_lossy(bytes.get(..at).expect("found there")).to_ascii_lowercase();
            let length =
                head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
            if bytes.len() >= at + 4 + length.parse::<usize>().expect("a number") {
                break (head, bytes.split_off(at + 4));
            }
        }
        assert!(tcp.read_buf(&mut bytes).await.expect("readable") > 0, "it was cut");
    };
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    tcp.write_all(answer.as_bytes()).await.expect("written");
    (head, body)
}

async fn daemon(folder: &Path, more: &str) -> Daemon {
    let path = folder.join("trailwire.yaml");
    let text = format!(
        "version: 1\nlisten: {{ingest: 127.0.0.1:0, admin: 127.0.0.1:0}}\n\
         producers: {{gateway: {{token: \"${{env:GATEWAY}}\", orgs: \"*\", kinds: \"*\"}}}}\n{more}\n"
    );
    std::fs::write(&path, text).expect("written");
    let environment = BTreeMap::from([
        ("GATEWAY".to_owned(), "CANARY-of-a-producer".to_owned()),
        ("AWS_SECRET_ACCESS_KEY".to_owned(), "CANARY-of-somebody-else".to_owned()),
    ]);
    let configuration = config::load(&path, &environment, &types()).expect("valid");
    Daemon::start(configuration, path, environment).await.expect("it starts")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_go_to_a_collector_that_no_sink_may_reach() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let folder = tempfile::tempdir().expect("a folder");
    // As in the documentation: no `egress.allow`.
    let daemon = daemon(folder.path(), &format!("telemetry: {{otlp_endpoint: \"http://{address}\"}}")).await;
    let taking = tokio::spawn(collector(listener, "200 OK"));
    // The last numbers are sent at the end, so nobody has to wait for half a minute.
    daemon.shut_down().await.expect("a clean end");
    let (head, body) = taking.await.expect("an export");
    assert!(head.starts_with("post /v1/metrics http/1.1"), "{head}");
    assert!(head.contains("content-type: application/x-protobuf"), "{head}");
    let body = String::from_utf8_lossy(&body);
    for name in ["service.name", "trailwire_", env!("CARGO_PKG_VERSION")] {
        assert!(body.contains(name), "{name} is missing in {body}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_not_there_costs_nothing() {
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = daemon(folder.path(), &format!("telemetry: {{otlp_endpoint: \"http://{gone}\"}}")).await;
    daemon.shut_down().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_shown_for_debugging() {
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = daemon(folder.path(), "").await;
    let shown = format!("{daemon:?}");
    assert!(!shown.contains("CANARY") && !shown.contains("AWS_SECRET_ACCESS_KEY"), "{shown}");
    daemon.shut_down().await.expect("a clean end");
}
