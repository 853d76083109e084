use std::io::Write;
use std::time::Duration;

use flow::clock::{Clock, UnixMillis};

use super::*;
use crate::settings::AckPolicy;

const GUID: &str = "0aa3d7ab-6a4f-4b6f-9f80-7f2f4c5c2f10";

/// A request in words, judged against `settings`.
struct Ask<'a> {
    settings: Settings,
    acks: AckBook,
    target: &'a str,
    method: Method,
    headers: Vec<(&'static str, &'a str)>,
}

impl<'a> Ask<'a> {
    fn new(mode: Mode) -> Self {
        let settings = Settings::new(mode)
            .token(Token::new("good").with_indexes(["main", "audit"]))
            .token(Token::new("acked").with_ack())
            .token(Token { disabled: true, ..Token::new("off") });
        let acks = AckBook::default();
        Self {
            settings,
            acks,
            target: "/services/collector/event",
            method: Method::POST,
            headers: Vec::new(),
        }
        .with("authorization", "Splunk good")
    }

    fn with(mut self, name: &'static str, value: &'a str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value));
        self
    }

    fn to(mut self, target: &'a str) -> Self {
        self.target = target;
        self
    }

    fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    fn bytes(&mut self, body: Option<&[u8]>, after: Duration) -> Judgement {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            headers.insert(*name, HeaderValue::from_str(value).expect("a header"));
        }
        let (path, query) =
            self.target.split_once('?').map_or((self.target, None), |(path, q)| (path, Some(q)));
        let request = Request { method: &self.method, path, query, headers: &headers, body };
        let now = Clock::simulated(UnixMillis(0)).now().instant + after;
        judge(&self.settings, &mut self.acks, &request, now)
    }

    fn send(&mut self, body: &str) -> (u16, String, usize) {
        let judgement = self.bytes(Some(body.as_bytes()), Duration::ZERO);
        let text = String::from_utf8_lossy(&judgement.reply.body).into_owned();
        (judgement.reply.status.as_u16(), text, judgement.indexed.len())
    }

    /// Status, code, event number, indexed.
    fn verdict(&mut self, body: &str) -> (u16, i64, Option<u64>, usize) {
        let (status, text, indexed) = self.send(body);
        let value: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
        let number = value.get("invalid-event-number").and_then(Value::as_u64);
        (status, value.get("code").and_then(Value::as_i64).unwrap_or(-1), number, indexed)
    }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).expect("to memory");
    encoder.finish().expect("to memory")
}

