//! The reference jobs: what an event costs from ingest to sink.

use anyhow::Context;
use flow::clock::Clock;

use super::JobArgs;
use super::calibration::{self, REFERENCE_US};
use super::figures::{Gate, Report, Run};
use super::installation::{Installation, Sinks};
use super::rig::{Collector, Daemon, Folder, Load, Plan};
use crate::generate::{Generator, Spec};

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// One shared sink.
    J1,
    /// A sink for each organisation.
    J2,
}

/// Events a second that J2 offers by default: as many as eight thousand requests a second carry at some seven rows each.
const J2_RATE: u64 = 60_000;
/// CPU microseconds an event, at most, by the calibration.
const J1_LIMIT_US: f64 = 4.0;
const J2_LIMIT_US: f64 = 6.0;
/// Milliseconds from ingest to sink for 99 of 100 events of J2, at most.
const J2_LIMIT_P99_MS: f64 = 500.0;

const CPU: &str = "daemon CPU, calibrated";
const P99: &str = "ingest to sink, p99";

/// Runs one of them and judges it.
pub(crate) async fn measure(which: Which, args: &JobArgs) -> anyhow::Result<Report> {
    let rate = match which {
        Which::J1 => args.rate,
        Which::J2 => Some(args.rate.unwrap_or(J2_RATE)),
    };
    let (name, sinks) = match which {
        Which::J1 => ("j1", "one shared HEC sink"),
        Which::J2 => ("j2", "a HEC sink for each organisation"),
    };
    let offered =
        rate.map_or_else(|| "as fast as answers come".to_owned(), |rate| format!("{rate} events/s offered"));
    let JobArgs { events, orgs, apps, batch, connections, .. } = args;
    let setting = format!(
        "{events} events, {orgs} organisations, {apps} apps, requests of {batch}, {connections} connections, {sinks}, {offered}"
    );
    let mut report = Report::new(name, setting);
    let folder = Folder::new(args.folder.as_deref())?;
    for number in 0..args.runs {
        let home = folder.path().join(format!("run-{number}"));
        let calibration_us = calibration::measure(spec(args, args.seed))?;
        let run = once(which, args, rate, calibration_us, &home).await?;
        report.runs.push(run);
    }
    let mut by_cpu: Vec<&Run> = report.runs.iter().collect();
    by_cpu.sort_by(|a, b| a.get(CPU).unwrap_or(0.0).total_cmp(&b.get(CPU).unwrap_or(0.0)));
    let median = by_cpu.get(by_cpu.len() / 2).context("there was a run")?;
    let gate = |name, limit| Gate { name, value: median.get(name).unwrap_or(f64::NAN), limit };
    report.gates = match which {
        Which::J1 => vec![gate(CPU, J1_LIMIT_US)],
        Which::J2 => vec![gate(CPU, J2_LIMIT_US), gate(P99, J2_LIMIT_P99_MS)],
    };
    report.notes.push(format!(
        "calibrated: CPU x {REFERENCE_US} / calibration, so that machines of another speed compare"
    ));
    Ok(report)
}

fn spec(args: &JobArgs, seed: u64) -> Spec {
    Spec { seed, orgs: args.orgs, apps: args.apps, ..Spec::default() }
}

async fn once(
    which: Which,
    args: &JobArgs,
    rate: Option<u64>,
    calibration_us: f64,
    home: &std::path::Path,
) -> anyhow::Result<Run> {
    std::fs::create_dir_all(home).with_context(|| format!("creating {}", home.display()))?;
    let clock = Clock::system();
    // The organisations' ids come from the seed, so the warm-up uses the same seed with later events.
    let orgs = Installation::org_sinks(Generator::new(spec(args, args.seed)).org_ids());
    let own = (which == Which::J2).then_some(orgs.as_slice());
    let mut collector = Collector::start(home, own).await?;
    let sinks = own.map_or(Sinks::Shared, Sinks::PerOrg);
    let installation = Installation::write(home, &collector.url, sinks, "")?;
    let daemon = Daemon::start(&installation).await?;
    let idle = daemon.usage()?;

    let plan = args.plan(rate);
    if args.warmup > 0 {
        let warmup = Plan { events: args.warmup, first: args.events, ..plan.clone() };
        let outcome = Load::prepare(&warmup, &daemon.ingest, home).await?.go().await.context("warming up")?;
        collector.wait_for(outcome.accepted, &clock).await.context("warming up")?;
        collector.reset().await?;
    }
    let mut load = Load::prepare(&plan, &daemon.ingest, home).await?;
    let (before, collector_before) = (daemon.usage()?, collector.usage()?);
    let start = clock.now().instant;
    let outcome = load.go().await?;
    let totals = collector.wait_for(outcome.accepted, &clock).await?;
    let seconds = (clock.now().instant - start).as_secs_f64();
    let (after, collector_after) = (daemon.usage()?, collector.usage()?);
    anyhow::ensure!(
        outcome.accepted == args.events,
        "{} of {} events were accepted",
        outcome.accepted,
        args.events
    );
    anyhow::ensure!(totals.foreign == 0, "{} events came with another organisation's token", totals.foreign);
    let delivered = daemon.sum("delivered").await?;
    daemon.stop().await?;

    let events = args.events as f64;
    let each = |before: u64, after: u64| after.saturating_sub(before) as f64 / events;
    let cpu_us = each(before.cpu_us(), after.cpu_us());
    let mut run = Run::default();
    run.add(CPU, cpu_us * REFERENCE_US / calibration_us, "us/event");
    run.add("daemon CPU", cpu_us, "us/event");
    run.add("of that user", each(before.user_us, after.user_us), "us/event");
    run.add("of that system", each(before.system_us, after.system_us), "us/event");
    run.add("calibration", calibration_us, "us/event");
    run.add("events/s, first request to last delivery", events / seconds, "events/s");
    run.add("events/s, answered", events / (outcome.microseconds as f64 / 1e6), "events/s");
    run.add("requests to the sink", totals.requests as f64, "requests");
    run.add("rows per request", totals.events as f64 / (totals.requests.max(1)) as f64, "events");
    run.add("peak RSS", after.peak_kib as f64 / 1024.0, "MiB");
    run.add("RSS before the first event", idle.rss_kib as f64 / 1024.0, "MiB");
    run.add("ingest to sink, p50", totals.from_ingest.p50 as f64, "ms");
    run.add(P99, totals.from_ingest.p99 as f64, "ms");
    run.add("ingest to sink, max", totals.from_ingest.max as f64, "ms");
    run.add("producer to sink, p50", totals.from_event.p50 as f64, "ms");
    run.add("producer to sink, p99", totals.from_event.p99 as f64, "ms");
    run.add("answer, p50", outcome.answer.p50 as f64, "ms");
    run.add("answer, p99", outcome.answer.p99 as f64, "ms");
    run.add("latencies looked at", totals.from_ingest.count as f64, "events");
    run.add("delivered more than once", totals.events.saturating_sub(outcome.accepted) as f64, "events");
    run.add("delivered by the status page", delivered as f64, "events");
    run.add("receiver CPU", each(collector_before.cpu_us(), collector_after.cpu_us()), "us/event");
    run.add("load CPU", each(0, outcome.cpu_us), "us/event");
    Ok(run)
}
