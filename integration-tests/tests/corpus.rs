//! Recorded calls of real client libraries through the whole product: all of them arrive, the totals are those of the
//! recording, every record keeps to its schema, and nothing planted comes out anywhere.
//!
//! The shipped sample always; `TRAILWIRE_CORPUS=FILE` (NDJSON, or the same packed as `.zst`) adds the whole recording.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use integration_tests::daemon::Daemon;
use integration_tests::judge::{arrived, assert_sound, collector};
use integration_tests::planted::Planted;
use integration_tests::producer::Producer;
use integration_tests::workspace::{self, ORGS, Options, SHARED_TOKEN, Workspace};
use integration_tests::{binary, command};
use receiver::Receiver;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(120);
/// The unpacked recording has 50 MB.
const MOST: u64 = 200 << 20;

/// `organisation class` and the like → how many.
type Table = BTreeMap<String, u64>;

/// Counts by one member.
#[derive(Debug, Default, PartialEq, Eq)]
struct Totals {
    orgs: Table,
    apps: Table,
    kinds: Table,
    status_classes: Table,
    statuses: Table,
    org_classes: Table,
    app_classes: Table,
}

impl Totals {
    /// Works for raw events and for records: what is counted keeps its name and place.
    fn add(&mut self, event: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or("(none)").to_owned();
        let site = text(&event["site"]);
        let label = site.split('.').next().unwrap();
        let org = label.strip_suffix("-sandbox").unwrap_or(label).to_owned();
        let app = text(&event["app"]["key"]);
        if let Some(status) = event["response"]["status"].as_u64() {
            let class = format!("{}xx", status / 100);
            *self.statuses.entry(status.to_string()).or_default() += 1;
            *self.org_classes.entry(format!("{org} {class}")).or_default() += 1;
            *self.app_classes.entry(format!("{app} {class}")).or_default() += 1;
            *self.status_classes.entry(class).or_default() += 1;
        }
        *self.orgs.entry(org).or_default() += 1;
        *self.apps.entry(app).or_default() += 1;
        *self.kinds.entry(text(&event["kind"])).or_default() += 1;
    }

    fn of(events: impl IntoIterator<Item = Value>) -> Self {
        let mut totals = Self::default();
        for event in events {
            totals.add(&event);
        }
        totals
    }
}

/// Sends `text` through a daemon and checks everything; returns the totals of what arrived.
async fn through_the_product(text: &str) -> Totals {
    let binary = binary::build(&[]);
    let planted = Planted::read();
    let receiver = Receiver::start(collector()).await.unwrap();
    let options = Options { operator: "log: {level: debug}".to_owned(), ..Options::default() };
    let workspace = Workspace::new(&receiver.url(), &options);
    let daemon = Daemon::start(&binary, &workspace, &[]).expect("starts");

    let lines: Vec<&str> = text.lines().collect();
    let raw = Totals::of(lines.iter().map(|line| serde_json::from_str(line).unwrap()));
    let mut producer = Producer::new(&daemon.ingest);
    let mut answers = String::new();
    for batch in lines.chunks(1000) {
        let reply = producer.post(&[], batch.join("\n").as_bytes());
        assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
        let expected = json!({"accepted": batch.len(), "duplicates": 0, "rejected": []});
        assert_eq!(reply.json(), expected);
        answers.push_str(&String::from_utf8(reply.body).unwrap());
    }

    let count = lines.len() as u64;
    let own = |name: &str| raw.orgs.get(name).copied().unwrap_or(0);
    let wanted = count + ORGS.iter().map(|(name, _)| own(name)).sum::<u64>();
    assert!(receiver.wait_for_events(wanted, PATIENCE).await, "not all arrived: {:?}", receiver.totals());
    let status = daemon.settled(PATIENCE).await;
    assert_sound(&receiver);
    for (name, id) in ORGS {
        assert_eq!(arrived(&receiver, &workspace::token(name), id), own(name), "{name}");
    }
    for indexed in receiver.indexed() {
        // A second canary: the recording names every site after its organisation.
        let event = indexed.event();
        for (name, _) in ORGS.iter().filter(|(name, _)| workspace::token(name) == indexed.token) {
            assert!(event["site"].as_str().unwrap().starts_with(name), "{event}");
        }
    }

    // Lines that are refused must not be quoted either.
    let damaged: Vec<String> =
        lines.iter().take(2000).enumerate().map(|(at, line)| damage(at, line)).collect();
    for batch in damaged.chunks(500) {
        let reply = producer.post(&[], batch.join("\n").as_bytes());
        assert_eq!(reply.status, 200);
        assert_eq!(reply.json()["accepted"], 0);
        assert_eq!(reply.json()["rejected"].as_array().unwrap().len(), batch.len(), "{}", reply.json());
        answers.push_str(&String::from_utf8(reply.body).unwrap());
    }
    daemon.settled(PATIENCE).await;
    let pages = [daemon.page("/metrics"), daemon.page("/v1/status")].map(|page| page.body);
    assert!(daemon.terminate().success());

    let mut delivered = Vec::new();
    for indexed in receiver.indexed() {
        delivered.extend_from_slice(indexed.envelope.event.as_bytes());
        delivered.extend_from_slice(indexed.envelope.fields.as_deref().unwrap_or("").as_bytes());
        delivered.push(b'\n');
    }
    planted.assert_absent("what the receiver got", &delivered);
    planted.assert_absent("answers", answers.as_bytes());
    planted.assert_absent("the status page at first", status.to_string().as_bytes());
    planted.assert_absent("/metrics", &pages[0]);
    planted.assert_absent("/v1/status", &pages[1]);
    let log = workspace.log();
    assert!(log.contains("DEBUG"), "the log is as talkative as it was told to be");
    planted.assert_absent("the log", log.as_bytes());
    let mut files = 0;
    each_file(&workspace.path().join("data"), &mut |path| {
        let found = planted.found_in_binary(&std::fs::read(path).unwrap()).join(", ");
        assert!(found.is_empty(), "planted values in {}: {found}", path.display());
        files += 1;
    });
    assert!(files > 8, "the journal has files");

    valid_by_the_schema(&binary, workspace.path(), &receiver);
    let records = receiver.indexed().into_iter().filter(|indexed| indexed.token == SHARED_TOKEN);
    let totals = Totals::of(records.map(|indexed| indexed.event()));
    assert_eq!(totals, raw, "the totals of what arrived are those of what was sent");
    inspect(&binary, &workspace, &totals);
    totals
}

