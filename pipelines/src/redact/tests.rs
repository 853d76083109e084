use event::raw::{RawEvent, Reader, Scratch};
use serde_json::{Value, json};

use super::*;

/// Redacts an event given as JSON; gives what the record says of it.
fn redacted(raw: &Value) -> Value {
    let raw = raw.to_string();
    let (mut scratch, mut facts, mut work) = (Scratch::default(), RawEvent::default(), Work::default());
    Reader::new(&mut scratch).read(raw.as_bytes(), &mut facts).unwrap();
    event(&mut facts, &Keys::derive(&[1; 32]), &mut work);
    let origin = event::record::Origin::new("test", event::record::AssertedBy::Platform, "p", POLICY, 0);
    let tail = event::record::Tail {
        facts: &facts,
        id_hash: work.id_hash,
        time_mark: None,
        path: &work.path,
        query: &work.query,
        user_agent: &work.user_agent,
        scopes_before: &work.scopes_before,
        scopes_after: &work.scopes_after,
        object_id: work.object_id,
        attribution: event::record::Attribution::Declared,
        origin: &origin,
        complete: true,
        replaced: work.replaced,
    };
    let mut out = b"{".to_vec();
    tail.render(&mut out);
    serde_json::from_slice(&out).unwrap()
}

fn call(change: impl FnOnce(&mut Value)) -> Value {
    let mut raw = json!({
        "id": "e-1", "time": 0, "org_id": "o", "site_id": "s", "site": "acme.example.net", "product": "jira",
        "app": {"id": "a", "key": "k", "kind": "forge", "installation_id": "i", "environment": "production", "version": "1.0"},
        "actor": {"acting_as": "app", "account_id": "712020:1", "credential": "forge_app"},
        "client": {"origin": "backend", "evidence": "none", "ip": "192.0.2.1", "user_agent": "x/1"},
        "request": {"id": "r", "trace_id": "t", "method": "GET", "path": "/rest/api/3/myself", "query": "expand=x"},
    });
    change(&mut raw);
    redacted(&raw)
}

#[test]
fn a_harmless_call_loses_only_the_values_of_its_query() {
    let record = call(|_| {});
    assert_eq!(record["redaction"], json!({"policy": "deny-1", "count": 1}));
    assert_eq!(record["app"]["version"], "1.0");
    assert_eq!(
        record["request"],
        json!({"id": "r", "trace_id": "t", "method": "GET", "path": "/rest/api/3/myself", "query": "expand"})
    );
}

/// Each of these in each of the texts that are kept.
#[test]
fn secret_shapes_do_not_stay_in_any_text() {
    let secrets = [
        "eyJhbGciOiJIUzI1NiJ9.e30.sig",
        "xx-eyJhbGci",
        "ATATT3xFfGF0secret",
        "Basic cGxhbnRlZA==",
        "Bearer abcdef",
        "zelda@people.example.org",
        "token=abcdef",
        "a%40b.example",
        "x\ny",
        "Þórunn",
        "a b",
    ];
    let places = [
        "/site_id",
        "/site",
        "/product",
        "/app/id",
        "/app/key",
        "/app/installation_id",
        "/app/environment",
        "/app/version",
        "/actor/account_id",
        "/request/id",
        "/request/trace_id",
        "/request/method",
        "/app/kind",
        "/actor/acting_as",
        "/actor/credential",
        "/client/origin",
        "/client/evidence",
        "/client/ip",
    ];
    for secret in secrets {
        for place in places {
            let record = call(|raw| *raw.pointer_mut(place).unwrap() = json!(secret));
            let text = record.to_string();
            assert!(
                !text.contains(secret) && !text.contains(&json!(secret).to_string()),
                "{secret} at {place}: {text}"
            );
            assert_eq!(record["redaction"]["count"], 2, "{secret} at {place}");
            let instead = record.pointer(place).cloned();
            let allowed = [Some(json!("*")), Some(json!("unknown")), Some(json!("none")), None];
            assert!(allowed.contains(&instead), "{place}: {instead:?}");
        }
    }
}

#[test]
fn escapes_do_not_hide_a_secret() {
    for text in ["\\u0065yJhbGci", "AT\\u0041TT3x", "zelda\\u0040example.org"] {
        let raw = format!(
            r#"{{"id":"e","time":0,"org_id":"o","site":"{text}","request":{{"method":"GET","path":"/"}}}}"#
        );
        let (mut scratch, mut facts, mut work) = (Scratch::default(), RawEvent::default(), Work::default());
        Reader::new(&mut scratch).read(raw.as_bytes(), &mut facts).unwrap();
        event(&mut facts, &Keys::derive(&[1; 32]), &mut work);
        assert_eq!(facts.site.escaped_bytes(), b"*", "{text}");
    }
    let slash = call(|raw| raw["app"]["id"] = json!("ari:cloud:ecosystem::app/1"));
    assert_eq!(slash["app"]["id"], "ari:cloud:ecosystem::app/1");
}

#[test]
fn ids_that_are_no_plain_names_are_hashed() {
    let hash = |id: &str, org: &str| {
        let record = call(|raw| {
            raw["id"] = json!(id);
            raw["org_id"] = json!(org);
        });
        record["id"].as_str().unwrap().to_owned()
    };
    let one = hash("zelda@example.org", "o");
    assert!(one.starts_with("hash:") && one.len() == 21, "{one}");
    assert_eq!(one, hash("zelda@example.org", "o"));
    assert_ne!(one, hash("zelda@example.org", "p"), "hashes of two organisations do not join");
    assert!(hash("eyJhbGci", "o").starts_with("hash:"));
    assert_eq!(hash("TJ-1", "o"), "TJ-1");
}

