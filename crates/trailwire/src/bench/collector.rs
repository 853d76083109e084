//! The far end of the benches: a HEC receiver that counts, as a process of its own.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use receiver::{Receiver, Settings, Token};
use tokio::io::{AsyncBufReadExt, BufReader};

/// Command line of the receiver process. It prints its URL, then answers each line `totals` with
/// [`receiver::Totals`] as JSON, and ends with its standard input.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// A file with one organisation id a line: each is a token that may carry that organisation's records only.
    #[arg(long)]
    pub orgs: Option<PathBuf>,
}

/// Runs the process.
///
/// # Errors
/// The port, a file, standard input or output.
pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    // One thread: what it uses beside the daemon is then easy to see.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(args))
}

async fn serve(args: &Args) -> anyhow::Result<()> {
    let mut settings = Settings::load();
    if let Some(path) = &args.orgs {
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        for org in text.lines() {
            let orgs = Some(BTreeSet::from([org.to_owned()]));
            settings = settings.token(Token { orgs, ..Token::new(org) });
        }
    }
    let receiver = Receiver::start(settings).await.context("starting the receiver")?;
    say(&receiver.url())?;
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    while let Some(order) = orders.next_line().await? {
        match order.as_str() {
            "totals" => say(&serde_json::to_string(&receiver.totals())?)?,
            "reset" => receiver.reset(),
            other => anyhow::bail!("there is no order `{other}`"),
        }
    }
    Ok(())
}

fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
