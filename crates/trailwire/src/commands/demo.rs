//! `trailwire demo`: gives the demo its daemon.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::load;
use crate::cli::Exit;
use crate::demo::{self, Args, Served};
use crate::run::Daemon;
use crate::telemetry::{self, Format};

/// Only what a person must see: the screen belongs to the demo.
const LOG_FILTER: &str = "warn";

/// Runs the demo with the product's own daemon.
///
/// # Errors
/// See [`demo::run`].
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    telemetry::start(Format::Pretty, LOG_FILTER)?;
    demo::run(args, start).await
}

async fn start(config: PathBuf, environment: BTreeMap<String, String>) -> anyhow::Result<Served> {
    let configuration = load(&config, &environment)
        .map_err(|_| anyhow::anyhow!("the demo's configuration in {} cannot be used", config.display()))?;
    let daemon = Daemon::start(configuration, config, environment).await.map_err(|fault| fault.error)?;
    Ok(Served {
        ingest: format!("http://{}", daemon.ingest),
        admin: format!("http://{}", daemon.admin),
        stop: Box::pin(daemon.shut_down()),
    })
}
