//! Clients that are slow, wrong or malicious. Each must be bounded, told why, and cost the others nothing.

use std::io::Write;
use std::time::Duration;

use crate::body::{MAX_BODY, Pace};
use crate::ingest::Patience;
use crate::server::Limits;
use crate::tests::fixture::{Client, House, TOKEN, event, events, house, house_with, once, post};

/// Little patience, so that the tests need little too.
async fn strict_house() -> House {
    let pace = Pace { grace: Duration::from_millis(150), bytes_per_second: 1 << 20 };
    let patience = Patience { pace, memory: Duration::from_millis(150) };
    let limits = Limits { header_deadline: Duration::from_millis(150), connections: 8, ..Limits::default() };
    house_with(patience, limits, 64 << 20).await
}

async fn still_serves(house: &House) {
    let reply = once(house.listening.address, &post("", &events(900..901))).await;
    assert_eq!(reply.status, 200);
}

fn announced(len: usize) -> Vec<u8> {
    format!("POST /v1/events HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {TOKEN}\r\ncontent-length: {len}\r\n\r\n")
        .into_bytes()
}

#[tokio::test]
async fn slow_headers_end_the_connection() {
    let house = strict_house().await;
    let mut slow = Vec::new();
    for _ in 0..8 {
        let mut client = Client::connect(house.listening.address).await;
        client.send(b"POST /v1/events HTTP/1.1\r\nhost: t\r\nx: ").await;
        slow.push(client);
    }
    // All places are taken; they become free by the deadline alone.
    still_serves(&house).await;
    for mut client in slow {
        assert!(client.closed().await);
    }
}

#[tokio::test]
async fn a_stalled_body_ends_after_the_grace() {
    let house = strict_house().await;
    let mut client = Client::connect(house.listening.address).await;
    client.send(&announced(1000)).await;
    client.send(b"{\"id\":").await;
    let reply = client.reply().await.expect("an answer");
    assert_eq!((reply.status, reply.code().as_str()), (408, "TW-1010"));
    assert_eq!(reply.header("connection"), Some("close"));
    assert!(client.closed().await);
    assert_eq!(house.budget.used(), 0);
    still_serves(&house).await;
}

#[tokio::test]
async fn a_stalled_producer_does_not_hold_the_memory_for_long() {
    let house = strict_house().await;
    let mut stalled = Vec::new();
    for _ in 0..3 {
        let mut client = Client::connect(house.listening.address).await;
        client.send(&announced(MAX_BODY)).await;
        stalled.push(client);
    }
    let mut codes = Vec::new();
    for mut client in stalled {
        codes.push(client.reply().await.expect("an answer").code());
    }
    codes.sort();
    assert_eq!(
        codes.first().map(String::as_str),
        Some("TW-1010"),
        "the first one was admitted and was too slow"
    );
    assert!(codes.iter().all(|code| code == "TW-1010" || code == "TW-1012"), "{codes:?}");
    assert_eq!(house.budget.used(), 0);
    still_serves(&house).await;
}

#[tokio::test]
async fn one_producer_cannot_take_all_memory() {
    let house = house_with(
        Patience { memory: Duration::from_millis(100), ..Patience::default() },
        Limits::default(),
        64 << 20,
    )
    .await;
    let mut stalled = Client::connect(house.listening.address).await;
    stalled.send(&announced(MAX_BODY)).await;
    while house.budget.used() < MAX_BODY as u64 {
        tokio::task::yield_now().await;
    }
    let mut second = Client::connect(house.listening.address).await;
    second.send(&announced(MAX_BODY)).await;
    let reply = second.reply().await.expect("an answer");
    assert_eq!(
        (reply.status, reply.code().as_str(), reply.header("retry-after")),
        (503, "TW-1012", Some("1"))
    );
    assert!(house.budget.used() <= MAX_BODY as u64 + 1024, "the pool still has room for others");
}

#[tokio::test]
async fn huge_headers_are_refused() {
    let house = house().await;
    let long = format!("POST /v1/events HTTP/1.1\r\nhost: t\r\nx: {}\r\n\r\n", "a".repeat(20_000));
    assert_eq!(once(house.listening.address, long.as_bytes()).await.status, 431);
    let many = format!("POST /v1/events HTTP/1.1\r\nhost: t\r\n{}\r\n", "x: y\r\n".repeat(100));
    assert_eq!(once(house.listening.address, many.as_bytes()).await.status, 431);
    let path = format!("POST /{} HTTP/1.1\r\nhost: t\r\n\r\n", "a".repeat(20_000));
    assert!(matches!(once(house.listening.address, path.as_bytes()).await.status, 414 | 431));
    // What docs/errors/README.md says of answers that hyper gives by itself.
    for (request, status) in [(long.as_str(), 431), ("no HTTP at all\r\n\r\n", 400)] {
        let reply = once(house.listening.address, request.as_bytes()).await;
        assert_eq!((reply.status, reply.body.as_str()), (status, ""));
    }
    still_serves(&house).await;
}

