//! The daemon is killed again and again under load, at random moments and at every fail point, and must lose nothing.
//!
//! By default 60 kills with the usual settings. `TRAILWIRE_KILLS=300` or more is the big form: it also kills first starts,
//! a journal in which records expire while a receiver is down, and one on a full disk; and it fails when a fail point
//! ended no life. `TRAILWIRE_SEED=N` repeats a run's choices.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use flow::clock::Clock;
use flow::orgs::{Directory, UnknownOrgs};
use integration_tests::binary;
use integration_tests::daemon::Daemon;
use integration_tests::disk::Disk;
use integration_tests::judge::{arrived, collector};
use integration_tests::kills::judge::{self, Payloads, SinkBooks};
use integration_tests::kills::load::Load;
use integration_tests::kills::points::{Aim, Points};
use integration_tests::workspace::{self, ORGS, Options, SHARED_TOKEN, Workspace};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use receiver::{Fault, Receiver};
use trailwire::master_secret;

/// From here on it is the big form.
const BIG: u64 = 300;
const PATIENCE: Duration = Duration::from_secs(180);
const SIGKILL: i32 = 9;

#[allow(clippy::disallowed_methods, reason = "whoever runs the test chooses")]
fn chosen(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|number| number.parse().unwrap())
}

/// `TRAILWIRE_FORM=expiry` and the like: only this part of the big form, to look into it.
#[allow(clippy::disallowed_methods, reason = "whoever runs the test chooses")]
fn only() -> Option<String> {
    std::env::var("TRAILWIRE_FORM").ok()
}

/// A kill is no event that could be awaited: its moment is what is tested.
#[allow(clippy::disallowed_methods, reason = "the random moment of a kill is what is tested")]
fn wait(time: Duration) {
    std::thread::sleep(time);
}

/// What happens in a run.
struct Form {
    name: &'static str,
    kills: u64,
    options: Options,
    /// Events in a request.
    batch: u64,
    /// A life lasts at most so long.
    longest: Duration,
    /// Whether the first organisation's receiver is down for the middle of the run, until records expire.
    expires: bool,
}

/// One installation that is killed, with its load and its judge.
struct House {
    form: Form,
    /// The file system of the data folder; gone before the folder is removed.
    disk: Option<Disk>,
    workspace: Workspace,
    /// The first organisation's own receiver, and that of all others.
    receivers: [Receiver; 2],
    load: Load,
    payloads: Payloads,
    kills: Vec<i64>,
    lives: u64,
    binary: std::path::PathBuf,
}

/// Every sink: its owner's place, and which receiver is its far end.
const SINKS: [(Option<usize>, usize); 3] = [(Some(0), 0), (Some(1), 1), (None, 1)];

/// How a life ended.
enum End {
    Killed,
    AtPoint,
}

impl House {
    async fn new(form: Form) -> Self {
        let receivers =
            [Receiver::start(collector()).await.unwrap(), Receiver::start(collector()).await.unwrap()];
        let workspace = Workspace::new(&receivers[1].url(), &form.options);
        workspace.set_sink(ORGS[0].0, &receivers[0].url(), &form.options.sink);
        let load = Load::new(form.batch);
        let payloads = Payloads::new(load.time());
        let binary = binary::build(&["failpoints"]);
        Self { form, disk: None, workspace, receivers, load, payloads, kills: Vec::new(), lives: 0, binary }
    }

    fn may_expire(&self, owner: Option<usize>) -> bool {
        self.form.expires && owner == Some(0)
    }

    /// Starts the daemon, which is to die at `aim`. `None` when it did so before it was ready.
    fn start(&mut self, aim: Option<Aim>, power_cut: bool, points: &mut Points) -> Option<Daemon> {
        self.lives += 1;
        let log = self.hit_log();
        let (log, at) = (
            log.to_str().unwrap().to_owned(),
            aim.map(|aim| format!("{}:{}", aim.name, aim.count)).unwrap_or_default(),
        );
        let mut environment = vec![("TRAILWIRE_KILL_LOG", log.as_str())];
        if aim.is_some() {
            environment.push(("TRAILWIRE_KILL_AT", at.as_str()));
        }
        if power_cut {
            environment.push(("TRAILWIRE_KILL_AS", "power_cut"));
        }
        match Daemon::start_or_status(&self.binary, &self.workspace, &environment, &[]) {
            Ok(daemon) => Some(daemon),
            Err(status) => {
                self.assert_killed(status, aim);
                self.end(points);
                None
            }
        }
    }

