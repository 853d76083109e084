//! What idle sinks cost: the same daemon with and without ten thousand of them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use flow::clock::Clock;

use super::figures::{Gate, Report, Run};
use super::installation::{Installation, OrgSink, Sinks};
use super::rig::{Collector, Daemon, Folder, Load, Plan};
use crate::generate::{Generator, Spec};

/// Command line of `bench lanes`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Organisations, each with one sink; an organisation lives in one partition, so each sink is one lane.
    #[arg(long, default_value_t = 10_000)]
    lanes: u32,
    /// Events that go through before, so that lanes have been at work.
    #[arg(long, default_value_t = 50_000)]
    events: u64,
    /// Seconds after the last delivery before the measuring; connections that are kept open may close in them.
    #[arg(long, default_value_t = 5)]
    settle: u64,
    /// Seconds without any event that are measured.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Work in this folder and leave it there.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// Per cent of one core, and MiB, at most.
const LIMIT_CPU: f64 = 1.0;
const LIMIT_RSS_MIB: f64 = 100.0;
const CPU: &str = "idle CPU with the lanes";
const RSS: &str = "RSS more than without";

struct Idle {
    cpu_percent: f64,
    /// Before the first event, and at the end.
    unused_mib: f64,
    rss_mib: f64,
    start_s: f64,
    /// What the daemon says of its memory at the end.
    parts: Vec<(String, u64)>,
}

/// Runs it.
pub(crate) async fn measure(args: &Args) -> anyhow::Result<Report> {
    let spec = Spec { orgs: args.lanes, ..Spec::default() };
    let orgs = Installation::org_sinks(Generator::new(spec).org_ids());
    let folder = Folder::new(args.folder.as_deref())?;
    let without = idle(args, None, &folder.path().join("without")).await.context("without lanes")?;
    let with = idle(args, Some(&orgs), &folder.path().join("with")).await.context("with lanes")?;
    let mut run = Run::default();
    run.add(CPU, with.cpu_percent, "% of a core");
    run.add("idle CPU without", without.cpu_percent, "% of a core");
    run.add(RSS, with.rss_mib - without.rss_mib, "MiB");
    run.add("the same before any event", with.unused_mib - without.unused_mib, "MiB");
    run.add("RSS with the lanes", with.rss_mib, "MiB");
    run.add("RSS without", without.rss_mib, "MiB");
    run.add("start with the lanes", with.start_s, "s");
    run.add("start without", without.start_s, "s");
    let setting = format!(
        "{} organisations with a HEC sink each, {} events before, {} s to settle, {} s of silence",
        args.lanes, args.events, args.settle, args.seconds
    );
    let mut report = Report::new("lanes", setting);
    let gate = |name, limit| Gate { name, value: run.get(name).unwrap_or(f64::NAN), limit };
    report.gates = vec![gate(CPU, LIMIT_CPU), gate(RSS, LIMIT_RSS_MIB)];
    report.runs = vec![run];
    report.notes.push(components(&with, &without));
    Ok(report)
}

/// What the memory is: the parts that the daemon knows, and the rest.
fn components(with: &Idle, without: &Idle) -> String {
    let mut said = "MiB with and without the lanes:".to_owned();
    let mut known = (0.0, 0.0);
    for (part, used) in &with.parts {
        let other = without.parts.iter().find(|(name, _)| name == part).map_or(0, |(_, used)| *used);
        let (with, without) = (mib(*used), mib(other));
        known = (known.0 + with, known.1 + without);
        said.push_str(&format!(" {part} {with:.1} and {without:.1},"));
    }
    let rest = (with.rss_mib - known.0, without.rss_mib - known.1);
    said.push_str(&format!(
        " the rest (settings, connectors, kept connections, code, the allocator) {:.1} and {:.1}",
        rest.0, rest.1
    ));
    said
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

async fn idle(args: &Args, orgs: Option<&[OrgSink]>, home: &Path) -> anyhow::Result<Idle> {
    std::fs::create_dir_all(home).with_context(|| format!("creating {}", home.display()))?;
    let clock = Clock::system();
    let mut collector = Collector::start(home, orgs).await?;
    let sinks = orgs.map_or(Sinks::None, Sinks::PerOrg);
    let installation = Installation::write(home, &collector.url, sinks, "")?;
    let start = clock.now().instant;
    let daemon = Daemon::start(&installation).await?;
    let start_s = (clock.now().instant - start).as_secs_f64();
    let unused_mib = daemon.usage()?.rss_kib as f64 / 1024.0;
    let plan = Plan {
        events: args.events,
        first: 0,
        orgs: args.lanes,
        apps: 400,
        seed: Spec::default().seed,
        batch: 1_000,
        connections: 4,
        rate: None,
        on_the_fly: false,
        hec: false,
    };
    let outcome = Load::prepare(&plan, &daemon.ingest, home).await?.go().await?;
    if orgs.is_some() {
        collector.wait_for(outcome.accepted, &clock).await?;
    }
    clock.sleep_until(clock.now().instant + Duration::from_secs(args.settle)).await;
    let (before, from) = (daemon.usage()?, clock.now().instant);
    clock.sleep_until(from + Duration::from_secs(args.seconds)).await;
    let (after, to) = (daemon.usage()?, clock.now().instant);
    let parts = daemon.memory().await?;
    daemon.stop().await?;
    let cpu_us = after.cpu_us().saturating_sub(before.cpu_us()) as f64;
    let cpu_percent = cpu_us / (to - from).as_micros().max(1) as f64 * 100.0;
    Ok(Idle { cpu_percent, unused_mib, rss_mib: after.rss_kib as f64 / 1024.0, start_s, parts })
}
