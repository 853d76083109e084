//! A full disk: events are refused before anything is stamped, deliveries go on and cursors move, a restart succeeds,
//! and everything goes on when there is room again.
//!
//! The data folder lies on a small file system in memory, so this needs root, as in CI.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::collections::HashSet;
use std::time::Duration;

use integration_tests::daemon::{Daemon, assert_balanced, total};
use integration_tests::disk::Disk;
use integration_tests::judge::{arrived, assert_sound, collector};
use integration_tests::producer::{Producer, ids};
use integration_tests::workspace::{ORGS, Options, SHARED_TOKEN, Workspace, token};
use integration_tests::{binary, poll};
use receiver::Receiver;

const PATIENCE: Duration = Duration::from_secs(60);

/// What was acknowledged, per organisation.
#[derive(Default)]
struct Sent {
    acknowledged: [HashSet<String>; 2],
    next: u64,
}

impl Sent {
    /// Sends batches until one is refused, and returns that answer.
    fn until_refused(&mut self, producer: &mut Producer) -> integration_tests::http::Reply {
        for _ in 0..200 {
            for (index, org) in ORGS.into_iter().enumerate() {
                let batch: Vec<String> = ids(&format!("e{}", self.next), 500).collect();
                self.next += 1;
                let reply = producer.post(&[], producer.lines(org, batch.clone()).as_bytes());
                if reply.status != 200 {
                    return reply;
                }
                assert_eq!(reply.json()["accepted"], 500);
                self.acknowledged[index].extend(batch);
            }
        }
        panic!("the disk does not get full");
    }

    fn count(&self, index: usize) -> u64 {
        self.acknowledged[index].len() as u64
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_the_intake_and_nothing_else() {
    let binary = binary::build(&[]);
    let receiver = Receiver::start(collector()).await.unwrap();
    let options = Options { operator: "journal: {partitions: 2}".to_owned(), ..Options::default() };
    let workspace = Workspace::new(&receiver.url(), &options);
    // The ballast of 96 MiB, 8 MiB for each partition, and a little.
    let Some(disk) = Disk::mount(&workspace.path().join("data"), 130) else { return };
    let daemon = Daemon::start(&binary, &workspace, &[]).expect("starts");
    let mut producer = Producer::new(&daemon.ingest);
    let mut sent = Sent::default();

    receiver.pause();
    disk.fill();
    let refused = sent.until_refused(&mut producer);
    assert_refused(&refused);
    assert!(sent.count(0) > 1000 && sent.count(1) > 1000, "the room that was there was used");
    for path in ["/livez", "/readyz"] {
        assert_eq!(daemon.page(path).status, 200, "{path} does not speak of the disk");
    }
    let before = daemon.status().unwrap();
    assert_balanced(&before);
    assert!(total(&before, "pending") > 0);

    // Deliveries go on and their cursors are recorded.
    receiver.resume();
    let status = daemon.settled(PATIENCE).await;
    assert!(total(&status, "delivered") >= 2 * (sent.count(0) + sent.count(1)), "{status:#}");
    assert_eq!(disk.free(), 0, "there is still no room");
    assert_refused(&producer.post(&[], producer.lines(ORGS[0], ids("still-full", 500)).as_bytes()));

    // A restart succeeds on a full disk, and knows what was delivered.
    let requests = receiver.totals().requests;
    assert!(daemon.terminate().success());
    let daemon =
        Daemon::start(&binary, &workspace, &[]).unwrap_or_else(|| panic!("starts: {}", workspace.log()));
    let status = daemon.settled(PATIENCE).await;
    assert_eq!(total(&status, "delivered"), total(&status, "stamped") - total(&status, "start"));
    assert_eq!(receiver.totals().requests, requests, "nothing is sent again: the cursors were recorded");
    let mut producer = Producer::new(&daemon.ingest);
    assert_refused(&producer.post(&[], producer.lines(ORGS[1], ids("full-again", 500)).as_bytes()));

    // Room again: the intake goes on by itself.
    disk.empty();
    let lines: Vec<String> = ORGS.map(|org| producer.lines(org, ids("room", 500))).into();
    for (index, body) in lines.iter().enumerate() {
        poll::until("events to be taken again", PATIENCE, || {
            let reply = producer.post(&[], body.as_bytes());
            assert!(matches!(reply.status, 200 | 503), "{}", reply.status);
            (reply.status == 200).then_some(())
        })
        .await;
        sent.acknowledged[index].extend(ids("room", 500));
    }
    for (index, (name, id)) in ORGS.into_iter().enumerate() {
        let wanted = sent.count(index);
        for token in [token(name), SHARED_TOKEN.to_owned()] {
            let all = receiver.wait_until(PATIENCE, |_| arrived(&receiver, &token, id) >= wanted).await;
            assert!(all, "{name}: {} of {wanted}", arrived(&receiver, &token, id));
            let missing = receiver.with_audit(|audit| {
                let got: HashSet<String> =
                    audit.feed(&token, id).unwrap().values().map(|record| record.id.clone()).collect();
                sent.acknowledged[index].difference(&got).count()
            });
            assert_eq!(missing, 0, "{name}: acknowledged and lost");
        }
    }
    daemon.settled(PATIENCE).await;
    assert_sound(&receiver);
    assert!(receiver.report().told_gaps.is_empty());
    assert!(daemon.terminate().success());
}

fn assert_refused(reply: &integration_tests::http::Reply) {
    let text = String::from_utf8_lossy(&reply.body);
    assert_eq!(reply.status, 503, "{text}");
    let answer = reply.json();
    assert_eq!(answer["error"]["code"], "TW-1013", "{answer}");
    assert_eq!(answer["error"]["retry"], true, "{answer}");
    let wait: u64 = reply.header("retry-after").expect("it says when to come back").parse().unwrap();
    assert!((1..=3600).contains(&wait));
}
