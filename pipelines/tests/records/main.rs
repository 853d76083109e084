//! What holds for every record, whatever the event: size, canonical form, schema; and that no bytes make decoding
//! panic or leak.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test")]

use event::raw::{RawEvent, Reader, Scratch};
use event::record::{MAX_GROWTH, MAX_GROWTH_PER_REPLACED, MAX_HEAD, View, head};
use flow::clock::UnixMillis;
use flow::orgs::{Directory, UnknownOrgs};
use pipelines::{Decoded, Format, Grant, Input, Keys, Plan};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const SAMPLE: &str = include_str!("../../../config/demo/real-sample.ndjson");

fn plan() -> Plan {
    Plan::new(Keys::derive(&[1; 32]), Directory::new(3, UnknownOrgs::Accept))
}

fn decode(body: &[u8], format: Format) -> Decoded {
    let grant = Grant::unlimited(&"p".repeat(event::record::MAX_NAME)).unwrap();
    let source = "s".repeat(event::record::MAX_NAME + 10);
    let mut decoded = Decoded::new();
    let input = Input {
        body,
        format,
        grant: &grant,
        source: &source,
        received_at: UnixMillis(1_795_335_330_123),
        quota: &mut |_, _| Ok(()),
    };
    // A body fault leaves nothing behind, which is what the callers then see.
    let faulty = plan().decode(input, &mut decoded).is_err();
    assert!(!faulty || decoded.accepted == 0);
    decoded
}

fn tails(decoded: &Decoded) -> Vec<Vec<u8>> {
    decoded.parts.iter().flat_map(|part| part.rows.iter().map(|row| part.tail(row).to_vec())).collect()
}

fn longest(tail: &[u8]) -> Vec<u8> {
    let record = [head(u64::MAX, Some(u128::MAX), true).as_bytes(), tail].concat();
    assert_eq!(record.len(), MAX_HEAD + tail.len());
    record
}

fn schema() -> jsonschema::Validator {
    jsonschema::validator_for(&serde_json::from_str(event::schema::RECORD).unwrap()).unwrap()
}

#[test]
fn the_sample_and_its_records_meet_their_schemas() {
    let raw = jsonschema::validator_for(&serde_json::from_str(event::schema::RAW).unwrap()).unwrap();
    for line in SAMPLE.lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        assert!(raw.is_valid(&value), "{line}");
    }
    let record = schema();
    let tails = tails(&decode(SAMPLE.as_bytes(), Format::Ndjson));
    assert_eq!(tails.len(), 400);
    for tail in tails {
        for head in [head(0, None, false), head(7, Some(1), true)] {
            let value: Value = serde_json::from_slice(&[head.as_bytes(), &tail].concat()).unwrap();
            if let Err(e) = record.validate(&value) {
                panic!("{e}: {value}");
            }
        }
    }
}

#[test]
fn some_records_of_the_sample() {
    let all = tails(&decode(SAMPLE.as_bytes(), Format::Ndjson));
    let mut shown: Vec<String> =
        all.iter().step_by(23).map(|tail| String::from_utf8(tail.clone()).unwrap()).collect();
    shown.sort();
    insta::assert_snapshot!(shown.join("\n"));
}

