//! The command line as a person or a script meets it: help, examples, exit codes, JSON, and the configuration files
//! that the documentation shows.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::path::Path;
use std::time::Duration;

use clap::{CommandFactory, Parser};
use integration_tests::command::{self, Said};
use integration_tests::daemon::{Daemon, assert_balanced};
use integration_tests::judge::{arrived, assert_sound, collector};
use integration_tests::producer::{Producer, ids};
use integration_tests::workspace::{ORGS, Options, Workspace, token};
use integration_tests::{binary, canary};
use receiver::Receiver;
use serde_json::Value;
use trailwire::cli::Cli;

const ACME: (&str, &str) = ORGS[0];
const BOREALIS: (&str, &str) = ORGS[1];
const PATIENCE: Duration = Duration::from_secs(30);

fn said(folder: &Path, arguments: &[&str]) -> Said {
    command::run(&binary::build(&[]), folder, arguments)
}

/// All commands with the words that lead to them.
fn commands() -> Vec<(Vec<String>, clap::Command)> {
    let mut all = Vec::new();
    let mut open = vec![(Vec::new(), Cli::command())];
    while let Some((path, command)) = open.pop() {
        for sub in command.get_subcommands() {
            let mut path = path.clone();
            path.push(sub.get_name().to_owned());
            open.push((path, sub.clone()));
        }
        all.push((path, command));
    }
    all
}

#[test]
fn every_command_helps() {
    let folder = tempfile::tempdir().unwrap();
    let binary = binary::build(&[]);
    let mut checked = 0;
    for (path, command) in commands().into_iter().filter(|(_, command)| !command.is_hide_set()) {
        let mut words: Vec<&str> = path.iter().map(String::as_str).collect();
        words.push("--help");
        let help = command::run(&binary, folder.path(), &words);
        assert_eq!(help.code, 0, "{help:?}");
        assert!(help.out.contains("Usage: trailwire"), "{path:?}: {}", help.out);
        assert!(command.get_about().is_some() || path.is_empty(), "{path:?} says what it is for");
        for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
            assert!(argument.get_help().is_some(), "{path:?}: `{}` says what it is", argument.get_id());
        }
        // A group of commands is explained by theirs; all others show how they are used.
        let is_group = command.get_subcommands().next().is_some() && !path.is_empty();
        assert!(is_group || help.out.contains("Example"), "{path:?} has an example:\n{}", help.out);
        checked += 1;
    }
    assert!(checked > 15, "{checked} commands");
    let version = command::run(&binary, folder.path(), &["--version"]);
    assert!(version.out.starts_with("trailwire 0."), "{version:?}");
    let help = command::run(&binary, folder.path(), &["--help"]);
    for code in 0..=5 {
        assert!(help.out.contains(&format!("{code} ")), "the exit codes are told: {}", help.out);
    }
}

#[test]
fn the_examples_of_the_help_can_be_typed() {
    let mut examples = 0;
    for (path, command) in commands() {
        let Some(after) = command.get_after_help().map(ToString::to_string) else { continue };
        for line in after.lines().filter(|line| line.starts_with("  ")) {
            for part in line.split(['|', '>']).flat_map(|part| part.split("&&")) {
                // What stands behind two spaces explains.
                let typed = part.trim().split("  ").next().unwrap();
                let words: Vec<&str> = typed.split_whitespace().collect();
                if words.first() != Some(&"trailwire") {
                    continue;
                }
                examples += 1;
                if let Err(error) = Cli::try_parse_from(&words) {
                    panic!("{path:?}: `{typed}` of the help cannot be typed: {error}");
                }
            }
        }
    }
    assert!(examples > 12, "{examples} examples");
}

#[test]
fn wrong_command_lines_end_with_2() {
    let folder = tempfile::tempdir().unwrap();
    for words in [
        &["no-such-command"][..],
        &["run", "--no-such-flag"],
        &["run", "--stdin"],
        &["ingest", "x.ndjson"],
        &["schema", "nothing"],
        &["journal", "inspect"],
    ] {
        let said = said(folder.path(), words);
        assert_eq!(said.code, 2, "{words:?}: {said:?}");
        assert!(said.err.contains("--help") && said.out.is_empty(), "it says where to look: {said:?}");
    }
}

