use proptest::prelude::*;

use super::*;

const WHOLE: &str = r#"{"id":"e-1","kind":"api_call","time":"2026-11-22T08:15:30.123Z","org_id":"o-1","site_id":"s-1","site":"acme.example.net","product":"jira","app":{"id":"a-1","key":"com.vendor.sync","kind":"connect","installation_id":"i-1","environment":"production","version":"3.1.0"},"actor":{"acting_as":"app","account_id":"712020:1","credential":"connect_jwt"},"client":{"origin":"backend","evidence":"token_type","ip":"203.0.113.7","user_agent":"node/1.2"},"request":{"id":"r-1","trace_id":"t-1","method":"PUT","path":"/rest/api/3/issue/PROJ-1","query":"notifyUsers=false","bytes":311,"headers":{"x-audit-log-description":"why","X-Audit-Log-Group":"g"}},"response":{"status":204,"bytes":0,"duration_ms":41.25,"rate_limit_remaining":912}}"#;

fn read(text: &str) -> Result<RawEvent<'_>, Box<Problem>> {
    let mut scratch = Scratch::default();
    let mut event = RawEvent::default();
    Reader::new(&mut scratch).read(text.as_bytes(), &mut event).map(|()| event)
}

fn code(text: &str) -> (Code, &'static str) {
    let problem = read(text).map(drop).unwrap_err();
    (problem.code, problem.member)
}

fn text(text: Text<'_>) -> &str {
    std::str::from_utf8(text.escaped_bytes()).unwrap()
}

#[test]
fn every_member_is_read() {
    let event = read(WHOLE).unwrap();
    let got: Vec<&str> = [
        event.id,
        event.org_id,
        event.site_id,
        event.site,
        event.product,
        event.app.id,
        event.app.key,
        event.app.kind,
        event.app.installation_id,
        event.app.environment,
        event.app.version,
        event.actor.acting_as,
        event.actor.account_id,
        event.actor.credential,
        event.client.origin,
        event.client.evidence,
        event.client.ip,
        event.client.user_agent,
        event.request.id,
        event.request.trace_id,
        event.request.method,
        event.request.path,
        event.request.query,
        event.request.description,
        event.request.group,
    ]
    .map(text)
    .to_vec();
    assert_eq!(
        got,
        [
            "e-1",
            "o-1",
            "s-1",
            "acme.example.net",
            "jira",
            "a-1",
            "com.vendor.sync",
            "connect",
            "i-1",
            "production",
            "3.1.0",
            "app",
            "712020:1",
            "connect_jwt",
            "backend",
            "token_type",
            "203.0.113.7",
            "node/1.2",
            "r-1",
            "t-1",
            "PUT",
            "/rest/api/3/issue/PROJ-1",
            "notifyUsers=false",
            "why",
            "g",
        ]
    );
    assert_eq!(
        (event.kind, event.time_ms, event.request.bytes),
        (Kind::ApiCall, 1_795_335_330_123, Some(311))
    );
    let response = event.response;
    assert_eq!(
        (response.status, response.bytes, response.duration_us, response.rate_limit_remaining),
        (204, Some(0), Some(41_250), Some(912))
    );
    assert_eq!(text(event.time_text), "2026-11-22T08:15:30.123Z");
}

