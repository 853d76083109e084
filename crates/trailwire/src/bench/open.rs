//! How long a daemon needs to be ready again over a journal of many records.

use std::path::{Path, PathBuf};

use anyhow::Context;
use flow::clock::Clock;

use super::figures::{Gate, Report, Run};
use super::installation::{Installation, Sinks};
use super::rig::{Daemon, Folder, Load, Plan};
use crate::generate::Spec;

/// Command line of `bench open`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Records in the journal: about a gigabyte a million.
    #[arg(long, default_value_t = 10_000_000)]
    records: u64,
    /// How often to open, after an orderly end and after `kill -9` in turn.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=100))]
    opens: u32,
    /// Keep the journal here, and use it again when it is there.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// Seconds, at most.
const LIMIT_S: f64 = 2.0;
const READY: &str = "start to ready";

/// Runs it.
pub(crate) async fn measure(args: &Args) -> anyhow::Result<Report> {
    let clock = Clock::system();
    let folder = Folder::new(args.folder.as_deref())?;
    let home = folder.path();
    let mark = home.join("records");
    let found = std::fs::read_to_string(&mark).ok().and_then(|text| text.trim().parse::<u64>().ok());
    if found != Some(args.records) {
        anyhow::ensure!(
            found.is_none(),
            "{} holds a journal of another size: name another folder",
            home.display()
        );
        build(args, home).await?;
        std::fs::write(&mark, args.records.to_string())
            .with_context(|| format!("writing {}", mark.display()))?;
    }
    let installation = Installation::write(home, "http://127.0.0.1:9", Sinks::None, "")?;
    let setting =
        format!("{} records, {:.2} GiB of journal, no sinks", args.records, gibibytes(&home.join("data"))?);
    let mut report = Report::new("open", setting);
    let mut worst: f64 = 0.0;
    for number in 0..args.opens {
        let start = clock.now().instant;
        let daemon = Daemon::start(&installation).await?;
        let seconds = (clock.now().instant - start).as_secs_f64();
        let usage = daemon.usage()?;
        // The even runs open what an orderly end left (the first: what building left), the odd ones what a kill left.
        let killed_before = number % 2 == 1;
        if number % 2 == 0 {
            daemon.child.kill().await?;
        } else {
            daemon.stop().await?;
        }
        worst = worst.max(seconds);
        let mut run = Run::default();
        run.add(READY, seconds, "s");
        run.add("CPU", usage.cpu_us() as f64 / 1e6, "s");
        run.add("peak RSS", usage.peak_kib as f64 / 1024.0, "MiB");
        run.add("after kill -9", f64::from(u8::from(killed_before)), "1 = yes");
        report.runs.push(run);
    }
    report.gates = vec![Gate { name: READY, value: worst, limit: LIMIT_S }];
    report.notes.push("the slowest is judged; the page cache is as the run before left it".to_owned());
    Ok(report)
}

async fn build(args: &Args, home: &Path) -> anyhow::Result<()> {
    let installation = Installation::write(home, "http://127.0.0.1:9", Sinks::None, "")?;
    let daemon = Daemon::start(&installation).await?;
    let spec = Spec::default();
    let plan = Plan {
        events: args.records,
        first: 0,
        orgs: spec.orgs,
        apps: spec.apps,
        seed: spec.seed,
        batch: 1_000,
        connections: 4,
        rate: None,
        on_the_fly: true,
        hec: false,
    };
    let outcome = Load::prepare(&plan, &daemon.ingest, home).await?.go().await?;
    anyhow::ensure!(outcome.accepted == args.records, "{} records were accepted", outcome.accepted);
    daemon.stop().await
}

fn gibibytes(folder: &Path) -> anyhow::Result<f64> {
    let mut bytes = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                bytes += entry.metadata()?.len();
            }
        }
    }
    Ok(bytes as f64 / f64::from(1 << 30))
}