    fn hit_log(&self) -> std::path::PathBuf {
        self.workspace.path().join(format!("hits-{}.log", self.lives))
    }

    /// Only a kill ends the daemon: not a damaged journal, not a panic.
    fn assert_killed(&self, status: ExitStatus, aim: Option<Aim>) {
        let killed = status.signal() == Some(SIGKILL) && aim.is_some();
        assert!(killed, "{}: the daemon ended by itself, {status}, {aim:?}:\n{}", self.form.name, self.log());
    }

    /// What a life that has ended leaves behind.
    fn end(&mut self, points: &mut Points) {
        let log = self.hit_log();
        self.kills.extend(points.take_in(&log));
        self.look_at_payloads();
    }

    fn look_at_payloads(&mut self) {
        for receiver in &self.receivers {
            for indexed in receiver.take_indexed() {
                let complaint = self.payloads.complaint(indexed.event());
                assert!(complaint.is_none(), "{}: {}", self.form.name, complaint.unwrap_or_default());
            }
        }
    }

    /// Right after a start all that was acknowledged must be there.
    fn look_after_a_start(&self, daemon: &Daemon) -> bool {
        // What has arrived is asked after the status: it can only grow.
        let acknowledged = self.load.acknowledged_by_org();
        let Some(status) = daemon.status() else { return false };
        let sinks =
            SINKS.map(|(owner, receiver)| (owner, self.may_expire(owner), self.arrived(owner, receiver)));
        let complaints = judge::after_a_start(&status, acknowledged, &sinks);
        assert!(complaints.is_empty(), "{}: {complaints:#?}\n{}", self.form.name, self.log());
        true
    }

    /// How many different records the far end of a sink has.
    fn arrived(&self, owner: Option<usize>, receiver: usize) -> u64 {
        let token = owner.map_or_else(|| SHARED_TOKEN.to_owned(), |org| workspace::token(ORGS[org].0));
        ORGS.iter().map(|(_, id)| arrived(&self.receivers[receiver], &token, id)).sum()
    }

    /// One life under load: it ends at `aim`, or at a moment of chance.
    fn live(&mut self, aim: Option<Aim>, power_cut: bool, rng: &mut StdRng, points: &mut Points) -> End {
        let Some(mut daemon) = self.start(aim, power_cut, points) else { return End::AtPoint };
        let looked = self.look_after_a_start(&daemon);
        assert!(looked || aim.is_some(), "the daemon lives and has no status: {}", self.log());
        let longest = self.form.longest;
        // Some live long enough that what was delivered at first must not come again.
        let most = if rng.random_bool(0.2) { longest * 4 } else { longest };
        let moment = rng.random_range(Duration::from_millis(5)..most);
        let url = daemon.ingest.clone();
        let ended = std::cell::Cell::new(None);
        self.load.run(&url, || {
            let step = Duration::from_millis(5);
            let steps = if aim.is_some() { longest } else { moment }.as_millis() / step.as_millis();
            for _ in 0..=steps {
                wait(step);
                ended.set(daemon.ended());
                if ended.get().is_some() {
                    return;
                }
            }
        });
        let end = match ended.into_inner().or_else(|| daemon.ended()) {
            Some(status) => {
                self.assert_killed(status, aim);
                End::AtPoint
            }
            None => {
                self.kills.push(Clock::system().now().wall.0);
                daemon.kill();
                End::Killed
            }
        };
        self.end(points);
        end
    }