#[test]
fn the_other_kinds_are_read() {
    let event = read(r#"{"id":"1","kind":"lifecycle","time":-1,"org_id":"o","lifecycle":{"event":"permissions_changed","by":"u","scopes_before":["READ"],"scopes_after":["READ", "WR\u0049TE"],"version_before":"1","version_after":"2"}}"#).unwrap();
    assert_eq!((event.kind, event.time_ms), (Kind::Lifecycle, -1));
    let mut scopes = Vec::new();
    event.lifecycle.scopes_after.unwrap().for_each(|scope| {
        scopes.push(String::from_utf8(scope.decode(&mut Vec::new()).to_vec()).unwrap());
    });
    assert_eq!(scopes, ["READ", "WRITE"]);
    let event = read(r#"{"id":"1","kind":"app_event","time":0,"org_id":"o","app_event":{"name":"n","object":{"type":"t","id":"i","name":"abc"},"summary":"abcd","before":[],"after":{"a":null}}}"#).unwrap();
    let told = event.app_event;
    assert_eq!((told.object_name.len, told.summary.len, told.before.len, told.after.len), (3, 4, 0, 1));
    assert!(told.before.present);
    let event = read(r#"{"id":"1","kind":"audit_event","time":0,"org_id":"o","audit_event":{"action":"a","category":"c","context":[{},{}],"container":{"id":"x"},"message":{"content":"m","format":"simple"}}}"#).unwrap();
    let told = event.audit_event;
    assert_eq!((told.context.len, told.container.len, told.message.len), (2, 1, 2));
}

#[test]
fn order_white_space_and_escaped_names_do_not_matter() {
    let event = read("{ \"org_id\" : \"o\" ,\r\n\t\"request\":{\"path\":\"/\",\"method\":\"GET\"} , \"t\\u0069me\": 5, \"\\u0069d\":\"x\"} ").unwrap();
    assert_eq!((text(event.id), event.time_ms, text(event.request.method)), ("x", 5, "GET"));
}

#[test]
fn null_and_empty_are_absent() {
    let event = read(r#"{"id":"1","kind":null,"time":0,"org_id":"o","site":null,"app":null,"product":"","request":{"method":"GET","path":"/","bytes":null,"headers":null},"response":{"status":null,"duration_ms":null}}"#).unwrap();
    assert!(event.site.is_empty() && event.app.id.is_empty() && event.product.is_empty());
    assert_eq!((event.request.bytes, event.response.status, event.response.duration_us), (None, 0, None));
}

#[test]
fn what_is_missing() {
    let without = |member: &str, instead: &str| {
        let text = WHOLE.replacen(&format!("\"{member}\":"), &format!("\"{instead}\":"), 1);
        code(&text)
    };
    assert_eq!(without("id", "x"), (Code::MissingMember, "id"));
    assert_eq!(without("time", "x"), (Code::MissingMember, "time"));
    assert_eq!(without("org_id", "x"), (Code::MissingMember, "org_id"));
    assert_eq!(without("method", "x"), (Code::MissingMember, "request.method"));
    assert_eq!(without("path", "x"), (Code::MissingMember, "request.path"));
    assert_eq!(code(r#"{"id":"","time":0,"org_id":"o"}"#), (Code::MissingMember, "id"));
    assert_eq!(code(r#"{"id":"1","time":null,"org_id":"o"}"#), (Code::MissingMember, "time"));
    for (kind, member) in [
        ("lifecycle", "lifecycle.event"),
        ("app_event", "app_event.name"),
        ("audit_event", "audit_event.action"),
    ] {
        let text = format!(r#"{{"id":"1","kind":"{kind}","time":0,"org_id":"o"}}"#);
        assert_eq!(code(&text), (Code::MissingMember, member));
    }
}

#[test]
fn what_is_of_the_wrong_type_or_value() {
    let with = |old: &str, new: &str| {
        assert!(WHOLE.contains(old), "{old}");
        code(&WHOLE.replacen(old, new, 1))
    };
    assert_eq!(with(r#""site":"acme.example.net""#, r#""site":5"#), (Code::BadType, "site"));
    assert_eq!(with(r#""id":"e-1""#, r#""id":17"#), (Code::BadType, "id"));
    assert_eq!(with(r#""id":"e-1""#, r#""id":"a b""#), (Code::BadValue, "id"));
    assert_eq!(with(r#""id":"e-1""#, r#""id":"a\"b""#), (Code::BadValue, "id"));
    assert_eq!(with(r#""id":"e-1""#, &format!(r#""id":"{}""#, "x".repeat(257))), (Code::BadValue, "id"));
    assert_eq!(with(r#""kind":"api_call""#, r#""kind":"call_group""#), (Code::UnknownKind, "kind"));
    assert_eq!(with(r#""2026-11-22T08:15:30.123Z""#, r#""yesterday""#), (Code::BadTime, "time"));
    assert_eq!(with(r#""2026-11-22T08:15:30.123Z""#, "253402300800000"), (Code::BadTime, "time"));
    assert_eq!(with(r#""2026-11-22T08:15:30.123Z""#, "1.5"), (Code::BadTime, "time"));
    assert_eq!(with(r#""2026-11-22T08:15:30.123Z""#, "true"), (Code::BadType, "time"));
    assert_eq!(with(":204", ":1000"), (Code::BadValue, "response.status"));
    assert_eq!(with(":204", ":\"204\""), (Code::BadType, "response.status"));
    assert_eq!(with(":311", ":-1"), (Code::BadValue, "request.bytes"));
    assert_eq!(with(":41.25", ":-41.25"), (Code::BadValue, "response.duration_ms"));
    assert_eq!(with(r#""headers":{"#, r#""headers":5,"x":{"#), (Code::BadType, "request.headers"));
    assert_eq!(code("[]"), (Code::NotAnObject, ""));
    assert_eq!(code("5"), (Code::NotAnObject, ""));
    assert_eq!(
        code(r#"{"id":"1","kind":"lifecycle","time":0,"org_id":"o","lifecycle":{"event":"exploded"}}"#),
        (Code::BadValue, "lifecycle.event")
    );
    assert_eq!(
        code(
            r#"{"id":"1","kind":"lifecycle","time":0,"org_id":"o","lifecycle":{"event":"enabled","scopes_after":["a",1]}}"#
        ),
        (Code::BadType, "lifecycle.scopes_after")
    );
}

#[test]
fn php_escapes_slashes() {
    let text = WHOLE.replace("\"e-1\"", r#""e\/1""#);
    assert_eq!(read(&text).unwrap().id.decode(&mut Vec::new()), b"e/1");
}

#[test]
fn duplicates_of_known_and_unknown_members() {
    for (old, new) in [
        (r#""id":"e-1""#, r#""id":"e-1","id":"e-1""#),
        (r#""id":"e-1""#, r#""id":"e-1","\u0069d":"e-1""#),
        (r#""id":"e-1""#, r#""x":1,"id":"e-1","x":1"#),
        (r#""method":"PUT""#, r#""method":"PUT","method":"PUT""#),
        (r#""method":"PUT""#, r#""a":{"b":1,"b":1},"method":"PUT""#),
        (r#""X-Audit-Log-Group":"#, r#""X-AUDIT-LOG-DESCRIPTION":"#),
        (r#""status":204"#, r#""status":null,"status":204"#),
    ] {
        assert!(WHOLE.contains(old), "{old}");
        assert_eq!(code(&WHOLE.replacen(old, new, 1)).0, Code::DuplicateMember, "{new}");
    }
}

#[test]
fn a_large_event() {
    let fill = |len: usize| WHOLE.replacen('{', &format!("{{\"x\":[{}],", "1,".repeat(len / 2) + "1"), 1);
    assert!(read(&fill(200_000)).is_ok());
    assert_eq!(code(&fill(MAX_EVENT)).0, Code::EventTooLarge);
}

#[test]
fn unknown_members_are_counted() {
    let mut scratch = Scratch::default();
    let mut event = RawEvent::default();
    let text = WHOLE.replacen("{", r#"{"extra":{"deep":1},"zelda@example.org":1,"#, 1).replacen(
        r#""method""#,
        r#""verb":null,"method""#,
        1,
    );
    Reader::new(&mut scratch).read(text.as_bytes(), &mut event).unwrap();
    assert_eq!(scratch.unknown.names().collect::<Vec<_>>(), [("extra", 1), ("*", 1), ("request.verb", 1)]);
}

#[test]
fn words_tell_where_and_never_what() {
    let problem = read(r#"{"id":"zelda","time":"zelda","org_id":"o"}"#).map(drop).unwrap_err();
    assert_eq!(
        problem.words(0),
        "time: it must be RFC 3339, or a whole number of milliseconds since 1970, years 0 to 9999 (byte 22)"
    );
    let problem = read(r#"{"id":"zelda" "time""#).map(drop).unwrap_err();
    assert_eq!(
        problem.words(0),
        "the line is not valid JSON: a comma or a closing brace belongs here (byte 15)"
    );
    let problem = read(r#"{"request":{"a":1,"a":1}}"#).map(drop).unwrap_err();
    assert_eq!(problem.reject(3, 0).message, "an object of the event has a member twice: request (byte 20)");
}

#[test]
fn an_element_of_an_array_tells_where_it_ends() {
    let text = format!("[{WHOLE} , {WHOLE}]");
    let mut scratch = Scratch::default();
    let mut event = RawEvent::default();
    let end = Reader::new(&mut scratch).read_at(text.as_bytes(), 1, &mut event).unwrap();
    assert_eq!(end, 1 + WHOLE.len());
    let bad = format!("[{{\"a\":\"\\ud83d\",\"a\":{}}} ,", "[".repeat(100) + &"]".repeat(100));
    assert!(!Reader::new(&mut scratch).read_at(bad.as_bytes(), 1, &mut event).unwrap_err().is_syntax());
    assert_eq!(Reader::new(&mut scratch).skip(bad.as_bytes(), 1), Ok(bad.len() - 2));
    assert!(Reader::new(&mut scratch).skip(&b"[".repeat(1000), 0).is_err());
}

proptest! {
    #[test]
    fn damaged_events_are_refused_or_read_but_never_panic(edits in prop::collection::vec((0..WHOLE.len(), any::<char>()), 1..5)) {
        let mut text: Vec<char> = WHOLE.chars().collect();
        for (at, to) in edits {
            text[at] = to;
        }
        let text: String = text.into_iter().collect();
        let ours = read(&text).map(drop);
        if serde_json::from_str::<serde::de::IgnoredAny>(&text).is_err() {
            prop_assert!(ours.is_err());
        }
        if let Err(problem) = ours {
            prop_assert!(problem.at <= text.len());
            prop_assert!(problem.words(0).len() < 300);
        }
    }

    #[test]
    fn the_order_of_members_does_not_matter(seed: u64) {
        let value: serde_json::Value = serde_json::from_str(WHOLE).unwrap();
        let mut state = seed;
        let shuffled = shuffle(&value, &mut state);
        let (one, two) = (read(WHOLE).unwrap(), read(&shuffled).unwrap());
        prop_assert_eq!(text(one.request.path), text(two.request.path));
        prop_assert_eq!(one.response.duration_us, two.response.duration_us);
        prop_assert_eq!(text(one.app.version), text(two.app.version));
        prop_assert_eq!(one.time_ms, two.time_ms);
    }
}

fn shuffle(value: &serde_json::Value, state: &mut u64) -> String {
    let serde_json::Value::Object(object) = value else { return value.to_string() };
    let mut members: Vec<String> =
        object.iter().map(|(k, v)| format!("{k:?}:{}", shuffle(v, state))).collect();
    for i in (1..members.len()).rev() {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        members.swap(i, (*state >> 33) as usize % (i + 1));
    }
    format!("{{{}}}", members.join(","))
}

#[test]
fn nothing_raw_is_shown_for_debugging() {
    let text = WHOLE.replace("notifyUsers", "CANARY\\u0041").replace("jira", "j\\u0069ra-CANARY");
    let (mut scratch, mut event) = (Scratch::default(), RawEvent::default());
    let mut reader = Reader::new(&mut scratch);
    reader.read(text.as_bytes(), &mut event).unwrap();
    let shown = format!("{event:?} {reader:?}");
    // What decoding leaves behind.
    scratch.decoded.extend_from_slice(b"CANARY");
    let shown = format!("{shown} {scratch:?}");
    // Derived, it would be a list of numbers.
    let numbers = format!("{:?}", b"CANARY".as_slice());
    let numbers = numbers.trim_matches(['[', ']']);
    assert!(!shown.contains("CANARY") && !shown.contains(numbers), "{shown}");
}
