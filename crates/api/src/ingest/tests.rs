mod hostile;
mod secrets;
mod statuses;

use std::io::Write;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use flow::log::AppendFault;
use flow::segment;
use flow::units::PartitionId;
use serde_json::json;

use crate::auth::{Producer, Producers, TokenHash};
use crate::ingest::Patience;
use crate::quota::{Quota, Rate};
use crate::server::Limits;
use crate::tests::fixture::{Client, TOKEN, event, events, grant, house, house_with, once, post};

const NDJSON: &str = "content-type: application/x-ndjson\r\n";

fn a_second(events: u64) -> Quota {
    let rate = Rate { amount: NonZeroU64::new(events).unwrap(), per: Duration::from_secs(1) };
    Quota { events: Some(rate), bytes: None }
}

#[tokio::test]
async fn events_are_answered_once_they_are_stored() {
    let house = house().await;
    let reply = once(house.listening.address, &post(NDJSON, &events(0..10))).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(reply.json(), json!({"accepted": 10, "duplicates": 0, "rejected": []}));
    assert_eq!(house.memory.stored(), 10);

    let reply = once(house.listening.address, &post(NDJSON, &events(5..12))).await;
    assert_eq!(reply.json(), json!({"accepted": 2, "duplicates": 5, "rejected": []}));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
}

#[tokio::test]
async fn nothing_is_answered_before_it_is_durable() {
    let house = house().await;
    house.memory.gate.forget_permits(1 << 20);
    let mut client = Client::connect(house.listening.address).await;
    client.send(&post(NDJSON, &events(0..1))).await;
    let early = tokio::time::timeout(Duration::from_millis(200), client.reply()).await;
    assert!(early.is_err(), "answered before the journal did: {early:?}");
    house.memory.gate.add_permits(1);
    assert_eq!(client.reply().await.expect("an answer").status, 200);
}

#[tokio::test]
async fn a_bad_line_does_not_cost_its_neighbours() {
    let house = house().await;
    let body = format!("{}\n\nnot json\r\n{}", event(1), event(2));
    let reply = once(house.listening.address, &post(NDJSON, body.as_bytes())).await;
    assert_eq!(reply.status, 200);
    let answer = reply.json();
    assert_eq!((&answer["accepted"], &answer["duplicates"]), (&json!(2), &json!(0)));
    assert_eq!(answer["rejected"][0]["line"], 3);
    assert!(answer["rejected"][0]["code"].as_str().unwrap().starts_with("TW-"), "{answer}");
    assert!(answer["rejected"][0]["message"].is_string());
    assert_eq!(answer["rejected"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn arrays_objects_and_bodies_without_a_type_are_understood() {
    let house = house().await;
    let address = house.listening.address;
    let array = format!("[{},\n {}]", event("a1"), event("a2"));
    let json_type = "content-type: application/json; charset=UTF-8\r\n";
    assert_eq!(once(address, &post(json_type, array.as_bytes())).await.json()["accepted"], 2);
    assert_eq!(once(address, &post(json_type, event("o1").as_bytes())).await.json()["accepted"], 1);
    assert_eq!(once(address, &post("", format!(" \n{array}").as_bytes())).await.json()["duplicates"], 2);
    assert_eq!(once(address, &post("", &events(0..3))).await.json()["accepted"], 3);
    assert_eq!(once(address, &post("", b"")).await.json()["accepted"], 0);
}

#[tokio::test]
async fn a_broken_array_stores_nothing() {
    let house = house().await;
    let broken = format!("[{},{}", event("b1"), event("b2"));
    let reply =
        once(house.listening.address, &post("content-type: application/json\r\n", broken.as_bytes())).await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "TW-1009"), "{}", reply.body);
    assert_eq!(house.memory.appends(), 0);
}

#[tokio::test]
async fn gzip_and_zstd_are_understood_and_others_are_named() {
    let house = house().await;
    let address = house.listening.address;
    let body = events(0..500);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&body).unwrap();
    let gzip = post(&format!("{NDJSON}content-encoding: gzip\r\n"), &gzip.finish().unwrap());
    assert_eq!(once(address, &gzip).await.json()["accepted"], 500);
    let zstd = zstd::bulk::compress(&body, 1).unwrap();
    let zstd = post(&format!("{NDJSON}content-encoding: zstd\r\n"), &zstd);
    assert_eq!(once(address, &zstd).await.json()["duplicates"], 500);

    let brotli = once(address, &post(&format!("{NDJSON}content-encoding: br\r\n"), b"x")).await;
    assert_eq!((brotli.status, brotli.code().as_str()), (415, "TW-1004"));
    assert_eq!(brotli.header("accept-encoding"), Some("gzip, zstd"));
    let form = once(address, &post("content-type: application/x-www-form-urlencoded\r\n", b"x")).await;
    assert_eq!(form.status, 415);
    assert!(form.body.contains("--data-binary"), "the default of curl gets a hint: {}", form.body);
}