/// An event with any member present or absent and any text in it.
fn event() -> impl Strategy<Value = Value> {
    let text = || {
        prop_oneof![
            3 => "[a-zA-Z0-9._:/-]{1,12}".prop_map(Value::from),
            1 => ".{0,6}".prop_map(Value::from),
            1 => prop::sample::select(vec!["x", "eyJ", "ATATT", "a@b", "\u{1}\u{2}", "\"\\/", "a b", ""]).prop_map(Value::from),
            1 => Just(Value::Null),
        ]
    };
    let number = || prop_oneof![any::<u32>().prop_map(Value::from), Just(json!(i64::MAX)), Just(Value::Null)];
    let path = "(/{0,2}(rest|api|3|issue|[a-z;%2.]{0,5})){0,12}";
    let query = "([a-z%26\\[\\]]{0,6}=?[a-z%26]{0,6}&?){0,12}";
    let object = |members: Vec<(&'static str, BoxedStrategy<Value>)>| {
        members
            .into_iter()
            .map(|(name, value)| {
                prop::option::of(value).prop_map(move |value| value.map(|value| (name.to_owned(), value)))
            })
            .collect::<Vec<_>>()
            .prop_map(|members| Value::Object(members.into_iter().flatten().collect::<Map<_, _>>()))
    };
    let texts =
        move |names: &[&'static str]| names.iter().map(|name| (*name, text().boxed())).collect::<Vec<_>>();
    let free = prop_oneof![
        text(),
        Just(json!([1, "a", {}])),
        Just(json!({"a": [1]})),
        Just(json!(0)),
        Just(json!([]))
    ];
    let request = object(
        [
            texts(&["id", "trace_id"]),
            vec![
                ("query", query.prop_map(Value::from).boxed()),
                ("bytes", number().boxed()),
                ("headers", object(texts(&["x-audit-log-description", "x-audit-log-group"])).boxed()),
            ],
        ]
        .concat(),
    );
    let response = object(vec![
        ("status", (0..1000).prop_map(Value::from).boxed()),
        ("bytes", number().boxed()),
        (
            "duration_ms",
            prop_oneof![(0.0..1e12f64).prop_map(Value::from), Just(json!(0)), Just(json!(999_999_999_999.0))]
                .boxed(),
        ),
        ("rate_limit_remaining", prop_oneof![number(), Just(json!(i64::MIN + 1))].boxed()),
    ]);
    let scopes = prop::collection::vec("[a-z :]{0,4}", 0..40).prop_map(Value::from);
    let lifecycle = object(
        [
            texts(&["by", "version_before", "version_after"]),
            vec![("scopes_before", scopes.clone().boxed()), ("scopes_after", scopes.boxed())],
        ]
        .concat(),
    );
    let app_event = object(
        [vec![
            ("object", object(texts(&["type", "id", "name"])).boxed()),
            ("summary", text().boxed()),
            ("before", free.clone().boxed()),
            ("after", free.clone().boxed()),
        ]]
        .concat(),
    );
    let audit_event = object(
        [
            texts(&["category"]),
            vec![
                ("context", free.clone().boxed()),
                ("container", free.clone().boxed()),
                ("message", free.boxed()),
            ],
        ]
        .concat(),
    );
    let top = object(
        [
            texts(&["site_id", "site", "product"]),
            vec![
                (
                    "app",
                    object(texts(&["id", "key", "kind", "installation_id", "environment", "version"]))
                        .boxed(),
                ),
                ("actor", object(texts(&["acting_as", "account_id", "credential"])).boxed()),
                ("client", object(texts(&["origin", "evidence", "ip", "user_agent"])).boxed()),
                ("response", response.boxed()),
            ],
        ]
        .concat(),
    );
    let time = prop_oneof![
        Just(json!(0)),
        Just(json!(-1)),
        Just(json!("2026-11-22T08:15:30Z")),
        (-62_167_219_200_000i64..253_402_300_799_999).prop_map(Value::from)
    ];
    (top, request, path, lifecycle, app_event, audit_event, 0..4usize, time, "[!#-\\[\\]-~]{1,20}").prop_map(
        |(mut event, mut request, path, mut lifecycle, mut app_event, mut audit_event, kind, time, id)| {
            event["id"] = json!(id);
            event["time"] = time;
            event["org_id"] = json!("o");
            match kind {
                0 => {
                    request["method"] = json!("GET");
                    request["path"] = json!(if path.is_empty() { "/".to_owned() } else { path });
                    event["request"] = request;
                }
                1 => {
                    event["kind"] = json!("lifecycle");
                    lifecycle["event"] = json!("enabled");
                    event["lifecycle"] = lifecycle;
                }
                2 => {
                    event["kind"] = json!("app_event");
                    app_event["name"] = json!("n");
                    event["app_event"] = app_event;
                }
                _ => {
                    event["kind"] = json!("audit_event");
                    audit_event["action"] = json!("a");
                    event["audit_event"] = audit_event;
                }
            }
            event
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    /// The size bound of the format, with the longest head and the longest names; canonical form; the schema.
    #[test]
    fn every_record_is_short_enough_and_canonical(event in event()) {
        let raw = event.to_string();
        let decoded = decode(raw.as_bytes(), Format::Ndjson);
        prop_assert_eq!(decoded.accepted, 1, "{:?} {}", decoded.rejected, raw);
        let record = longest(&tails(&decoded)[0]);
        let value: Value = serde_json::from_slice(&record).unwrap();
        let replaced = usize::try_from(value["redaction"]["count"].as_u64().unwrap()).unwrap();
        // Room for what is not computed yet: the longest operation. (A resource repeats raw text and is cut to fit.)
        let reserved = br#","operation":{"id":"","effect":"delete","admin":false,"bulk":false}"#.len() + 57;
        let bound = raw.len() + MAX_GROWTH - reserved + MAX_GROWTH_PER_REPLACED * replaced;
        prop_assert!(record.len() <= bound, "{} > {}: {} from {}", record.len(), bound, value, raw);
        // serde_json writes the shortest escapes and no white space too, so printing what was parsed gives the same
        // bytes, up to the order of members.
        prop_assert_eq!(value.to_string().len(), record.len());
        let schema = schema();
        prop_assert!(schema.is_valid(&value), "{:?} {}", schema.validate(&value), value);
        let view = View::of(&record).unwrap();
        prop_assert_eq!((view.seq, view.org_id, Some(view.time)), (u64::MAX, "o", value["time"].as_str()));
    }

    /// The same event in another spelling gives the same bytes.
    #[test]
    fn spelling_does_not_matter(event in event()) {
        let compact = event.to_string();
        let pretty = serde_json::to_string_pretty(&event).unwrap();
        let escaped: String = compact.chars().map(|c| match c {
            'a'..='f' | '.' => format!("\\u{:04x}", u32::from(c)),
            '/' => "\\/".to_owned(),
            c => c.to_string(),
        }).collect();
        let array = format!("[{compact}]");
        let one = tails(&decode(compact.as_bytes(), Format::Ndjson));
        prop_assert_eq!(&one, &tails(&decode(pretty.as_bytes(), Format::Json)));
        prop_assert_eq!(&one, &tails(&decode(array.as_bytes(), Format::Json)));
        // Numbers and words outside of strings cannot be escaped, so only where it is still JSON.
        if serde_json::from_str::<Value>(&escaped).is_ok_and(|value| value == event) {
            prop_assert_eq!(&one, &tails(&decode(escaped.as_bytes(), Format::Ndjson)));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        decode(&bytes, Format::Ndjson);
        decode(&bytes, Format::Json);
    }

    #[test]
    fn no_damage_makes_it_panic(line in 0..400usize, edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), json: bool) {
        let mut bytes = SAMPLE.lines().nth(line).unwrap().as_bytes().to_vec();
        for (at, to) in edits {
            let at = at.index(bytes.len());
            bytes[at] = to;
        }
        decode(&bytes, if json { Format::Json } else { Format::Ndjson });
    }
}

/// Time of one pass over hostile input grows with its length, not faster.
#[test]
fn hostile_bodies_are_bounded() {
    let members: String = (0..1000).map(|i| format!("\"m{i}\":{{}},")).collect();
    let event = format!(
        "{{{members}\"id\":\"1\",\"time\":0,\"org_id\":\"o\",\"request\":{{\"method\":\"GET\",\"path\":\"/\"}}}}\n"
    );
    let body = event.repeat((16 << 20) / event.len());
    let decoded = decode(body.as_bytes(), Format::Ndjson);
    assert_eq!(decoded.rejected.len(), 0);
    assert_eq!(decoded.unknown_members().total(), decoded.accepted * 1000);
    // m0 to m9, and what looks less like a name.
    assert_eq!(decoded.unknown_members().names().count(), 11);
    for piece in ["[", "{\"a\":", "\"\\ud83d\\ude00", "{\"a\":1,", "\\", "\"", "{}", "\n", "\u{fe}"] {
        let body = piece.repeat((4 << 20) / piece.len());
        decode(body.as_bytes(), Format::Ndjson);
        decode(body.as_bytes(), Format::Json);
        decode(format!("[{body}").as_bytes(), Format::Json);
    }
}

#[test]
fn reading_does_not_depend_on_what_was_read_before() {
    let (mut scratch, mut event) = (Scratch::default(), RawEvent::default());
    let mut reader = Reader::new(&mut scratch);
    for line in SAMPLE.lines() {
        assert!(reader.read(b"{\"a\":1,\"b\":{\"c\":1", &mut event).is_err());
        reader.read(line.as_bytes(), &mut event).unwrap();
    }
}
