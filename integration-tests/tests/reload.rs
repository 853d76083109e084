//! Reading the configuration again while everything runs: what is good takes effect, what is bad changes nothing, and
//! nobody else notices.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::time::Duration;

use integration_tests::daemon::{Daemon, assert_balanced};
use integration_tests::judge::{arrived, assert_sound, collector};
use integration_tests::producer::{Producer, ids};
use integration_tests::workspace::{ORGS, Options, SHARED_TOKEN, Workspace, sinks, token};
use integration_tests::{binary, poll};
use receiver::{Receiver, Token};
use serde_json::Value;

const ACME: (&str, &str) = ORGS[0];
const BOREALIS: (&str, &str) = ORGS[1];
const PATIENCE: Duration = Duration::from_secs(30);
const SECOND: &str = "44444444-0000-4000-8000-000000000002";
/// A sink that is not touched may not take longer.
const UNDISTURBED: Duration = Duration::from_secs(5);

struct House {
    daemon: Daemon,
    workspace: Workspace,
    producer: Producer,
    receiver: Receiver,
    sent: u64,
}

impl House {
    async fn start(options: &Options) -> Self {
        let settings = collector().token(Token::for_orgs(SECOND, [ACME.1]));
        let receiver = Receiver::start(settings).await.unwrap();
        let workspace = Workspace::new(&receiver.url(), options);
        workspace.set_secret(ACME.0, "second-token", SECOND);
        let daemon = Daemon::start(&binary::build(&[]), &workspace, &[]).expect("starts");
        let producer = Producer::new(&daemon.ingest);
        Self { daemon, workspace, producer, receiver, sent: 0 }
    }

    /// Sends 50 events of each organisation and waits until their own sinks have them.
    async fn load(&mut self) {
        for org in ORGS {
            self.producer.send(org, ids(&format!("{}-{}", org.0, self.sent), 50));
        }
        self.sent += 50;
        for (name, id) in ORGS {
            self.arrive(&token(name), id, self.sent).await;
        }
    }

    async fn arrive(&self, token: &str, org: &str, wanted: u64) {
        let enough = |_: &receiver::Totals| arrived(&self.receiver, token, org) >= wanted;
        let all = self.receiver.wait_until(UNDISTURBED, enough).await;
        assert!(
            all,
            "{} of {wanted} under {token}: {:#}",
            arrived(&self.receiver, token, org),
            self.status()
        );
        assert_eq!(arrived(&self.receiver, token, org), wanted);
    }

    fn status(&self) -> Value {
        self.daemon.status().unwrap()
    }

    /// Makes the daemon read its files again, and waits until it has said `what`.
    async fn reload(&self, what: &str) {
        let before = self.workspace.log().matches(what).count();
        self.daemon.signal("HUP");
        poll::until(what, PATIENCE, || (self.workspace.log().matches(what).count() > before).then_some(()))
            .await;
    }

    fn sink(&self, name: &str) -> Value {
        self.daemon.sink(Some(ACME.1), name).unwrap_or_else(|| panic!("{name}: {:#}", self.status()))
    }

    /// The sinks of the first organisation: its own, and these lines.
    fn with_second(&self, lines: &str) -> String {
        let own = sinks(&self.receiver.url(), "${file:hec-token}", "own", "");
        format!("{own}  second:\n    type: splunk_hec\n    token: ${{file:second-token}}\n{lines}")
    }

    async fn end(self) {
        let status = self.daemon.settled(PATIENCE).await;
        assert_balanced(&status);
        assert_sound(&self.receiver);
        assert!(self.receiver.with_audit(|audit| audit.repeats().is_empty()), "no lane began anew");
        assert!(self.daemon.terminate().success());
    }
}

const APPLIED: &str = "configuration applied";