    /// After the last kill the product must finish by itself, and then everything is judged.
    async fn finish(mut self, points: &mut Points) {
        self.receivers[0].always(None);
        let name = self.form.name;
        let daemon = self.start(None, false, points).expect("starts after the last kill");
        assert!(self.look_after_a_start(&daemon));
        self.load.finish(&daemon.ingest);
        let status = daemon.settled(PATIENCE).await;
        let (acknowledged, sent) = self.load.books();
        let sinks = SINKS.map(|(owner, receiver)| {
            let may_expire = self.may_expire(owner);
            self.receivers[receiver].with_audit(|audit| SinkBooks::new(owner, may_expire, audit, &status))
        });
        self.look_at_payloads();
        let mut complaints = judge::at_the_end(&sinks, &acknowledged, &sent, &self.kills);
        for receiver in &self.receivers {
            let report = receiver.report();
            complaints.extend(report.foreign.iter().map(|foreign| format!("foreign: {foreign:?}")));
            if report.unreadable > 0 {
                complaints.push(format!("{} events are no records", report.unreadable));
            }
        }
        complaints.truncate(20);
        assert!(complaints.is_empty(), "{name}: {complaints:#?}\n{}", self.log());
        let records: u64 = sinks.iter().flat_map(|sink| &sink.feeds).map(|feed| feed.len() as u64).sum();
        assert!(self.payloads.compared >= records, "every payload was looked at");
        let repeats: usize = sinks.iter().map(|sink| sink.repeats.len()).sum();
        let expired = sinks[0].accounts["expired"].as_u64().unwrap();
        println!(
            "{name}: {} acknowledged, {records} delivered, {repeats} repeats, {expired} expired in {} gaps, {} kills in {} lives",
            acknowledged.len(),
            sinks[0].gaps.len(),
            self.kills.len(),
            self.lives
        );
        assert!(!self.form.expires || (expired > 0 && expired < acknowledged.len() as u64 / 2));

        // What was recorded at a stop in order is not sent again.
        let requests = self.receivers.each_ref().map(|receiver| receiver.totals().requests);
        assert!(daemon.terminate().success(), "{}", self.log());
        let daemon = self.start(None, false, points).expect("starts after a stop in order");
        daemon.settled(PATIENCE).await;
        assert_eq!(self.receivers.each_ref().map(|receiver| receiver.totals().requests), requests, "{name}");
        assert!(daemon.terminate().success(), "{}", self.log());
        self.end(points);
    }

