//! What must not stand in our own log, answers or metrics, whatever a client sends.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing_subscriber::fmt::MakeWriter;

use crate::tests::fixture::{Client, TOKEN, event, house, once, post};

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn no_token_no_body_and_no_query_reaches_the_log() {
    let captured = Captured::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(captured.clone())
        .with_ansi(false)
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let house = house().await;
    let address = house.listening.address;
    let mut answers = String::new();
    let canary = "CANARY";
    let event = event("1").replace("SECRET-1", canary);
    let bodies =
        [event.clone(), format!("{canary}\n"), format!("[{event},{canary}"), format!("{{\"{canary}\":1}}")];
    for body in &bodies {
        for headers in
            ["", "content-type: application/json\r\n", "content-encoding: gzip\r\n", "x-y: CANARY\r\n"]
        {
            answers.push_str(&once(address, &post(headers, body.as_bytes())).await.body);
        }
    }
    for request in [
        format!("GET /{canary}?token={canary} HTTP/1.1\r\nhost: {canary}\r\n\r\n"),
        format!("{canary} /v1/events?{canary} HTTP/1.1\r\nhost: t\r\n\r\n"),
        format!(
            "POST /v1/events?{canary} HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {canary}\r\ncontent-length: 0\r\n\r\n"
        ),
        format!(
            "POST /v1/events HTTP/1.1\r\nhost: t\r\nauthorization: {canary}\r\ncontent-length: {canary}\r\n\r\n"
        ),
        format!("{canary}\r\n\r\n"),
    ] {
        let mut client = Client::connect(address).await;
        client.send(request.as_bytes()).await;
        if let Some(reply) = client.reply().await {
            answers.push_str(&reply.body);
        }
    }

    let log = String::from_utf8(captured.0.lock().clone()).unwrap();
    assert!(log.contains("api::access") && log.contains("gateway"), "the access log is on: {log}");
    for text in [&log, &answers] {
        assert!(!text.contains(canary), "{text}");
        assert!(!text.contains(TOKEN), "{text}");
    }
}
