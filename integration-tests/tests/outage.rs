//! Receivers that fail in every way there is, then recover: nothing is lost, the order is kept, repeats are equal, and
//! the other organisation's sink notices nothing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::time::Duration;

use flow::clock::Clock;
use http::StatusCode;
use integration_tests::binary;
use integration_tests::daemon::Daemon;
use integration_tests::judge::{arrived, assert_sound, collector, order};
use integration_tests::producer::{Producer, ids};
use integration_tests::workspace::{ORGS, Options, Workspace, token};
use receiver::fault::Manner;
use receiver::{Code, Fault, Receiver, Reply};

const ACME: (&str, &str) = ORGS[0];
const BOREALIS: (&str, &str) = ORGS[1];
/// For what has to wait for a retry or two.
const PATIENCE: Duration = Duration::from_secs(60);
/// A sink that works may not take longer, whatever happens to others.
const UNDISTURBED: Duration = Duration::from_secs(5);
/// What a tenant is told of a receiver that the operator has allowed inside the network, as those of the tests are: its words
/// would tell what else listens there. The operator's log says more.
const INSIDE: &str =
    "the receiver, which is inside the network, could not be reached or gave no valid answer";
/// Enough for several batches and less than a second to send.
const EVENTS: u64 = 300;

/// One daemon; the first organisation's receiver is the one that fails.
struct House {
    daemon: Daemon,
    workspace: Workspace,
    producer: Producer,
    failing: Receiver,
    healthy: Receiver,
    sent: u64,
}

impl House {
    async fn start() -> Self {
        let (failing, healthy) =
            (Receiver::start(collector()).await.unwrap(), Receiver::start(collector()).await.unwrap());
        let options = Options { no_shared: true, ..Options::default() };
        let workspace = Workspace::new(&healthy.url(), &options);
        workspace.set_sink(ACME.0, &failing.url(), "    request: {concurrency: 1, timeout: 1s}\n");
        let daemon = Daemon::start(&binary::build(&[]), &workspace, &[]).expect("starts");
        let producer = Producer::new(&daemon.ingest);
        Self { daemon, workspace, producer, failing, healthy, sent: 0 }
    }

    /// Sends events of both; those of the healthy one must be there at once.
    async fn load(&mut self, name: &str) {
        let prefix = name.replace(' ', "-");
        self.producer.send(ACME, ids(&format!("{prefix}-a"), EVENTS));
        self.producer.send(BOREALIS, ids(&format!("{prefix}-b"), EVENTS));
        self.sent += EVENTS;
        let delivered = self.healthy.wait_for_events(self.sent, UNDISTURBED).await;
        assert!(delivered, "{name}: the failing sink delayed the other organisation's");
    }

    /// Waits until the sink that failed has everything, and checks it.
    async fn recovered(&self, name: &str) {
        let sent = self.sent;
        let done = |_: &receiver::Totals| arrived(&self.failing, &token(ACME.0), ACME.1) >= sent;
        let all = self.failing.wait_until(PATIENCE, done).await;
        assert!(all, "{name}: not everything arrived: {:#}", self.sink());
        let status = self.daemon.settled(PATIENCE).await;
        for sink in status["sinks"].as_array().unwrap() {
            assert_eq!(sink["delivered"], sent, "{name}: {sink:#}");
            assert_eq!(sink["state"], "live", "{name}: {sink:#}");
        }
        for receiver in [&self.failing, &self.healthy] {
            assert_sound(receiver);
        }
        let kept: Vec<u64> = (0..sent).collect();
        assert_eq!(order(&self.failing, &token(ACME.0), ACME.1), kept, "{name}: the order");
        assert!(self.healthy.with_audit(|audit| audit.repeats().is_empty()), "{name}");
    }

    fn sink(&self) -> serde_json::Value {
        self.daemon.sink(Some(ACME.1), "own").unwrap()
    }

    async fn sink_in(&self, state: &str) -> serde_json::Value {
        self.daemon.sink_until(Some(ACME.1), "own", PATIENCE, |sink| sink["state"] == state).await
    }

    fn repeats(&self) -> usize {
        self.failing.with_audit(|audit| audit.repeats().len())
    }

    /// Waits until the failing receiver has been asked `count` more times.
    async fn asked(&self, count: u64) {
        let wanted = self.failing.totals().requests + count;
        assert!(self.failing.wait_until(PATIENCE, |totals| totals.requests >= wanted).await);
    }

    /// Plays these faults, one a request, and recovers.
    async fn faults(&mut self, name: &str, faults: Vec<Fault>) {
        self.failing.script(faults);
        self.load(name).await;
        self.recovered(name).await;
        assert_eq!(self.failing.scripted(), 0, "{name}: every fault was played");
    }