#[test]
fn a_configuration_that_cannot_be_used_ends_with_3() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("trailwire.yaml");
    for command in [&["validate"][..], &["run"], &["sinks", "list"], &["sinks", "status"]] {
        let missing = said(folder.path(), command);
        assert_eq!(missing.code, 3, "{command:?} without a file: {missing:?}");
        assert!(format!("{}{}", missing.out, missing.err).contains("trailwire.yaml"), "{missing:?}");
    }
    std::fs::write(
        &config,
        "version: 1\nlisten: {ingest: nowhere}\nbuffer: {max_age: 7 parsecs}\nno_such: 1\n",
    )
    .unwrap();
    let text = said(folder.path(), &["validate"]);
    assert_eq!(text.code, 3);
    for word in ["listen.ingest", "buffer.max_age", "no_such"] {
        assert!(text.out.contains(word), "all problems at once, {word} too: {text:?}");
    }
    let json = said(folder.path(), &["validate", "--json"]);
    assert_eq!((json.code, &json.json()["valid"]), (3, &false.into()));
    assert!(json.json()["problems"].as_array().unwrap().len() >= 3, "{json:?}");
    let run = said(folder.path(), &["run"]);
    assert_eq!(run.code, 3, "{run:?}");
    assert!(!folder.path().join("data").try_exists().unwrap(), "nothing is made");

    std::fs::write(&config, "version: 1\nlisten: {ingest: 127.0.0.1:0, admin: 127.0.0.1:0}\n").unwrap();
    std::fs::write(folder.path().join("x.ndjson"), "{}\n").unwrap();
    let said = said(folder.path(), &["ingest", "x.ndjson", "--producer", "nobody"]);
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.err.contains("there is no producer `nobody`"), "{said:?}");
}

#[test]
fn the_shipped_examples_are_valid() {
    let binary = binary::build(&[]);
    let variables = [
        ("TRAILWIRE_GATEWAY_TOKEN", "gateway-token-0123456789"),
        ("TRAILWIRE_ACME_SYNC_TOKEN", "acme-sync-token-0123456789"),
        ("HEC_TOKEN", "11111111-0000-4000-8000-000000000001"),
        ("BOREALIS_HEC_TOKEN", "11111111-0000-4000-8000-000000000002"),
        ("BOREALIS_ARCHIVE_TOKEN", "11111111-0000-4000-8000-000000000003"),
    ];
    let mut checked = 0;
    for entry in std::fs::read_dir(binary::root().join("config/examples")).unwrap() {
        let folder = entry.unwrap().path();
        let run = |arguments: &[&str]| command::run_with(&binary, &folder, arguments, &variables, b"");
        let text = run(&["validate"]);
        assert_eq!(text.code, 0, "{}: {text:?}", folder.display());
        let json = run(&["validate", "--json"]).json();
        assert_eq!((&json["valid"], &json["blocked_sinks"]), (&true.into(), &0.into()), "{json}");
        let listed = run(&["sinks", "list", "--json"]);
        assert_eq!(listed.code, 0, "{listed:?}");
        let sinks = listed.json()["sinks"].as_array().unwrap().len();
        assert_eq!(json["sinks"], sinks, "{}", folder.display());
        assert_eq!(run(&["sinks", "list"]).out.lines().count(), sinks + 1);
        // Without its variables it says which is missing.
        let bare = command::run(&binary, &folder, &["validate"]);
        assert_eq!(bare.code, 3, "{bare:?}");
        assert!(bare.out.contains("TRAILWIRE_GATEWAY_TOKEN"), "{bare:?}");
        checked += 1;
    }
    assert_eq!(checked, 3);
}

/// The files that the README writes, in its own words: `cat > NAME <<'YAML'` up to `YAML`.
fn files_of_the_readme() -> Vec<(String, String)> {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    let parts = readme.split("cat > ").skip(1);
    parts
        .map(|part| {
            let (name, rest) = part.split_once(" <<'YAML'\n").unwrap();
            (name.to_owned(), rest.split_once("\nYAML\n").unwrap().0.to_owned() + "\n")
        })
        .collect()
}

#[test]
fn the_first_sink_of_the_readme_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    let files = files_of_the_readme();
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["trailwire.yaml", "orgs.d/acme/org.yaml", "orgs.d/acme/sinks.yaml"]);
    std::fs::create_dir_all(folder.path().join("orgs.d/acme/secrets")).unwrap();
    for (name, text) in &files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let token = folder.path().join("orgs.d/acme/secrets/hec-token");
    std::fs::write(&token, "YOUR-HEC-TOKEN").unwrap();
    std::fs::set_permissions(&token, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let variables = [("TRAILWIRE_GATEWAY_TOKEN", "a-token-of-24-random-bytes-in-base64")];
    let said =
        command::run_with(&binary::build(&[]), folder.path(), &["validate", "--json"], &variables, b"");
    assert_eq!((said.code, &said.json()["valid"]), (0, &true.into()), "{said:?}");
    assert_eq!(said.json()["problems"].as_array().unwrap().len(), 0, "{said:?}");
}

