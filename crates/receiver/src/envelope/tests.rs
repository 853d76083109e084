use super::*;

fn one(object: &str, mode: Mode) -> Result<Option<Envelope>, Fault> {
    let members: Members<'_> = serde_json::from_str(object).expect("an object");
    let token = Token::new("t").with_indexes(["main", "audit"]);
    judge(&members, &mut Sticky::default(), &token, mode)
}

fn code(object: &str, mode: Mode) -> u16 {
    match one(object, mode) {
        Err(Fault::Refused(code)) => code.number(),
        other => panic!("{object}: {other:?}"),
    }
}

#[test]
fn splunk_refuses_with_the_measured_codes() {
    for mode in [Mode::Enterprise, Mode::Cloud] {
        for (object, expected) in [
            (r#"{}"#, 12),
            (r#"{"time":1}"#, 12),
            (r#"{"event":null}"#, 13),
            (r#"{"event":"  \n"}"#, 13),
            (r#"{"event":{}}"#, 13),
            (r#"{"event":[ ]}"#, 13),
            (r#"{"event":"e","time":"soon"}"#, 15),
            (r#"{"event":"e","time":true}"#, 15),
            (r#"{"event":"e","time":null}"#, 15),
            (r#"{"event":"e","fields":"f"}"#, 6),
            (r#"{"event":"e","fields":{"a":{"b":1}}}"#, 15),
            (r#"{"event":"e","fields":{"a":[[1]]}}"#, 15),
            (r#"{"event":"e","fields":{"a":null}}"#, 15),
            (r#"{"event":"e","index":"secret"}"#, 7),
            (r#"{"event":"e","index":1}"#, 7),
            (r#"{"event":"e","host":1}"#, 6),
        ] {
            assert_eq!(code(object, mode), expected, "{object}");
        }
        assert_eq!(one(r#"{"event":"e","level":"info"}"#, mode), Err(Fault::UnknownKey));
        assert_eq!(one(r#"{"fields":{"a":1}}"#, mode), Ok(None), "skipped without a word");
    }
}

#[test]
fn good_objects_keep_their_texts() {
    let object = r#"{"time":"-1.5","host":"h","source":"s","sourcetype":"y","index":"audit",
        "event": {"a": 1},"fields":{"x":[1,"2"],"y":true}}"#;
    let envelope = one(object, Mode::Enterprise).expect("good").expect("indexed");
    assert_eq!(envelope.time.as_deref(), Some("-1.5"));
    assert_eq!(envelope.event, r#"{"a": 1}"#);
    assert_eq!(envelope.fields.as_deref(), Some(r#"{"x":[1,"2"],"y":true}"#));
    assert_eq!((envelope.host.as_deref(), envelope.index.as_str()), (Some("h"), "audit"));
    for event in ["1", "\"x\"", "[1]", "{\"a\":{}}"] {
        assert!(one(&format!("{{\"event\":{event}}}"), Mode::Enterprise).is_ok(), "{event}");
    }
}

#[test]
fn the_others_differ() {
    assert_eq!(code(r#"{"event":1}"#, Mode::VectorLike), 6);
    assert_eq!(code(r#"{"event":"e","time":"soon"}"#, Mode::VectorLike), 6);
    assert_eq!(code(r#"{"event":""}"#, Mode::VectorLike), 13);
    assert!(one(r#"{"event":{},"index":"secret","level":1}"#, Mode::VectorLike).is_ok());
    assert_eq!(code(r#"{"event":"e","fields":{"a":{"b":1}}}"#, Mode::OtelLike), 15);
    assert_eq!(code(r#"{"fields":{}}"#, Mode::FluentBitLike), 6);
}

#[test]
fn metadata_sticks_and_only_vector_lets_the_time_stick() {
    let first: Members<'_> =
        serde_json::from_str(r#"{"event":"1","host":"h","index":"audit","time":7}"#).expect("json");
    let second: Members<'_> = serde_json::from_str(r#"{"event":"2"}"#).expect("json");
    for (mode, time) in [(Mode::Enterprise, None), (Mode::VectorLike, Some("7"))] {
        let (mut sticky, token) = (Sticky::default(), Token::new("t"));
        judge(&first, &mut sticky, &token, mode).expect("good");
        let envelope = judge(&second, &mut sticky, &token, mode).expect("good").expect("indexed");
        assert_eq!((envelope.host.as_deref(), envelope.index.as_str()), (Some("h"), "audit"));
        assert_eq!(envelope.time.as_deref(), time);
    }
}
