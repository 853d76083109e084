//! The shipped configuration: examples, schemas, and the page on keys, against the program that reads them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at the first surprise")]

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use config::{Loaded, SinkType, StartFrom, load, parse_yaml, schemas};
use serde_json::Value;
use splunk_hec::Settings;

fn types() -> [SinkType<Settings>; 1] {
    [splunk_hec::settings::sink_type(Settings::compile)]
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn write(path: &Path, text: &str, mode: u32) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Copies an example, so that a secret can be put into it.
fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            write(&to, &std::fs::read_to_string(entry.path()).unwrap(), 0o644);
        }
    }
}

fn example(name: &str, secret: Option<&str>) -> Loaded<Settings> {
    let folder = tempfile::tempdir().unwrap();
    copy(&root().join("config/examples").join(name), folder.path());
    if let Some(path) = secret {
        write(&folder.path().join(path), "a-token\n", 0o600);
    }
    let env = [
        ("TRAILWIRE_GATEWAY_TOKEN", "0123456789abcdef0123456789abcdef"),
        ("TRAILWIRE_ACME_SYNC_TOKEN", "fedcba9876543210fedcba9876543210"),
        ("BOREALIS_HEC_TOKEN", "b"),
        ("BOREALIS_ARCHIVE_TOKEN", "c"),
        ("HEC_TOKEN", "d"),
    ];
    let env: BTreeMap<String, String> = env.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    let loaded =
        load(&folder.path().join("trailwire.yaml"), &env, &types()).unwrap_or_else(|p| panic!("{p}"));
    assert!(loaded.problems().is_empty(), "{}", loaded.problems());
    for sink in &loaded.sinks {
        assert!(sink.settings.token.read().is_ok(), "{}", sink.name);
    }
    loaded
}

#[test]
fn examples_are_good() {
    let minimal = example("minimal", None);
    assert_eq!((minimal.operator.producers.len(), minimal.sinks.len()), (1, 0));

    let two = example("two-orgs", Some("orgs.d/acme/secrets/hec-token"));
    assert_eq!((two.orgs.len(), two.sinks.len(), two.operator.producers.len()), (2, 3, 2));
    let archive = two.sinks.iter().find(|sink| sink.name == "archive").unwrap();
    assert!(archive.common.paused && archive.common.from == StartFrom::Earliest);

    let shared = example("shared-sink", Some("secrets/hec-token"));
    assert_eq!(shared.sinks.len(), 2);
    assert!(shared.sinks.iter().all(|sink| sink.owner.is_none()));
}

/// The three files that the house plan promises to run.
const TRAILWIRE: &str = r#"
version: 1
data_dir: data
listen: {ingest: 127.0.0.1:8080, admin: 127.0.0.1:8081}      # admin on a public address requires a token
producers:
  gateway: {token: "${env:TRAILWIRE_GATEWAY_TOKEN}", orgs: "*", kinds: "*"}
sources: {}                       # http is always on; files, kafka, atlassian are declared here
buffer: {max_age: 7d, max_bytes: 50GiB}
apps: {files: [apps.yaml]}
orgs_dir: orgs.d
unknown_org: accept               # accept (at most 100,000 orgs) | refuse
egress: {allow: [{cidr: 127.0.0.0/8, plaintext: true}]}     # operator only: tenants cannot widen it
"#;
const ORG: &str = "version: 1\nid: 84383462-b484-4cc4-bb21-ef2ecb49a2b1\nname: Acme\n";
const SINKS: &str = r#"
version: 1
sinks:
  soc-splunk:
    type: splunk_hec
    endpoint: https://http-inputs-acme.example.com
    token: ${file:hec-token}
    index: app_calls
    select: {calls: all, filter: "-effect:read OR outcome:failure"}
    encoding: {format: record}
    batch: {max_bytes: 1MB, max_events: 5000, max_delay: 1s}
    request: {timeout: 30s, concurrency: 4}
    rate_limit: {events: 2000/s}
"#;

fn house_plan(sinks: &str) -> Loaded<Settings> {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("trailwire.yaml"), TRAILWIRE, 0o644);
    write(&folder.path().join("apps.yaml"), "version: 1\napps:\n- key: com.example.sync\n", 0o644);
    write(&folder.path().join("orgs.d/acme/org.yaml"), ORG, 0o644);
    write(&folder.path().join("orgs.d/acme/sinks.yaml"), sinks, 0o644);
    write(&folder.path().join("orgs.d/acme/secrets/hec-token"), "a-token", 0o600);
    let env = BTreeMap::from([("TRAILWIRE_GATEWAY_TOKEN".to_owned(), "x".repeat(32))]);
    load(&folder.path().join("trailwire.yaml"), &env, &types()).unwrap_or_else(|p| panic!("{p}"))
}

