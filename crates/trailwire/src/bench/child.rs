//! Child processes of the same binary, spoken to line by line.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{ChildStdin, ChildStdout, Command};

use super::process::Usage;

/// A child; killed when dropped.
#[derive(Debug)]
pub(crate) struct Child {
    name: &'static str,
    process: tokio::process::Child,
    pid: u32,
    orders: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    log: std::path::PathBuf,
}

/// Lines of the child's log that an error shows.
const LOG_TAIL: usize = 12;

impl Child {
    /// Starts this binary with `args`; its standard error goes to `log`.
    pub(crate) fn start<S: AsRef<OsStr>>(
        name: &'static str,
        args: impl IntoIterator<Item = S>,
        environment: &[(&str, &str)],
        log: &Path,
    ) -> anyhow::Result<Self> {
        let binary = std::env::current_exe().context("finding this binary")?;
        let file = std::fs::File::create(log).with_context(|| format!("creating {}", log.display()))?;
        let mut process = Command::new(binary)
            .args(args)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting the {name}"))?;
        let pid = process.id().context("a process that was just started has a number")?;
        let lines = process.stdout.take().context("its standard output is a pipe")?;
        let orders = process.stdin.take();
        Ok(Self { name, process, pid, orders, lines: BufReader::new(lines).lines(), log: log.to_owned() })
    }

    /// The next line that it prints.
    pub(crate) async fn line(&mut self, patience: Duration) -> anyhow::Result<String> {
        match tokio::time::timeout(patience, self.lines.next_line()).await {
            Ok(Ok(Some(line))) => Ok(line),
            Ok(Ok(None)) => bail!("the {} ended by itself:\n{}", self.name, self.log_tail()),
            Ok(Err(error)) => Err(error).with_context(|| format!("reading from the {}", self.name)),
            Err(_) => bail!("the {} said nothing for {patience:?}:\n{}", self.name, self.log_tail()),
        }
    }

    /// Tells it a line.
    pub(crate) async fn tell(&mut self, order: &str) -> anyhow::Result<()> {
        let orders = self.orders.as_mut().context("its standard input is a pipe")?;
        let told = orders.write_all(format!("{order}\n").as_bytes()).await;
        told.with_context(|| format!("telling the {} `{order}`:\n{}", self.name, self.log_tail()))
    }

    /// Tells it a line and reads its answer, JSON.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &mut self,
        order: &str,
        patience: Duration,
    ) -> anyhow::Result<T> {
        self.tell(order).await?;
        let line = self.line(patience).await?;
        serde_json::from_str(&line).with_context(|| format!("the {} answered `{line}`", self.name))
    }

    /// What it has used so far.
    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        Usage::of(self.pid)
    }

    /// Asks it to end with SIGTERM and waits.
    pub(crate) async fn terminate(mut self, patience: Duration) -> anyhow::Result<ExitStatus> {
        let pid = i32::try_from(self.pid)
            .ok()
            .and_then(rustix::process::Pid::from_raw)
            .context("a process number")?;
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).context("asking it to end")?;
        match tokio::time::timeout(patience, self.process.wait()).await {
            Ok(status) => Ok(status?),
            Err(_) => bail!("the {} did not end within {patience:?}:\n{}", self.name, self.log_tail()),
        }
    }

    /// Kills it as `kill -9` does.
    pub(crate) async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.process.kill().await?)
    }

    fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(LOG_TAIL)..).unwrap_or_default().join("\n")
    }
}
