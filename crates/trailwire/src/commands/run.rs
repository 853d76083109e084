//! `trailwire run`.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context;
use api::feed::{self, FeedReport};
use config::LogFormat;
use tokio::signal::unix::{SignalKind, signal};

use super::load;
use crate::cli::{Exit, RunArgs};
use crate::run::Daemon;
use crate::sinks::Configuration;
use crate::telemetry::{self, Format};

/// Runs until SIGTERM or Ctrl-C; reads the configuration again on SIGHUP.
///
/// # Errors
/// When it cannot start, or a part failed.
pub fn run(args: RunArgs, environment: BTreeMap<String, String>) -> anyhow::Result<Exit> {
    let configuration = match load(&args.config.config, &environment) {
        Ok(configuration) => configuration,
        Err(exit) => return Ok(exit),
    };
    // Before anything starts: what cannot be used is no reason to stop a daemon that serves.
    if let Some(producer) = args.producer.as_deref().filter(|_| args.stdin)
        && let Err(exit) = super::check_producer(&configuration, producer, &args.config.config)
    {
        return Ok(exit);
    }
    super::runtime(configuration.operator.threads)?.block_on(serve(args, environment, configuration))
}

async fn serve(
    args: RunArgs,
    environment: BTreeMap<String, String>,
    configuration: Configuration,
) -> anyhow::Result<Exit> {
    let log = &configuration.operator.log;
    let format = match log.format {
        LogFormat::Pretty => Format::Pretty,
        LogFormat::Json => Format::Json,
    };
    telemetry::start(format, &log.level)?;
    for problem in configuration.problems().iter() {
        tracing::warn!(%problem, "configuration");
    }
    // Before the start, so that a signal that comes during recovery is not lost.
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    let mut hangup = signal(SignalKind::hangup()).context("listening for SIGHUP")?;
    let mut daemon = match Daemon::start(configuration, args.config.config, environment).await {
        Ok(daemon) => daemon,
        Err(fault) => {
            eprintln!("error: {:#}", fault.error);
            return Ok(fault.exit);
        }
    };
    println!("ready ingest=http://{} admin=http://{}", daemon.ingest, daemon.admin);
    if args.stdin {
        read_stdin(&daemon, args.producer.as_deref().unwrap_or_default())?;
    }
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            error = daemon.failed() => return Err(error),
            _ = hangup.recv() => {
                let stop = async {
                    tokio::select! {
                        _ = terminate.recv() => {}
                        _ = interrupt.recv() => {}
                    }
                };
                if is_told_to_stop(daemon.reload(), stop).await {
                    break;
                }
            }
        }
    }
    tracing::info!("stopping: requests and deliveries under way may finish");
    daemon.shut_down().await?;
    Ok(Exit::Success)
}

/// Runs `reload`, which may wait for an owner or a disk, until it ends or the process is told to stop.
async fn is_told_to_stop(reload: impl Future<Output = ()>, stop: impl Future<Output = ()>) -> bool {
    tokio::select! {
        biased;
        () = stop => true,
        () = reload => false,
    }
}

fn read_stdin(daemon: &Daemon, producer: &str) -> anyhow::Result<()> {
    let grant =
        daemon.core().grant(producer).with_context(|| format!("there is no producer `{producer}`"))?;
    let intake = Arc::clone(daemon.core().intake());
    tokio::spawn(async move {
        let mut report = FeedReport::default();
        let mut told = |line: u64, rejection: &event::reject::Rejection| {
            tracing::warn!(line, code = %rejection.code, message = %rejection.message, "line refused");
        };
        match feed::ndjson(tokio::io::stdin(), &intake, &grant, "stdin", &mut report, &mut told).await {
            Ok(()) => tracing::info!(?report, "standard input has ended"),
            Err(fault) => tracing::error!(%fault, ?report, "reading standard input ended"),
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests;