#[test]
fn the_files_of_the_house_plan_load_and_only_the_sink_waits_for_what_is_not_supported_yet() {
    let loaded = house_plan(SINKS);
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    assert_eq!((loaded.orgs.len(), loaded.sinks.len(), loaded.broken.len()), (1, 0, 1));
    let broken = &loaded.broken[0];
    assert_eq!(broken.name.as_deref(), Some("soc-splunk"));
    assert_eq!(broken.owner, Some(loaded.orgs[0].id.clone()));
    let told: Vec<(&str, &str)> =
        broken.problems.iter().map(|p| (p.path.as_str(), p.what.as_str())).collect();
    assert_eq!(
        told,
        [
            ("sinks.soc-splunk.select.filter", "not supported yet"),
            ("sinks.soc-splunk.rate_limit", "not supported yet")
        ]
    );
}

#[test]
fn the_files_of_the_house_plan_run_without_filter_and_rate_limit() {
    let sinks: String = SINKS
        .lines()
        .filter(|line| !line.contains("filter:") && !line.contains("rate_limit:"))
        .map(|line| format!("{line}\n"))
        .collect();
    let loaded = house_plan(&sinks);
    assert!(loaded.problems().is_empty(), "{}", loaded.problems());
    let sink = &loaded.sinks[0];
    assert_eq!(sink.settings.endpoint, "https://http-inputs-acme.example.com/services/collector/event");
    assert_eq!(sink.settings.index.as_deref(), Some("app_calls"));
    assert_eq!(sink.common.batch.max_events, 5_000);
}

/// With `TRAILWIRE_UPDATE_SCHEMAS` in the environment the files are written instead.
#[test]
fn schemas_are_fresh() {
    let folder = root().join("config/schemas");
    for file in schemas(&types()) {
        let path = folder.join(file.name);
        if std::env::var_os("TRAILWIRE_UPDATE_SCHEMAS").is_some() {
            write(&path, &file.text, 0o644);
        }
        let shipped = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            shipped == file.text,
            "config/schemas/{} is stale: set TRAILWIRE_UPDATE_SCHEMAS and test again",
            file.name
        );
    }
}

#[test]
fn schemas_accept_the_examples_and_the_house_plan() {
    let mut checked = 0;
    let mut check = |path: &str, text: &str| {
        let name = Path::new(path).file_stem().unwrap().to_string_lossy().into_owned();
        let wanted = format!("{name}.schema.json");
        let schema = schemas(&types()).into_iter().find(|file| file.name == wanted).unwrap();
        let validator = jsonschema::validator_for(&serde_json::from_str(&schema.text).unwrap()).unwrap();
        let value: Value = parse_yaml(path, text).unwrap();
        let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{path}: {errors:?}");
        checked += 1;
    };
    check("trailwire.yaml", TRAILWIRE);
    check("org.yaml", ORG);
    check("sinks.yaml", SINKS);
    let mut folders = vec![root().join("config/examples")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "yaml") {
                check(&path.display().to_string(), &std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    assert_eq!(checked, 3 + 8);
}

/// The dotted paths of all keys of a schema; `NAME` stands for a key that people choose.
fn keys(schema: &Value, at: &Value, path: &str, found: &mut BTreeSet<String>) {
    if let Some(name) = at["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/$defs/")) {
        return keys(schema, &schema["$defs"][name], path, found);
    }
    for part in ["anyOf", "oneOf", "allOf"] {
        for inner in at[part].as_array().into_iter().flatten() {
            keys(schema, inner, path, found);
        }
    }
    let join = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    if at["items"].is_object() {
        keys(schema, &at["items"], &format!("{path}[]"), found);
    }
    if at["additionalProperties"].is_object() {
        keys(schema, &at["additionalProperties"], &join("NAME"), found);
    }
    match at["properties"].as_object() {
        Some(properties) => {
            for (key, inner) in properties {
                keys(schema, inner, &join(key), found);
            }
        }
        None if !path.is_empty() && !path.ends_with("[]") && !path.ends_with("NAME") => {
            found.insert(path.to_owned());
        }
        None => {}
    }
}

#[test]
fn the_page_on_configuration_has_every_key_and_no_other() {
    let page = std::fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let tables = page.split_once("## When a change takes effect").unwrap().1;
    let told: BTreeSet<String> = tables
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |").map(|(key, _)| key.to_owned()))
        .collect();
    let mut known = BTreeSet::new();
    for file in schemas(&types()) {
        let schema: Value = serde_json::from_str(&file.text).unwrap();
        keys(&schema, &schema, "", &mut known);
    }
    let inside: Vec<String> = known.iter().map(|key| key.replace('[', ".")).collect();
    known.retain(|key| !inside.iter().any(|other| other.starts_with(&format!("{key}."))));
    let missing: Vec<&String> = known.difference(&told).collect();
    let invented: Vec<&String> = told.difference(&known).collect();
    assert!(missing.is_empty() && invented.is_empty(), "missing: {missing:#?}\nno such key: {invented:#?}");
}