/// What the command counts in the journal is the same.
fn inspect(binary: &Path, workspace: &Workspace, expected: &Totals) {
    let journal = workspace.journal();
    let said = command::run(
        binary,
        workspace.path(),
        &["journal", "inspect", journal.to_str().unwrap(), "--totals", "--json"],
    );
    assert_eq!(said.code, 0, "{said:?}");
    let totals = &said.json()["totals"];
    let table = |name: &str| -> Table { serde_json::from_value(totals[name].clone()).unwrap() };
    assert_eq!(table("apps"), expected.apps);
    assert_eq!(table("kinds"), expected.kinds);
    assert_eq!(table("status_classes"), expected.status_classes);
    // By id there, by name here.
    let orgs = table("orgs");
    let sorted = |table: &Table| {
        let mut counts: Vec<u64> = table.values().copied().collect();
        counts.sort_unstable();
        counts
    };
    assert_eq!(sorted(&orgs), sorted(&expected.orgs));
    for (name, id) in ORGS {
        assert_eq!(orgs.get(id), expected.orgs.get(name), "{name}");
    }
    assert_eq!(totals["records"].as_u64(), Some(expected.orgs.values().sum()));
}

fn damage(at: usize, line: &str) -> String {
    match at % 5 {
        0 => line.replacen('"', "", 1),
        1 => line.chars().take(line.chars().count() * 2 / 3).collect(),
        2 => line.replacen("\"time\":\"", "\"time\":\"x", 1),
        3 => line.replacen("\"org_id\":\"", "\"org_id\":\"eyJ ", 1),
        _ => line.replacen("{\"id\"", "{\"id\":\"twice\",\"id\"", 1),
    }
}

fn each_file(folder: &Path, visit: &mut dyn FnMut(&Path)) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { each_file(&path, visit) } else { visit(&path) }
    }
}

