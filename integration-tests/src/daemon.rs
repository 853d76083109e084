//! `trailwire run` as a child process.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::http::{Client, Reply};
use crate::poll;
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
        Self::start_or_status(binary, workspace, environment, &[]).ok()
    }

    /// The same with more arguments; tells how it ended when it did not get ready.
    ///
    /// # Errors
    /// The status with which it ended instead; its words are in the workspace's log.
    pub fn start_or_status(
        binary: &Path,
        workspace: &Workspace,
        environment: &[(&str, &str)],
        arguments: &[&str],
    ) -> Result<Self, ExitStatus> {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(workspace.log_path()).unwrap();
        let mut child = Command::new(binary)
            .args(["run", "--config"])
            .arg(workspace.config())
            .args(arguments)
            .env("TEST_PRODUCER_TOKEN", PRODUCER_TOKEN)
            .envs(environment.iter().copied())
            .stdin(if arguments.contains(&"--stdin") { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines.by_ref().map_while(Result::ok).find(|line| line.starts_with("ready "));
        let Some(ready) = ready else {
            return Err(child.wait().unwrap());
        };
        let value = |key: &str| {
            ready
                .split(' ')
                .find_map(|word| word.strip_prefix(key))
                .map(str::to_owned)
                .unwrap_or_else(|| panic!("{ready}"))
        };
        Ok(Self { ingest: value("ingest="), admin: value("admin="), child })
    }

    /// Its standard input, when it was started with `--stdin`.
    pub fn stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Sends a signal by its short name, such as `HUP`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
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
        self.signal("TERM");
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

    /// A page of the admin listener.
    #[must_use]
    pub fn page(&self, path: &str) -> Reply {
        Client::new(&self.admin).send("GET", path, &[], b"").expect("the daemon answers")
    }

    /// What the status page says of one sink; `org` is an id, `None` for the operator's own.
    #[must_use]
    pub fn sink(&self, org: Option<&str>, name: &str) -> Option<serde_json::Value> {
        let status = self.status()?;
        let mut sinks = status["sinks"].as_array()?.iter();
        sinks.find(|sink| sink["org"].as_str() == org && sink["name"] == name).cloned()
    }

    /// Waits until `enough` holds of a sink.
    ///
    /// # Panics
    /// When it does not in `patience`.
    pub async fn sink_until(
        &self,
        org: Option<&str>,
        name: &str,
        patience: Duration,
        enough: impl Fn(&serde_json::Value) -> bool,
    ) -> serde_json::Value {
        let what = format!("sink {name} of {org:?}");
        poll::until(&what, patience, || self.sink(org, name).filter(&enough)).await
    }

    /// Waits until every sink has got everything and has recorded it, and checks the identity.
    ///
    /// # Panics
    /// When that takes longer than `patience`, or the identity does not balance.
    pub async fn settled(&self, patience: Duration) -> serde_json::Value {
        let last = std::cell::RefCell::new(None);
        let what = || {
            let status: Option<serde_json::Value> = last.borrow().clone();
            format!("all sinks to have nothing pending: {:#}", status.unwrap_or_default())
        };
        let status = poll::until_with(what, patience, || {
            last.replace(self.status());
            last.borrow().clone().filter(|status| pending_of_configured(status) == 0)
        })
        .await;
        assert_balanced(&status);
        status
    }
}

/// What is pending for sinks that are still configured: a removed one keeps its place until a person confirms.
fn pending_of_configured(status: &serde_json::Value) -> u64 {
    let sinks = status["sinks"].as_array().unwrap().iter();
    sinks.filter(|sink| sink["state"] != "removed").map(|sink| sink["pending"].as_u64().unwrap_or(0)).sum()
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
