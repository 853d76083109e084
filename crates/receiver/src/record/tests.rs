use super::*;

#[test]
fn times_of_records_are_read_to_the_millisecond() {
    assert_eq!(utc_millis(b"1970-01-01T00:00:00.000Z"), Some(0));
    assert_eq!(utc_millis(b"1969-12-31T23:59:59.999Z"), Some(-1));
    assert_eq!(utc_millis(b"2024-02-29T12:00:00.123Z"), Some(1_709_208_000_123));
    assert_eq!(utc_millis(b"2026-11-22T08:15:30.123Z"), Some(1_795_335_330_123));
    for bad in ["", "2026-11-22T08:15:30Z", "2026-11-22 08:15:30.123Z", "2026-1x-22T08:15:30.123Z"] {
        assert_eq!(utc_millis(bad.as_bytes()), None, "{bad}");
    }
}

#[test]
fn facts_of_a_record_and_its_fields() {
    let event = r#"{"v":1,"seq":7,"id":"a\"b","kind":"api_call","org_id":"acme","received_at":"1970-01-01T00:00:01.000Z"}"#;
    let facts = facts(event, Some(r#"{"prev_seq":6,"delivery_id":"d","event_id":"x"}"#)).expect("a record");
    assert_eq!(
        (facts.org.as_str(), facts.id.as_str(), facts.seq, facts.prev_seq),
        ("acme", "a\"b", Some(7), Some(6))
    );
    assert_eq!((facts.received_at, facts.delivery_id.as_deref()), (Some(1_000), Some("d")));
    assert!(super::facts("\"text\"", None).is_none());
    assert!(super::facts("{\"seq\":1}", None).is_none(), "no organisation, no record");
}