    fn log(&self) -> String {
        let text = self.workspace.log();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

/// Points that are passed once, when a data folder is made.
fn is_of_first_start(name: &str) -> bool {
    name.starts_with("key::")
        || name.starts_with("journal::replace::")
        || name.starts_with("journal::ballast::refill")
}

/// Points that need a full disk.
fn is_of_full_disk(name: &str) -> bool {
    name.starts_with("journal::ballast::")
}

/// Points that need small segments.
fn is_of_retention(name: &str) -> bool {
    name.starts_with("journal::expire::")
}

/// Kills a run's lives, every second one at a point.
async fn kill_again_and_again(mut house: House, rng: &mut StdRng, points: &mut Points) {
    let kills = house.form.kills;
    let expires = house.form.expires;
    let among = |name: &str| {
        !name.starts_with("key::") && !is_of_full_disk(name) && (expires || !is_of_retention(name))
    };
    let mut missed = 0;
    for round in 0..kills {
        let down = house.form.expires && (kills / 5..kills * 2 / 3).contains(&round);
        house.receivers[0].always(down.then(|| Fault::busy(None)));
        let aim = (round % 2 == 1).then(|| points.next(rng, &among));
        let power_cut = aim.is_some() && rng.random_bool(0.5);
        if let End::Killed = house.live(aim, power_cut, rng, points) {
            missed += u64::from(aim.is_some());
        }
    }
    println!("{}: {missed} of {} aims missed their point in time", house.form.name, kills / 2);
    house.finish(points).await;
}

fn options(operator: &str) -> Options {
    Options { operator: operator.to_owned(), ..Options::default() }
}

fn steady(kills: u64) -> Form {
    Form {
        name: "steady",
        kills,
        options: Options::default(),
        batch: 20,
        longest: Duration::from_millis(700),
        expires: false,
    }
}

/// Small segments and a small buffer; both organisations in one partition, so that each expires among the other's rows.
fn expiry(kills: u64) -> Form {
    let together = |count: &u16| {
        let directory = Directory::new(*count, UnknownOrgs::Accept);
        directory.partition_of(ORGS[0].1) == directory.partition_of(ORGS[1].1)
    };
    // The more partitions, the smaller a segment is when it is closed; these two organisations are rarely together.
    let partitions = (2..64).filter(together).max().unwrap();
    Form {
        name: "expiry",
        kills,
        options: options(&format!("journal: {{partitions: {partitions}}}\nbuffer: {{max_bytes: 64MiB}}")),
        batch: 400,
        longest: Duration::from_millis(1500),
        expires: true,
    }
}

/// A first start that dies at each of its points; then the folder is started again and works.
async fn first_starts(rng: &mut StdRng, points: &mut Points) {
    for _ in 0..points.count(&is_of_first_start) {
        let mut house = House::new(Form { name: "first start", kills: 1, ..steady(1) }).await;
        let aim = Aim { count: 1, ..points.next(rng, &is_of_first_start) };
        let end = house.live(Some(aim), rng.random_bool(0.5), rng, points);
        assert!(matches!(end, End::AtPoint), "{aim:?} is not passed by a first start");
        while house.load.acknowledged_by_org().contains(&0) {
            let _second: End = house.live(None, false, rng, points);
        }
        house.finish(points).await;
    }
}

/// A full disk: lane state goes into the ballast, and so do restarts; with room again the ballast is made whole.
async fn full_disk(kills: u64, rng: &mut StdRng, points: &mut Points) {
    let options = options("journal: {partitions: 2}");
    let mut house = House::new(Form { name: "full disk", kills, options, batch: 400, ..steady(0) }).await;
    house.disk = Disk::mount(&house.workspace.path().join("data"), 600);
    if house.disk.is_none() {
        return;
    }
    let _first: End = house.live(None, false, rng, points);
    for round in 0..kills {
        let aim = match round % 4 {
            0 => {
                house.disk.as_ref().inspect(|disk| disk.fill());
                Some(points.next(rng, &|name| name.starts_with("journal::ballast::release")))
            }
            2 => {
                house.disk.as_ref().inspect(|disk| disk.empty());
                Some(points.next(rng, &|name| name.starts_with("journal::ballast::refill")))
            }
            _ => None,
        };
        let power_cut = aim.is_some() && rng.random_bool(0.5);
        let _either: End = house.live(aim, power_cut, rng, points);
    }
    if kills % 4 == 1 || kills % 4 == 2 {
        house.disk.as_ref().inspect(|disk| disk.empty());
    }
    house.finish(points).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let kills: u64 = chosen("TRAILWIRE_KILLS").unwrap_or(60);
    let seed: u64 = chosen("TRAILWIRE_SEED").unwrap_or_else(rand::random);
    println!("TRAILWIRE_SEED={seed} TRAILWIRE_KILLS={kills}");
    let mut rng = StdRng::seed_from_u64(seed);
    let names = [flow::FAIL_POINTS, journal::failpoint::ALL, api::FAIL_POINTS, master_secret::FAIL_POINTS];
    let mut points = Points::new(names.into_iter().flatten().copied());
    if kills < BIG {
        kill_again_and_again(House::new(steady(kills)).await, &mut rng, &mut points).await;
        points.print();
        return;
    }
    let only = only();
    let wanted = |name: &str| only.as_deref().is_none_or(|only| only == name);
    if wanted("first start") {
        first_starts(&mut rng, &mut points).await;
    }
    if wanted("steady") {
        kill_again_and_again(House::new(steady(kills / 2)).await, &mut rng, &mut points).await;
    }
    if wanted("expiry") {
        kill_again_and_again(House::new(expiry(kills / 2 - kills / 10)).await, &mut rng, &mut points).await;
    }
    if wanted("full disk") {
        full_disk(kills / 10, &mut rng, &mut points).await;
    }
    points.print();
    if only.is_some() {
        return;
    }
    assert!(points.never_passed().is_empty(), "never reached: {:?}", points.never_passed());
    assert!(points.never_fatal().is_empty(), "nothing was killed at: {:?}", points.never_fatal());
}