#[tokio::test]
async fn wrong_lengths_store_nothing() {
    let house = house().await;
    let address = house.listening.address;
    // Shorter than announced, then gone.
    let mut client = Client::connect(address).await;
    client.send(&announced(10_000)).await;
    client.send(&events(0..1)).await;
    drop(client);
    // Two lengths; a length and chunks; no number; negative.
    for lengths in [
        "content-length: 5\r\ncontent-length: 6\r\n",
        "content-length: 5x\r\n",
        "content-length: -5\r\n",
        "transfer-encoding: chunked, gzip\r\n",
    ] {
        let request = format!(
            "POST /v1/events HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {TOKEN}\r\n{lengths}\r\n12345"
        );
        assert_eq!(once(address, request.as_bytes()).await.status, 400, "{lengths}");
    }
    // A chunk size that is no number.
    let request = format!(
        "POST /v1/events HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {TOKEN}\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"
    );
    let reply = once(address, request.as_bytes()).await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "TW-1010"));
    still_serves(&house).await;
    assert_eq!(house.memory.stored(), 1);
    while house.budget.used() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn length_and_chunks_together_are_not_two_requests() {
    let house = house().await;
    // RFC 9112 6.3: such a message might be request smuggling. What follows must not be read as a request.
    let request = format!(
        "POST /v1/events HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {TOKEN}\r\ncontent-length: 4\r\n\
         transfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: t\r\n\r\n"
    );
    let mut client = Client::connect(house.listening.address).await;
    client.send(request.as_bytes()).await;
    let first = client.reply().await;
    if let Some(first) = first {
        assert!(first.status == 400 || first.header("connection") == Some("close"), "{first:?}");
        assert!(client.reply().await.is_none(), "the rest of the connection is not served");
    }
}

#[tokio::test]
async fn bodies_that_are_too_large_are_told_so_though_they_are_not_read() {
    let house = house().await;
    let reply = once(house.listening.address, &post("", &vec![b' '; MAX_BODY + 1])).await;
    assert_eq!((reply.status, reply.code().as_str()), (413, "TW-1007"));
    // Of unannounced length.
    let mut client = Client::connect(house.listening.address).await;
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {TOKEN}\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n",
        MAX_BODY + 1
    );
    client.send(head.as_bytes()).await;
    client.send(&vec![b' '; MAX_BODY + 1]).await;
    let reply = client.reply().await.expect("an answer");
    assert_eq!((reply.status, reply.code().as_str()), (413, "TW-1007"));
    // A wrong token with a large body learns that it is wrong.
    let wrong = String::from_utf8(post("", &vec![b' '; 4 << 20])).unwrap().replace(TOKEN, "wrong");
    assert_eq!(once(house.listening.address, wrong.as_bytes()).await.status, 401);
    assert_eq!(house.budget.used(), 0);
}

#[tokio::test]
async fn bombs_are_stopped() {
    let house = house().await;
    let address = house.listening.address;
    let zeros = vec![b' '; 40 << 20];
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&zeros).unwrap();
    let gzip = gzip.finish().unwrap();
    let reply = once(address, &post("content-encoding: gzip\r\n", &gzip)).await;
    assert_eq!((reply.status, reply.code().as_str()), (413, "TW-1006"));
    let zstd = zstd::bulk::compress(&zeros, 19).unwrap();
    let reply = once(address, &post("content-encoding: zstd\r\n", &zstd)).await;
    assert_eq!((reply.status, reply.code().as_str()), (413, "TW-1006"));
    let cut = gzip.get(..gzip.len() / 2).unwrap();
    let reply = once(address, &post("content-encoding: gzip\r\n", cut)).await;
    assert!(matches!(reply.code().as_str(), "TW-1005" | "TW-1006"), "{}", reply.body);
    assert_eq!(house.memory.appends(), 0);
    still_serves(&house).await;
}

#[tokio::test]
async fn too_many_events_store_nothing() {
    let house = house().await;
    let body = events(0..50_001);
    let reply = once(house.listening.address, &post("", &body)).await;
    assert_eq!((reply.status, reply.code().as_str()), (413, "TW-1008"), "{}", reply.body);
    assert_eq!(house.memory.appends(), 0);
    let reply = once(house.listening.address, &post("", &events(0..50_000))).await;
    assert_eq!((reply.status, reply.json()["accepted"].as_u64()), (200, Some(50_000)), "{}", reply.body);
}

#[tokio::test]
async fn what_is_redacted_does_not_come_back_in_answers() {
    let house = house().await;
    let broken = event("x").replace("\"GET\"", "{\"SECRET\":1}");
    let reply =
        once(house.listening.address, &post("", format!("{broken}\n{}", event("y")).as_bytes())).await;
    assert_eq!(reply.status, 200);
    assert!(!reply.body.contains("SECRET"), "{}", reply.body);
    assert_eq!(house.memory.stored(), 1);
    assert!(!house.memory.contains("SECRET"), "nothing raw reaches the journal");
}

#[tokio::test]
async fn garbage_is_no_request() {
    let house = house().await;
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"\r\n\r\n\0\0\0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut client = Client::connect(house.listening.address).await;
        client.send(garbage).await;
        client.send(b"\r\n\r\n").await;
        if let Some(reply) = client.reply().await {
            assert!(reply.status >= 400, "{reply:?}");
        }
    }
    still_serves(&house).await;
}