fn valid_by_the_schema(binary: &Path, folder: &Path, receiver: &Receiver) {
    let said = command::run(binary, folder, &["schema", "record"]);
    assert_eq!(said.code, 0, "{said:?}");
    let validator = jsonschema::validator_for(&said.json()).unwrap();
    assert!(!validator.is_valid(&json!({"v": 1})), "the schema asks for something");
    for indexed in receiver.indexed().iter().filter(|indexed| indexed.token == SHARED_TOKEN) {
        let event = indexed.event();
        let faults: Vec<String> = validator.iter_errors(&event).map(|fault| fault.to_string()).collect();
        assert!(faults.is_empty(), "{faults:#?} in {event:#}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shipped_sample_goes_through() {
    let path = binary::root().join("config/demo/real-sample.ndjson");
    let totals = through_the_product(&std::fs::read_to_string(path).unwrap()).await;
    assert_eq!(totals.orgs.len(), 8);
    assert_eq!(totals.apps.len(), 14);
    assert_eq!(totals.kinds.len(), 3);
    assert_eq!(totals.status_classes.keys().collect::<Vec<_>>(), ["2xx", "4xx", "5xx"]);
}

/// The recording, when its file is there.
#[allow(clippy::disallowed_methods, reason = "whoever runs the test names the file")]
fn recording() -> Option<String> {
    let file = std::env::var("TRAILWIRE_CORPUS").ok()?;
    if !file.ends_with(".zst") {
        return Some(std::fs::read_to_string(&file).unwrap());
    }
    let packed = std::fs::File::open(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
    let mut text = String::new();
    zstd::stream::read::Decoder::new(packed).unwrap().take(MOST).read_to_string(&mut text).unwrap();
    Some(text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_recording_goes_through() {
    let Some(text) = recording() else {
        println!("skipped: TRAILWIRE_CORPUS names no recording");
        return;
    };
    let totals = through_the_product(&text).await;
    let table = |rows: &[(&str, u64)]| -> Table { rows.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect() };
    assert_eq!(totals.kinds, table(&[("api_call", 53_352), ("lifecycle", 60), ("app_event", 40)]));
    assert_eq!(totals.status_classes, table(&[("2xx", 48_893), ("4xx", 3960), ("5xx", 499)]));
    let statuses = [
        ("200", 41_697),
        ("201", 4067),
        ("202", 401),
        ("204", 2728),
        ("400", 554),
        ("401", 290),
        ("403", 1041),
        ("404", 1491),
        ("409", 45),
        ("413", 52),
        ("429", 487),
        ("500", 141),
        ("502", 95),
        ("503", 263),
    ];
    assert_eq!(totals.statuses, table(&statuses));
    compare(&totals.orgs, &totals.org_classes, &ORG_ROWS);
    compare(&totals.apps, &totals.app_classes, &APP_ROWS);
}

/// Events, 2xx, 4xx, 5xx.
type Row = (&'static str, [u64; 4]);

const ORG_ROWS: [Row; 8] = [
    ("acme", [8450, 7793, 555, 77]),
    ("borealis", [6608, 6147, 391, 67]),
    ("cobalt", [5976, 5424, 482, 57]),
    ("dunes", [6777, 6268, 425, 71]),
    ("evergreen", [3698, 3426, 231, 32]),
    ("fjordline", [5438, 5049, 338, 41]),
    ("granite", [5295, 4410, 817, 51]),
    ("harbor", [11_210, 10_376, 721, 103]),
];

const APP_ROWS: [Row; 14] = [
    ("beacon-status-light", [7310, 6871, 375, 62]),
    ("cadence-sprints", [4000, 3662, 283, 46]),
    ("com.example.ferry.import", [3514, 3242, 239, 31]),
    ("com.example.gatehouse.admin", [7978, 7128, 767, 72]),
    ("com.example.hookline.events", [660, 558, 88, 8]),
    ("com.example.hourglass.timesheets", [1958, 1828, 106, 16]),
    ("com.example.inkwell.export", [6008, 5530, 410, 57]),
    ("com.example.lanternfish.insights", [1510, 927, 559, 17]),
    ("com.example.tideline.sync", [4660, 4396, 221, 39]),
    ("deskbridge-console", [2188, 2041, 113, 30]),
    ("ledger-permission-review", [5854, 5448, 331, 53]),
    ("panorama-boards", [2358, 2212, 123, 17]),
    ("quillpress-publisher", [4107, 3799, 266, 38]),
    ("rollcall-directory", [1347, 1251, 79, 13]),
];

fn compare(events: &Table, classes: &Table, rows: &[Row]) {
    let names: BTreeSet<&str> = events.keys().map(String::as_str).collect();
    assert_eq!(names, rows.iter().map(|(name, _)| *name).collect());
    for (name, expected) in rows {
        let class = |class: &str| classes.get(&format!("{name} {class}")).copied().unwrap_or(0);
        assert_eq!([events[*name], class("2xx"), class("4xx"), class("5xx")], *expected, "{name}");
    }
}