#[test]
fn long_texts_do_not_stay() {
    let record = call(|raw| {
        raw["site"] = json!("x".repeat(257));
        raw["product"] = json!("x".repeat(65));
    });
    assert_eq!((&record["site"], &record["product"]), (&json!("*"), &json!("*")));
}

#[test]
fn methods() {
    for (method, kept) in
        [("GET", "GET"), ("patch", "PATCH"), ("PROPFIND", "PROPFIND"), ("ZELDA", "*"), ("g\u{0}et", "*")]
    {
        assert_eq!(call(|raw| raw["request"]["method"] = json!(method))["request"]["method"], kept);
    }
}

#[test]
fn a_query_in_the_path_is_a_query() {
    let record = call(|raw| raw["request"]["path"] = json!("/rest/api/3/search?jql=zelda#frag"));
    assert_eq!(
        (&record["request"]["path"], &record["request"]["query"]),
        (&json!("/rest/api/3/search"), &json!("jql&expand"))
    );
    let record = call(|raw| raw["request"]["path"] = json!("/rest/api/3/search#zelda"));
    assert_eq!(record["request"]["path"], "/rest/api/3/search");
    assert_eq!(record["redaction"]["count"], 2);
}

#[test]
fn words_of_people_leave_lengths_only() {
    let record = call(|raw| {
        raw["request"]["headers"] =
            json!({"x-audit-log-description": "Zelda é", "x-audit-log-group": "zelda"})
    });
    assert_eq!(record["request"]["description"], json!({"len": 7}));
    assert!(!record.to_string().to_lowercase().contains("zelda"));
    assert_eq!(record["redaction"]["count"], 3);
    let record = redacted(&json!({"id": "1", "kind": "app_event", "time": 0, "org_id": "o", "app_event": {
        "name": "settings.changed", "object": {"type": "user", "id": "zelda", "name": "Zelda"}, "summary": "Zelda",
        "before": {"name": "Zelda"}, "after": ["Zelda", "Zelda"]}}));
    let told = &record["app_event"];
    assert!(told["object"]["id"].as_str().unwrap().starts_with("hash:"));
    assert_eq!(
        (&told["object"]["name"], &told["before"], &told["after"]),
        (&json!({"len": 5}), &json!({"len": 1}), &json!({"len": 2}))
    );
    assert!(!record.to_string().to_lowercase().contains("zelda"));
    assert_eq!(record["redaction"]["count"], 5);
    let record = redacted(
        &json!({"id": "1", "kind": "audit_event", "time": 0, "org_id": "o", "audit_event": {
        "action": "user_login", "category": "Zelda Plantagenet", "context": [{"name": "Zelda"}], "container": {"x": "Zelda"}, "message": {"content": "Zelda"}}}),
    );
    assert!(!record.to_string().contains("Zelda"));
    assert_eq!(
        record["audit_event"],
        json!({"action": "user_login", "category": "*", "context": {"len": 1}, "container": {"len": 1}, "message": {"len": 1}})
    );
}

#[test]
fn names_of_app_events_look_like_names() {
    for (name, kept) in [
        ("rule.created", true),
        ("sprint2:started", true),
        ("deleted user zelda", false),
        ("user-5b10ac8d82e0", true),
        ("user-5b10ac8d82e05b22", true),
        ("call-0171", false),
        ("eyJx", false),
    ] {
        let record = redacted(
            &json!({"id": "1", "kind": "app_event", "time": 0, "org_id": "o", "app_event": {"name": name}}),
        );
        assert_eq!(record["app_event"]["name"] == name, kept, "{name}");
    }
}

#[test]
fn scopes_and_versions_stay() {
    let record = redacted(&json!({"id": "1", "kind": "lifecycle", "time": 0, "org_id": "o", "lifecycle": {
        "event": "permissions_changed", "by": "auth0|1", "scopes_before": [], "scopes_after": ["read:jira-work", "WRITE", "zelda plantagenet", ""],
        "version_before": "1.0", "version_after": "2.0+build"}}));
    assert_eq!(
        record["lifecycle"],
        json!({
        "event": "permissions_changed", "by": "auth0|1", "scopes_before": [], "scopes_after": ["read:jira-work", "WRITE", "*", ""],
        "version_before": "1.0", "version_after": "2.0+build"})
    );
    assert_eq!(record["redaction"]["count"], 1);
}

#[test]
fn nothing_raw_is_shown_for_debugging() {
    let agent = "CANARY-agent (a comment that is longer than a part may be)";
    let (mut scratch, mut facts, mut work) = (Scratch::default(), RawEvent::default(), Work::default());
    let raw = json!({"id": "e", "time": 0, "org_id": "o", "client": {"user_agent": agent},
        "request": {"method": "GET", "path": "/rest/CANARY", "query": "CANARY=1"}})
    .to_string();
    Reader::new(&mut scratch).read(raw.as_bytes(), &mut facts).unwrap();
    event(&mut facts, &Keys::derive(&[1; 32]), &mut work);
    assert!(!work.decoded.is_empty() || !work.path.is_empty(), "something was left behind");
    let shown = format!("{work:?}");
    // Derived, it would be a list of numbers.
    let numbers = format!("{:?}", b"CANARY".as_slice());
    assert!(!shown.contains("CANARY") && !shown.contains(numbers.trim_matches(['[', ']'])), "{shown}");
}
