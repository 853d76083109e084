//! The daemon is killed again and again under load, at random moments and at every fail point, and must lose nothing.
//!
//! `TRAILWIRE_KILLS=1000` runs the big form (60 by default); in it a fail point that was never reached is a failure.
//! `TRAILWIRE_SEED=N` repeats a run's choices.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use flow::clock::{Clock, UnixMillis};
use integration_tests::daemon::{Daemon, assert_balanced, total};
use integration_tests::http::Client;
use integration_tests::workspace::{self, ORGS, Options, PRODUCER_TOKEN, SHARED_TOKEN, Workspace};
use integration_tests::{binary, canary};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use receiver::{Receiver, Settings, Token};

/// What was settled this long before a kill may come again.
const REPEAT_WINDOW_MS: i64 = 300;
/// The receiver's answer needs this long, at most, to become a settled delivery on a busy machine.
const WAY_BACK_MS: i64 = 200;

/// What the judge holds against the product.
#[derive(Default)]
struct Ledger {
    /// Acknowledged ids, with their organisation.
    acknowledged: Mutex<HashMap<String, usize>>,
    /// Ids that were sent at all: nothing else may arrive.
    sent: Mutex<HashMap<String, usize>>,
    next: AtomicU64,
    /// The time of every event: a resend must be equal to the first copy, or it would be another event of that id.
    time: String,
}

/// Organisation and id of each event.
type Batch = Vec<(usize, String)>;

/// Sends one batch; gives it back when it was not acknowledged, and whether the daemon still answers.
fn send(client: &mut Client, ledger: &Ledger, batch: Batch) -> Result<(), (Batch, bool)> {
    let mut body = String::new();
    for (org, id) in &batch {
        ledger.sent.lock().unwrap().insert(id.clone(), *org);
        body.push_str(&canary::event(ORGS[*org], id, &ledger.time));
        body.push('\n');
    }
    let authorization = format!("Bearer {PRODUCER_TOKEN}");
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/x-ndjson")];
    match client.send("POST", "/v1/events", &headers, body.as_bytes()) {
        Ok(reply) if reply.status == 200 => {
            let answer = reply.json();
            let taken = answer["accepted"].as_u64().unwrap() + answer["duplicates"].as_u64().unwrap();
            assert_eq!(taken, batch.len() as u64, "{answer}");
            ledger.acknowledged.lock().unwrap().extend(batch.into_iter().map(|(org, id)| (id, org)));
            Ok(())
        }
        Ok(reply) => {
            let text = String::from_utf8_lossy(&reply.body).into_owned();
            assert!(reply.status == 503, "unexpected answer {}: {text}", reply.status);
            Err((batch, true))
        }
        Err(_) => Err((batch, false)),
    }
}

/// Sends batches until told to stop; a batch without an answer is sent again later, as a producer does.
fn produce(url: &str, ledger: &Ledger, stop: &AtomicBool, unanswered: &Mutex<Vec<Batch>>) {
    let mut client = Client::new(url);
    while !stop.load(Ordering::SeqCst) {
        let left = unanswered.lock().unwrap().pop();
        let batch = left.unwrap_or_else(|| {
            let first = ledger.next.fetch_add(20, Ordering::SeqCst);
            (first..first + 20).map(|number| ((number % 2) as usize, format!("evt-{number}"))).collect()
        });
        if let Err((batch, alive)) = send(&mut client, ledger, batch) {
            unanswered.lock().unwrap().push(batch);
            if !alive {
                return;
            }
        }
    }
}

fn rfc3339_now() -> String {
    let seconds = Clock::system().now().wall.0 / 1000;
    let output = std::process::Command::new("date")
        .args(["-u", "-d", &format!("@{seconds}"), "+%FT%T.000Z"])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Lets two producers run until `until` returns, then stops them.
fn under_load(url: &str, ledger: &Ledger, unanswered: &Mutex<Vec<Batch>>, until: impl FnOnce()) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| produce(url, ledger, &stop, unanswered));
        }
        until();
        stop.store(true, Ordering::SeqCst);
    });
}

