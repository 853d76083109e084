//! After the summary: where to look, what to try, and the commands that make it easy.

use std::path::Path;

use flow::clock::Clock;
use receiver::Receiver;
use tokio::io::{AsyncBufReadExt, BufReader};

use super::sample::Sample;
use super::summary::{Intake, Summary};
use super::{PRODUCER_TOKEN, Served};
use crate::bench::http::Connection;

/// What the console works with.
pub(super) struct Stay<'a> {
    pub(super) sample: &'a Sample,
    pub(super) receiver: &'a Receiver,
    pub(super) served: &'a Served,
    pub(super) folder: &'a Path,
    pub(super) clock: &'a Clock,
}

impl Stay<'_> {
    /// Shows the way and obeys until `q`, Ctrl-C or SIGTERM. Without a terminal, until a signal.
    pub(super) async fn until_quit(&self) -> anyhow::Result<()> {
        self.show_the_way();
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        let mut open = true;
        loop {
            tokio::select! {
                line = lines.next_line(), if open => match line? {
                    Some(line) => {
                        if self.obey(line.trim()).await? {
                            return Ok(());
                        }
                    }
                    None => open = false,
                },
                interrupted = tokio::signal::ctrl_c() => return Ok(interrupted?),
                _ = terminate.recv() => return Ok(()),
            }
        }
    }

    fn show_the_way(&self) {
        let Served { ingest, admin, .. } = self.served;
        let folder = self.folder.display();
        let now = event::time::format_ms(self.clock.now().wall.0);
        let now = String::from_utf8_lossy(&now);
        let org = self.sample.orgs.keys().next().map_or("acme", String::as_str);
        let pid = std::process::id();
        println!(
            "
Where to look
  status         {admin}/v1/status
  metrics        {admin}/metrics
  configuration  {folder}/trailwire.yaml, orgs.d/, shared_sinks.yaml
  journal        trailwire journal inspect {folder}/data/journal --totals

What to try
  send an event of your own, then `s`
    curl -sS {ingest}/v1/events -H 'authorization: Bearer {PRODUCER_TOKEN}' -H 'content-type: application/json' -d '{{\"id\":\"mine-1\",\"time\":\"{now}\",\"org_id\":\"{org}\",\"request\":{{\"method\":\"GET\",\"path\":\"/rest/api/3/issue/SECRET-1\"}},\"response\":{{\"status\":200}}}}'
  stop the receiver with `x`, send, see `pending` and the lag grow with `s`, start it again with `x`
  kill it and go on where it was
    kill -9 {pid}; trailwire demo --data {folder}

Commands: s summary, l last record as it arrived, x stop or start the receiver, q quit"
        );
    }

    /// Does what a line says; `true` to quit.
    async fn obey(&self, command: &str) -> anyhow::Result<bool> {
        match command {
            "q" => return Ok(true),
            "s" => {
                let status = Connection::new(&self.served.admin).get("/v1/status").await?.json();
                print!(
                    "{}",
                    Summary::of(self.sample, Intake::default(), &status, self.receiver).sinks_only()
                );
            }
            "l" => match self.receiver.indexed().last() {
                Some(last) => println!("{}", last.envelope.event),
                None => println!("nothing has arrived yet"),
            },
            "x" => {
                if self.receiver.is_running().await {
                    self.receiver.stop().await;
                    println!("the receiver is stopped: connections to it are refused");
                } else {
                    self.receiver.start_again().await?;
                    println!("the receiver is back");
                }
            }
            "" => {}
            other => println!("there is no command `{other}`: s, l, x, q"),
        }
        Ok(false)
    }
}
