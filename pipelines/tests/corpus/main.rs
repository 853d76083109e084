//! Recorded calls of real client libraries go through: the shipped sample always, the whole corpus when
//! `TRAILWIRE_CORPUS` names its file (decompressed NDJSON). What must hold: everything is taken, totals are those of
//! the input, and nothing planted comes out in any spelling.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test")]

mod planted;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use flow::clock::UnixMillis;
use flow::orgs::{Directory, UnknownOrgs};
use pipelines::{Decoded, Format, Grant, Input, Keys, Plan};
use serde_json::Value;

const SAMPLE: &str = include_str!("../../../config/demo/real-sample.ndjson");

/// The recording has less than this many bytes.
const MOST: u64 = 1 << 30;

/// 2026-11-20T00:00:00Z, behind the corpus.
const RECEIVED: UnixMillis = UnixMillis(1_795_132_800_000);

fn corpus() -> Option<String> {
    #[allow(clippy::disallowed_methods, reason = "the file is named by whoever runs the test")]
    let file = std::env::var("TRAILWIRE_CORPUS").ok()?;
    let bytes = std::fs::read(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
    let mut text = String::new();
    if Path::new(&file).extension().is_some_and(|extension| extension == "zst") {
        let packed = zstd::stream::read::Decoder::new(bytes.as_slice()).unwrap();
        packed.take(MOST).read_to_string(&mut text).unwrap();
    } else {
        bytes.as_slice().read_to_string(&mut text).unwrap();
    }
    Some(text)
}

fn plan() -> Plan {
    Plan::new(Keys::derive(&[1; 32]), Directory::new(8, UnknownOrgs::Accept))
}

/// Decodes `text` in batches of 1,000 lines; gives all tails and how many events were refused.
fn tails(plan: &Plan, text: &str) -> (Vec<String>, u64) {
    let grant = Grant::unlimited("gateway").unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let (mut tails, mut refused) = (Vec::new(), 0);
    let mut decoded = Decoded::new();
    for batch in lines.chunks(1000) {
        let body = batch.join("\n");
        let input = Input {
            body: body.as_bytes(),
            format: Format::Ndjson,
            grant: &grant,
            source: "http",
            received_at: RECEIVED,
            quota: &mut |_, _| Ok(()),
        };
        plan.decode(input, &mut decoded).unwrap();
        let mut rows: Vec<(u32, String)> = Vec::new();
        for part in &decoded.parts {
            for row in &part.rows {
                rows.push((row.line, String::from_utf8(part.tail(row).to_vec()).unwrap()));
            }
        }
        rows.sort();
        tails.extend(rows.into_iter().map(|(_, tail)| tail));
        refused += decoded.rejected.len() as u64;
        assert_eq!(decoded.unknown_members().total(), 0);
    }
    (tails, refused)
}

fn class(status: Option<i64>) -> String {
    status.map_or_else(|| "none".to_owned(), |s| format!("{}xx", s / 100))
}

/// Counts by organisation, app, kind and status class.
type Totals = BTreeMap<(String, String), u64>;

fn count(totals: &mut Totals, event: &Value) {
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let status = class(event["response"]["status"].as_i64());
    for key in [
        ("kind", text(&event["kind"])),
        ("status", status.clone()),
        ("org", format!("{} {status}", text(&event["org_id"]))),
        ("app", format!("{} {status}", text(&event["app"]["key"]))),
        ("site", text(&event["site"])),
        ("method", text(&event["request"]["method"])),
        ("acting_as", text(&event["actor"]["acting_as"])),
        ("credential", text(&event["actor"]["credential"])),
        ("origin", text(&event["client"]["origin"])),
        ("lifecycle", text(&event["lifecycle"]["event"])),
        ("app_event", text(&event["app_event"]["name"])),
    ] {
        *totals.entry((key.0.to_owned(), key.1)).or_default() += 1;
    }
}

fn whole(seq: usize, tail: &str) -> String {
    let head = event::record::head(seq as u64, None, false);
    format!("{}{tail}", std::str::from_utf8(head.as_bytes()).unwrap())
}

fn check(text: &str) -> (Totals, u64) {
    let plan = plan();
    let (tails, refused) = tails(&plan, text);
    assert_eq!(refused, 0);
    assert_eq!(tails.len(), text.lines().count());
    let (mut before, mut after) = (Totals::new(), Totals::new());
    let mut replaced = 0;
    for (line, (raw, tail)) in text.lines().zip(&tails).enumerate() {
        let record = whole(line, tail);
        let raw_value: Value = serde_json::from_str(raw).unwrap();
        let value: Value = serde_json::from_str(&record).unwrap();
        for member in ["id", "org_id", "time", "site_id", "product", "kind"] {
            assert_eq!(raw_value[member], value[member], "line {}", line + 1);
        }
        assert_eq!(raw_value["request"]["bytes"], value["request"]["bytes"]);
        assert_eq!(raw_value["client"]["ip"], value["client"]["ip"]);
        assert_eq!(raw_value["actor"], value["actor"]);
        let ms = raw_value["response"]["duration_ms"].as_f64();
        assert_eq!(ms.map(|ms| (ms * 1000.0).round() as i64), value["duration_us"].as_i64());
        count(&mut before, &raw_value);
        count(&mut after, &value);
        let count = value["redaction"]["count"].as_u64().unwrap();
        replaced += count;
        let bound =
            raw.len() + event::record::MAX_GROWTH + count as usize * event::record::MAX_GROWTH_PER_REPLACED;
        assert!(record.len() <= bound, "line {}", line + 1);
    }
    assert_eq!(before, after);
    planted::assert_absent(&tails);
    (after, replaced)
}

#[test]
fn the_shipped_sample_goes_through() {
    let (totals, replaced) = check(SAMPLE);
    let of = |key: &str| totals.iter().filter(|((k, _), _)| k == key).count();
    assert!(of("kind") == 3 && of("app") >= 14 && of("site") >= 8, "the sample is a sample of everything");
    assert!(replaced > 0);
    // The sample must hold what the check looks for, or the check proves nothing.
    assert!(planted::found_in(SAMPLE) >= 25);
}

#[test]
fn the_whole_corpus_goes_through() {
    let Some(text) = corpus() else { return };
    let (totals, _) = check(&text);
    let of = |key: &str, value: &str| totals.get(&(key.to_owned(), value.to_owned())).copied().unwrap_or(0);
    // The tables of the corpus's description.
    assert_eq!((of("kind", "api_call"), of("kind", "lifecycle"), of("kind", "app_event")), (53_352, 60, 40));
    assert_eq!((of("status", "2xx"), of("status", "4xx"), of("status", "5xx")), (48_893, 3960, 499));
    for (site, events) in [
        ("acme-sandbox.example.net", 533),
        ("acme.example.net", 7917),
        ("borealis.example.net", 6608),
        ("cobalt-sandbox.example.net", 486),
        ("cobalt.example.net", 5490),
        ("dunes.example.net", 6777),
        ("evergreen.example.net", 3698),
        ("fjordline.example.net", 5438),
        ("granite-sandbox.example.net", 347),
        ("granite.example.net", 4948),
        ("harbor.example.net", 11_210),
    ] {
        assert_eq!(of("site", site), events, "{site}");
    }
    for (app, ok, bad, broken) in [
        ("beacon-status-light", 6871, 375, 62),
        ("cadence-sprints", 3662, 283, 46),
        ("com.example.ferry.import", 3242, 239, 31),
        ("com.example.gatehouse.admin", 7128, 767, 72),
        ("com.example.hookline.events", 558, 88, 8),
        ("com.example.hourglass.timesheets", 1828, 106, 16),
        ("com.example.inkwell.export", 5530, 410, 57),
        ("com.example.lanternfish.insights", 927, 559, 17),
        ("com.example.tideline.sync", 4396, 221, 39),
        ("deskbridge-console", 2041, 113, 30),
        ("ledger-permission-review", 5448, 331, 53),
        ("panorama-boards", 2212, 123, 17),
        ("quillpress-publisher", 3799, 266, 38),
        ("rollcall-directory", 1251, 79, 13),
    ] {
        let got = ["2xx", "4xx", "5xx"].map(|class| of("app", &format!("{app} {class}")));
        assert_eq!(got, [ok, bad, broken], "{app}");
    }
    for (method, calls) in [("DELETE", 1899), ("GET", 40_811), ("POST", 7818), ("PUT", 2824)] {
        assert_eq!(of("method", method), calls);
    }
}

#[test]
fn damaged_lines_leak_nothing_into_rejections() {
    let damage: [fn(&str) -> String; 6] = [
        |line| line.replacen('"', "", 1),
        |line| line.chars().take(line.len() * 2 / 3).collect(),
        |line| line.replacen("\"time\":\"", "\"time\":\"x", 1),
        |line| line.replacen("\"org_id\":\"", "\"org_id\":\"eyJ ", 1),
        |line| line.replacen("\"status\":", "\"status\":-", 1),
        |line| line.replacen("{\"id\"", "{\"id\":\"twice\",\"id\"", 1),
    ];
    let lines: Vec<String> =
        SAMPLE.lines().enumerate().map(|(i, line)| damage[i % damage.len()](line)).collect();
    let plan = plan();
    let grant = Grant::unlimited("gateway").unwrap();
    let mut decoded = Decoded::new();
    let body = lines.join("\n");
    let input = Input {
        body: body.as_bytes(),
        format: Format::Ndjson,
        grant: &grant,
        source: "http",
        received_at: RECEIVED,
        quota: &mut |_, _| Ok(()),
    };
    plan.decode(input, &mut decoded).unwrap();
    assert!(decoded.rejected.len() > 300);
    let words: Vec<String> = decoded.rejected.iter().map(|r| format!("{r:?}")).collect();
    planted::assert_absent(&words);
    let ids: Vec<String> = SAMPLE
        .lines()
        .map(|l| serde_json::from_str::<Value>(l).unwrap()["id"].as_str().unwrap().to_owned())
        .collect();
    assert!(ids.iter().all(|id| words.iter().all(|words| !words.contains(id.as_str()))));
}
