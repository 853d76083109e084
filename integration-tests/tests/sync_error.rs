//! The file system fails while the journal is written: the process stops and says so, and the next start has everything
//! that was acknowledged.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::collections::HashSet;
use std::time::Duration;

use integration_tests::binary;
use integration_tests::daemon::Daemon;
use integration_tests::judge::{arrived, assert_sound, collector};
use integration_tests::producer::{Producer, ids};
use integration_tests::workspace::{ORGS, Options, PRODUCER_TOKEN, SHARED_TOKEN, Workspace, token};
use integration_tests::{http, poll};
use receiver::Receiver;

const PATIENCE: Duration = Duration::from_secs(60);
/// "failure", as `trailwire --help` says.
const FAILURE: i32 = 1;

/// Sends batches of both organisations until one is not acknowledged; gives the ids that were, and the batch that was not.
fn send_until_it_stops(daemon: &Daemon) -> ([HashSet<String>; 2], String) {
    let producer = Producer::new(&daemon.ingest);
    let mut client = http::Client::new(&daemon.ingest);
    let authorization = format!("Bearer {PRODUCER_TOKEN}");
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/x-ndjson")];
    let mut acknowledged: [HashSet<String>; 2] = Default::default();
    for round in 0..5000 {
        let batches = ORGS.map(|(name, _)| ids(&format!("{name}-{round}"), 10).collect::<Vec<_>>());
        let body: String =
            ORGS.iter().zip(&batches).map(|(org, batch)| producer.lines(*org, batch.clone())).collect();
        match client.send("POST", "/v1/events", &headers, body.as_bytes()) {
            Ok(reply) if reply.status == 200 => {
                for (known, batch) in acknowledged.iter_mut().zip(batches) {
                    known.extend(batch);
                }
            }
            // The connection ends with the process, or the answer is that the owner has stopped: both say "not stored".
            Ok(reply) => {
                assert_eq!(reply.status, 503, "{}", String::from_utf8_lossy(&reply.body));
                return (acknowledged, body);
            }
            Err(_) => return (acknowledged, body),
        }
    }
    panic!("the fault does not show");
}

async fn stops_and_recovers(point: &str, hit: u32, doing: &str) {
    let binary = binary::build(&["failpoints"]);
    let receiver = Receiver::start(collector()).await.unwrap();
    let workspace = Workspace::new(&receiver.url(), &Options::default());
    let fail_at = format!("{point}:{hit}");
    let mut daemon =
        Daemon::start(&binary, &workspace, &[("TRAILWIRE_FAIL_AT", fail_at.as_str())]).expect("starts");
    let (acknowledged, unanswered) = send_until_it_stops(&daemon);
    let status = poll::until("the process to end", PATIENCE, || daemon.ended()).await;
    let log = workspace.log();
    assert_eq!(status.code(), Some(FAILURE), "{point}: {status}\n{log}");
    assert!(log.contains(doing) && log.contains(point), "it says what failed: {log}");
    assert!(log.contains("nothing of this write was acknowledged"), "and what that means: {log}");
    assert!(log.contains("only a restart can tell"), "and what to do: {log}");
    assert!(acknowledged.iter().all(|ids| !ids.is_empty()), "something was acknowledged before");

    let daemon = Daemon::start(&binary, &workspace, &[]).unwrap_or_else(|| panic!("{}", workspace.log()));
    // What the producer had no answer for it sends again: stored or not, it is there once afterwards.
    let mut producer = Producer::new(&daemon.ingest);
    let reply = producer.post(&[], unanswered.as_bytes());
    assert_eq!(reply.status, 200);
    let answer = reply.json();
    assert_eq!(answer["accepted"].as_u64().unwrap() + answer["duplicates"].as_u64().unwrap(), 20, "{answer}");
    let status = daemon.settled(PATIENCE).await;
    assert_sound(&receiver);
    assert!(receiver.report().told_gaps.is_empty());
    for (known, (name, id)) in acknowledged.iter().zip(ORGS) {
        for token in [token(name), SHARED_TOKEN.to_owned()] {
            assert_eq!(arrived(&receiver, &token, id), known.len() as u64 + 10, "{point}: {status:#}");
            let got: HashSet<String> = receiver
                .with_audit(|audit| audit.feed(&token, id).unwrap().values().map(|r| r.id.clone()).collect());
            assert!(known.is_subset(&got), "{point}: acknowledged and lost");
        }
    }
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_sync() {
    // Each of the eight partitions syncs its first segment at the start.
    stops_and_recovers("journal::sync::before", 30, "syncing the journal").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_write() {
    stops_and_recovers("journal::write::before", 40, "writing").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_the_disk_took_but_for_its_end() {
    // The bytes are there, the owner does not know: they must not be stamped a second time.
    stops_and_recovers("journal::write::after", 41, "writing").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_that_fails_in_the_start_stops_the_start() {
    let binary = binary::build(&["failpoints"]);
    let receiver = Receiver::start(collector()).await.unwrap();
    let workspace = Workspace::new(&receiver.url(), &Options::default());
    let daemon = Daemon::start(&binary, &workspace, &[]).expect("starts");
    let mut producer = Producer::new(&daemon.ingest);
    for org in ORGS {
        producer.send(org, ids(org.0, 20));
    }
    // Killed: its last block is proven by nothing, so the start has to copy and sync it before it may be used.
    daemon.kill();
    for point in ["journal::recover::sync::before", "journal::publish::sync::before"] {
        let fail_at = format!("{point}:1");
        let environment = [("TRAILWIRE_FAIL_AT", fail_at.as_str())];
        let status = Daemon::start_or_status(&binary, &workspace, &environment, &[]).unwrap_err();
        assert!(status.code().is_some_and(|code| code != 0), "{point}: {status}");
        assert!(workspace.log().contains(point), "{}", workspace.log());
    }
    let daemon = Daemon::start(&binary, &workspace, &[]).unwrap_or_else(|| panic!("{}", workspace.log()));
    daemon.settled(PATIENCE).await;
    assert_sound(&receiver);
    for (name, id) in ORGS {
        assert_eq!(arrived(&receiver, &token(name), id), 20, "{name}");
        assert_eq!(arrived(&receiver, SHARED_TOKEN, id), 20, "{name}");
    }
    assert!(daemon.terminate().success());
}
