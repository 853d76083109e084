use proptest::prelude::*;

use super::*;
use crate::raw::{Reader, Scratch};

const RAW: &str = r#"{"id":"e-1","kind":"api_call","time":"2026-11-22T09:15:30.1234+01:00","org_id":"o-1","site_id":"s-1","site":"acme.example.net","product":"jira","app":{"id":"a-1","key":"com.vendor.sync","kind":"connect","installation_id":"i-1","environment":"production","version":"3.1.0"},"actor":{"acting_as":"app","account_id":"712020:1","credential":"connect_jwt"},"client":{"origin":"backend","evidence":"token_type","ip":"203.0.113.7","user_agent":"node/1.2"},"request":{"id":"r-1","trace_id":"t-1","method":"PUT","path":"/rest/api/3/issue/PROJ-1","query":"notifyUsers=false","bytes":311,"headers":{"x-audit-log-description":"why é","x-audit-log-group":"g"}},"response":{"status":204,"bytes":0,"duration_ms":41.25,"rate_limit_remaining":-1}}"#;

fn with_tail(raw: &str, change: impl FnOnce(&mut Tail<'_>)) -> (String, usize) {
    from(raw, AssertedBy::Platform, "gateway", change)
}

fn from(
    raw: &str,
    asserted_by: AssertedBy,
    producer: &str,
    change: impl FnOnce(&mut Tail<'_>),
) -> (String, usize) {
    let mut scratch = Scratch::default();
    let mut event = RawEvent::default();
    Reader::new(&mut scratch).read(raw.as_bytes(), &mut event).unwrap();
    let origin = Origin::new("http", asserted_by, producer, "deny-1", 1_795_335_331_000);
    let mut tail = Tail {
        facts: &event,
        id_hash: None,
        time_mark: None,
        path: b"/rest/api/3/issue/*",
        query: b"notifyUsers",
        user_agent: b"node/1.2",
        scopes_before: b"",
        scopes_after: b"",
        object_id: None,
        attribution: Attribution::Declared,
        origin: &origin,
        complete: true,
        replaced: 3,
    };
    change(&mut tail);
    let mut out = b"kept".to_vec();
    let content = tail.render(&mut out);
    let record = [head(41, None, false).as_bytes(), &out[4..]].concat();
    (String::from_utf8(record).unwrap(), content)
}

#[test]
fn an_api_call() {
    let (record, content) = with_tail(RAW, |_| {});
    insta::assert_snapshot!(record);
    let from = head(41, None, false).as_bytes().len() + content;
    assert!(record.as_bytes()[from..].starts_with(b",\"provenance\":"));
    serde_json::from_str::<serde_json::Value>(&record).unwrap();
}

#[test]
fn a_bare_call() {
    let raw = r#"{"id":"e","time":0,"org_id":"o","request":{"method":"GET","path":"/"}}"#;
    let (record, _) = from(raw, AssertedBy::Vendor, "gateway", |tail| {
        tail.query = b"";
        tail.user_agent = b"";
        tail.attribution = Attribution::None;
        tail.complete = false;
        tail.time_mark = Some(TimeMark::Past);
    });
    insta::assert_snapshot!(record);
}

#[test]
fn the_other_kinds() {
    let lifecycle = r#"{"id":"e","kind":"lifecycle","time":-1,"org_id":"o","lifecycle":{"event":"upgraded","by":"u:1","scopes_before":["x"],"version_before":"1","version_after":"2"}}"#;
    let (lifecycle, _) = with_tail(lifecycle, |tail| {
        tail.path = b"";
        tail.query = b"";
        tail.user_agent = b"";
        tail.scopes_before = b"[\"x\"]";
        tail.scopes_after = b"[]";
        tail.time_mark = Some(TimeMark::Future);
    });
    let app_event = r#"{"id":"e","kind":"app_event","time":0,"org_id":"o","app_event":{"name":"settings.changed","object":{"type":"setting","id":"zelda","name":"Zelda"},"summary":"s","before":[1,2],"after":null}}"#;
    let (app_event, _) = from(app_event, AssertedBy::Proxy, "gateway", |tail| {
        tail.object_id = Some(0xab);
        tail.path = b"";
        tail.query = b"";
        tail.attribution = Attribution::Rule;
    });
    let audit = r#"{"id":"e","kind":"audit_event","time":0,"org_id":"o","audit_event":{"action":"user_login","category":"c","context":[{}],"message":"abc"}}"#;
    let (audit, _) = with_tail(audit, |tail| tail.path = b"");
    assert!(!app_event.contains("Zelda") && !app_event.contains("zelda"));
    insta::assert_snapshot!([lifecycle, app_event, audit].join("\n"));
}

#[test]
fn long_names_are_cut_between_characters() {
    let raw = r#"{"id":"e","time":0,"org_id":"o","request":{"method":"GET","path":"/"}}"#;
    let (record, _) = from(raw, AssertedBy::Platform, &format!("a{}", "é".repeat(30)), |_| {});
    assert!(record.contains(&format!("\"producer\":\"a{}\"", "é".repeat(19))), "{record}");
}

#[test]
fn heads() {
    assert_eq!(head(0, None, false).as_bytes(), b"{\"v\":1,\"seq\":0,");
    assert_eq!(head(5, None, true).as_bytes(), b"{\"v\":1,\"seq\":5,\"id_reused\":true,");
    let longest = head(u64::MAX, Some(u128::MAX), true);
    assert_eq!(longest.as_bytes().len(), MAX_HEAD);
    let text = std::str::from_utf8(longest.as_bytes()).unwrap();
    assert!(text.ends_with("\"group\":\"ffffffffffffffffffffffffffffffff\",\"id_reused\":true,"));
}

#[test]
fn outcomes() {
    for (status, outcome) in [
        (0, "unknown"),
        (101, "unknown"),
        (200, "success"),
        (304, "success"),
        (404, "failure"),
        (599, "failure"),
        (999, "unknown"),
    ] {
        let raw = RAW.replace(":204", &format!(":{status}"));
        let (record, _) = with_tail(&raw, |_| {});
        assert!(record.contains(&format!("\"outcome\":\"{outcome}\"")), "{status}");
    }
}

#[test]
fn escapes_become_canonical() {
    let raw = RAW.replace("\"i-1\"", r#""\u0041\/\u00e9\u0001\n""#);
    let (record, _) = with_tail(&raw, |_| {});
    assert!(record.contains(r#""installation_id":"A/é\u0001\n""#), "{record}");
}

proptest! {
    /// Parse of print: what a record states is what the event stated.
    #[test]
    fn texts_survive(id in "[!-~&&[^\"\\\\]]{1,40}", version in ".{1,40}", producer in "[a-z\"\\\\é]{1,20}") {
        let raw = serde_json::json!({"id": id, "time": 7, "org_id": "o", "app": {"version": version}, "request": {"method": "GET", "path": "/"}}).to_string();
        let (record, _) = from(&raw, AssertedBy::Platform, &producer, |_| {});
        let value: serde_json::Value = serde_json::from_str(&record).unwrap();
        prop_assert_eq!(value["id"].as_str(), Some(id.as_str()));
        prop_assert_eq!(value["app"]["version"].as_str(), Some(version.as_str()));
        prop_assert_eq!(value["producer"].as_str(), Some(producer.as_str()));
        let view = View::of(record.as_bytes()).unwrap();
        prop_assert_eq!((view.seq, view.id, view.org_id), (41, id.as_str(), "o"));
    }
}
