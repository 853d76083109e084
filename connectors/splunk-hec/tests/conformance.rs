//! The sink against the strict collector: what was indexed is what counts, not what the sink believes.

#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use config::{Batch as BatchLimits, RequestLimits, Secret, SecretSource};
use egress::{Allow, Client, Policy};
use flow::clock::Clock;
use flow::sink::{Attempt, Cause, Sink, Verdict};
use flow::testing::deliveries::{Batch, verdict_of};
use http::StatusCode;
use receiver::fault::Manner;
use receiver::{Code, Fault, Mode, Receiver, Reply, Token};
use splunk_hec::{Compression, HecSink, PartialAccept, Settings};

const TOKEN: &str = "5f0c2a34-canary";
const ORG: &str = "acme";

fn settings(collector: &Receiver) -> Settings {
    Settings {
        endpoint: format!("{}/services/collector/event", collector.url()).parse().unwrap(),
        token: SecretSource::from_value(Secret::new(TOKEN.to_owned())),
        index: Some("app_calls".to_owned()),
        sourcetype: "trailwire:record".to_owned(),
        source: "trailwire".to_owned(),
        host: None,
        compression: Compression::None,
        partial_accept: PartialAccept::None,
        batch: BatchLimits { max_bytes: 1_000_000, max_events: 5_000, max_delay: Duration::from_secs(1) },
        request: RequestLimits { timeout: Duration::from_secs(5), concurrency: 4 },
    }
}

fn sink(settings: Settings) -> Arc<HecSink> {
    let allow = vec![Allow { net: "127.0.0.0/8".parse().unwrap(), plaintext: true }];
    let client = Client::new(Policy { allow, ..Policy::default() }, Clock::system()).unwrap();
    Arc::new(HecSink::new(settings, &client, ORG).unwrap())
}

async fn collector(mode: Mode) -> Receiver {
    Receiver::start(receiver::Settings::new(mode).token(Token::new(TOKEN))).await.unwrap()
}

