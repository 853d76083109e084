use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;

fn org(id: &str) -> OrgId {
    OrgId::new(id).unwrap()
}

/// A sink whose identity balances.
pub(crate) fn sink(owner: Option<&str>, name: &str, scope: Scope) -> SinkStatus {
    SinkStatus {
        org: owner.map(|owner| OrgText(org(owner))),
        name: name.to_owned(),
        kind: "splunk_hec".to_owned(),
        state: SinkState::Blocked,
        stamped: 120,
        start: 20,
        delivered: 50,
        filtered: 10,
        grouped: 0,
        dead_lettered: 1,
        discarded: 2,
        expired: 3,
        lost: 4,
        pending: 30,
        pending_bytes: 3000,
        open_gaps: 1,
        next_attempt: Some(Time(UnixMillis(1_763_799_390_000))),
        in_flight: 5,
        retries: 6,
        lag_seconds: 12.5,
        last_success: Some(Time(UnixMillis(1_763_799_330_123))),
        last_error: Some(SinkError {
            what: "the receiver answered 403: Invalid token".to_owned(),
            remedy: "check the token of this sink".to_owned(),
            code: Some(403),
            at: None,
        }),
        scope: Some(scope),
    }
}

pub(crate) fn status() -> Status {
    Status {
        version: "0.1.0".to_owned(),
        log_id: "6f1c".to_owned(),
        uptime_seconds: 60,
        partitions: vec![PartitionStatus {
            id: 3,
            oldest_row: 5,
            next_row: 105,
            queued_bytes: 0,
            disk_bytes: 4096,
        }],
        journal: JournalStatus {
            appends: 4,
            syncs: 5,
            bytes: 4096,
            rows: 100,
            duplicates: 2,
            id_reused: 1,
            block_rows: Histogram { bounds: vec![10, 100], counts: vec![1, 2, 1], sum: 350 },
        },
        memory: vec![MemoryStatus { part: "ingest", used_bytes: 1024, limit_bytes: 64 << 20 }],
        unknown_members: Vec::new(),
        sinks: vec![
            sink(Some("acme"), "soc", Scope::one(org("acme"))),
            sink(Some("other"), "soc", Scope::one(org("other"))),
            sink(None, "archive", Scope::All),
            sink(None, "some", Scope::Orgs(Arc::new(BTreeSet::from([org("other")])))),
            SinkStatus { scope: None, ..sink(None, "gone", Scope::All) },
        ],
    }
}

#[test]
fn the_wire_form_of_status_is_fixed() {
    insta::assert_json_snapshot!("status", status());
}

#[test]
fn an_organisation_sees_its_own_sinks_whole_and_of_the_shared_ones_that_it_feeds_no_number() {
    let mut status = status();
    // Another one's words in an error of a sink for many.
    if let Some(error) = status.sinks[2].last_error.as_mut() {
        error.what = "refused: record of other".to_owned();
    }
    insta::assert_json_snapshot!("acme", status.clone().of_org(&org("acme")));
    let nobody = serde_json::to_value(status.of_org(&org("nobody"))).unwrap();
    let names: Vec<_> = nobody["sinks"].as_array().unwrap().iter().map(|sink| &sink["name"]).collect();
    assert_eq!(names, ["archive"], "a sink for all gets the records of anybody who comes");
}

#[test]
fn the_identity_is_checked() {
    let mut sink = sink(None, "x", Scope::All);
    assert!(sink.balances());
    sink.pending += 1;
    assert!(!sink.balances());
    sink.start = sink.stamped + 1;
    assert!(!sink.balances(), "more started than stamped");
}

#[test]
fn what_the_engine_says_arrives_whole() {
    let given = flow::status::SinkStatus {
        id: flow::lane_state::SinkId(1),
        org: Some(org("acme")),
        scope: Some(Scope::one(org("acme"))),
        name: "soc".to_owned(),
        kind: "splunk_hec",
        state: SinkState::BackingOff,
        stamped: 100,
        start: 10,
        counts: flow::lane_state::Counts {
            delivered: 1,
            filtered: 2,
            grouped: 3,
            dead_lettered: 4,
            discarded: 5,
            expired: 6,
            lost: 7,
        },
        pending: 62,
        pending_bytes: 620,
        in_flight: 8,
        retries: 9,
        lag_ms: 1500,
        last_success: Some(UnixMillis(0)),
        last_error: None,
        next_attempt: Some(UnixMillis(1000)),
        open_gaps: 11,
    };
    let balances = given.balances();
    let status = SinkStatus::new(given);
    assert!(balances && status.balances());
    insta::assert_json_snapshot!("engine", status);
}

#[test]
fn the_counters_of_the_owners_arrive_whole() {
    let counters = LogCounters::default();
    counters.blocks.store(3, Ordering::Relaxed);
    counters.rows.store(1203, Ordering::Relaxed);
    counters.syncs.store(4, Ordering::Relaxed);
    if let Some(class) = counters.block_rows.last() {
        class.store(1, Ordering::Relaxed);
    }
    let status = JournalStatus::new(&counters);
    assert_eq!((status.appends, status.rows, status.syncs), (3, 1203, 4));
    assert_eq!(status.block_rows.counts.len(), status.block_rows.bounds.len() + 1);
    assert_eq!((status.block_rows.counts.last(), status.block_rows.sum), (Some(&1), 1203));
}
