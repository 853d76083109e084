//! What a producer may send and what it is told, through a real daemon to a real receiver.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::io::Write as _;
use std::time::Duration;

use integration_tests::daemon::{Daemon, assert_balanced, total};
use integration_tests::http::Client;
use integration_tests::judge::{arrived, assert_sound, collector};
use integration_tests::producer::{Producer, ids};
use integration_tests::workspace::{ORGS, Options, PRODUCER_TOKEN, SHARED_TOKEN, Workspace, token};
use integration_tests::{binary, canary, command, poll};
use receiver::Receiver;
use serde_json::{Value, json};

const ACME: (&str, &str) = ORGS[0];
const BOREALIS: (&str, &str) = ORGS[1];
const PATIENCE: Duration = Duration::from_secs(30);

struct House {
    daemon: Daemon,
    workspace: Workspace,
    producer: Producer,
    receiver: Receiver,
}

impl House {
    async fn start(operator: &str) -> Self {
        let receiver = Receiver::start(collector()).await.unwrap();
        let options = Options { operator: operator.to_owned(), ..Options::default() };
        let workspace = Workspace::new(&receiver.url(), &options);
        let daemon = Daemon::start(&binary::build(&[]), &workspace, &[]).expect("starts");
        let producer = Producer::new(&daemon.ingest);
        Self { daemon, workspace, producer, receiver }
    }

    /// An event as one JSON text.
    fn event(&self, org: (&str, &str), id: &str) -> String {
        canary::event(org, id, self.producer.time())
    }

    /// Waits until all sinks have everything, and judges it.
    async fn delivered(&self, acme: u64, borealis: u64) {
        let wanted = 2 * (acme + borealis);
        let all = self.receiver.wait_for_events(wanted, PATIENCE).await;
        assert!(all, "{:?}", self.receiver.totals());
        let status = self.daemon.settled(PATIENCE).await;
        assert_eq!(total(&status, "delivered"), wanted, "{status:#}");
        for (count, (name, id)) in [acme, borealis].into_iter().zip(ORGS) {
            for token in [token(name), SHARED_TOKEN.to_owned()] {
                assert_eq!(arrived(&self.receiver, &token, id), count, "{name}");
            }
        }
        assert_sound(&self.receiver);
        let report = self.receiver.report();
        assert!(report.feeds.iter().all(|feed| feed.records == 0 || feed.first_seq == 0), "seq begins at 0");
    }

