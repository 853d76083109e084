//! The processes of the benches, run for real and small.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use receiver::{Fault, Receiver, Reply, Settings};
use serde_json::{Value, json};

const TRAILWIRE: &str = env!("CARGO_BIN_EXE_trailwire");

#[test]
fn load_and_receiver_measure_each_other() {
    let output = Command::new(TRAILWIRE)
        .args(["bench", "harness", "--events", "2500", "--orgs", "20", "--json"])
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("json");
    let figures = report["runs"][0]["figures"].as_array().expect("figures");
    let figure = |name: &str| {
        figures
            .iter()
            .find(|figure| figure["name"] == name)
            .and_then(|figure| figure["value"].as_f64())
            .expect("there")
    };
    assert!(
        (833.0..834.0).contains(&figure("rows per request")),
        "2,500 events in requests of 1,000: {report:#}"
    );
    assert!(figure("latencies looked at") > 2_400.0, "{report:#}");
}

#[tokio::test]
async fn the_load_sends_a_batch_again_until_it_is_taken() {
    let receiver = Receiver::start(Settings::enterprise()).await.expect("a port");
    let busy =
        || Fault::reply(Reply::json(http::StatusCode::SERVICE_UNAVAILABLE, &json!({})).retry_after("0"));
    receiver.script([busy(), Fault::reply_lost(), busy()]);
    let taken = json!({"accepted": 9, "duplicates": 1, "rejected": [{"line": 1, "code": "TW-1"}]});
    receiver.always(Some(Fault::reply(Reply::json(http::StatusCode::OK, &taken))));

    let mut load = Command::new(TRAILWIRE)
        .args([
            "bench-load",
            "--url",
            &receiver.url(),
            "--token",
            "t",
            "--events",
            "20",
            "--orgs",
            "2",
            "--apps",
            "2",
        ])
        .args(["--seed", "1", "--batch", "10", "--connections", "1", "--rate", "1000"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut lines = BufReader::new(load.stdout.take().expect("a pipe")).lines();
    assert_eq!(lines.next().expect("a line").expect("text"), "ready");
    assert_eq!(receiver.totals().requests, 0, "it waits for the word");
    load.stdin.as_mut().expect("a pipe").write_all(b"go\n").expect("told");
    assert!(receiver.wait_until(Duration::from_secs(20), |totals| totals.requests == 5).await);
    let outcome: Value = serde_json::from_str(&lines.next().expect("a line").expect("text")).expect("json");
    assert!(load.wait().expect("it ends").success());
    assert_eq!(
        (&outcome["accepted"], &outcome["duplicates"], &outcome["rejected"]),
        (&json!(18), &json!(2), &json!(2))
    );
    assert_eq!(outcome["statuses"], json!({"0": 1, "200": 2, "503": 2}), "{outcome}");
    assert_eq!(outcome["answer"]["count"], 2);
    let bodies: Vec<_> = receiver.requests().iter().map(|request| request.wire_bytes).collect();
    assert!(bodies[..4].iter().all(|bytes| bytes == &bodies[0]), "the same batch four times: {bodies:?}");
}

#[test]
fn processes_end_with_their_standard_input() {
    let mut receiver = Command::new(TRAILWIRE)
        .arg("bench-receiver")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut lines = BufReader::new(receiver.stdout.take().expect("a pipe")).lines();
    assert!(lines.next().expect("a line").expect("text").starts_with("http://127.0.0.1:"));
    drop(receiver.stdin.take());
    assert!(receiver.wait().expect("it ends").success());
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let mut generate = Command::new(TRAILWIRE)
        .args(["generate", "--events", "100000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut first = String::new();
    BufReader::new(generate.stdout.take().expect("a pipe")).read_line(&mut first).expect("a line");
    assert!(first.starts_with("{\"id\":\""));
    let output = generate.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
