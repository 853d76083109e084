//! Events that tell whose they are: each organisation's carry a mark that no other's may.

use serde_json::json;

/// A raw event whose record can be recognised.
#[must_use]
pub fn event(org: (&str, &str), id: &str, time: &str) -> String {
    json!({
        "id": id,
        "kind": "api_call",
        "time": time,
        "org_id": org.1,
        "site": format!("{}.example.net", org.0),
        "product": "jira",
        "app": {"id": "com.example.tideline.sync", "key": "com.example.tideline.sync", "kind": "connect"},
        "actor": {"acting_as": "app", "credential": "connect_jwt"},
        "client": {"origin": "backend", "evidence": "token_type"},
        "request": {"id": mark(org.0, id), "method": "GET", "path": "/rest/api/3/issue/PROJ-1", "query": "fields=summary"},
        "response": {"status": 200, "bytes": 10, "duration_ms": 1.5},
    })
    .to_string()
}

/// What the record of an event must hold in `request.id`.
#[must_use]
pub fn mark(org: &str, id: &str) -> String {
    format!("canary-{org}-{id}")
}