    /// The records of an organisation, in the order of their seq.
    fn records(&self, org: &str) -> Vec<Value> {
        let mut records: Vec<Value> = self
            .receiver
            .indexed()
            .iter()
            .filter(|indexed| indexed.token == SHARED_TOKEN)
            .map(receiver::Indexed::event)
            .filter(|event| event["org_id"] == org)
            .collect();
        records.sort_by_key(|record| record["seq"].as_u64());
        records
    }
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_form_of_body_is_taken() {
    let mut house = House::start("").await;
    let taken = |reply: integration_tests::http::Reply, count: u64| {
        assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
        assert_eq!(reply.json(), json!({"accepted": count, "duplicates": 0, "rejected": []}));
        assert_eq!(reply.header("cache-control"), Some("no-store"));
    };
    let lines =
        house.producer.lines(ACME, ids("nd-a", 20)) + &house.producer.lines(BOREALIS, ids("nd-b", 20));
    taken(house.producer.post(&[], lines.as_bytes()), 40);
    let without_end = lines.trim_end().replace("nd-", "ne-").replace('\n', "\r\n\r\n");
    taken(house.producer.post(&[], without_end.as_bytes()), 40);
    let json_type = [("content-type", "application/json; charset=utf-8")];
    let array = format!("[{},\n{}]", house.event(ACME, "array-a"), house.event(BOREALIS, "array-b"));
    taken(house.producer.post(&json_type, array.as_bytes()), 2);
    taken(house.producer.post(&json_type, house.event(ACME, "object").as_bytes()), 1);
    taken(house.producer.post(&json_type, b"[]"), 0);
    taken(house.producer.post(&[], b""), 0);
    let packed = gzip(lines.replace("nd-", "gz-").as_bytes());
    taken(house.producer.post(&[("content-encoding", "gzip")], &packed), 40);
    let packed = zstd::bulk::compress(lines.replace("nd-", "zs-").as_bytes(), 3).unwrap();
    taken(house.producer.post(&[("content-encoding", "zstd")], &packed), 40);
    let packed = gzip(array.replace("array-", "packed-array-").as_bytes());
    taken(house.producer.post(&[json_type[0], ("content-encoding", "gzip")], &packed), 2);
    house.delivered(83, 82).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_lines_are_named_and_their_neighbours_stored() {
    let mut house = House::start("").await;
    let good = |id: &str| canary::event(ACME, id, "2026-11-24T12:00:00Z");
    let no_path = json!({"id": "x", "kind": "api_call", "time": "2026-11-24T12:00:00Z", "org_id": ACME.1, "request": {"method": "GET"}});
    let cases: [(String, &str); 9] = [
        ("not json".to_owned(), "TW-2001"),
        ("[1]".to_owned(), "TW-2003"),
        (good("twice").replacen("{\"", "{\"kind\":\"api_call\",\"", 1), "TW-2008"),
        (no_path.to_string(), "TW-2010"),
        (good("status").replace("\"status\":200", "\"status\":\"200\""), "TW-2011"),
        (good("time").replace("2026-11-24T12:00:00Z", "yesterday"), "TW-2013"),
        (good("kind").replace("api_call", "api_cal"), "TW-2014"),
        (good("org").replace(ACME.1, "not an id"), "TW-2101"),
        (good("big").replace("PROJ-1", &"P".repeat(300_000)), "TW-2004"),
    ];
    let mut body = String::new();
    for (index, (line, _)) in cases.iter().enumerate() {
        body.push_str(&format!("{}\n{line}\n", house.event(BOREALIS, &format!("between-{index}"))));
    }
    body.push_str(&house.event(ACME, "last"));
    let reply = house.producer.post(&[], body.as_bytes());
    assert_eq!(reply.status, 200);
    let answer = reply.json();
    assert_eq!((&answer["accepted"], &answer["duplicates"]), (&10.into(), &0.into()), "{answer:#}");
    let rejected = answer["rejected"].as_array().unwrap();
    assert_eq!(rejected.len(), cases.len(), "{answer:#}");
    for (index, ((_, code), refused)) in cases.iter().zip(rejected).enumerate() {
        assert_eq!(refused["line"], 2 * index as u64 + 2, "{refused}");
        assert_eq!(refused["code"], *code, "{refused}");
        assert!(refused["message"].as_str().unwrap().len() > 10, "{refused}");
    }
    // In a format without line ends the number is the position.
    let array = format!("[{},{{}},{}]", house.event(ACME, "array-1"), house.event(ACME, "array-3"));
    let answer = house.producer.post(&[("content-type", "application/json")], array.as_bytes()).json();
    assert_eq!(answer["accepted"], 2, "{answer}");
    assert_eq!(
        (&answer["rejected"][0]["line"], &answer["rejected"][0]["code"]),
        (&2.into(), &"TW-2010".into())
    );
    house.delivered(3, 9).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_as_a_whole_stores_nothing() {
    let mut house = House::start("").await;
    let error = |reply: &integration_tests::http::Reply| {
        let answer = reply.json();
        assert!(answer["error"]["message"].as_str().unwrap().len() > 10, "{answer}");
        assert!(answer["accepted"].is_null(), "{answer}");
        (reply.status, answer["error"]["code"].as_str().unwrap().to_owned())
    };
    let array = format!("[{},{}", house.event(ACME, "broken-1"), house.event(ACME, "broken-2"));
    let json_type = ("content-type", "application/json");
    let refused = |status: u16, code: &str| (status, code.to_owned());
    assert_eq!(error(&house.producer.post(&[json_type], array.as_bytes())), refused(400, "TW-1009"));
    let gz = ("content-encoding", "gzip");
    assert_eq!(error(&house.producer.post(&[gz], b"no gzip at all")), refused(400, "TW-1005"));
    let lines = house.producer.lines(ACME, ids("cut", 100));
    let mut cut = gzip(lines.as_bytes());
    cut.truncate(cut.len() - 20);
    assert_eq!(error(&house.producer.post(&[gz], &cut)), refused(400, "TW-1005"));
    assert_eq!(error(&house.producer.post(&[("content-encoding", "br")], b"x")), refused(415, "TW-1004"));
    assert_eq!(error(&house.producer.post(&[("content-type", "text/csv")], b"x")), refused(415, "TW-1004"));

    let bomb = zstd::bulk::compress(&vec![b' '; 15 << 20], 3).unwrap();
    let zs = ("content-encoding", "zstd");
    assert_eq!(error(&house.producer.post(&[zs], &bomb)), refused(413, "TW-1006"));
    let many = "{}\n".repeat(50_001);
    let packed = zstd::bulk::compress(many.as_bytes(), 1).unwrap();
    assert_eq!(error(&house.producer.post(&[zs], &packed)).0, 413);
    assert_eq!(error(&house.producer.post(&[], many.as_bytes())), refused(413, "TW-1008"));
    // Ids by chance, so that it does not compress as a bomb does.
    let large: Vec<String> = (0..40_000).map(|_| format!("large-{:032x}", rand::random::<u128>())).collect();
    let large = house.producer.lines(ACME, large);
    assert!(large.len() > 16 << 20);
    let packed = zstd::bulk::compress(large.as_bytes(), 1).unwrap();
    assert!(large.len() / packed.len() < 100, "not refused for its ratio");
    assert_eq!(error(&house.producer.post(&[zs], &packed)), refused(413, "TW-1007"));

    let body = lines.as_bytes();
    for authorization in [None, Some("Bearer wrong-token-0123456789"), Some("Basic dGVzdDp0ZXN0")] {
        let headers: Vec<(&str, &str)> =
            authorization.map(|value| ("authorization", value)).into_iter().collect();
        let reply = Client::new(&house.daemon.ingest).send("POST", "/v1/events", &headers, body).unwrap();
        assert_eq!(error(&reply), refused(401, "TW-1001"), "{authorization:?}");
        assert!(reply.header("www-authenticate").is_some());
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        assert!(!text.contains("wrong-token") && !text.contains(PRODUCER_TOKEN), "{text}");
    }
    let reply = Client::new(&house.daemon.ingest).send("GET", "/v1/events", &[], b"").unwrap();
    assert_eq!(error(&reply), refused(405, "TW-1002"));
    // Nothing of all that was stored.
    house.producer.send(ACME, ids("good-a", 3));
    house.producer.send(BOREALIS, ids("good-b", 3));
    house.delivered(3, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quota_refuses_line_by_line_and_the_whole_only_when_nothing_is_left() {
    let mut house = House::start("limits: {ingest_per_org: {events: 1/s}}").await;
    let body = house.producer.lines(ACME, ids("a", 50)) + &house.producer.lines(BOREALIS, ids("b", 1));
    let reply = house.producer.post(&[], body.as_bytes());
    assert_eq!(reply.status, 200, "one organisation's quota is not another's");
    let answer = reply.json();
    let rejected = answer["rejected"].as_array().unwrap();
    assert!((40..=49).contains(&rejected.len()), "{answer}");
    for refused in rejected {
        assert_eq!(refused["code"], "TW-2107", "{refused}");
        assert!((2..=50).contains(&refused["line"].as_u64().unwrap()), "{refused}");
        assert!((1..=2).contains(&refused["retry_after"].as_u64().unwrap()), "{refused}");
    }
    let mut acme = 50 - rejected.len() as u64;
    // A single event comes back when the second is not over yet, which on a slow machine it may be.
    let mut number = 0;
    let reply = poll::until("a request that is refused whole", PATIENCE, || {
        number += 1;
        let body = house.event(ACME, &format!("single-{number}"));
        let reply = house.producer.post(&[], body.as_bytes());
        acme += u64::from(reply.status == 200);
        (reply.status != 200).then_some(reply)
    })
    .await;
    assert_eq!(reply.status, 429, "{}", String::from_utf8_lossy(&reply.body));
    let answer = reply.json();
    assert_eq!(answer["error"]["code"], "TW-1011", "{answer}");
    assert_eq!(answer["rejected"][0]["code"], "TW-2107", "{answer}");
    let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=2).contains(&wait));
    // Whoever waits as long as was asked is let through.
    poll::until("the quota to fill again", PATIENCE, || {
        let body = house.event(ACME, "after-the-wait");
        (house.producer.post(&[], body.as_bytes()).status == 200).then_some(())
    })
    .await;
    house.delivered(acme + 1, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_organisations_are_refused_when_the_operator_says_so() {
    let mut house = House::start("unknown_org: refuse").await;
    let stranger = ("acme", "ffffffff-0000-4000-8000-000000000000");
    let body = format!(
        "{}\n{}\n{}\n",
        house.event(ACME, "known"),
        house.event(stranger, "unknown"),
        house.event(BOREALIS, "known-too")
    );
    let reply = house.producer.post(&[], body.as_bytes());
    assert_eq!(reply.status, 200);
    let answer = reply.json();
    assert_eq!(answer["accepted"], 2);
    assert_eq!(
        (&answer["rejected"][0]["line"], &answer["rejected"][0]["code"]),
        (&2.into(), &"TW-2102".into())
    );
    house.delivered(1, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resends_are_dropped_and_reused_ids_are_marked() {
    let mut house = House::start("").await;
    let first = house.producer.lines(ACME, ids("a", 10)) + &house.producer.lines(BOREALIS, ids("b", 10));
    house.producer.post(&[], first.as_bytes());
    let more = first.clone() + &house.producer.lines(ACME, ids("new", 5));
    let answer = house.producer.post(&[], more.as_bytes()).json();
    assert_eq!(answer, json!({"accepted": 5, "duplicates": 20, "rejected": []}));
    // The same id of another organisation is another event.
    let others = house.producer.lines(BOREALIS, ids("a", 1));
    assert_eq!(house.producer.post(&[], others.as_bytes()).json()["accepted"], 1);
    // The same id with other content is kept and marked.
    let other = house.event(ACME, "a-0").replace("\"status\":200", "\"status\":500");
    assert_eq!(house.producer.post(&[], other.as_bytes()).json()["accepted"], 1);
    // Also within one request.
    let twice = format!("{}\n{}\n", house.event(ACME, "twice"), house.event(ACME, "twice"));
    assert_eq!(house.producer.post(&[], twice.as_bytes()).json()["duplicates"], 1);

    // And over a restart: the window is restored from the journal.
    let wanted = 2 * (10 + 5 + 1 + 1 + 10 + 1);
    assert!(house.receiver.wait_for_events(wanted, PATIENCE).await);
    house.daemon.settled(PATIENCE).await;
    let House { daemon, workspace, receiver, .. } = house;
    assert!(daemon.terminate().success());
    let daemon = Daemon::start(&binary::build(&[]), &workspace, &[]).expect("starts again");
    let producer = Producer::new(&daemon.ingest);
    let mut house = House { daemon, workspace, producer, receiver };
    let answer = house.producer.post(&[], more.as_bytes()).json();
    // The first copy of `a-0` is not the newest any more, so it counts as another event under that id.
    assert_eq!(answer, json!({"accepted": 1, "duplicates": 24, "rejected": []}));
    let status = house.daemon.settled(PATIENCE).await;
    assert_balanced(&status);
    let records = house.records(ACME.1);
    let marked: Vec<(u64, u64)> = records
        .iter()
        .filter(|record| record["id_reused"] == true)
        .map(|record| (record["seq"].as_u64().unwrap(), record["response"]["status"].as_u64().unwrap()))
        .collect();
    assert_eq!(marked, [(15, 500), (17, 200)], "{records:#?}");
    assert!(house.receiver.report().foreign.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_a_declared_group_get_one_id() {
    let mut house = House::start("").await;
    let key = "nightly run 4711 for somebody";
    let grouped = |org: (&str, &str), id: &str, key: &str, time: &str| {
        let mut event: Value = serde_json::from_str(&canary::event(org, id, time)).unwrap();
        event["request"]["headers"] =
            json!({"x-audit-log-group": key, "x-audit-log-description": "moves issues"});
        event.to_string() + "\n"
    };
    let time = house.producer.time().to_owned();
    let body = grouped(ACME, "g1", key, &time)
        + &grouped(ACME, "other", "another group", &time)
        + &grouped(BOREALIS, "b1", key, &time)
        + &house.event(ACME, "none");
    assert_eq!(house.producer.post(&[], body.as_bytes()).json()["accepted"], 4);
    let later = grouped(ACME, "g2", key, &time);
    assert_eq!(house.producer.post(&[], later.as_bytes()).json()["accepted"], 1);
    house.delivered(4, 1).await;
    let acme = house.records(ACME.1);
    let group = |id: &str| {
        let record = acme.iter().find(|record| record["id"] == id).unwrap();
        record["group"].as_str().map(str::to_owned)
    };
    assert!(group("g1").is_some());
    assert_eq!(group("g1"), group("g2"), "also over requests");
    assert_ne!(group("g1"), group("other"));
    assert_eq!(group("none"), None);
    let borealis = house.records(BOREALIS.1);
    assert_ne!(borealis[0]["group"].as_str().map(str::to_owned), group("g1"), "each organisation's own");
    assert!(!format!("{acme:?}{borealis:?}").contains(key), "the key is not kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_and_standard_input_go_the_same_way() {
    let binary = binary::build(&[]);
    let house = House::start("").await;
    let House { daemon, workspace, producer, receiver } = house;
    assert!(daemon.terminate().success());

    let lines = producer.lines(ACME, ids("file-a", 1500)) + &producer.lines(BOREALIS, ids("file-b", 700));
    let file = workspace.path().join("events.ndjson");
    std::fs::write(&file, format!("{lines}not json\n")).unwrap();
    let config = workspace.config();
    let arguments = [
        "ingest",
        file.to_str().unwrap(),
        "--config",
        config.to_str().unwrap(),
        "--producer",
        "test",
        "--json",
    ];
    let said = command::run(&binary, workspace.path(), &arguments);
    assert_eq!(said.code, 1, "a refused line shows in the exit code: {said:?}");
    assert_eq!(said.json(), json!({"lines": 2201, "accepted": 2200, "duplicates": 0, "rejected": 1}));
    assert!(said.err.contains("line 2201: TW-2001"), "{said:?}");
    std::fs::write(&file, &lines).unwrap();
    let again = command::run(&binary, workspace.path(), &arguments);
    assert_eq!(again.code, 0, "{again:?}");
    assert_eq!(again.json()["duplicates"], 2200, "a file can be fed again");

    // The daemon delivers what the command stored, and takes its standard input.
    let started = Daemon::start_or_status(&binary, &workspace, &[], &["--stdin", "--producer", "test"]);
    let mut daemon = started.unwrap_or_else(|status| panic!("{status}: {}", workspace.log()));
    let mut stdin = daemon.stdin().unwrap();
    stdin.write_all(producer.lines(ACME, ids("stdin-a", 30)).as_bytes()).unwrap();
    stdin.write_all(producer.lines(BOREALIS, ids("stdin-b", 30)).as_bytes()).unwrap();
    stdin.flush().unwrap();
    drop(stdin);
    let producer = Producer::new(&daemon.ingest);
    let mut house = House { daemon, workspace, producer, receiver };
    house.delivered(1530, 730).await;
    // The end of its input does not end it.
    house.producer.send(ACME, ids("http", 5));
    house.delivered(1535, 730).await;
    assert!(house.daemon.terminate().success());
}
