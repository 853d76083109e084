//! `trailwire demo`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::load;
use crate::cli::Exit;
use crate::demo::{self, Args, Served};
use crate::run::Daemon;
use crate::telemetry::{self, Format};

/// Runs the demo with the product's own daemon.
///
/// # Errors
/// See [`demo::run`].
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    telemetry::start(Format::Pretty, "warn")?;
    demo::run(args, start).await
}

async fn start(path: PathBuf, environment: BTreeMap<String, String>) -> anyhow::Result<Served> {
    let configuration =
        load(&path, &environment).map_err(|_| anyhow::anyhow!("the demo's configuration cannot be used"))?;
    let daemon = Daemon::start(configuration, path, environment).await.map_err(|fault| fault.error)?;
    Ok(Served {
        ingest: format!("http://{}", daemon.ingest),
        admin: format!("http://{}", daemon.admin),
        stop: Box::pin(daemon.shut_down()),
    })
}
