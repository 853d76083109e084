use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use super::*;

fn events(spec: Spec, count: u64) -> Vec<Vec<u8>> {
    let generator = Generator::new(spec);
    let one = |number| {
        let mut line = Vec::new();
        generator.event(number, &mut line);
        line
    };
    (0..count).map(one).collect()
}

#[test]
fn the_same_seed_gives_the_same_bytes_for_ever() {
    let mut lines = Vec::new();
    Generator::new(Spec { orgs: 3, apps: 5, ..Spec::default() }).ndjson(0..24, &mut lines);
    insta::assert_snapshot!(String::from_utf8(lines).expect("text"));
    let mut yaml = Vec::new();
    Generator::new(Spec { orgs: 2, apps: 3, ..Spec::default() }).apps_yaml(&mut yaml).expect("to memory");
    insta::assert_snapshot!(String::from_utf8(yaml).expect("text"));
    assert_ne!(
        events(Spec { seed: 1, ..Spec::default() }, 5),
        events(Spec { seed: 2, ..Spec::default() }, 5)
    );
}

#[test]
fn the_mean_line_has_949_bytes() {
    for spec in [
        Spec::default(),
        Spec { seed: 7, ..Spec::default() },
        Spec { seed: 99, orgs: 20, apps: 10, ..Spec::default() },
        Spec { orgs: 50_000, apps: 2_000, ..Spec::default() },
    ] {
        let events = events(spec, 19_200);
        let mean = events.iter().map(Vec::len).sum::<usize>() / events.len();
        assert!((939..=959).contains(&mean), "{mean} bytes with {spec:?}");
    }
}

#[test]
fn shares_are_exact() {
    let mut operations: BTreeMap<String, u32> = BTreeMap::new();
    let (mut headers, mut failures, mut both) = (0, 0, 0);
    let events = events(Spec::default(), 1_920);
    let (mut ids, mut orgs, mut last_time) = (HashSet::new(), HashSet::new(), String::new());
    for line in &events {
        let event: Value = serde_json::from_slice(line).expect("json");
        assert_eq!(event["kind"], "api_call");
        let request = &event["request"];
        let path = request["path"].as_str().expect("a path");
        let shape: String = path
            .split('/')
            .map(|s| {
                if s.ends_with(|c: char| c.is_ascii_digit()) && s != "v2" && s != "3" && s != "1.0" {
                    "*"
                } else {
                    s
                }
            })
            .collect::<Vec<_>>()
            .join("/");
        *operations.entry(format!("{} {shape}", request["method"])).or_default() += 1;
        let with_headers = request["headers"]["x-audit-log-description"].is_string();
        assert_eq!(with_headers, request["headers"]["x-audit-log-group"].is_string());
        let failed = event["response"]["status"].as_u64().expect("a status") / 100 != 2;
        headers += u32::from(with_headers);
        failures += u32::from(failed);
        both += u32::from(with_headers && failed);
        assert!(ids.insert(event["id"].to_string()), "ids are unique");
        orgs.insert(event["org_id"].to_string());
        let time = event["time"].as_str().expect("a time").to_owned();
        assert_eq!(line[Generator::TIME], *time.as_bytes());
        assert!(time > last_time, "times increase");
        last_time = time;
    }
    assert_eq!(operations.len(), 12, "{operations:?}");
    assert!(operations.values().all(|count| *count == 160), "{operations:?}");
    assert_eq!((headers, failures, both), (480, 480, 120));
    assert!(orgs.len() > 1_100, "{} organisations of 2,000 in 1,920 events", orgs.len());
    for org in orgs {
        assert!(org.len() == 38 && org.matches('-').count() == 4, "{org}");
    }
}

#[test]
fn ids_stay_unique_over_many_events_and_seeds() {
    let mut ids = HashSet::new();
    let mut line = Vec::new();
    for seed in 0..4 {
        let generator = Generator::new(Spec { seed, orgs: 1, apps: 1, ..Spec::default() });
        for number in (0..20_000).chain(1 << 32..(1 << 32) + 20_000) {
            line.clear();
            generator.event(number, &mut line);
            assert!(ids.insert(line[7..43].to_vec()), "{seed} {number}");
        }
    }
}

#[test]
fn every_app_of_an_event_stands_in_the_registry_with_its_installation() {
    let spec = Spec { orgs: 50, apps: 20, ..Spec::default() };
    let mut yaml = Vec::new();
    Generator::new(spec).apps_yaml(&mut yaml).expect("to memory");
    let yaml = String::from_utf8(yaml).expect("text");
    for line in events(spec, 500) {
        let event: Value = serde_json::from_slice(&line).expect("json");
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let app = yaml
            .split("\n- ")
            .find(|app| app.contains(&format!("id: {}\n", text(&event["app"]["id"]))))
            .expect("listed");
        assert!(app.contains(&format!("key: {}\n", text(&event["app"]["key"]))));
        let home = format!(
            "org_id: {}\n    site_id: {}\n    site: {}\n",
            text(&event["org_id"]),
            text(&event["site_id"]),
            text(&event["site"])
        );
        let installation = app.split("\n  - ").find(|part| part.starts_with(&home)).expect("installed there");
        assert!(installation.contains(&text(&event["app"]["installation_id"])));
    }
}