    /// What the status page says of the last failure.
    fn last_error(&self) -> String {
        let error = self.sink()["last_error"].clone();
        assert!(error["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()), "{error:#}");
        error["what"].as_str().unwrap().to_owned()
    }

    /// The most memory that the daemon has had so far, in KiB.
    fn peak_memory(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.daemon.pid())).unwrap();
        let line = text.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_refuses_connections() {
    let mut house = House::start().await;
    house.failing.stop().await;
    house.load("refused").await;
    let sink = house.sink_in("backing_off").await;
    assert_eq!((&sink["pending"], &sink["delivered"]), (&EVENTS.into(), &0.into()), "{sink:#}");
    assert!(sink["last_error"]["what"].as_str().unwrap().contains(INSIDE), "{sink:#}");
    assert!(house.workspace.log().contains("kind=Connect(ConnectionRefused)"), "{}", house.workspace.log());
    assert!(sink["next_attempt"].is_string() && sink["lag_seconds"].as_f64().is_some(), "{sink:#}");
    house.load("refused-2").await;
    house.failing.start_again().await.unwrap();
    house.recovered("refused").await;
    assert_eq!(house.repeats(), 0, "what was never sent is not repeated");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_receiver_is_given_the_time_it_asks_for() {
    let mut house = House::start().await;
    house.failing.script([Fault::busy(Some("2"))]);
    let clock = Clock::system();
    house.load("busy").await;
    let begun = clock.now().instant;
    house.recovered("busy").await;
    // The refusal came before the healthy sink was done, at the earliest when the load began.
    let requests = house.failing.requests();
    let waited = requests[1].at.since(requests[0].at);
    assert!(waited >= Duration::from_secs(2), "asked again after {waited:?}");
    assert!(clock.now().instant.duration_since(begun) < PATIENCE);
    // Without a time given it backs off by its own measure.
    house.faults("busy without a time", vec![Fault::busy(None), Fault::html(StatusCode::BAD_GATEWAY)]).await;
    assert_eq!(house.repeats(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_hangs() {
    let mut house = House::start().await;
    house.failing.pause();
    house.load("hang").await;
    let sink = house.sink_in("backing_off").await;
    assert_eq!(sink["pending"], EVENTS, "{sink:#}");
    house.load("hang-2").await;
    house.failing.resume();
    house.recovered("hang").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_lost_or_broken_after_the_batch_was_taken() {
    let mut house = House::start().await;
    let many_headers = (0..2000).fold(Reply::code(Code::Success), |reply, number| {
        reply.header(&format!("x-pad-{number}"), "0123456789")
    });
    let huge_header = Reply::code(Code::Success).header("x-pad", &"h".repeat(300_000));
    let answered = "the collector answered HTTP 200: {\"text\":\"xxx";
    let cases = [
        // A kept connection that is closed without a word is no failure yet: the request goes out once more at once.
        ("lost", Fault::reply_lost(), None),
        ("reset", Fault::manner(Manner::Reset), None),
        ("cut short", Fault::manner(Manner::Truncated), Some((INSIDE, "kind=Cut"))),
        ("never ends", Fault::manner(Manner::NeverEnds), Some((INSIDE, "kind=Timeout"))),
        (
            "a byte every 40 ms",
            Fault::manner(Manner::ByteByByte(Duration::from_millis(40))),
            Some((INSIDE, "kind=Timeout")),
        ),
        ("endless", Fault::manner(Manner::Endless), Some((answered, ""))),
        (
            "large",
            Fault::indexed_but(Reply::new(StatusCode::OK, "application/json", large())),
            Some((answered, "")),
        ),
        ("huge header", Fault::indexed_but(huge_header), Some((INSIDE, "kind=HeadTooLarge"))),
        ("many headers", Fault::indexed_but(many_headers), Some((INSIDE, "kind=HeadTooLarge"))),
    ];
    let clock = Clock::system();
    house.load("first").await;
    house.recovered("first").await;
    for (name, fault, error) in cases {
        let (before, memory, begun) = (house.repeats(), house.peak_memory(), clock.now().instant);
        let logged = house.workspace.log().len();
        house.faults(name, vec![fault]).await;
        if let Some((words, kind)) = error {
            let (told, log) = (house.last_error(), house.workspace.log());
            println!("{name}: {told}; {} KiB more", house.peak_memory() - memory);
            assert!(told.contains(words) && told.len() < 500, "{name}: {told}");
            let new = log.get(logged..).unwrap();
            assert!(new.contains(kind), "{name}: {new}");
        }
        // `assert_sound` has seen that they are equal.
        let repeats = house.repeats() - before;
        assert!(repeats > 0, "{name}: taken and not known to be, so sent again");
        assert!(repeats as u64 <= EVENTS, "{name}: only what was in flight is repeated, not {repeats}");
        assert!(house.peak_memory() - memory < 16 << 10, "{name}: its answer is not kept");
        // The attempt has a second, the retry comes at most a second later.
        assert!(clock.now().instant.duration_since(begun) < Duration::from_secs(10), "{name} took too long");
    }
    // Slow, and in time.
    let before = house.repeats();
    house.faults("a byte every ms", vec![Fault::manner(Manner::ByteByByte(Duration::from_millis(1)))]).await;
    assert_eq!(house.repeats(), before, "a slow answer is an answer");
    // In the middle of the request.
    house.faults("cut while it is sent", vec![Fault::manner(Manner::ResetWithin(1000))]).await;
}

/// An answer that does not come to its point soon.
fn large() -> String {
    format!("{{\"text\":\"{}", "x".repeat(8 << 20))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirect_is_not_followed() {
    let mut house = House::start().await;
    let elsewhere = format!("{}/services/collector/event", house.healthy.url());
    let redirect = Reply::empty(StatusCode::TEMPORARY_REDIRECT).header("location", &elsewhere);
    house.failing.always(Some(Fault::reply(redirect)));
    house.load("redirect").await;
    let sink = house.sink_in("blocked").await;
    assert!(sink["last_error"]["remedy"].as_str().unwrap().contains("final address"), "{sink:#}");
    assert_eq!(sink["pending"], EVENTS);
    assert_eq!(house.healthy.totals().events, house.sent, "nothing of the other organisation went there");
    house.failing.always(None);
    house.daemon.signal("HUP");
    house.recovered("redirect").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_refused_blocks_and_loses_nothing() {
    let mut house = House::start().await;
    house.load("good").await;
    house.recovered("good").await;
    house.failing.always(Some(Fault::code(Code::InvalidToken)));
    house.load("refused").await;
    let sink = house.sink_in("blocked").await;
    assert_eq!((&sink["pending"], &sink["delivered"]), (&EVENTS.into(), &EVENTS.into()), "{sink:#}");
    let error = &sink["last_error"];
    assert!(error["what"].as_str().unwrap().contains("Invalid token"), "{sink:#}");
    assert!(error["remedy"].as_str().unwrap().contains("valid token"), "{sink:#}");
    assert!(sink["next_attempt"].is_string(), "it says when it tries by itself: {sink:#}");
    assert!(!sink.to_string().contains(&token(ACME.0)), "the token is not shown: {sink:#}");
    // It stays blocked and keeps its place over a restart.
    let House { daemon, workspace, failing, healthy, sent, .. } = house;
    assert!(daemon.terminate().success());
    let daemon = Daemon::start(&binary::build(&[]), &workspace, &[]).expect("starts again");
    let producer = Producer::new(&daemon.ingest);
    let mut house = House { daemon, workspace, producer, failing, healthy, sent };
    let sink = house.sink_in("blocked").await;
    assert_eq!((&sink["pending"], &sink["delivered"]), (&EVENTS.into(), &EVENTS.into()), "{sink:#}");
    house.load("still refused").await;
    // The probe by itself comes after a minute and is tested with a stopped clock; a reload does not wait for it.
    house.failing.always(None);
    house.daemon.signal("HUP");
    house.recovered("mended").await;
    assert_eq!(house.repeats(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_changes_on_disk_is_used_without_a_restart() {
    let mut house = House::start().await;
    house.load("old").await;
    house.recovered("old").await;
    let fresh = "33333333-0000-4000-8000-00000000beef";
    house.failing.rotate_token(&token(ACME.0), fresh);
    house.workspace.set_secret(ACME.0, "hec-token", fresh);
    house.load("new").await;
    let all =
        house.failing.wait_until(UNDISTURBED, |_| arrived(&house.failing, fresh, ACME.1) >= EVENTS).await;
    assert!(all, "{:#}", house.sink());
    let status = house.daemon.settled(PATIENCE).await;
    assert_eq!(status["sinks"].as_array().unwrap().len(), 2);
    let report = house.failing.report();
    assert!(report.foreign.is_empty() && report.unreadable == 0, "{report:#?}");
    let last = house.failing.requests().last().unwrap().clone();
    assert_eq!((last.token.as_str(), last.status), (fresh, 200));
    // Within the second in which the old token is still kept an attempt may be refused: it is made again, not blocked.
    let refused = house.failing.requests().into_iter().filter(|request| request.status != 200);
    assert!(refused.into_iter().all(|request| request.token != fresh), "the new token was never refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_fails_under_load_is_left_alone() {
    let mut house = House::start().await;
    house.failing.always(Some(Fault::busy(Some("1"))));
    house.load("first").await;
    house.sink_in("backing_off").await;
    let before = house.failing.totals().requests;
    for round in 0..5 {
        house.load(&format!("round-{round}")).await;
    }
    let asked = house.failing.totals().requests - before;
    assert!(asked <= 5, "new records do not make it ask more often: {asked} requests");
    house.asked(1).await;
    house.failing.always(None);
    house.recovered("left alone").await;
}