#[tokio::test]
async fn only_producers_get_in() {
    let house = house().await;
    let address = house.listening.address;
    let with = |authorization: &str| {
        format!("POST /v1/events HTTP/1.1\r\nhost: t\r\n{authorization}content-length: 2\r\n\r\n{{}}")
            .into_bytes()
    };
    for authorization in [
        String::new(),
        "authorization: Bearer wrong\r\n".to_owned(),
        "authorization: Bearer \r\n".to_owned(),
        format!("authorization: Basic {TOKEN}\r\n"),
        format!("authorization: Bearer {TOKEN}\r\nauthorization: Bearer {TOKEN}\r\n"),
    ] {
        let reply = once(address, &with(&authorization)).await;
        assert_eq!((reply.status, reply.code().as_str()), (401, "TW-1001"), "{authorization}");
        assert!(reply.header("www-authenticate").is_some_and(|value| value.starts_with("Bearer")));
        assert!(!reply.body.contains("wrong") && !reply.body.contains(TOKEN));
    }
    assert_eq!(once(address, &with(&format!("authorization: bearer {TOKEN}\r\n"))).await.status, 200);

    // A token in the query string is no token.
    let query = format!("POST /v1/events?token={TOKEN} HTTP/1.1\r\nhost: t\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(once(address, query.as_bytes()).await.status, 401);
}

#[tokio::test]
async fn producers_can_be_replaced() {
    let house = house().await;
    let address = house.listening.address;
    let new = Producer { grant: grant("other"), tokens: vec![TokenHash::of(b"fresh")] };
    house.ingest.replace_producers(Producers::new(vec![new]));
    assert_eq!(once(address, &post("", &events(0..1))).await.status, 401);
    let fresh = String::from_utf8(post("", &events(0..1))).unwrap().replace(TOKEN, "fresh");
    assert_eq!(once(address, fresh.as_bytes()).await.status, 200);
    house.ingest.replace_producers(Producers::default());
    let reply = once(address, fresh.as_bytes()).await;
    assert!(reply.body.contains("no producer is configured"), "{}", reply.body);
}

#[tokio::test]
async fn unknown_addresses_and_methods_are_told_what_there_is() {
    let house = house().await;
    let address = house.listening.address;
    let reply = once(address, b"GET /?q=1 HTTP/1.1\r\nhost: t\r\n\r\n").await;
    assert_eq!((reply.status, reply.code().as_str()), (404, "TW-1003"));
    assert_eq!(reply.json()["routes"][0]["path"], "/v1/events");
    let reply = once(address, b"GET /v1/events HTTP/1.1\r\nhost: t\r\n\r\n").await;
    assert_eq!((reply.status, reply.code().as_str()), (405, "TW-1002"));
    assert_eq!(reply.header("allow"), Some("POST"));
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let house = house().await;
    let mut client = Client::connect(house.listening.address).await;
    for request in 0..50 {
        client.send(&post(NDJSON, &events(request..request + 1))).await;
        assert_eq!(client.reply().await.expect("an answer").status, 200);
    }
    // A refusal that read its body keeps the connection too.
    client.send(&post("content-encoding: gzip\r\n", b"not gzip")).await;
    assert_eq!(client.reply().await.expect("an answer").code(), "TW-1005");
    client.send(&post(NDJSON, &events(0..1))).await;
    assert_eq!(client.reply().await.expect("an answer").json()["duplicates"], 1);
    assert_eq!(house.memory.stored(), 50);
}

#[tokio::test]
async fn chunked_bodies_are_read() {
    let house = house().await;
    let mut request =
        format!("POST /v1/events HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {TOKEN}\r\ntransfer-encoding: chunked\r\n\r\n")
            .into_bytes();
    let body = events(0..8000);
    assert!(body.len() > 1 << 20);
    for chunk in body.chunks(100_001) {
        request.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        request.extend_from_slice(chunk);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    assert_eq!(once(house.listening.address, &request).await.json()["accepted"], 8000);
    assert_eq!(house.budget.used(), 0, "every charge is given back");
}

#[tokio::test]
async fn faults_of_the_journal_ask_to_come_back() {
    let house = house().await;
    let address = house.listening.address;
    let partition = PartitionId(1);
    for (fault, code, wait) in [
        (AppendFault::Busy(partition), "TW-1012", "1"),
        (AppendFault::Refused(segment::Refusal::DiskFull), "TW-1013", "30"),
        (AppendFault::Stopped(partition), "TW-1014", "5"),
    ] {
        house.memory.fail_next(fault);
        let reply = once(address, &post(NDJSON, &events(0..3))).await;
        assert_eq!((reply.status, reply.code().as_str()), (503, code));
        assert_eq!(reply.header("retry-after"), Some(wait));
        assert_eq!(reply.json()["error"]["retry"], true);
        assert!(reply.json()["error"]["docs"].as_str().unwrap().ends_with(&format!("{code}.md")));
    }
    assert_eq!(house.memory.stored(), 0);
    assert_eq!(once(address, &post(NDJSON, &events(0..3))).await.json()["accepted"], 3);
}

#[tokio::test]
async fn quotas_refuse_line_by_line_and_429_only_when_nothing_passed() {
    let house = house().await;
    let address = house.listening.address;
    let acme = house.directory.resolve("acme").unwrap().key;
    let quota = a_second(5);
    house.intake.quotas().replace(Quota::default(), [(acme, quota)]);

    let reply = once(address, &post(NDJSON, &events(0..8))).await;
    assert_eq!(reply.status, 200);
    let answer = reply.json();
    assert_eq!(answer["accepted"], 5);
    assert_eq!(answer["rejected"].as_array().unwrap().len(), 3);
    assert_eq!(
        (&answer["rejected"][0]["line"], &answer["rejected"][0]["code"]),
        (&json!(6), &json!("TW-2107"))
    );
    assert_eq!(answer["rejected"][0]["retry_after"], 1);

    house.intake.quotas().replace(a_second(1), []);
    assert_eq!(once(address, &post(NDJSON, &events(20..21))).await.status, 200);
    let reply = once(address, &post(NDJSON, &events(21..23))).await;
    assert_eq!((reply.status, reply.code().as_str()), (429, "TW-1011"), "{}", reply.body);
    assert_eq!(reply.header("retry-after"), Some("1"));
    assert_eq!(reply.json()["accepted"], 0);
    assert_eq!(reply.json()["rejected"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn what_came_in_is_counted() {
    let house = house().await;
    let address = house.listening.address;
    let body = events(0..4);
    once(address, &post(NDJSON, &body)).await;
    once(address, &post(NDJSON, &body)).await;
    once(address, &post(NDJSON, b"bad\n")).await;
    once(address, b"GET / HTTP/1.1\r\nhost: t\r\n\r\n").await;
    let tally = house.intake.tallies().of("http", "gateway");
    assert_eq!((tally.accepted(), tally.duplicates()), (4, 4));
    assert_eq!(tally.bytes(), 2 * body.len() as u64 + 4);
    let rejections: Vec<_> = tally.rejections().map(|(code, count)| (code.name(), count)).collect();
    assert_eq!(rejections, [("TW-2001", 1)]);
    assert_eq!(house.intake.tallies().requests(), [(200, 3), (404, 1)]);
}

#[tokio::test]
async fn running_requests_finish_within_the_drain_budget() {
    let house = house().await;
    house.memory.gate.forget_permits(1 << 20);
    let mut busy = Client::connect(house.listening.address).await;
    busy.send(&post(NDJSON, &events(0..1))).await;
    let mut idle = Client::connect(house.listening.address).await;
    idle.send(&post("", b"")).await;
    assert_eq!(idle.reply().await.expect("an answer").status, 200);
    while house.budget.used() == 0 {
        tokio::task::yield_now().await;
    }
    house.listening.stop.send(true).unwrap();
    assert!(idle.closed().await, "an idle connection is closed at once");
    house.memory.gate.add_permits(1);
    let reply = busy.reply().await.expect("the running request is answered");
    assert_eq!((reply.status, reply.header("connection")), (200, Some("close")));
    assert_eq!(house.listening.task.await.unwrap().cut, 0);
}

#[tokio::test]
async fn requests_beyond_the_drain_budget_are_cut() {
    let limits = Limits { drain: Duration::from_millis(50), ..Limits::default() };
    let house = house_with(Patience::default(), limits, 64 << 20).await;
    house.memory.gate.forget_permits(1 << 20);
    let mut busy = Client::connect(house.listening.address).await;
    busy.send(&post(NDJSON, &events(0..1))).await;
    while house.budget.used() == 0 {
        tokio::task::yield_now().await;
    }
    house.listening.stop.send(true).unwrap();
    assert_eq!(house.listening.task.await.unwrap().cut, 1);
    assert!(busy.reply().await.is_none());
    house.memory.gate.add_permits(1);
    while house.budget.used() > 0 {
        tokio::task::yield_now().await;
    }
    let _kept: Arc<_> = house.ingest;
}

#[tokio::test]
async fn events_whose_client_has_left_are_stored_counted_and_charged() {
    let house = house().await;
    house.memory.gate.forget_permits(1 << 20);
    let mut client = Client::connect(house.listening.address).await;
    client.send(&post(NDJSON, &events(0..5))).await;
    while house.memory.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    drop(client);
    // The listener notices, and the request is gone.
    let reply = once(house.listening.address, &post("", b"")).await;
    assert_eq!(reply.status, 200);
    assert!(house.budget.used() > 0, "the rows still hold memory");
    assert_eq!(house.memory.stored(), 0);
    house.memory.gate.add_permits(1);
    let tally = house.intake.tallies().of("http", "gateway");
    while tally.accepted() < 5 {
        tokio::task::yield_now().await;
    }
    while house.budget.used() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(house.memory.stored(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_bodies_are_decoded_off_the_sockets_threads() {
    let house = house().await;
    let body = events(0..20_000);
    assert!(body.len() > 2 << 20);
    let request = post(NDJSON, &body);
    let (one, two) =
        tokio::join!(once(house.listening.address, &request), once(house.listening.address, &request));
    let sum = |field: &str| one.json()[field].as_u64().unwrap() + two.json()[field].as_u64().unwrap();
    assert_eq!((sum("accepted"), sum("duplicates")), (20_000, 20_000));
}