#[allow(clippy::disallowed_methods, reason = "the random moment of a kill is what is tested")]
fn random_moment(rng: &mut StdRng) {
    std::thread::sleep(Duration::from_millis(rng.random_range(5..700)));
}

#[allow(clippy::disallowed_methods, reason = "whoever runs the test chooses")]
fn chosen(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|number| number.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let kills: u64 = chosen("TRAILWIRE_KILLS").unwrap_or(60);
    let seed: u64 = chosen("TRAILWIRE_SEED").unwrap_or_else(rand::random);
    println!("TRAILWIRE_SEED={seed} TRAILWIRE_KILLS={kills}");
    let mut rng = StdRng::seed_from_u64(seed);
    let binary = binary::build(&["failpoints"]);

    let mut settings = Settings::enterprise().token(Token::new(SHARED_TOKEN));
    for (name, id) in ORGS {
        settings = settings.token(Token::for_orgs(&workspace::token(name), [id]));
    }
    let receiver = Receiver::start(settings).await.unwrap();
    let workspace = Workspace::new(&receiver.url(), &Options::default());
    let ledger = Ledger { time: rfc3339_now(), ..Ledger::default() };
    let unanswered = Mutex::new(Vec::new());
    let points: Vec<&str> =
        flow::FAIL_POINTS.iter().chain(journal::failpoint::ALL).chain(api::FAIL_POINTS).copied().collect();
    let hit_log = workspace.path().join("hits.log");
    let clock = Clock::system();
    let mut killed_at: Vec<UnixMillis> = Vec::new();

    for round in 0..kills {
        let point = (round % 2 == 1).then(|| points[rng.random_range(0..points.len())]);
        // Some points are passed hundreds of times a second, some once in a start.
        let reach = [3u32, 12, 60][rng.random_range(0..3)];
        let at = point.map(|name| format!("{name}:{}", rng.random_range(1..=reach))).unwrap_or_default();
        let hits = hit_log.to_string_lossy().into_owned();
        let mut environment = vec![("TRAILWIRE_KILL_LOG", hits.as_str())];
        if point.is_some() {
            environment.push(("TRAILWIRE_KILL_AT", at.as_str()));
        }
        let Some(mut daemon) = Daemon::start(&binary, &workspace, &environment) else {
            // Killed during recovery, which is as good a moment as any.
            assert!(point.is_some(), "the daemon did not start, see {}", log(&workspace));
            continue;
        };
        if let Some(status) = daemon.status() {
            assert_balanced(&status);
        }
        under_load(&daemon.ingest.clone(), &ledger, &unanswered, || random_moment(&mut rng));
        if daemon.ended().is_none() {
            killed_at.push(clock.now().wall);
            daemon.kill();
        } else {
            assert!(point.is_some(), "the daemon ended by itself, see {}", log(&workspace));
        }
    }

    // After the last kill the product must finish by itself.
    let daemon = Daemon::start(&binary, &workspace, &[]).expect("starts after the last kill");
    let mut client = Client::new(&daemon.ingest);
    for batch in unanswered.lock().unwrap().drain(..) {
        send(&mut client, &ledger, batch).expect("a healthy daemon takes what was left");
    }
    let wanted = ledger.acknowledged.lock().unwrap().len() as u64;
    let everything = receiver
        .wait_until(Duration::from_secs(120), |_| {
            receiver.with_audit(|audit| {
                let shared: u64 = ORGS
                    .iter()
                    .filter_map(|(_, id)| audit.feed(SHARED_TOKEN, id))
                    .map(|f| f.len() as u64)
                    .sum();
                let own: u64 = ORGS
                    .iter()
                    .filter_map(|(name, id)| audit.feed(&workspace::token(name), id))
                    .map(|f| f.len() as u64)
                    .sum();
                shared >= wanted && own >= wanted
            })
        })
        .await;
    let status = daemon.status().expect("the daemon answers");
    assert!(everything, "not everything was delivered: {status:#}\n{}", log(&workspace));
    assert_balanced(&status);
    assert_eq!(total(&status, "expired") + total(&status, "lost"), 0, "{status:#}");

    // A process that dies at a fail point writes down when.
    let text = std::fs::read_to_string(&hit_log).unwrap_or_default();
    let at_points = text
        .lines()
        .filter_map(|line| line.strip_prefix("killed_at "))
        .map(|ms| UnixMillis(ms.parse().unwrap()));
    killed_at.extend(at_points);
    judge(&receiver, &ledger, &killed_at);
    hits(&hit_log, &points, kills);
}