#[test]
fn the_prefix_is_indexed_and_the_bad_object_named() {
    let good = r#"{"event":"e"}"#;
    for (bad, code) in [
        (r#"{"event":}"#, 6),
        (r#"{"time":1}"#, 12),
        (r#"{"event":" "}"#, 13),
        (r#"{"event":"e","time":"x"}"#, 15),
    ] {
        for at in 0..3_u64 {
            let mut objects = [good; 3];
            objects[at as usize] = bad;
            for mode in [Mode::Enterprise, Mode::Cloud] {
                let verdict = Ask::new(mode).verdict(&objects.join("\n"));
                assert_eq!(verdict, (400, code, Some(at), at as usize), "{bad} at {at}");
            }
        }
    }
}

#[test]
fn code_7_counts_one_too_high() {
    let body = r#"{"event":1}{"event":2}{"event":3,"index":"secret"}{"event":4}"#;
    assert_eq!(Ask::new(Mode::Enterprise).verdict(body), (400, 7, Some(3), 2));
}

#[test]
fn parsing_is_streamed() {
    let blank_then_broken = r#"{"event":""}{"event":"#;
    assert_eq!(Ask::new(Mode::Enterprise).verdict(blank_then_broken), (400, 13, Some(0), 0));
    assert_eq!(Ask::new(Mode::Enterprise).verdict(r#"{"event":1} trailing"#), (400, 6, Some(1), 1));
}

#[test]
fn an_unknown_key_ends_the_body_without_a_word() {
    let body = r#"{"event":0}{"event":1,"level":"info"}{"event":2}"#;
    assert_eq!(Ask::new(Mode::Enterprise).verdict(body), (200, 0, None, 1));
    assert_eq!(Ask::new(Mode::Enterprise).verdict(r#"{"event":0,"level":1}"#), (400, 5, None, 0));
    let skipped = r#"{"event":0}{"fields":{"a":1}}{"event":2}"#;
    assert_eq!(Ask::new(Mode::Enterprise).verdict(skipped), (200, 0, None, 2));
}

#[test]
fn bodies_may_be_arrays_or_have_no_separators() {
    assert_eq!(Ask::new(Mode::Enterprise).verdict(r#"[{"event":0},{"event":1}]"#), (200, 0, None, 2));
    assert_eq!(Ask::new(Mode::Enterprise).verdict(r#"{"event":0}{"event":1}"#), (200, 0, None, 2));
    assert_eq!(Ask::new(Mode::Enterprise).verdict(r#"[{"event":0},{"event":""}]"#), (400, 13, Some(1), 1));
    assert_eq!(Ask::new(Mode::Enterprise).verdict(" \n"), (400, 5, None, 0));
    assert_eq!(Ask::new(Mode::Enterprise).verdict("7"), (400, 6, Some(0), 0));
}

#[test]
fn authorisation() {
    let event = r#"{"event":1}"#;
    for (header, expected) in [
        ("", (401, 2)),
        ("Bearer x", (401, 3)),
        ("Splunk", (401, 3)),
        ("Splunk wrong", (403, 4)),
        ("Splunk off", (403, 1)),
        ("Basic eDpnb29k", (200, 0)),
        ("Splunk good", (200, 0)),
    ] {
        let (status, code, ..) = Ask::new(Mode::Enterprise).with("authorization", header).verdict(event);
        assert_eq!((status, code), expected, "{header}");
    }
    let mut none = Ask::new(Mode::Enterprise);
    none.headers.clear();
    assert_eq!(none.verdict(event).1, 2);
    let query = Ask::new(Mode::Enterprise).to("/services/collector?token=good").verdict(event);
    assert_eq!((query.0, query.1), (400, 16));
    let query = Ask::new(Mode::Enterprise).to("/services/collector?token=wrong").verdict(event);
    assert_eq!((query.0, query.1), (403, 4));
    let vector = Ask::new(Mode::VectorLike).with("authorization", "Splunk wrong").verdict(event);
    assert_eq!((vector.0, vector.1), (401, 3));
    assert_eq!(Ask::new(Mode::OtelLike).with("authorization", "Splunk wrong").send(event).0, 200);
}

#[test]
fn the_order_of_checks() {
    // Each request has every later fault as well.
    let broken = Some(b"not gzip".as_slice());
    let mut ask = Ask::new(Mode::Enterprise)
        .to("/services/collector/nowhere")
        .method(Method::GET)
        .with("content-encoding", "deflate")
        .with("authorization", "Splunk wrong");
    let status = |ask: &mut Ask<'_>, body| {
        let judgement = ask.bytes(body, Duration::ZERO);
        (judgement.reply.status.as_u16(), judgement.reply.code)
    };
    assert_eq!(status(&mut ask, None), (404, Some(404)));
    ask = ask.to("/services/collector/event");
    assert_eq!(status(&mut ask, None), (405, Some(404)));
    ask = ask.method(Method::POST);
    assert_eq!(status(&mut ask, None), (415, None));
    ask = ask.with("content-encoding", "gzip");
    assert_eq!(status(&mut ask, None), (413, None));
    assert_eq!(status(&mut ask, broken), (403, Some(4)));
    ask = ask.with("authorization", "Splunk good").to("/services/collector/ack");
    assert_eq!(status(&mut ask, broken), (400, Some(14)));
    ask = ask.with("authorization", "Splunk acked");
    assert_eq!(status(&mut ask, broken), (400, Some(10)));
    ask = ask.with("x-splunk-request-channel", "no-guid");
    assert_eq!(status(&mut ask, broken), (400, Some(11)));
    ask = ask.with("x-splunk-request-channel", GUID).to("/services/collector/event");
    assert_eq!(status(&mut ask, broken), (400, None));
    let (empty, good) = (gzip(" "), gzip("{\"event\":1}"));
    assert_eq!(status(&mut ask, Some(&empty)), (400, Some(5)));
    assert_eq!(status(&mut ask, Some(&good)), (200, Some(0)));
}

#[test]
fn the_caps_of_the_products() {
    let mut enterprise = Ask::new(Mode::Enterprise).with("content-encoding", "gzip");
    enterprise.settings.max_body = 100;
    let bomb = gzip(&format!("{{\"event\":\"{}\"}}", "x".repeat(200)));
    let judgement = enterprise.bytes(Some(&bomb), Duration::ZERO);
    assert_eq!(judgement.reply.status.as_u16(), 413);
    assert!(judgement.reply.body.starts_with(b"<!doctype html>"));
    let judgement = Ask::new(Mode::Cloud).bytes(None, Duration::ZERO);
    assert_eq!((judgement.reply.status.as_u16(), judgement.reply.code), (400, Some(6)));
    assert!(String::from_utf8_lossy(&judgement.reply.body).contains("\"invalid-event-number\":0"));
    let cloud = Ask::new(Mode::Cloud).with("authorization", "Splunk acked").verdict("{\"event\":1}");
    assert_eq!((cloud.0, cloud.1), (400, 28));
}

#[test]
fn acknowledgement() {
    let event = r#"{"event":1}"#;
    let mut ask = Ask::new(Mode::Enterprise)
        .with("authorization", "Splunk acked")
        .with("x-splunk-request-channel", GUID);
    ask.settings.acks = AckPolicy::After(Duration::from_secs(1));
    assert!(ask.send(event).1.contains("\"ackId\":0"));
    let (status, text, _) = ask.send(r#"{"event":1}{"event":""}"#);
    assert_eq!(status, 400);
    assert!(text.contains("\"ackId\":1"), "the prefix is acknowledged beside the 400: {text}");
    assert!(!ask.send(r#"{"event":""}"#).1.contains("ackId"), "nothing was indexed");
    ask = ask.to("/services/collector/ack");
    assert_eq!(ask.send(r#"{"acks":[0,1,7]}"#).1, r#"{"acks":{"0":false,"1":false,"7":false}}"#);
    let poll = |ask: &mut Ask<'_>| {
        let judgement = ask.bytes(Some(br#"{"acks":[0,1]}"#), Duration::from_secs(2));
        String::from_utf8_lossy(&judgement.reply.body).into_owned()
    };
    assert_eq!(poll(&mut ask), r#"{"acks":{"0":true,"1":true}}"#);
    assert_eq!(poll(&mut ask), r#"{"acks":{"0":false,"1":false}}"#, "handed out once");
}

#[test]
fn raw_health_and_options() {
    let mut ask = Ask::new(Mode::Enterprise).to("/services/collector/raw?sourcetype=text&index=audit");
    let judgement = ask.bytes(Some(b"one\n\xff\xfe\n\n"), Duration::ZERO);
    assert_eq!((judgement.reply.status.as_u16(), judgement.indexed.len()), (200, 2));
    assert_eq!(judgement.indexed[0].sourcetype.as_deref(), Some("text"));
    let no_channel = Ask::new(Mode::VectorLike).to("/services/collector/raw").verdict("x");
    assert_eq!((no_channel.0, no_channel.1), (400, 10));
    let health = |mode| {
        let mut ask = Ask::new(mode).to("/services/collector/health").method(Method::GET);
        ask.headers.clear();
        ask.verdict("")
    };
    assert_eq!(health(Mode::Cloud), (200, 17, None, 0));
    assert_eq!(health(Mode::FluentBitLike), (200, 200, None, 0));
    let options = Ask::new(Mode::Enterprise).method(Method::OPTIONS).bytes(None, Duration::ZERO).reply;
    assert_eq!(
        (options.status.as_u16(), &options.headers[ALLOW]),
        (200, &HeaderValue::from_static("POST,OPTIONS"))
    );
}

#[test]
fn all_or_nothing_products() {
    let body = r#"{"event":1}{"event":""}{"event":3}"#;
    let (status, text, indexed) = Ask::new(Mode::OtelLike).send(body);
    assert_eq!((status, indexed), (400, 0));
    let inner: String = serde_json::from_str(&text).expect("a JSON string that holds JSON");
    assert_eq!(inner, r#"{"code":13,"text":"Event field cannot be blank"}"#);
    let (_, text, _) = Ask::new(Mode::OtelLike).send(r#"{"event":1}{"event":2,"fields":{"a":{}}}"#);
    assert!(text.contains("invalid-event-number\\\":1"), "{text}");
    assert_eq!(Ask::new(Mode::OtelLike).send(r#"{"event":1}"#).1, "\"OK\"");
    assert_eq!(Ask::new(Mode::FluentBitLike).verdict(r#"{"event":1}{"even"#), (400, 6, None, 0));
    let get = Ask::new(Mode::OtelLike).method(Method::GET).send("");
    assert_eq!(get.0, 400);
}

#[test]
fn vector_forwards_the_prefix_without_acknowledging_it() {
    let mut ask = Ask::new(Mode::VectorLike)
        .with("authorization", "Splunk acked")
        .with("x-splunk-request-channel", GUID);
    let (status, text, indexed) = ask.send(r#"{"event":"1"}{"event":""}"#);
    assert_eq!((status, indexed), (400, 1));
    assert!(!text.contains("ackId"), "{text}");
}

#[test]
fn lenient_takes_everything() {
    let mut ask = Ask::new(Mode::Lenient);
    ask.headers.clear();
    assert_eq!(ask.verdict(r#"{"event":1,"level":2}{"x":1}{"event":""}{"event":2}{"#), (200, 0, None, 2));
    ask = ask.to("/services/collector/ack");
    assert_eq!(ask.send(r#"{"acks":[5]}"#).1, r#"{"acks":{"5":true}}"#);
}

#[test]
fn the_code_table_is_in_order_and_texts_are_json_safe() {
    let numbers: Vec<u16> = Code::ALL.iter().map(|code| code.number()).collect();
    assert_eq!(numbers, (0..=28).collect::<Vec<_>>());
    assert!(Code::ALL.iter().all(|code| Code::from_number(code.number()) == Some(*code)));
}
