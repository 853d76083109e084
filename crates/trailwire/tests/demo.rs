//! `trailwire demo` for real: the whole product in one process.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

fn demo(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trailwire"));
    command
        .args(["demo", "--data"])
        .arg(data)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Reads lines up to and including the one that holds `end`.
fn until(lines: &mut BufReader<ChildStdout>, end: &str) -> String {
    let mut seen = String::new();
    while !seen.lines().last().is_some_and(|line| line.contains(end)) {
        let before = seen.len();
        lines.read_line(&mut seen).expect("readable");
        assert!(seen.len() > before, "it ended before `{end}`:\n{seen}");
    }
    seen
}

fn start(data: &Path) -> (Child, BufReader<ChildStdout>, String) {
    let mut child = demo(data).spawn().expect("it runs");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe"));
    let screen = until(&mut lines, "Commands:");
    (child, lines, screen)
}

#[test]
fn everything_recorded_arrives_and_what_is_sent_again_is_a_duplicate() {
    let folder = tempfile::tempdir().expect("a folder");
    for counts in ["400 accepted, 0 duplicates, 0 rejected", "0 accepted, 400 duplicates, 0 rejected"] {
        let output = demo(folder.path()).arg("--exit-when-done").output().expect("it runs");
        let (screen, log) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{screen}\n{log}");
        assert!(screen.contains(counts), "{screen}\n{log}");
        assert!(screen.contains("misses nothing"), "{screen}");
        assert!(screen.lines().count() <= 24, "more than a screen:\n{screen}");
    }
}

#[test]
fn killed_it_goes_on_and_a_stopped_receiver_costs_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut child, mut lines, screen) = start(folder.path());
    assert!(screen.contains("400 accepted"), "{screen}");
    assert!(screen.lines().count() <= 40, "two screens at most:\n{screen}");
    let mut orders = child.stdin.take().expect("a pipe");

    // With the receiver stopped, the event that the screen proposes stays pending.
    orders.write_all(b"x\n").expect("told");
    until(&mut lines, "the receiver is stopped");
    let curl = screen.lines().find(|line| line.trim_start().starts_with("curl ")).expect("a proposal");
    let sent = Command::new("sh").args(["-c", curl.trim()]).output().expect("curl runs");
    let answer = String::from_utf8_lossy(&sent.stdout);
    assert!(answer.contains("\"accepted\":1"), "{answer}\n{}", String::from_utf8_lossy(&sent.stderr));
    orders.write_all(b"s\n").expect("told");
    let table = until(&mut lines, "(all)");
    let pending: Vec<&str> = table.lines().last().unwrap_or_default().split_whitespace().collect();
    assert_eq!(pending.get(5), Some(&"1"), "stored, delivered, pending of the shared sink: {table}");

    child.kill().expect("killed");
    child.wait().expect("ended");
    let (mut child, mut lines, screen) = start(folder.path());
    assert!(screen.contains("0 accepted, 400 duplicates"), "{screen}");
    let shared: Vec<&str> = screen
        .lines()
        .find(|line| line.starts_with("(all)"))
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    assert_eq!(shared.get(3..6), Some(&["401", "401", "0"][..]), "the pending event was delivered: {screen}");
    let mut orders = child.stdin.take().expect("a pipe");
    orders.write_all(b"l\nq\n").expect("told");
    let record = until(&mut lines, "{\"v\":1,");
    assert!(!record.contains("SECRET-1"), "the issue key is redacted: {record}");
    assert!(child.wait().expect("it ends").success());
}