fn judge(receiver: &Receiver, ledger: &Ledger, killed_at: &[UnixMillis]) {
    let acknowledged = ledger.acknowledged.lock().unwrap();
    let sent = ledger.sent.lock().unwrap();
    let report = receiver.report();
    assert!(report.foreign.is_empty(), "records reached a foreign sink: {:?}", report.foreign);
    assert_eq!(report.unreadable, 0, "every event is a record of ours");
    assert!(report.told_gaps.is_empty(), "nothing expired, so no gap may be told: {:?}", report.told_gaps);
    receiver.with_audit(|audit| {
        for (index, (name, id)) in ORGS.iter().enumerate() {
            for token in [workspace::token(name), SHARED_TOKEN.to_owned()] {
                let feed = audit.feed(&token, id).expect("something was delivered");
                let last = feed.keys().next_back().copied().unwrap();
                assert_eq!(feed.len() as u64, last + 1, "seq is dense for {name} under {token}");
                let mut by_id: HashMap<&str, u64> = HashMap::new();
                for (seq, arrived) in feed {
                    assert_eq!(sent.get(&arrived.id), Some(&index), "invented or foreign: {}", arrived.id);
                    assert_eq!(by_id.insert(&arrived.id, *seq), None, "{} has two seqs", arrived.id);
                    assert_eq!(arrived.prev_seq, seq.checked_sub(1), "prev_seq of {name} {seq}");
                }
                for (id, org) in acknowledged.iter().filter(|(_, org)| **org == index) {
                    assert!(
                        by_id.contains_key(id.as_str()),
                        "acknowledged and lost: {id} of organisation {org}"
                    );
                }
            }
        }
        for repeat in audit.repeats() {
            assert!(repeat.equal, "a repeat differs: {repeat:?}");
            // What the kernel had taken over at the kill may reach the receiver a little later.
            let window = -WAY_BACK_MS..=REPEAT_WINDOW_MS + WAY_BACK_MS;
            let explained = killed_at.iter().any(|kill| window.contains(&(kill.0 - repeat.first_at)));
            let kills: Vec<i64> = killed_at
                .iter()
                .map(|kill| kill.0 - repeat.first_at)
                .filter(|ms| (-3000..3000).contains(ms))
                .collect();
            assert!(
                explained,
                "repeated without a kill shortly after its first delivery (kills at {kills:?} ms): {repeat:?}"
            );
        }
        println!(
            "{} acknowledged, {} delivered, {} repeats, {} kills",
            acknowledged.len(),
            audit.records(),
            audit.repeats().len(),
            killed_at.len()
        );
    });
    for indexed in receiver.indexed() {
        let event = indexed.event();
        if let (Some(id), Some(org)) = (event["id"].as_str(), event["org_id"].as_str()) {
            let name = ORGS.iter().find(|(_, known)| *known == org).unwrap().0;
            assert_eq!(event["request"]["id"], canary::mark(name, id), "payload changed: {event}");
        }
    }
}

/// Prints how often each fail point was passed; in the big run each must have been.
fn hits(file: &Path, points: &[&str], kills: u64) {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let mut counts: BTreeMap<&str, u64> = points.iter().map(|point| (*point, 0)).collect();
    for line in text.lines() {
        let Some((name, count)) = line.rsplit_once(' ') else { continue };
        if let Some(total) = counts.get_mut(name) {
            *total += count.parse::<u64>().unwrap();
        }
    }
    println!("fail points and how often they were passed in runs that one of them ended:");
    for (name, count) in &counts {
        println!("  {count:>8}  {name}");
    }
    let never: Vec<_> = counts.iter().filter(|(_, count)| **count == 0).map(|(name, _)| *name).collect();
    assert!(kills < 1000 || never.is_empty(), "never reached: {never:?}");
}

fn log(workspace: &Workspace) -> String {
    let text = std::fs::read_to_string(workspace.path().join("daemon.log")).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