/// A record of about `size` bytes.
fn record(seq: usize, size: usize) -> String {
    let mut record = format!(r#"{{"v":1,"seq":{seq},"id":"event-{seq}","org_id":"{ORG}","x":""#);
    record.push_str(&"x".repeat(size.saturating_sub(record.len() + 2)));
    record.push_str("\"}");
    record
}

fn records(count: usize) -> Vec<String> {
    (0..count).map(|seq| record(seq, 300)).collect()
}

/// What the lane would have come to.
#[derive(Debug, Default)]
struct Outcome {
    attempts: usize,
    /// Sequence numbers of records that the collector refused for good.
    refused: Vec<usize>,
    /// Why the sink stopped before the end, and at which record.
    blocked: Option<(usize, Cause)>,
    /// Waits that were asked for.
    waits: Vec<Option<Duration>>,
}

/// Delivers `records` in order, one batch after the other, as a lane does that sets refused records aside.
async fn run(sink: &Arc<HecSink>, records: &[String]) -> Outcome {
    let mut outcome = Outcome::default();
    let mut todo: Vec<Range<usize>> = cut(sink, records);
    todo.reverse();
    while let Some(range) = todo.pop() {
        outcome.attempts += 1;
        assert!(outcome.attempts < 200, "it must come to an end: {outcome:?}");
        match attempt(sink, records, range.clone()).await {
            Verdict::Accepted => {}
            Verdict::Retry { after, cause } => {
                assert!(!cause.remedy.is_empty());
                outcome.waits.push(after);
                todo.push(range);
            }
            Verdict::Blocked(cause) => {
                outcome.blocked = Some((range.start, cause));
                return outcome;
            }
            Verdict::Split(_) if range.len() == 1 => outcome.refused.push(range.start),
            Verdict::Split(_) => {
                let middle = range.start + range.len() / 2;
                todo.push(middle..range.end);
                todo.push(range.start..middle);
            }
            Verdict::PerRow { accepted_prefix, refused, .. } => {
                let (prefix, refused) = (accepted_prefix as usize, refused.unwrap() as usize);
                outcome.refused.push(range.start + refused);
                todo.push(range.start + refused + 1..range.end);
                todo.push(range.start + prefix..range.start + refused);
            }
        }
        todo.retain(|range| !range.is_empty());
    }
    outcome
}

/// Cuts as a lane does: by the shape, with the envelope's bound for each record.
fn cut(sink: &HecSink, records: &[String]) -> Vec<Range<usize>> {
    let shape = sink.shape();
    let mut ranges = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (at, record) in records.iter().enumerate() {
        let size = record.len() + shape.overhead;
        if at > start && (bytes + size > shape.max_bytes || at - start == shape.max_events as usize) {
            ranges.push(start..at);
            (start, bytes) = (at, 0);
        }
        bytes += size;
    }
    ranges.push(start..records.len());
    ranges
}

async fn attempt(sink: &Arc<HecSink>, records: &[String], range: Range<usize>) -> Verdict {
    let mut batch = Batch::new().org(ORG, range.start as u64);
    for (at, record) in records[range.clone()].iter().enumerate() {
        batch = batch.record(1_727_164_800_000 + (range.start + at) as i64, record.as_str());
    }
    let (delivery, _) = batch.delivery();
    let Attempt::Settled(settled) = Arc::clone(sink).deliver(delivery).await else { panic!("no acks yet") };
    let verdict = verdict_of(settled);
    assert!(!format!("{verdict:?}").contains("canary"), "{verdict:?}");
    verdict
}

/// How often each record was indexed, by seq.
fn indexed(collector: &Receiver) -> BTreeMap<usize, usize> {
    let mut counts = BTreeMap::new();
    for event in collector.indexed() {
        *counts.entry(event.fields()["seq"].as_u64().unwrap() as usize).or_default() += 1;
    }
    counts
}

/// Every record of `0..count` but `without`, once.
fn once(count: usize, without: &[usize]) -> BTreeMap<usize, usize> {
    (0..count).filter(|seq| !without.contains(seq)).map(|seq| (seq, 1)).collect()
}

#[tokio::test]
async fn ten_thousand_events_arrive_once_and_in_order() {
    let collector = collector(Mode::Enterprise).await;
    let sink = sink(settings(&collector));
    let records = records(10_000);
    let outcome = run(&sink, &records).await;
    assert!(outcome.refused.is_empty() && outcome.blocked.is_none());
    let indexed = collector.indexed();
    assert_eq!(indexed.len(), 10_000);
    for (seq, event) in indexed.iter().enumerate() {
        assert_eq!(event.envelope.event, records[seq]);
        assert_eq!(event.fields()["event_id"], format!("event-{seq}"));
        assert_eq!(event.envelope.index, "app_calls");
        assert_eq!(event.envelope.sourcetype.as_deref(), Some("trailwire:record"));
        assert_eq!(event.envelope.host.as_deref(), Some(ORG));
    }
    let shape = sink.shape();
    assert!(collector.requests().iter().all(|request| request.plain_bytes <= shape.max_bytes));
    assert!(collector.requests().len() < 20, "{}", collector.requests().len());
}

#[tokio::test]
async fn gzip_and_identity_give_the_same_content() {
    let records = records(100);
    let mut contents = Vec::new();
    for compression in [Compression::None, Compression::Gzip] {
        let collector = collector(Mode::Enterprise).await;
        run(&sink(Settings { compression, ..settings(&collector) }), &records).await;
        contents.push(collector.indexed().into_iter().map(|event| event.envelope).collect::<Vec<_>>());
        let request = &collector.requests()[0];
        assert_eq!(request.wire_bytes < request.plain_bytes, compression == Compression::Gzip);
    }
    assert_eq!(contents[0].len(), 100);
    assert_eq!(contents[0], contents[1]);
}

#[tokio::test]
async fn times_and_texts_survive() {
    let collector = collector(Mode::Enterprise).await;
    let sink = sink(settings(&collector));
    // Lone surrogates are refused at ingest, so no record holds one.
    let texts = [r"\n", r"\u0000", r#"\""#, "😀", r"\ud83d\ude00", "\u{2028}", r"\\"];
    let times = [1_727_164_800_123, 1_727_164_800_000, -1, -86_400_000, 4_102_444_800_000, 0, 1];
    let expected =
        ["1727164800.123", "1727164800.000", "-0.001", "-86400.000", "4102444800.000", "0.000", "0.001"];
    let mut batch = Batch::new().org(ORG, 0);
    let record = |seq: usize| format!(r#"{{"v":1,"seq":{seq},"id":"{0}","x":"{0}"}}"#, texts[seq]);
    for (seq, time) in times.into_iter().enumerate() {
        batch = batch.record(time, record(seq));
    }
    let Attempt::Settled(settled) = Arc::clone(&sink).deliver(batch.delivery().0).await else {
        panic!("no acks")
    };
    assert_eq!(verdict_of(settled), Verdict::Accepted);
    let indexed = collector.indexed();
    assert_eq!(indexed.len(), texts.len());
    for (seq, event) in indexed.iter().enumerate() {
        assert_eq!(event.envelope.event, record(seq));
        assert_eq!(event.envelope.time.as_deref(), Some(expected[seq]));
    }
}

#[tokio::test]
async fn one_record_over_the_cap_is_refused_and_its_neighbours_arrive() {
    let settings_of = |collector: &Receiver| {
        let batch = BatchLimits { max_bytes: 100_000, ..settings(collector).batch };
        sink(Settings { batch, ..settings(collector) })
    };
    let collector =
        Receiver::start(receiver::Settings::enterprise().token(Token::new(TOKEN)).max_body(100_000)).await;
    let collector = collector.unwrap();
    let mut records = records(1_000);
    records[500] = record(500, 100_001);
    let outcome = run(&settings_of(&collector), &records).await;
    assert_eq!(outcome.refused, [500]);
    assert_eq!(indexed(&collector), once(1_000, &[500]));
}

#[tokio::test]
async fn the_cloud_cap_splits_and_refuses_nothing() {
    let cloud = receiver::Settings::new(Mode::Cloud).token(Token::new(TOKEN)).max_body(1_100_000);
    let collector = Receiver::start(cloud).await.unwrap();
    let batch = BatchLimits { max_bytes: 2 << 20, ..settings(&collector).batch };
    let sink = sink(Settings { batch, partial_accept: PartialAccept::Prefix, ..settings(&collector) });
    let records: Vec<_> = (0..1_000).map(|seq| record(seq, 2_500)).collect();
    let outcome = run(&sink, &records).await;
    assert!(outcome.refused.is_empty() && outcome.attempts > 2, "{outcome:?}");
    assert_eq!(indexed(&collector), once(1_000, &[]));
}

/// Records that a collector refuses: no JSON, an empty event, no event.
const BAD: [&str; 3] = [r#"{"v":1,"seq":"#, "{}", "null"];

#[tokio::test]
async fn a_bad_record_anywhere_is_the_only_one_refused() {
    for bad in BAD {
        for places in [vec![0], vec![5], vec![9], vec![2, 7], vec![3, 4], vec![0, 9], (0..10).collect()] {
            let mut records = records(10);
            for place in &places {
                records[*place] = bad.to_owned();
            }
            for mode in [Mode::Enterprise, Mode::VectorLike] {
                let collector = collector(mode).await;
                let prefix = Settings { partial_accept: PartialAccept::Prefix, ..settings(&collector) };
                // Vector's source takes an empty object for an event.
                let refuses = mode == Mode::Enterprise || bad != "{}";
                let expected = if refuses { places.clone() } else { Vec::new() };
                let outcome = run(&sink(prefix), &records).await;
                assert_eq!(outcome.refused, expected, "{mode:?} {bad} at {places:?}");
                if refuses {
                    assert_eq!(indexed(&collector), once(10, &places), "{mode:?} {bad} at {places:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn without_knowing_the_dialect_nothing_is_lost() {
    for mode in [Mode::Enterprise, Mode::Cloud, Mode::OtelLike, Mode::FluentBitLike, Mode::VectorLike] {
        let collector = collector(mode).await;
        let mut records = records(10);
        // Fluent Bit takes any JSON for an event.
        records[6] = BAD[if mode == Mode::FluentBitLike { 0 } else { 2 }].to_owned();
        let outcome = run(&sink(settings(&collector)), &records).await;
        assert_eq!(outcome.refused, [6], "{mode:?}");
        let indexed: Vec<_> = indexed(&collector).into_keys().collect();
        assert_eq!(indexed, once(10, &[6]).into_keys().collect::<Vec<_>>(), "{mode:?}");
    }
}

#[tokio::test]
async fn the_wrong_dialect_loses_and_the_default_does_not() {
    // A collector that keeps nothing of a batch but names the bad record: what the setting is about.
    for (partial_accept, first_indexed) in [(PartialAccept::Prefix, 4), (PartialAccept::None, 0)] {
        let collector = collector(Mode::OtelLike).await;
        collector.script([Fault::reply(Reply::code_with(Code::IndexedFields, Some(3), None).quoted())]);
        let sink = sink(Settings { partial_accept, ..settings(&collector) });
        let outcome = run(&sink, &records(10)).await;
        assert_eq!(outcome.refused, [3]);
        assert_eq!(indexed(&collector).into_keys().next(), Some(first_indexed));
    }
}

#[tokio::test]
async fn a_wrong_index_stops_at_its_record_and_goes_on_when_it_is_allowed() {
    let token = Token::new(TOKEN).with_indexes(["main"]);
    let collector = Receiver::start(receiver::Settings::enterprise().token(token)).await.unwrap();
    let sink = sink(Settings { partial_accept: PartialAccept::Prefix, ..settings(&collector) });
    let records = records(10);
    let verdict = attempt(&sink, &records, 0..10).await;
    let Verdict::PerRow { accepted_prefix: 0, refused: Some(0), cause } = verdict else {
        panic!("{verdict:?}")
    };
    assert!(cause.what.contains("code 7") && cause.remedy.contains("index"));
    collector.change_token(TOKEN, |token| token.indexes = None);
    assert_eq!(attempt(&sink, &records, 0..10).await, Verdict::Accepted);
    assert_eq!(indexed(&collector), once(10, &[]));
}

#[tokio::test]
async fn credentials_block_and_are_taken_up_when_they_are_right_again() {
    let collector = collector(Mode::Enterprise).await;
    let sink = sink(settings(&collector));
    let records = records(10);
    collector.change_token(TOKEN, |token| token.disabled = true);
    let (_, disabled) = run(&sink, &records).await.blocked.unwrap();
    assert!(disabled.what.contains("code 1") && disabled.remedy.contains("enable"), "{disabled:?}");
    collector.rotate_token(TOKEN, "another");
    let (_, unknown) = run(&sink, &records).await.blocked.unwrap();
    assert!(unknown.what.contains("code 4"), "{unknown:?}");
    collector.rotate_token("another", TOKEN);
    collector.change_token(TOKEN, |token| token.disabled = false);
    assert!(run(&sink, &records).await.blocked.is_none());
    assert_eq!(indexed(&collector), once(10, &[]));
}

#[tokio::test]
async fn waits_are_passed_on_and_success_under_pressure_counts() {
    let collector = collector(Mode::Enterprise).await;
    let sink = sink(settings(&collector));
    collector.script([
        Fault::busy(Some("7")),
        Fault::busy(Some("1000000000")),
        Fault::busy(Some("-1")),
        Fault::busy(Some("soon")),
        Fault::busy(None),
        Fault::code(Code::QueueFull),
        Fault::code(Code::AckChannelFull),
        Fault::code(Code::ShuttingDown),
        Fault::code(Code::InternalServerError),
        Fault::html(StatusCode::BAD_GATEWAY),
    ]);
    let outcome = run(&sink, &records(10)).await;
    let mut waits = vec![Some(Duration::from_secs(7)), Some(Duration::from_secs(3600))];
    waits.resize(10, None);
    assert_eq!(outcome.waits, waits);
    assert_eq!(indexed(&collector), once(10, &[]));
    collector.reset();
    for code in [Code::QueueNearCapacity, Code::AckNearCapacity] {
        collector.script([Fault::indexed_but(Reply::code(code))]);
        assert_eq!(run(&sink, &records(10)).await.attempts, 1);
    }
}

#[tokio::test]
async fn lost_replies_repeat_and_never_lose() {
    let cut = [Manner::Lost, Manner::Reset, Manner::Truncated, Manner::ResetWithin(100), Manner::NeverEnds];
    for manner in cut {
        let collector = collector(Mode::Enterprise).await;
        let request = RequestLimits { timeout: Duration::from_millis(300), concurrency: 4 };
        let sink = sink(Settings { request, ..settings(&collector) });
        collector.script([Fault::manner(manner.clone())]);
        let records = records(200);
        let outcome = run(&sink, &records).await;
        assert_eq!(outcome.waits, [None], "{manner:?}");
        let counts = indexed(&collector);
        assert_eq!(counts.len(), 200);
        let times = if matches!(manner, Manner::ResetWithin(_)) { 1 } else { 2 };
        assert!(counts.values().all(|count| *count == times), "{manner:?}");
        let ids: Vec<_> =
            collector.indexed().iter().map(|event| event.fields()["delivery_id"].clone()).collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "a repeat can be told by its id");
    }
}

#[tokio::test]
async fn a_slow_reply_within_the_timeout_is_read() {
    let collector = collector(Mode::Enterprise).await;
    let sink = sink(settings(&collector));
    collector.script([
        Fault::manner(Manner::ByteByByte(Duration::from_millis(1))),
        Fault::manner(Manner::After(Duration::from_millis(50))),
    ]);
    for _ in 0..2 {
        assert_eq!(run(&sink, &records(10)).await.attempts, 1);
    }
}

#[tokio::test]
async fn odd_answers_are_judged_by_what_they_surely_say() {
    let collector = collector(Mode::Enterprise).await;
    let sink = sink(settings(&collector));
    let text = |body: &'static str| Reply::new(StatusCode::OK, "text/plain", body);
    let refused = Reply::code_with(Code::EventBlank, Some(1), None).quoted();
    let cases = [
        (Reply::html(StatusCode::OK), "blocked"),
        (text("\"OK\""), "accepted"),
        (Reply::empty(StatusCode::OK), "accepted"),
        (Reply::empty(StatusCode::NO_CONTENT), "accepted"),
        (text("{\"text\":\"Succ"), "retry"),
        (refused, "row 1"),
        (Reply::code(Code::Healthy), "blocked"),
        (Reply::not_found(StatusCode::NOT_FOUND), "blocked"),
        (Reply::empty(StatusCode::FOUND).header("location", "http://169.254.169.254/"), "blocked"),
    ];
    for (reply, expected) in cases {
        collector.script([Fault::reply(reply.clone())]);
        let verdict = match attempt(&sink, &records(3), 0..3).await {
            Verdict::Accepted => "accepted",
            Verdict::Blocked(_) => "blocked",
            Verdict::Retry { .. } => "retry",
            Verdict::PerRow { refused: Some(1), .. } => "row 1",
            other => panic!("{other:?}"),
        };
        assert_eq!(verdict, expected, "{reply:?}");
    }
    assert_eq!(collector.totals().requests, 9, "no redirect was followed");
}
