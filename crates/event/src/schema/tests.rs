use serde_json::{Value, json};

use super::*;
use crate::raw::{RawEvent, Reader, Scratch};

fn valid(schema: &str, value: &Value) -> bool {
    let schema: Value = serde_json::from_str(schema).unwrap();
    jsonschema::meta::validate(&schema).unwrap();
    jsonschema::validator_for(&schema).unwrap().is_valid(value)
}

/// The schema and the reader must agree on each of these.
#[test]
fn raw_events_that_are_good_or_bad() {
    let cases = [
        (json!({"id": "1", "time": 0, "org_id": "o", "request": {"method": "GET", "path": "/"}}), true),
        (
            json!({"id": "1", "kind": null, "time": "2026-11-22T08:15:30Z", "org_id": "o", "app": null, "x": 1, "request": {"method": "GET", "path": "/", "bytes": null}}),
            true,
        ),
        (
            json!({"id": "1", "kind": "lifecycle", "time": 0, "org_id": "o", "lifecycle": {"event": "installed", "scopes_after": ["READ"]}}),
            true,
        ),
        (
            json!({"id": "1", "kind": "app_event", "time": 0, "org_id": "o", "app_event": {"name": "n", "before": [1], "after": {"a": 1}}}),
            true,
        ),
        (
            json!({"id": "1", "kind": "audit_event", "time": 0, "org_id": "o", "audit_event": {"action": "a", "context": {}}}),
            true,
        ),
        (
            json!({"id": "1", "time": 0, "org_id": "o", "request": {"method": "GET", "path": "/", "headers": {"X-Audit-Log-Group": "g"}}, "response": {"status": 204, "duration_ms": 0.5}}),
            true,
        ),
        (json!([]), false),
        (json!({"time": 0, "org_id": "o", "request": {"method": "GET", "path": "/"}}), false),
        (json!({"id": "a b", "time": 0, "org_id": "o", "request": {"method": "GET", "path": "/"}}), false),
        (json!({"id": "1", "time": 0, "org_id": "o"}), false),
        (json!({"id": "1", "time": true, "org_id": "o", "request": {"method": "GET", "path": "/"}}), false),
        (
            json!({"id": "1", "kind": "notice", "time": 0, "org_id": "o", "request": {"method": "GET", "path": "/"}}),
            false,
        ),
        (json!({"id": "1", "kind": "lifecycle", "time": 0, "org_id": "o"}), false),
        (
            json!({"id": "1", "kind": "lifecycle", "time": 0, "org_id": "o", "lifecycle": {"event": "exploded"}}),
            false,
        ),
        (json!({"id": "1", "kind": "app_event", "time": 0, "org_id": "o", "app_event": {"name": ""}}), false),
        (
            json!({"id": "1", "time": 0, "org_id": "o", "request": {"method": "GET", "path": "/", "bytes": -1}}),
            false,
        ),
        (
            json!({"id": "1", "time": 0, "org_id": "o", "request": {"method": "GET", "path": "/"}, "response": {"status": 1000}}),
            false,
        ),
        (
            json!({"id": "1", "time": 0, "org_id": "o", "site": 5, "request": {"method": "GET", "path": "/"}}),
            false,
        ),
        (
            json!({"id": "1", "time": 0, "org_id": "o", "app": [], "request": {"method": "GET", "path": "/"}}),
            false,
        ),
    ];
    for (value, good) in cases {
        let text = value.to_string();
        let mut scratch = Scratch::default();
        let read = Reader::new(&mut scratch).read(text.as_bytes(), &mut RawEvent::default());
        assert_eq!(read.is_ok(), good, "reader: {text}: {read:?}");
        assert_eq!(valid(RAW, &value), good, "schema: {text}");
    }
}

#[test]
fn the_record_schema_is_a_schema() {
    assert!(!valid(RECORD, &json!({"v": 1})));
    assert!(!valid(RECORD, &json!({"v": 2})));
}
