//! Ends and starts: told to stop with a receiver that hangs, a second process, a missing key, a damaged journal.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flow::clock::Clock;
use integration_tests::binary;
use integration_tests::command::{self, Said};
use integration_tests::daemon::{Daemon, assert_balanced};
use integration_tests::judge::{arrived, assert_sound, collector, order};
use integration_tests::producer::{Producer, ids};
use integration_tests::workspace::{ORGS, Options, SHARED_TOKEN, Workspace, token};
use receiver::Receiver;

const ACME: (&str, &str) = ORGS[0];
const BOREALIS: (&str, &str) = ORGS[1];
const PATIENCE: Duration = Duration::from_secs(60);
/// Deliveries may take 15 s once the process is told to stop; the rest is for a busy machine.
const STOP_BUDGET: Duration = Duration::from_secs(22);

fn own_sinks_only() -> Options {
    Options { no_shared: true, ..Options::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_to_stop_with_a_receiver_that_hangs() {
    let binary = binary::build(&[]);
    let (hanging, healthy) =
        (Receiver::start(collector()).await.unwrap(), Receiver::start(collector()).await.unwrap());
    let workspace = Workspace::new(&healthy.url(), &own_sinks_only());
    workspace.set_sink(ACME.0, &hanging.url(), "");
    let daemon = Daemon::start(&binary, &workspace, &[]).expect("starts");
    let mut producer = Producer::new(&daemon.ingest);
    producer.send(ACME, ids("before-a", 50));
    assert!(hanging.wait_for_events(50, PATIENCE).await);
    daemon.settled(PATIENCE).await;
    hanging.pause();
    producer.send(ACME, ids("a", 200));
    producer.send(BOREALIS, ids("b", 200));
    assert!(healthy.wait_for_events(200, PATIENCE).await);
    let requests = hanging.totals().requests;
    assert!(requests > 0, "a request hangs");

    let clock = Clock::system();
    let begun = clock.now().instant;
    let status = tokio::task::spawn_blocking(move || daemon.terminate()).await.unwrap();
    let took = clock.now().instant.duration_since(begun);
    assert!(status.success(), "{status} after {took:?}\n{}", workspace.log());
    assert!(took < STOP_BUDGET, "ended after {took:?} only");

    hanging.resume();
    let daemon = Daemon::start(&binary, &workspace, &[]).expect("starts again");
    assert!(hanging.wait_until(PATIENCE, |_| arrived(&hanging, &token(ACME.0), ACME.1) >= 250).await);
    let status = daemon.settled(PATIENCE).await;
    for sink in status["sinks"].as_array().unwrap() {
        assert_eq!(sink["delivered"], sink["stamped"], "{sink:#}");
    }
    assert_sound(&hanging);
    assert_sound(&healthy);
    // What had been settled before the stop was recorded, so it does not come again.
    assert!(healthy.with_audit(|audit| audit.repeats().is_empty()), "the cursor was recorded");
    let again = hanging.with_audit(|audit| audit.repeats().iter().any(|repeat| repeat.seq < 50));
    assert!(!again, "the cursor of the hanging sink was recorded too");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_leaves_the_first_alone() {
    let binary = binary::build(&[]);
    let receiver = Receiver::start(collector()).await.unwrap();
    let workspace = Workspace::new(&receiver.url(), &own_sinks_only());
    let daemon = Daemon::start(&binary, &workspace, &[]).expect("starts");
    let mut producer = Producer::new(&daemon.ingest);
    producer.send(ACME, ids("a", 10));

    let status = Daemon::start_or_status(&binary, &workspace, &[], &[]).unwrap_err();
    assert_eq!(status.code(), Some(5));
    assert!(workspace.log().contains("in use by another process"), "{}", workspace.log());
    let config = workspace.config();
    let config = config.to_str().unwrap();
    let lines = producer.lines(BOREALIS, ids("offline", 5));
    let arguments = ["ingest", "-", "--config", config, "--producer", "test"];
    let said = command::run_with(&binary, workspace.path(), &arguments, &[], lines.as_bytes());
    assert_eq!(said.code, 5, "{said:?}");
    assert!(said.err.contains("POST the file"), "it says what to do instead: {said:?}");
    let repair = journal(&binary, &workspace, &["repair", "--accept-loss"]);
    assert_ne!(repair.code, 0, "nobody repairs under a running process: {repair:?}");

    producer.send(ACME, ids("a2", 10));
    producer.send(BOREALIS, ids("b", 10));
    assert!(receiver.wait_for_events(30, PATIENCE).await);
    daemon.settled(PATIENCE).await;
    assert_sound(&receiver);
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_key_beside_a_journal_stops_the_start() {
    let binary = binary::build(&[]);
    let receiver = Receiver::start(collector()).await.unwrap();
    let workspace = Workspace::new(&receiver.url(), &own_sinks_only());
    let daemon = Daemon::start(&binary, &workspace, &[]).expect("starts");
    let mut producer = Producer::new(&daemon.ingest);
    let lines = producer.lines(ACME, ids("a", 10));
    assert_eq!(producer.post(&[], lines.as_bytes()).json()["accepted"], 10);
    producer.send(BOREALIS, ids("b", 10));
    assert!(receiver.wait_for_events(20, PATIENCE).await);
    assert!(daemon.terminate().success());

    let key = workspace.path().join("data/master.key");
    let aside = workspace.path().join("aside.key");
    std::fs::rename(&key, &aside).unwrap();
    let before = checksums(&workspace.journal());
    let status = Daemon::start_or_status(&binary, &workspace, &[], &[]).unwrap_err();
    assert_eq!(status.code(), Some(1));
    let log = workspace.log();
    assert!(log.contains("master.key is missing beside a journal: restore it"), "{log}");
    assert!(!key.try_exists().unwrap(), "no new key is made");
    assert_eq!(checksums(&workspace.journal()), before, "the journal is not touched");

    std::fs::rename(&aside, &key).unwrap();
    let daemon = Daemon::start(&binary, &workspace, &[]).expect("starts with its key");
    let reply = Producer::new(&daemon.ingest).post(&[], lines.as_bytes());
    assert_eq!(reply.json()["duplicates"], 10, "with its key it knows what it had");
    daemon.settled(PATIENCE).await;
    assert_sound(&receiver);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_table_stops_the_start_until_the_loss_is_accepted() {
    let binary = binary::build(&[]);
    let receiver = Receiver::start(collector()).await.unwrap();
    receiver.stop().await;
    let (workspace, segment) = two_batches(&binary, &receiver).await;
    // In the row table of the first batch: the records of the whole block cannot be told apart any more.
    let place = find(&std::fs::read(&segment).unwrap(), b"\"id\":\"first-0\"");
    let table = rfind(&std::fs::read(&segment).unwrap()[..place], b"TWB1") + 100;
    flip(&segment, table);

    let status = Daemon::start_or_status(&binary, &workspace, &[], &[]).unwrap_err();
    let log = workspace.log();
    assert_eq!(status.code(), Some(4), "{log}");
    let name = segment.strip_prefix(workspace.journal()).unwrap().to_str().unwrap();
    assert!(log.contains(name) && log.contains("bytes "), "it names file and range: {log}");
    assert!(log.contains("journal verify") || log.contains("journal repair"), "it says what to do: {log}");

    let verified = journal(&binary, &workspace, &["verify", "--json"]);
    assert_eq!(verified.code, 4, "{verified:?}");
    let findings = verified.json()["findings"].clone();
    assert!(
        findings.as_array().unwrap().iter().any(|f| f["file"] == name && f["damage"].is_object()),
        "{findings:#}"
    );

    let before = checksums(&workspace.journal());
    let shown = journal(&binary, &workspace, &["repair"]);
    assert!(shown.out.contains("would be lost") && shown.out.contains("--accept-loss"), "{shown:?}");
    assert_eq!(checksums(&workspace.journal()), before, "without acceptance nothing changes");
    assert_eq!(Daemon::start_or_status(&binary, &workspace, &[], &[]).unwrap_err().code(), Some(4));

    let repaired = journal(&binary, &workspace, &["repair", "--accept-loss", "--json"]);
    assert_eq!(repaired.code, 0, "{repaired:?}");
    assert_eq!(repaired.json()["changed"], true, "{repaired:?}");
    let verified = journal(&binary, &workspace, &["verify"]);
    assert!(verified.out.contains("were declared lost"), "{verified:?}");
    told_of_the_gap(&binary, &workspace, &receiver, 20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_record_costs_that_record_alone() {
    let binary = binary::build(&[]);
    let receiver = Receiver::start(collector()).await.unwrap();
    receiver.stop().await;
    let (workspace, segment) = two_batches(&binary, &receiver).await;
    flip(&segment, find(&std::fs::read(&segment).unwrap(), b"\"id\":\"first-7\"") + 8);

    let verified = journal(&binary, &workspace, &["verify"]);
    assert_eq!(verified.code, 4, "{verified:?}");
    let name = segment.strip_prefix(workspace.journal()).unwrap().to_str().unwrap();
    assert!(verified.out.contains(name), "{verified:?}");
    let repaired = journal(&binary, &workspace, &["repair", "--accept-loss"]);
    assert_eq!(repaired.code, 0, "{repaired:?}");
    assert!(repaired.out.contains("declared lost"), "{repaired:?}");
    told_of_the_gap(&binary, &workspace, &receiver, 1).await;
}

/// Both organisations in one partition, so in the same blocks, and the sink of all: what lies before and behind the
/// damage is delivered to everybody, and everybody is told its own loss.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damage_in_the_middle_costs_everybody_its_own_records_alone() {
    let binary = binary::build(&[]);
    let receiver = Receiver::start(collector()).await.unwrap();
    receiver.stop().await;
    let options = Options { operator: "journal: {partitions: 1}".to_owned(), ..Options::default() };
    let workspace = Workspace::new(&receiver.url(), &options);
    let daemon = Daemon::start(&binary, &workspace, &[]).expect("starts");
    let mut producer = Producer::new(&daemon.ingest);
    for (batch, [of_acme, of_borealis]) in [("first", [20, 10]), ("second", [15, 5]), ("third", [20, 20])] {
        let body = producer.lines(ACME, ids(&format!("{batch}-a"), of_acme))
            + &producer.lines(BOREALIS, ids(&format!("{batch}-b"), of_borealis));
        assert_eq!(producer.post(&[], body.as_bytes()).json()["accepted"], of_acme + of_borealis);
    }
    assert!(daemon.terminate().success());
    let inspected = journal(&binary, &workspace, &["inspect", "--json"]).json();
    let segments = inspected["journal"]["partitions"][0]["segments"].as_array().unwrap();
    let segment = workspace.journal().join(segments.last().unwrap()["file"].as_str().unwrap());
    let bytes = std::fs::read(&segment).unwrap();
    let place = find(&bytes, b"\"id\":\"second-a-0\"");
    flip(&segment, rfind(&bytes[..place], b"TWB1") + 100);

    assert_eq!(Daemon::start_or_status(&binary, &workspace, &[], &[]).unwrap_err().code(), Some(4));
    let repaired = journal(&binary, &workspace, &["repair", "--accept-loss"]);
    assert_eq!(repaired.code, 0, "{repaired:?}");
    let daemon = Daemon::start(&binary, &workspace, &[])
        .unwrap_or_else(|| panic!("starts after the repair: {}", workspace.log()));
    let mut producer = Producer::new(&daemon.ingest);
    producer.send(ACME, ids("after-a", 3));
    producer.send(BOREALIS, ids("after-b", 3));
    receiver.start_again().await.unwrap();
    let status = daemon.settled(PATIENCE).await;
    let account = |org: Option<&str>| {
        let mut sinks = status["sinks"].as_array().unwrap().iter();
        let sink = sinks.find(|sink| sink["org"].as_str() == org).unwrap();
        (sink["delivered"].as_u64().unwrap(), sink["lost"].as_u64().unwrap())
    };
    assert_eq!(account(Some(ACME.1)), (43, 15), "{status:#}");
    assert_eq!(account(Some(BOREALIS.1)), (33, 5), "{status:#}");
    assert_eq!(account(None), (76, 20), "{status:#}");

    let report = receiver.report();
    assert!(report.foreign.is_empty() && report.unreadable == 0, "{report:#?}");
    let mut told: Vec<(String, u64, Option<u64>, Option<u64>)> = report
        .told_gaps
        .iter()
        .map(|gap| serde_json::from_str::<serde_json::Value>(&gap.record).unwrap())
        .map(|gap| {
            let number = |name: &str| gap[name].as_u64();
            let org = gap["org_id"].as_str().unwrap().to_owned();
            (org, number("count").unwrap(), number("first_seq"), number("last_seq"))
        })
        .collect();
    told.sort();
    let expected = [
        ("*".to_owned(), 20, None, None),
        (ACME.1.to_owned(), 15, Some(20), Some(34)),
        (BOREALIS.1.to_owned(), 5, Some(10), Some(14)),
    ];
    assert_eq!(told, expected);
    for (org, lost, all) in [(ACME, 20..35, 58), (BOREALIS, 10..15, 38)] {
        for token in [token(org.0), SHARED_TOKEN.to_owned()] {
            let mut got = order(&receiver, &token, org.1);
            got.sort_unstable();
            assert_eq!(got, (0..all).filter(|seq| !lost.contains(seq)).collect::<Vec<u64>>(), "{}", org.0);
        }
    }
    assert!(daemon.terminate().success());
}

/// A journal with two batches of 20 records of the first organisation and one of the second, none delivered; the
/// segment in which the first organisation's lie.
async fn two_batches(binary: &Path, receiver: &Receiver) -> (Workspace, PathBuf) {
    let workspace = Workspace::new(&receiver.url(), &own_sinks_only());
    let daemon = Daemon::start(binary, &workspace, &[]).expect("starts");
    let mut producer = Producer::new(&daemon.ingest);
    producer.send(ACME, ids("first", 20));
    producer.send(ACME, ids("second", 20));
    producer.send(BOREALIS, ids("b", 20));
    assert!(daemon.terminate().success());
    let inspected = journal(binary, &workspace, &["inspect", "--json"]).json();
    let partitions = inspected["journal"]["partitions"].as_array().unwrap().clone();
    let own = partitions.iter().find(|partition| partition["orgs"][ACME.1].is_object()).unwrap();
    assert!(
        own["orgs"][BOREALIS.1].is_null(),
        "the two lie in different partitions, so one is not hurt by the other"
    );
    let file = own["segments"].as_array().unwrap().last().unwrap()["file"].as_str().unwrap().to_owned();
    let segment = workspace.journal().join(file);
    (workspace, segment)
}

/// After a repair: the daemon starts, the sink is told a gap of `lost` records, all others arrive.
async fn told_of_the_gap(binary: &Path, workspace: &Workspace, receiver: &Receiver, lost: u64) {
    let daemon = Daemon::start(binary, workspace, &[])
        .unwrap_or_else(|| panic!("starts after the repair: {}", workspace.log()));
    let mut producer = Producer::new(&daemon.ingest);
    producer.send(ACME, ids("after", 5));
    receiver.start_again().await.unwrap();
    let wanted = 45 - lost;
    let all = receiver
        .wait_until(PATIENCE, |_| {
            arrived(receiver, &token(ACME.0), ACME.1) >= wanted
                && arrived(receiver, &token(BOREALIS.0), BOREALIS.1) >= 20
        })
        .await;
    assert!(all, "{:#}", daemon.status().unwrap());
    let status = daemon.settled(PATIENCE).await;
    assert_balanced(&status);
    let acme = daemon.sink(Some(ACME.1), "own").unwrap();
    assert_eq!((&acme["lost"], &acme["delivered"]), (&lost.into(), &wanted.into()), "{acme:#}");
    let borealis = daemon.sink(Some(BOREALIS.1), "own").unwrap();
    assert_eq!((&borealis["lost"], &borealis["delivered"]), (&0.into(), &20.into()), "{borealis:#}");

    let report = receiver.report();
    assert!(report.foreign.is_empty() && report.unreadable == 0, "{report:#?}");
    assert_eq!(report.told_gaps.len(), 1, "{:#?}", report.told_gaps);
    let gap: serde_json::Value = serde_json::from_str(&report.told_gaps[0].record).unwrap();
    assert_eq!((gap["kind"].as_str(), gap["org_id"].as_str()), (Some("gap"), Some(ACME.1)), "{gap:#}");
    assert_eq!((&gap["reason"], &gap["count"]), (&"corruption".into(), &lost.into()), "{gap:#}");
    let first = if lost == 1 { 7 } else { 0 };
    let seqs = (gap["first_seq"].as_u64(), gap["last_seq"].as_u64());
    assert_eq!(seqs, (Some(first), Some(first + lost - 1)), "exactly what is lost: {gap:#}");
    let got = order(receiver, &token(ACME.0), ACME.1);
    let missing: Vec<u64> = (0..45).filter(|seq| !got.contains(seq)).collect();
    assert_eq!(missing, (first..first + lost).collect::<Vec<_>>(), "only what was damaged is missing");
}

fn journal(binary: &Path, workspace: &Workspace, arguments: &[&str]) -> Said {
    let folder = workspace.journal();
    let mut all = vec!["journal", arguments[0], folder.to_str().unwrap()];
    all.extend_from_slice(&arguments[1..]);
    command::run(binary, workspace.path(), &all)
}

fn find(bytes: &[u8], what: &[u8]) -> usize {
    bytes.windows(what.len()).position(|window| window == what).expect("it is there")
}

fn rfind(bytes: &[u8], what: &[u8]) -> usize {
    bytes.windows(what.len()).rposition(|window| window == what).expect("it is there")
}

fn flip(path: &Path, at: usize) {
    let file = std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at as u64).unwrap();
    file.write_all_at(&[byte[0] ^ 0x01], at as u64).unwrap();
}

/// All files below a folder with a hash of what is in them.
fn checksums(folder: &Path) -> BTreeMap<PathBuf, u64> {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let mut hasher = DefaultHasher::new();
            std::fs::read(&path).unwrap().hash(&mut hasher);
            all.insert(path, hasher.finish());
        }
    }
    all
}
