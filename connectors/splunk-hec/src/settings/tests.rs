use std::collections::BTreeMap;
use std::path::Path;

use config::{FileKind, load, parse_yaml};

use super::*;

fn types() -> [SinkType<Settings>; 1] {
    [sink_type(Settings::compile)]
}

/// What is wrong with a sink of these keys.
fn problems(keys: &str) -> String {
    let env = BTreeMap::from([("T".to_owned(), "token".to_owned())]);
    let text = format!("version: 1\nsinks:\n  soc: {{type: splunk_hec, {keys}}}\n");
    config::check(FileKind::SharedSinks, "s.yaml", text.into(), Path::new("/nowhere"), &env, &types())
        .to_string()
}

const BASE: &str = "orgs: \"*\", endpoint: 'https://splunk.example.com:8088', token: '${env:T}'";

fn settings(keys: &str) -> Settings {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("trailwire.yaml");
    std::fs::write(&file, "version: 1\n").unwrap();
    let sinks = format!("version: 1\nsinks:\n  soc: {{type: splunk_hec, {keys}}}\n");
    std::fs::write(dir.path().join("shared_sinks.yaml"), sinks).unwrap();
    let env = BTreeMap::from([("T".to_owned(), "token".to_owned())]);
    let mut loaded = load(&file, &env, &types()).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(loaded.problems().is_empty(), "{}", loaded.problems());
    loaded.sinks.pop().unwrap().settings
}

#[test]
fn defaults() {
    let settings = settings(BASE);
    assert_eq!(settings.endpoint, "https://splunk.example.com:8088/services/collector/event");
    assert_eq!(settings.token.read().unwrap().expose(), "token");
    assert_eq!((settings.index, settings.host), (None, None));
    assert_eq!((settings.sourcetype.as_str(), settings.source.as_str()), ("trailwire:record", "trailwire"));
    assert_eq!((settings.compression, settings.partial_accept), (Compression::None, PartialAccept::None));
    assert_eq!(settings.batch, DEFAULTS.batch);
    assert_eq!(settings.request, DEFAULTS.request);
}

#[test]
fn every_key_arrives() {
    let settings = settings(&format!(
        "{BASE}, index: app_calls, sourcetype: a, source: b, host: c, compression: gzip, partial_accept: prefix, \
         ack: off, batch: {{max_bytes: 2MiB, max_events: 7, max_delay: 9ms}}, request: {{timeout: 5s, concurrency: 1}}"
    ));
    assert_eq!((settings.index.as_deref(), settings.host.as_deref()), (Some("app_calls"), Some("c")));
    assert_eq!((settings.sourcetype.as_str(), settings.source.as_str()), ("a", "b"));
    assert_eq!((settings.compression, settings.partial_accept), (Compression::Gzip, PartialAccept::Prefix));
    assert_eq!((settings.batch.max_bytes, settings.batch.max_events), (2 << 20, 7));
    assert_eq!((settings.request.timeout, settings.request.concurrency), (Duration::from_secs(5), 1));
}

#[test]
fn endpoints_are_completed() {
    for (text, full) in [
        ("https://h", "https://h/services/collector/event"),
        ("https://h/", "https://h/services/collector/event"),
        (" https://h:8088 ", "https://h:8088/services/collector/event"),
        ("http://127.0.0.1:9/services/collector", "http://127.0.0.1:9/services/collector"),
        ("https://h/services/collector/event", "https://h/services/collector/event"),
        ("https://h/services/collector/event/1.0", "https://h/services/collector/event/1.0"),
        ("https://h/services/collector/event/", "https://h/services/collector/event"),
        ("https://h/proxy/hec", "https://h/proxy/hec/services/collector/event"),
        ("https://[::1]:8088", "https://[::1]:8088/services/collector/event"),
    ] {
        assert_eq!(parse_endpoint(text).map(|uri| uri.to_string()).as_deref(), Ok(full), "{text}");
    }
}

#[test]
fn what_is_no_endpoint() {
    for (text, why) in [
        ("", BadEndpoint::NotUrl),
        ("https://", BadEndpoint::NotUrl),
        ("https://h:99999", BadEndpoint::NotUrl),
        ("https://h:0", BadEndpoint::NotUrl),
        ("https://h:", BadEndpoint::NotUrl),
        ("https://a b", BadEndpoint::NotUrl),
        ("splunk.example.com", BadEndpoint::Scheme),
        ("/services/collector", BadEndpoint::Scheme),
        ("ftp://h", BadEndpoint::Scheme),
        ("https://user:hunter2@h", BadEndpoint::User),
        ("https://h/?token=hunter2", BadEndpoint::Query),
        ("https://h/services/collector?channel=1", BadEndpoint::Query),
        ("https://h/#x", BadEndpoint::Query),
        ("https://h/services/collector/raw", BadEndpoint::OtherEndpoint),
        ("https://h/services/collector/ack", BadEndpoint::OtherEndpoint),
        ("https://h/services/collector/health/1.0", BadEndpoint::OtherEndpoint),
    ] {
        assert_eq!(parse_endpoint(text), Err(why), "{text}");
    }
}

#[test]
fn what_is_wrong_is_told_together_and_without_the_url() {
    let told = problems(
        "orgs: \"*\", endpoint: 'https://u:hunter2@h', token: hunter2, index: '', source: \"a\\nb\", ack: required, \
         compression: zip, partial_accepts: prefix",
    );
    assert!(!told.contains("hunter2"), "{told}");
    insta::assert_snapshot!(told);
    assert!(problems("orgs: \"*\"").contains("sinks.soc.endpoint: this key is missing"));
}

#[test]
fn the_schema_knows_the_keys() {
    let schema = serde_json::Value::from((types()[0].schema)());
    let keys: Vec<&str> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "ack",
            "compression",
            "endpoint",
            "host",
            "index",
            "partial_accept",
            "source",
            "sourcetype",
            "token"
        ]
    );
    assert_eq!(schema["required"], serde_json::json!(["endpoint", "token"]));
    // What the schema calls a key of this type is one, and no more.
    let raw: Result<Raw, _> = parse_yaml("f.yaml", "endpoint: a\ntoken: b\nother: c\n");
    assert_eq!(raw.unwrap_err().len(), 1);
}
