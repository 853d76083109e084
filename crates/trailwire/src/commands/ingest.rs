//! `trailwire ingest`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use api::feed::{self, FeedReport};
use serde_json::json;

use super::load;
use crate::cli::{Exit, IngestArgs};
use crate::run::Core;
use crate::telemetry::{self, Format};

/// Stores a file's events; what sinks have not got yet they get when the daemon runs again.
///
/// # Errors
/// When the file cannot be read or the journal cannot take it.
pub async fn run(args: IngestArgs, environment: BTreeMap<String, String>) -> anyhow::Result<Exit> {
    let configuration = match load(&args.config.config, &environment) {
        Ok(configuration) => configuration,
        Err(exit) => return Ok(exit),
    };
    if let Err(exit) = super::check_producer(&configuration, &args.producer, &args.config.config) {
        return Ok(exit);
    }
    telemetry::start(Format::Pretty, "warn")?;
    let core = match Core::start(&configuration).await {
        Ok(core) => core,
        Err(fault) => {
            eprintln!("error: {:#}", fault.error);
            if fault.exit == Exit::Locked {
                eprintln!("The daemon runs: POST the file to its /v1/events instead.");
            }
            return Ok(fault.exit);
        }
    };
    let grant = core.grant(&args.producer).with_context(|| {
        format!("there is no producer `{}` in {}", args.producer, args.config.config.display())
    })?;
    let mut report = FeedReport::default();
    let mut told = |line: u64, rejection: &event::reject::Rejection| {
        eprintln!("line {line}: {} {}", rejection.code, rejection.message);
    };
    let fed = if args.file == Path::new("-") {
        feed::ndjson(tokio::io::stdin(), core.intake(), &grant, "stdin", &mut report, &mut told).await
    } else {
        let file = tokio::fs::File::open(&args.file)
            .await
            .with_context(|| format!("opening {}", args.file.display()))?;
        feed::ndjson(file, core.intake(), &grant, "file", &mut report, &mut told).await
    };
    core.shut_down().await?;
    if args.json {
        let FeedReport { lines, accepted, duplicates, rejected } = report;
        println!(
            "{}",
            json!({"lines": lines, "accepted": accepted, "duplicates": duplicates, "rejected": rejected})
        );
    } else {
        println!(
            "{} lines: {} stored, {} duplicates, {} refused",
            report.lines, report.accepted, report.duplicates, report.rejected
        );
    }
    fed?;
    Ok(if report.rejected == 0 { Exit::Success } else { Exit::Failure })
}