fn no_shared() -> Options {
    Options { no_shared: true, ..Options::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sinks_come_and_go() {
    let mut house = House::start(&no_shared()).await;
    house.load().await;
    let good = format!("    endpoint: {}\n", house.receiver.url());
    house.workspace.write_sinks(ACME.0, &house.with_second(&good));
    house.reload(APPLIED).await;
    assert_eq!(house.sink("second")["state"], "live");
    assert_eq!((&house.sink("second")["start"], &house.sink("second")["pending"]), (&50.into(), &0.into()));
    house.load().await;
    house.arrive(SECOND, ACME.1, 50).await;

    // Gone: its place is kept and shown, and what comes counts as pending.
    house.daemon.settled(PATIENCE).await;
    house.workspace.set_sink(ACME.0, &house.receiver.url(), "");
    house.reload(APPLIED).await;
    house.load().await;
    let removed = house.sink("second");
    assert_eq!(removed["state"], "removed", "{removed:#}");
    assert_eq!((&removed["start"], &removed["delivered"]), (&50.into(), &50.into()), "{removed:#}");
    assert_balanced(&house.status());
    assert_eq!(arrived(&house.receiver, SECOND, ACME.1), 50, "a removed sink gets nothing");

    // Back: it goes on where it was, without a gap.
    house.workspace.write_sinks(ACME.0, &house.with_second(&good));
    house.reload(APPLIED).await;
    house.arrive(SECOND, ACME.1, 100).await;
    house.load().await;
    house.arrive(SECOND, ACME.1, 150).await;
    assert!(house.receiver.report().told_gaps.is_empty());
    house.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_sink_is_remembered_over_a_restart() {
    let mut house = House::start(&no_shared()).await;
    let good = format!("    endpoint: {}\n", house.receiver.url());
    house.workspace.write_sinks(ACME.0, &house.with_second(&good));
    house.reload(APPLIED).await;
    house.load().await;
    house.arrive(SECOND, ACME.1, 50).await;
    house.daemon.settled(PATIENCE).await;
    house.workspace.set_sink(ACME.0, &house.receiver.url(), "");
    let House { daemon, workspace, receiver, sent, .. } = house;
    assert!(daemon.terminate().success());
    let daemon = Daemon::start(&binary::build(&[]), &workspace, &[]).expect("starts again");
    let producer = Producer::new(&daemon.ingest);
    let mut house = House { daemon, workspace, producer, receiver, sent };
    house.load().await;
    let removed = house.sink("second");
    assert_eq!((&removed["state"], &removed["delivered"]), (&"removed".into(), &50.into()), "{removed:#}");
    assert_balanced(&house.status());
    house.workspace.write_sinks(ACME.0, &house.with_second(&good));
    house.reload(APPLIED).await;
    house.arrive(SECOND, ACME.1, 100).await;
    house.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_file_keeps_the_last_good_version() {
    let mut house = House::start(&no_shared()).await;
    let good = format!("    endpoint: {}\n", house.receiver.url());
    house.workspace.write_sinks(ACME.0, &house.with_second(&good));
    house.reload(APPLIED).await;
    house.load().await;
    house.arrive(SECOND, ACME.1, 50).await;
    for (what, text) in [
        ("one bad sink", house.with_second("    endpoint: ftp://nowhere.example.com\n")),
        ("an unknown key", house.with_second(&format!("{good}    colour: blue\n"))),
        ("no YAML at all", "version: 1\nsinks: [\n".to_owned()),
        ("another version", house.with_second(&good).replace("version: 1", "version: 2")),
    ] {
        house.workspace.write_sinks(ACME.0, &text);
        house.reload(APPLIED).await;
        house.load().await;
        house.arrive(SECOND, ACME.1, house.sent).await;
        for name in ["own", "second"] {
            assert_eq!(house.sink(name)["state"], "live", "{what}: {:#}", house.sink(name));
        }
    }
    assert!(house.workspace.log().contains("it goes on with the old ones"), "{}", house.workspace.log());
    // At a restart there is no last good version: the bad sink is blocked with the words, the good one works.
    house.workspace.write_sinks(ACME.0, &house.with_second("    endpoint: ftp://nowhere.example.com\n"));
    house.daemon.settled(PATIENCE).await;
    let House { daemon, workspace, receiver, sent, .. } = house;
    assert!(daemon.terminate().success());
    let daemon =
        Daemon::start(&binary::build(&[]), &workspace, &[]).expect("a bad sink does not stop the start");
    let producer = Producer::new(&daemon.ingest);
    let mut house = House { daemon, workspace, producer, receiver, sent };
    house.load().await;
    let blocked = house.sink("second");
    assert_eq!((&blocked["state"], &blocked["pending"]), (&"blocked".into(), &50.into()), "{blocked:#}");
    assert!(blocked["last_error"]["what"].as_str().unwrap().contains("endpoint"), "{blocked:#}");
    house.workspace.write_sinks(ACME.0, &house.with_second(&good));
    house.reload(APPLIED).await;
    house.arrive(SECOND, ACME.1, house.sent).await;
    house.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_organisation_stays_what_it_was_however_often_it_is_read() {
    let mut house = House::start(&no_shared()).await;
    let org = house.workspace.path().join("orgs.d").join(ACME.0).join("org.yaml");
    let good = std::fs::read_to_string(&org).unwrap();
    let limited = format!("{good}limits: {{ingest: {{events: 60/s}}}}\n");
    std::fs::write(&org, &limited).unwrap();
    house.reload(APPLIED).await;
    std::fs::write(&org, "version: 1\nid: [\n").unwrap();
    for round in 0..3 {
        house.reload(APPLIED).await;
        assert_eq!(house.sink("own")["state"], "live", "{round}: {:#}", house.status());
        // Its quota as well.
        let refused =
            house.producer.post(&[], house.producer.lines(ACME, ids(&format!("r{round}"), 300)).as_bytes());
        assert!(refused.json()["rejected"].to_string().contains("TW-2107"), "{round}: {}", refused.json());
    }
    house.daemon.settled(PATIENCE).await;
    // At a restart nobody knows whose folder it is: its sink is not made, and the folder is told.
    let House { daemon, workspace, receiver, sent, .. } = house;
    assert!(daemon.terminate().success());
    let daemon = Daemon::start(&binary::build(&[]), &workspace, &[]).expect("starts again");
    let broken =
        daemon.sink(None, "acme/org.yaml").unwrap_or_else(|| panic!("{:#}", daemon.status().unwrap()));
    assert_eq!(broken["state"], "blocked", "{broken:#}");
    assert!(broken["last_error"]["what"].as_str().unwrap().contains("org.yaml"), "{broken:#}");
    std::fs::write(&org, &good).unwrap();
    let producer = Producer::new(&daemon.ingest);
    let house = House { daemon, workspace, producer, receiver, sent };
    house.reload(APPLIED).await;
    assert_eq!(house.sink("own")["state"], "live");
    assert!(house.daemon.sink(None, "acme/org.yaml").is_none());
    house.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sinks_of_a_file_that_cannot_be_read_are_blocked_after_a_restart() {
    let mut house = House::start(&Options::default()).await;
    house.load().await;
    house.daemon.settled(PATIENCE).await;
    let sinks = house.workspace.path().join("orgs.d").join(ACME.0).join("sinks.yaml");
    let shared = house.workspace.path().join("shared_sinks.yaml");
    let good = (std::fs::read_to_string(&sinks).unwrap(), std::fs::read_to_string(&shared).unwrap());
    std::fs::write(&sinks, "version: 1\nsinks: [\n").unwrap();
    // Nobody knows whose records this one gets now.
    std::fs::write(&shared, good.1.replace("orgs: \"*\"", "orgs: [\"not an id\"]")).unwrap();
    let House { daemon, workspace, receiver, sent, .. } = house;
    assert!(daemon.terminate().success());
    let daemon = Daemon::start(&binary::build(&[]), &workspace, &[]).expect("starts again");
    let producer = Producer::new(&daemon.ingest);
    let mut house = House { daemon, workspace, producer, receiver, sent };
    for org in ORGS {
        house.producer.send(org, ids(&format!("{}-blocked", org.0), 10));
    }
    let own = house.sink("own");
    assert_eq!((&own["state"], &own["pending"]), (&"blocked".into(), &10.into()), "{own:#}");
    assert!(own["last_error"]["what"].as_str().unwrap().contains("sinks.yaml"), "{own:#}");
    assert_eq!(house.sink("acme/sinks.yaml")["state"], "blocked");
    let everything = house.daemon.sink(None, "everything").unwrap();
    assert_eq!(
        (&everything["state"], &everything["delivered"]),
        (&"blocked".into(), &100.into()),
        "{everything:#}"
    );
    assert_balanced(&house.status());
    std::fs::write(&sinks, &good.0).unwrap();
    std::fs::write(&shared, &good.1).unwrap();
    house.reload(APPLIED).await;
    house.arrive(&token(ACME.0), ACME.1, 60).await;
    for (_, id) in ORGS {
        house.arrive(SHARED_TOKEN, id, 60).await;
    }
    house.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_operators_file_changes_nothing() {
    let mut house = House::start(&no_shared()).await;
    house.load().await;
    let config = house.workspace.config();
    let text = std::fs::read_to_string(&config).unwrap();
    // A good change beside it waits as well: all or nothing.
    let good = format!("    endpoint: {}\n", house.receiver.url());
    house.workspace.write_sinks(ACME.0, &house.with_second(&good));
    for bad in [
        format!("{text}\nno_such_key: 1\n"),
        "version: 1\n- :\n".to_owned(),
        text.replace("version: 1", "version: 9"),
    ] {
        std::fs::write(&config, bad).unwrap();
        house.reload("everything stays as it is").await;
        assert!(house.daemon.sink(Some(ACME.1), "second").is_none());
        house.load().await;
    }
    std::fs::write(&config, text).unwrap();
    house.reload(APPLIED).await;
    house.load().await;
    house.arrive(SECOND, ACME.1, 50).await;
    house.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn producers_and_quotas_change_without_a_restart() {
    let mut house = House::start(&no_shared()).await;
    house.load().await;
    let config = house.workspace.config();
    let text = std::fs::read_to_string(&config).unwrap();
    let limited = text.replace("orgs: \"*\", kinds", &format!("orgs: [{}], kinds", BOREALIS.1));
    assert_ne!(limited, text);
    std::fs::write(&config, format!("{limited}\nlimits: {{ingest_per_org: {{events: 1/s}}}}\n")).unwrap();
    house.reload(APPLIED).await;
    let body =
        house.producer.lines(ACME, ids("not-mine", 1)) + &house.producer.lines(BOREALIS, ids("mine", 20));
    let answer = house.producer.post(&[], body.as_bytes()).json();
    let codes: Vec<&str> = answer["rejected"]
        .as_array()
        .unwrap()
        .iter()
        .map(|refused| refused["code"].as_str().unwrap())
        .collect();
    assert_eq!(codes[0], "TW-2104", "{answer}");
    assert!(codes.contains(&"TW-2107"), "{answer}");
    let taken = answer["accepted"].as_u64().unwrap();
    assert!((1..20).contains(&taken), "{answer}");
    std::fs::write(&config, text).unwrap();
    house.reload(APPLIED).await;
    house.arrive(&token(BOREALIS.0), BOREALIS.1, 50 + taken).await;
    house.producer.send(ACME, ids("unlimited-again", 100));
    house.arrive(&token(ACME.0), ACME.1, 150).await;
    house.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_sink_is_given_other_organisations() {
    let mut house = House::start(&Options::default()).await;
    house.load().await;
    for (_, id) in ORGS {
        house.arrive(SHARED_TOKEN, id, 50).await;
    }
    house.daemon.settled(PATIENCE).await;
    let path = house.workspace.path().join("shared_sinks.yaml");
    let everybody = std::fs::read_to_string(&path).unwrap();
    let one = everybody.replace("orgs: \"*\"", &format!("orgs: [{}]", ACME.1));
    assert_ne!(one, everybody);
    std::fs::write(&path, &one).unwrap();
    house.reload(APPLIED).await;
    house.load().await;
    house.arrive(SHARED_TOKEN, ACME.1, 100).await;
    house.daemon.settled(PATIENCE).await;
    assert_eq!(arrived(&house.receiver, SHARED_TOKEN, BOREALIS.1), 50, "it is no longer this one's");
    assert_balanced(&house.status());
    let sink = house.daemon.sink(None, "everything").unwrap();
    assert_eq!(sink["state"], "live", "{sink:#}");
    let House { daemon, workspace, receiver, .. } = house;
    assert!(daemon.terminate().success());
    let daemon = Daemon::start(&binary::build(&[]), &workspace, &[]).expect("starts again");
    let status = daemon.settled(PATIENCE).await;
    assert_balanced(&status);
    assert!(receiver.report().foreign.is_empty());
}
