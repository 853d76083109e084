use event::OrgId;
use flow::sink::GapRecord;
use flow::testing::deliveries::Batch;
use flow::{Row, units::RowRange};
use proptest::prelude::*;
use serde_json::Value;

use super::*;

const ACME: &str = "84383462-b484-4cc4-bb21-ef2ecb49a2b1";
const DELIVERY: &str = "00d10000000000000000000000000042";

fn metadata() -> Metadata<'static> {
    Metadata { host: None, source: "trailwire", sourcetype: "trailwire:record", index: Some("app_calls") }
}

fn body(metadata: Metadata<'_>, batch: &Batch) -> String {
    let mut body = Vec::new();
    Encoder::new(metadata).encode(&batch.rows(), DELIVERY, &mut body);
    String::from_utf8(body).unwrap()
}

fn record(seq: u64, stamped: &str, id: &str) -> String {
    format!(r#"{{"v":1,"seq":{seq},{stamped}"id":"{id}","org_id":"{ACME}","kind":"api_call"}}"#)
}

fn gap() -> GapRecord {
    GapRecord {
        org: ACME.to_owned(),
        rows: RowRange { start: Row(7), end: Row(19) },
        time_ms: 1_795_335_330_123,
        record: br#"{"v":1,"kind":"gap","count":12,"reason":"retention"}"#.to_vec(),
    }
}

#[test]
fn exact_bytes() {
    let batch = Batch::new()
        .started(OrgId::new(ACME).unwrap(), 40)
        .org(ACME, 40)
        .record(1_795_335_330_123, record(40, "", "first"))
        .record(1_795_335_331_000, record(41, "\"group\":\"000102030405060708090a0b0c0d0e0f\",", "grouped"))
        .record(0, record(42, "\"group\":\"000102030405060708090a0b0c0d0e0f\",\"id_reused\":true,", "again"))
        .org("cobalt", 0)
        .record(-1, r#"{"v":1,"seq":0,"id_reused":true,"id":"a \"quoted\\\" \u00e9 id"}"#)
        .org("dune", 9)
        .record(4_102_444_800_007, r#"{"v":1,"seq":9,"id":""}"#);
    insta::assert_snapshot!("all_forms", body(metadata(), &batch));
}

#[test]
fn exact_bytes_with_host_and_without_index() {
    let metadata =
        Metadata { host: Some("edge \"7\"\n"), source: "a\\b", sourcetype: "ocsf:trailwire:é", index: None };
    let batch = Batch::new().gap(gap()).org(ACME, 3).record(5, record(3, "", "x"));
    insta::assert_snapshot!("host_gap_no_index", body(metadata, &batch));
}

#[test]
fn a_replay_states_no_predecessor() {
    let batch = Batch::new().replay().org(ACME, 3).record(5, record(3, "", "x"));
    assert!(!body(metadata(), &batch).contains("prev_seq"));
}

#[test]
fn time_is_exact_at_any_sign_and_size() {
    let cases = [
        (0, "0.000"),
        (1, "0.001"),
        (-1, "-0.001"),
        (-999, "-0.999"),
        (-1000, "-1.000"),
        (-1500, "-1.500"),
        (1_727_164_800_123, "1727164800.123"),
        (1_727_164_800_000, "1727164800.000"),
        (4_102_444_800_050, "4102444800.050"),
        (i64::MAX, "9223372036854775.807"),
        (i64::MIN, "-9223372036854775.808"),
    ];
    for (millis, text) in cases {
        let mut out = Vec::new();
        push_time(millis, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), text);
    }
}

#[test]
fn an_id_that_is_too_long_or_missing_is_left_out() {
    let long = "x".repeat(EVENT_ID_MAX + 1);
    let fits = "x".repeat(EVENT_ID_MAX);
    for (id, there) in [(long.as_str(), false), (fits.as_str(), true)] {
        let batch = Batch::new().org(ACME, 0).record(0, record(0, "", id));
        assert_eq!(body(metadata(), &batch).contains("event_id"), there);
    }
    for record in [r#"{"v":1,"seq":1}"#, r#"{"v":1,"seq":1,"id":7}"#, r#"{"v":2,"seq":1,"id":"a"}"#, "{}", ""]
    {
        assert_eq!(event_id(record.as_bytes()), None, "{record}");
    }
    for cut in [r#"{"v":1,"seq":1,"id":"a"#, r#"{"v":1,"seq":1,"id":"a\"#, r#"{"v":1,"seq":1,"id":"a\""#] {
        assert_eq!(event_id(cut.as_bytes()), None, "{cut}");
    }
}

/// Any text as the id, as a canonical record would hold it.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

proptest! {
    /// Whatever stands in records and settings: one object a record, only the keys that a collector knows, the record
    /// as it was, the fields as they should be, and no more bytes than promised.
    #[test]
    fn bodies_parse_back(
        ids in prop::collection::vec(".{0,40}", 1..6),
        times in prop::collection::vec(any::<i64>(), 6),
        texts in prop::collection::vec(".{0,30}", 6),
        seq in 0..u64::MAX - 10,
        host in proptest::option::of(".{1,20}"),
        source in ".{1,20}",
        sourcetype in ".{1,20}",
        index in proptest::option::of(".{1,20}"),
        grouped: bool,
        reused: bool,
        replay: bool,
    ) {
        let group = if grouped { "\"group\":\"000102030405060708090a0b0c0d0e0f\"," } else { "" };
        let again = if reused { "\"id_reused\":true," } else { "" };
        let records: Vec<String> = ids.iter().enumerate().map(|(at, id)| {
            let seq = seq + at as u64;
            format!(r#"{{"v":1,"seq":{seq},{group}{again}"id":{},"x":{}}}"#, quoted(id), quoted(&texts[at]))
        }).collect();
        let mut batch = Batch::new().org("acme", seq);
        if replay {
            batch = batch.replay();
        }
        for (record, time) in records.iter().zip(&times) {
            batch = batch.record(*time, record.as_str());
        }
        let metadata = Metadata { host: host.as_deref(), source: &source, sourcetype: &sourcetype, index: index.as_deref() };
        let encoder = Encoder::new(metadata);
        let mut body = Vec::new();
        encoder.encode(&batch.rows(), DELIVERY, &mut body);
        let sent: usize = records.iter().map(|record| record.len() + encoder.overhead()).sum();
        prop_assert!(body.len() <= sent);
        let body = String::from_utf8(body).unwrap();
        prop_assert!(body.ends_with('\n'));
        // A record holds no raw line feed, so every line is an object of its own.
        let lines: Vec<&str> = body.lines().collect();
        prop_assert_eq!(lines.len(), records.len());
        for (at, line) in lines.iter().enumerate() {
            let object: Value = serde_json::from_str(line).unwrap();
            let keys: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
            let mut expected = vec!["event", "fields", "host", "source", "sourcetype", "time"];
            if index.is_some() {
                expected.insert(3, "index");
            }
            prop_assert_eq!(keys, expected);
            prop_assert_eq!(&object["event"], &serde_json::from_str::<Value>(&records[at]).unwrap());
            prop_assert_eq!(object["host"].as_str(), Some(host.as_deref().unwrap_or("acme")));
            prop_assert_eq!(object["source"].as_str(), Some(source.as_str()));
            prop_assert_eq!(object["sourcetype"].as_str(), Some(sourcetype.as_str()));
            prop_assert_eq!(object["index"].as_str(), index.as_deref());
            let fields = &object["fields"];
            prop_assert!(fields.as_object().unwrap().values().all(|value| value.is_string() || value.is_u64()));
            let raw_len = quoted(&ids[at]).len() - 2;
            prop_assert_eq!(fields["event_id"].as_str(), (1..=EVENT_ID_MAX).contains(&raw_len).then_some(ids[at].as_str()));
            prop_assert_eq!(fields["org_id"].as_str(), Some("acme"));
            prop_assert_eq!(fields["seq"].as_u64(), Some(seq + at as u64));
            let prev = (seq + at as u64).checked_sub(1).filter(|_| !replay);
            prop_assert_eq!(fields["prev_seq"].as_u64(), prev);
            prop_assert_eq!(fields["delivery_id"].as_str(), Some(DELIVERY));
            // The very text, which a float would not give back.
            let text = line.strip_prefix("{\"time\":").unwrap().split(',').next().unwrap();
            let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
            let millis: i128 = digits.replace('.', "").parse().unwrap();
            prop_assert_eq!(sign * millis, i128::from(times[at]));
        }
    }

    #[test]
    fn an_id_is_found_or_not_but_never_panics(record in prop::collection::vec(any::<u8>(), 0..80)) {
        let mut whole = b"{\"v\":1,\"seq\":1,".to_vec();
        whole.extend_from_slice(&record);
        let _found = event_id(&whole);
        let _found = event_id(&record);
    }
}

#[test]
fn the_largest_envelope_is_within_the_bound() {
    let org = "o".repeat(ORG_ID_MAX);
    let record = format!(r#"{{"v":1,"seq":{},"id":"{}"}}"#, u64::MAX, "i".repeat(EVENT_ID_MAX));
    let batch = Batch::new().org(&org, u64::MAX).record(i64::MIN, record.as_str());
    let encoder = Encoder::new(metadata());
    let mut body = Vec::new();
    encoder.encode(&batch.rows(), DELIVERY, &mut body);
    // The number of a time has at most 16 digits before its point, a few less than any number is given room for.
    let slack = record.len() + encoder.overhead() - body.len();
    assert!(slack <= 4, "{slack}");
    let gap_batch = Batch::new().gap(gap());
    let mut body = Vec::new();
    encoder.encode(&gap_batch.rows(), DELIVERY, &mut body);
    assert!(body.len() <= gap().record.len() + encoder.overhead());
}
