use std::sync::Arc;

use flow::clock::Clock;
use serde_json::Value;

use super::*;
use crate::metrics::Tallies;
use crate::metrics::tests::Given;
use crate::server::Limits;
use crate::tests::fixture::{Listening, Reply, listen, once};

const LOCAL: &str = "127.0.0.1:0";

async fn open(given: Given, token: Option<&str>) -> Listening {
    let signals = Signals::new(Arc::new(Tallies::default()), Arc::new(given));
    let token = token.map(|token| TokenHash::of(token.as_bytes()));
    let admin = Admin::new(signals, token, LOCAL.parse().unwrap()).unwrap();
    listen(admin, Limits::default(), &Clock::system()).await
}

fn given() -> Given {
    Given { status: crate::status::tests::status(), missing: None }
}

async fn get(listening: &Listening, target: &str, headers: &str) -> Reply {
    let host = listening.address;
    once(host, format!("GET {target} HTTP/1.1\r\nhost: {host}\r\n{headers}\r\n").as_bytes()).await
}

#[tokio::test]
async fn probes_answer_without_a_token_and_tell_nothing() {
    let listening =
        open(Given { missing: Some("the journal is being opened".into()), ..given() }, Some("t")).await;
    let live = get(&listening, "/livez", "").await;
    assert_eq!((live.status, live.body.as_str()), (200, "ok\n"));
    let ready = get(&listening, "/readyz", "").await;
    assert_eq!((ready.status, ready.body.as_str()), (503, "the journal is being opened\n"));
    let listening = open(given(), None).await;
    assert_eq!(get(&listening, "/readyz", "").await.status, 200, "though every sink is blocked");
}

#[tokio::test]
async fn status_and_metrics_ask_for_the_token() {
    let listening = open(given(), Some("secret-token")).await;
    for target in ["/v1/status", "/metrics"] {
        for headers in ["", "authorization: Bearer wrong\r\n", "authorization: Basic secret-token\r\n"] {
            let reply = get(&listening, target, headers).await;
            assert_eq!((reply.status, reply.code().as_str()), (401, "TW-1001"), "{target} {headers}");
            assert!(!reply.body.contains("secret-token"));
        }
        let reply = get(&listening, target, "authorization: Bearer secret-token\r\n").await;
        assert_eq!(reply.status, 200, "{target}");
        assert_eq!(get(&listening, &format!("{target}?token=secret-token"), "").await.status, 401);
    }
}

#[tokio::test]
async fn status_has_a_filter_for_one_organisation() {
    let listening = open(given(), None).await;
    let all = get(&listening, "/v1/status", "").await.json();
    assert_eq!(all["sinks"].as_array().unwrap().len(), 5);
    assert_eq!(all["sinks"][0]["last_error"]["remedy"], "check the token of this sink");
    let acme = get(&listening, "/v1/status?org=acme", "").await.json();
    assert_eq!(acme["sinks"].as_array().unwrap().len(), 2);
    assert_eq!((&acme["sinks"][0]["stamped"], &acme["sinks"][1]["stamped"]), (&120.into(), &Value::Null));
    assert!(acme.get("partitions").is_none() && acme.get("journal").is_none());
    for wrong in ["?org=", "?org=a%20b", "?organisation=acme", "?org"] {
        let reply = get(&listening, &format!("/v1/status{wrong}"), "").await;
        assert_eq!((reply.status, reply.code().as_str()), (400, "TW-2012"), "{wrong}");
    }
}

#[tokio::test]
async fn metrics_are_prometheus_text() {
    let listening = open(given(), None).await;
    let reply = get(&listening, "/metrics", "").await;
    assert_eq!(reply.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(
        reply.body.contains("trailwire_sink_pending{org=\"acme\",sink=\"soc\",type=\"splunk_hec\"} 30\n")
    );
}

#[tokio::test]
async fn names_that_a_web_page_can_choose_are_not_served_without_a_token() {
    let listening = open(given(), None).await;
    for (host, status) in [
        ("evil.example.com", 401),
        ("evil.example.com:8081", 401),
        ("127.0.0.1.evil.example.com", 401),
        ("", 401),
        ("localhost", 200),
        ("LOCALHOST:8081", 200),
        ("127.0.0.1:8081", 200),
        ("[::1]:8081", 200),
        ("[::1]", 200),
    ] {
        let request = format!("GET /v1/status HTTP/1.1\r\nhost: {host}\r\n\r\n");
        assert_eq!(once(listening.address, request.as_bytes()).await.status, status, "{host}");
    }
}

#[test]
fn a_public_address_needs_a_token() {
    let make = |address: &str, token: Option<TokenHash>| {
        let signals = Signals::new(Arc::new(Tallies::default()), Arc::new(Given::default()));
        Admin::new(signals, token, address.parse().unwrap()).map(|_| ())
    };
    assert!(make("127.0.0.1:8081", None).is_ok());
    assert!(make("[::1]:8081", None).is_ok());
    for public in ["0.0.0.0:8081", "[::]:8081", "10.0.0.1:8081"] {
        let error = make(public, None).unwrap_err();
        assert!(error.to_string().contains(public), "{error}");
        assert!(make(public, Some(TokenHash::of(b"t"))).is_ok());
    }
}

#[tokio::test]
async fn events_are_not_taken_here() {
    let listening = open(given(), None).await;
    let host = listening.address;
    let request = format!("POST /v1/events HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\n\r\n");
    let reply = once(host, request.as_bytes()).await;
    assert_eq!(reply.status, 404);
    assert_eq!(reply.json()["routes"].as_array().unwrap().len(), 4);
}
