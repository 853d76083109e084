//! `trailwire run` as a child process.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::http::Client;
use crate::workspace::{PRODUCER_TOKEN, Workspace};

/// A running daemon; killed when dropped.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    pub ingest: String,
    pub admin: String,
}

impl Daemon {
    /// Starts it and waits for its line `ready ingest=URL admin=URL`. `None` when it ends before that, as it does when
    /// a fail point kills it during recovery.
    #[must_use]
    pub fn start(binary: &Path, workspace: &Workspace, environment: &[(&str, &str)]) -> Option<Self> {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(workspace.path().join("daemon.log"))
            .unwrap();
        let mut child = Command::new(binary)
            .args(["run", "--config"])
            .arg(workspace.config())
            .env("TEST_PRODUCER_TOKEN", PRODUCER_TOKEN)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines.by_ref().map_while(Result::ok).find(|line| line.starts_with("ready "));
        let Some(ready) = ready else {
            child.wait().unwrap();
            return None;
        };
        let value = |key: &str| {
            ready
                .split(' ')
                .find_map(|word| word.strip_prefix(key))
                .map(str::to_owned)
                .unwrap_or_else(|| panic!("{ready}"))
        };
        Some(Self { ingest: value("ingest="), admin: value("admin="), child })
    }

    /// SIGKILL, as `kill -9` does.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Whether it has ended by itself.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// SIGTERM, and waits for the end.
    pub fn terminate(mut self) -> ExitStatus {
        let status = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
        self.child.wait().unwrap()
    }

    /// The number of the process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `GET /v1/status`, `None` when the daemon has gone.
    #[must_use]
    pub fn status(&self) -> Option<serde_json::Value> {
        let reply = Client::new(&self.admin).send("GET", "/v1/status", &[], b"").ok()?;
        (reply.status == 200).then(|| reply.json())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Checks the accounting identity of every sink in a status page.
///
/// # Panics
/// When a sink does not balance.
pub fn assert_balanced(status: &serde_json::Value) {
    for sink in status["sinks"].as_array().unwrap() {
        let term = |name: &str| sink[name].as_u64().unwrap_or_else(|| panic!("{name} is missing in {sink}"));
        let right: u64 =
            ["delivered", "filtered", "grouped", "dead_lettered", "discarded", "expired", "lost", "pending"]
                .map(term)
                .iter()
                .sum();
        assert_eq!(term("stamped") - term("start"), right, "the identity does not balance: {sink}");
    }
}

/// The sum of a term over all sinks.
#[must_use]
pub fn total(status: &serde_json::Value, term: &str) -> u64 {
    status["sinks"].as_array().unwrap().iter().map(|sink| sink[term].as_u64().unwrap_or(0)).sum()
}
