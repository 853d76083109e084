//! A producer: sends events with canaries and keeps what was acknowledged.

use std::process::Command;

use flow::clock::Clock;

use crate::canary;
use crate::http::{Client, Reply};
use crate::workspace::PRODUCER_TOKEN;

/// One connection to a daemon's ingest listener.
#[derive(Debug)]
pub struct Producer {
    client: Client,
    time: String,
}

impl Producer {
    /// Of the daemon at `url`.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self { client: Client::new(url), time: rfc3339_now() }
    }

    /// Sends a body as it is, as NDJSON unless `headers` name another type.
    pub fn post(&mut self, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let authorization = format!("Bearer {PRODUCER_TOKEN}");
        let mut all = vec![("authorization", authorization.as_str())];
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            all.push(("content-type", "application/x-ndjson"));
        }
        all.extend_from_slice(headers);
        self.client.send("POST", "/v1/events", &all, body).expect("the daemon answers")
    }

    /// Events of `org` with these ids, one a line.
    #[must_use]
    pub fn lines(&self, org: (&str, &str), ids: impl IntoIterator<Item = String>) -> String {
        ids.into_iter().map(|id| canary::event(org, &id, &self.time) + "\n").collect()
    }

    /// Sends new events of `org`, which must all be taken.
    ///
    /// # Panics
    /// When they are not.
    pub fn send(&mut self, org: (&str, &str), ids: impl IntoIterator<Item = String>) -> u64 {
        let body = self.lines(org, ids);
        let count = body.lines().count() as u64;
        let reply = self.post(&[], body.as_bytes());
        assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
        let answer = reply.json();
        assert_eq!(answer["accepted"], count, "the first refusal: {}", answer["rejected"][0]);
        count
    }

    /// The time that its events carry.
    #[must_use]
    pub fn time(&self) -> &str {
        &self.time
    }
}

/// `prefix-0` and so on.
pub fn ids(prefix: &str, count: u64) -> impl Iterator<Item = String> {
    (0..count).map(move |number| format!("{prefix}-{number}"))
}

/// Now, to the second.
#[must_use]
pub fn rfc3339_now() -> String {
    let seconds = Clock::system().now().wall.0 / 1000;
    let output =
        Command::new("date").args(["-u", "-d", &format!("@{seconds}"), "+%FT%T.000Z"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