#[test]
fn schemas_are_schemas_and_the_shipped_ones() {
    let folder = tempfile::tempdir().unwrap();
    for (name, file) in [
        ("raw", "crates/event/schemas/raw-event-v1.json"),
        ("record", "crates/event/schemas/record-v1.json"),
        ("trailwire", "config/schemas/trailwire.schema.json"),
        ("org", "config/schemas/org.schema.json"),
        ("sinks", "config/schemas/sinks.schema.json"),
        ("shared-sinks", "config/schemas/shared_sinks.schema.json"),
    ] {
        let said = said(folder.path(), &["schema", name]);
        assert_eq!(said.code, 0, "{said:?}");
        let schema = said.json();
        assert!(jsonschema::meta::is_valid(&schema), "{name} is a JSON Schema");
        let shipped: Value =
            serde_json::from_str(&std::fs::read_to_string(binary::root().join(file)).unwrap()).unwrap();
        assert_eq!(schema, shipped, "{name} is {file}");
    }
}

#[test]
fn generated_events_are_the_same_for_a_seed_and_valid() {
    let folder = tempfile::tempdir().unwrap();
    let generate = |seed: &str| {
        said(folder.path(), &["generate", "--events", "240", "--orgs", "5", "--apps", "7", "--seed", seed])
    };
    let (one, again, other) = (generate("7"), generate("7"), generate("8"));
    assert_eq!(one.code, 0, "{}", one.err);
    assert_eq!(one.out, again.out);
    assert_ne!(one.out, other.out);
    let schema = said(folder.path(), &["schema", "raw"]).json();
    let validator = jsonschema::validator_for(&schema).unwrap();
    assert_eq!(one.out.lines().count(), 240);
    for line in one.out.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert!(validator.is_valid(&event), "{line}");
    }
    let mean = one.out.len() as f64 / 240.0;
    assert!((939.0..=960.0).contains(&mean), "a line has {mean} bytes on average");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_daemon_can_be_asked() {
    let binary = binary::build(&[]);
    let receiver = Receiver::start(collector()).await.unwrap();
    let workspace = Workspace::new(&receiver.url(), &Options::default());
    let run = |arguments: &[&str]| command::run(&binary, workspace.path(), arguments);
    let config = workspace.config();
    let config = config.to_str().unwrap();
    let nobody = run(&["sinks", "status", "--admin", "http://127.0.0.1:9"]);
    assert_eq!(nobody.code, 1, "{nobody:?}");
    assert!(nobody.err.contains("does the daemon run"), "{nobody:?}");

    let daemon = Daemon::start(&binary, &workspace, &[]).expect("starts");
    let mut producer = Producer::new(&daemon.ingest);
    producer.send(ACME, ids("a", 7));
    producer.send(BOREALIS, ids("b", 5));
    assert!(receiver.wait_for_events(24, PATIENCE).await);
    daemon.settled(PATIENCE).await;
    let json = run(&["sinks", "status", "--admin", &daemon.admin, "--json"]);
    assert_eq!(json.code, 0, "{json:?}");
    assert_balanced(&json.json());
    assert_eq!(json.json()["sinks"].as_array().unwrap().len(), 3);
    let text = run(&["sinks", "status", "--config", config, "--admin", &daemon.admin]);
    assert!(text.out.contains("everything") && text.out.contains(" live "), "{text:?}");
    let page = String::from_utf8(daemon.page("/metrics").body).unwrap();
    assert!(page.contains("# TYPE") && page.contains(ACME.1), "{page}");
    for path in ["/livez", "/readyz"] {
        assert_eq!(daemon.page(path).status, 200);
    }
    let only_acme = daemon.page(&format!("/v1/status?org={}", ACME.1)).json();
    let sinks = only_acme["sinks"].as_array().unwrap();
    assert_eq!(sinks.len(), 2, "its own and the shared one");
    let own = sinks.iter().find(|sink| sink["org"] == ACME.1).unwrap();
    assert_eq!(own["delivered"], 7);
    let shared = sinks.iter().find(|sink| sink["org"].is_null()).unwrap();
    assert_eq!((&shared["state"], shared.get("delivered")), (&"live".into(), None));
    assert!(!only_acme.to_string().contains(BOREALIS.1), "{only_acme}");
    assert_sound(&receiver);
    assert!(daemon.terminate().success());

    // The journal of the daemon that has ended.
    let journal = workspace.journal();
    let journal = journal.to_str().unwrap();
    let inspected = run(&["journal", "inspect", journal, "--totals", "--json"]).json();
    assert_eq!(inspected["totals"]["orgs"], serde_json::json!({ACME.1: 7, BOREALIS.1: 5}));
    let text = run(&["journal", "inspect", journal, "--totals"]);
    assert!(text.out.contains("12 records") && text.out.contains(ACME.1), "{text:?}");
    let verified = run(&["journal", "verify", journal, "--json"]);
    assert_eq!((verified.code, verified.json()), (0, serde_json::json!({"findings": []})));
    let repaired = run(&["journal", "repair", journal, "--json"]);
    assert_eq!((repaired.code, &repaired.json()["changed"]), (0, &false.into()), "{repaired:?}");
    for command in ["inspect", "verify", "repair"] {
        let nothing = run(&["journal", command, "no/such/journal"]);
        assert_eq!(nothing.code, 1, "{nothing:?}");
        assert!(nothing.err.contains("there is no journal"), "{nothing:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_status_of_five_hundred_sinks_is_read_whole() {
    let binary = binary::build(&[]);
    let workspace = Workspace::new("http://127.0.0.1:9", &Options::default());
    let sink = |n: usize| {
        format!(
            "  s{n:03}: {{type: splunk_hec, endpoint: \"http://127.0.0.1:9\", token: \"${{file:hec-token}}\"}}\n"
        )
    };
    let sinks: String = (0..500).map(sink).collect();
    workspace.write_sinks(ACME.0, &format!("version: 1\nsinks:\n{sinks}"));
    let daemon = Daemon::start(&binary, &workspace, &[]).expect("starts");
    let json =
        command::run(&binary, workspace.path(), &["sinks", "status", "--admin", &daemon.admin, "--json"]);
    assert_eq!(json.code, 0, "{}", json.err);
    assert!(json.out.len() > 2 * (64 << 10), "{} bytes test nothing", json.out.len());
    assert_eq!(json.json()["sinks"].as_array().unwrap().len(), 502);
    let text = command::run(&binary, workspace.path(), &["sinks", "status", "--admin", &daemon.admin]);
    assert_eq!((text.code, text.out.lines().filter(|line| line.contains(" s4")).count()), (0, 100));
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_master_secret_beside_the_journal_does_not_start() {
    let binary = binary::build(&[]);
    let options =
        Options { operator: "master_secret: \"${env:TEST_MASTER}\"".to_owned(), ..Options::default() };
    let workspace = Workspace::new("http://127.0.0.1:9", &options);
    let (one, other) = ("one-secret-of-32-characters-or-more", "another-secret-of-32-characters-or-more");
    let daemon = Daemon::start(&binary, &workspace, &[("TEST_MASTER", one)]).expect("starts");
    assert!(daemon.terminate().success());
    let status = Daemon::start_or_status(&binary, &workspace, &[("TEST_MASTER", other)], &[]).unwrap_err();
    assert_eq!(status.code(), Some(1));
    let log = workspace.log();
    assert!(log.contains("the master secret is not the one"), "{log}");
    assert!(!log.contains(other) && !log.contains(one), "{log}");
    let daemon = Daemon::start(&binary, &workspace, &[("TEST_MASTER", one)]).expect("starts again");
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_ends_clean() {
    let folder = tempfile::tempdir().unwrap();
    let said = tokio::task::spawn_blocking(move || said(folder.path(), &["demo", "--exit-when-done"]))
        .await
        .unwrap();
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("400"), "{}", said.out);
    assert!(said.out.lines().count() <= 50, "one screen: {}", said.out);
}

/// The three files that the documentation of the configuration begins with, as they stand there.
const TRAILWIRE_YAML: &str = r#"# trailwire.yaml (operator)
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
const ORG_YAML: &str = r"# orgs.d/acme/org.yaml
version: 1
id: 84383462-b484-4cc4-bb21-ef2ecb49a2b1
name: Acme
";
const SINKS_YAML: &str = r#"# orgs.d/acme/sinks.yaml (security team); ${file:x} resolves below orgs.d/acme/secrets/ only, ${env:} only with the operator's prefix for this org
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
const GATEWAY_TOKEN: &str = "gateway-token-0123456789";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_files_of_the_documentation_run() {
    let binary = binary::build(&[]);
    let receiver = Receiver::start(collector()).await.unwrap();
    // The folder of a workspace with its secrets, and these three files in it.
    let workspace = Workspace::new(&receiver.url(), &Options { no_shared: true, ..Options::default() });
    std::fs::remove_dir_all(workspace.path().join("orgs.d/borealis")).unwrap();
    std::fs::write(workspace.config(), TRAILWIRE_YAML).unwrap();
    std::fs::write(workspace.path().join("orgs.d/acme/org.yaml"), ORG_YAML).unwrap();
    workspace.write_sinks("acme", SINKS_YAML);
    let apps = workspace.path().join("apps.yaml");
    let output = workspace.path().join("some.ndjson");
    let made = said(
        workspace.path(),
        &[
            "generate",
            "--events",
            "1",
            "--output",
            output.to_str().unwrap(),
            "--apps-yaml",
            apps.to_str().unwrap(),
        ],
    );
    assert_eq!(made.code, 0, "{made:?}");
    let variables = [
        ("TRAILWIRE_GATEWAY_TOKEN", GATEWAY_TOKEN),
        // Free ports for the test; they win over the file.
        ("TRAILWIRE__LISTEN__INGEST", "127.0.0.1:0"),
        ("TRAILWIRE__LISTEN__ADMIN", "127.0.0.1:0"),
    ];
    let validate =
        |arguments: &[&str]| command::run_with(&binary, workspace.path(), arguments, &variables, b"");

    let said = validate(&["validate", "--json"]);
    let judged = said.json();
    assert_eq!((said.code, &judged["blocked_sinks"]), (3, &1.into()), "{judged:#}");
    let problems = judged["problems"].as_array().unwrap().clone();
    let unsupported: Vec<&Value> =
        problems.iter().filter(|problem| problem.to_string().contains("not supported yet")).collect();
    assert_eq!((problems.len(), unsupported.len()), (2, 2), "nothing else is wrong: {problems:#?}");
    assert!(
        format!("{problems:?}").contains("select.filter") && format!("{problems:?}").contains("rate_limit")
    );

    let daemon =
        Daemon::start(&binary, &workspace, &variables).expect("a sink that cannot run stops no start");
    let sink = daemon.sink(Some(ACME.1), "soc-splunk").unwrap();
    assert_eq!(sink["state"], "blocked", "{sink:#}");
    assert!(sink["last_error"]["what"].as_str().unwrap().contains("not supported yet"), "{sink:#}");
    post(&daemon, &[ACME, BOREALIS], "waiting");
    let sink = daemon.sink(Some(ACME.1), "soc-splunk").unwrap();
    assert_eq!(sink["pending"], 10, "it keeps its place: {sink:#}");

    // Without the two keys, to a receiver on this machine.
    let runnable: String = SINKS_YAML
        .replace("https://http-inputs-acme.example.com", &receiver.url())
        .replace(", filter: \"-effect:read OR outcome:failure\"", "")
        .replace("    rate_limit: {events: 2000/s}\n", "");
    assert_eq!(runnable.lines().count(), SINKS_YAML.lines().count() - 1);
    workspace.write_sinks("acme", &runnable);
    let said = validate(&["validate", "--json"]);
    assert_eq!((said.code, &said.json()["valid"]), (0, &true.into()), "{said:?}");
    daemon.signal("HUP");
    assert!(
        receiver.wait_for_events(10, PATIENCE).await,
        "what waited arrives: {:#}",
        daemon.status().unwrap()
    );
    post(&daemon, &[ACME, BOREALIS], "later");
    assert!(receiver.wait_for_events(20, PATIENCE).await);
    daemon.settled(PATIENCE).await;
    assert_eq!(arrived(&receiver, &token(ACME.0), ACME.1), 20);
    assert_sound(&receiver);
    assert_eq!(receiver.totals().events, 20, "the other organisation has no sink");
    for indexed in receiver.indexed() {
        assert_eq!(indexed.envelope.index, "app_calls");
    }
    assert!(daemon.terminate().success());
}

/// Ten events of each organisation, as the producer `gateway`.
fn post(daemon: &Daemon, orgs: &[(&str, &str)], prefix: &str) {
    let time = integration_tests::producer::rfc3339_now();
    let body: String = orgs
        .iter()
        .flat_map(|org| {
            ids(&format!("{prefix}-{}", org.0), 10)
                .map(|id| canary::event(*org, &id, &time) + "\n")
                .collect::<Vec<_>>()
        })
        .collect();
    let authorization = format!("Bearer {GATEWAY_TOKEN}");
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/x-ndjson")];
    let mut client = integration_tests::http::Client::new(&daemon.ingest);
    let reply = client.send("POST", "/v1/events", &headers, body.as_bytes()).unwrap();
    assert_eq!(reply.json()["accepted"], 10 * orgs.len(), "{}", reply.json());
}
