//! What load and receiver cost by themselves: they share the machine with the daemon and must not be what is measured.

use flow::clock::Clock;

use super::JobArgs;
use super::figures::{Gate, Report, Run};
use super::rig::{Collector, Folder, Load, Plan};

/// Microseconds that the receiver may spend on an event.
const LIMIT_RECEIVER_US: f64 = 1.0;
const RECEIVER: &str = "receiver CPU";

/// Lets the load post HEC bodies straight to the receiver.
pub(crate) async fn measure(args: &JobArgs) -> anyhow::Result<Report> {
    let folder = Folder::new(args.folder.as_deref())?;
    let clock = Clock::system();
    let setting =
        format!("{} events in requests of {}, load straight to the receiver", args.events, args.batch);
    let mut report = Report::new("harness", setting);
    for _ in 0..args.runs {
        let mut collector = Collector::start(folder.path(), None).await?;
        let plan = Plan { hec: true, ..args.plan(args.rate) };
        let mut load = Load::prepare(&plan, &collector.url, folder.path()).await?;
        let before = collector.usage()?;
        let start = clock.now().instant;
        let outcome = load.go().await?;
        let totals = collector.wait_for(args.events, &clock).await?;
        let seconds = (clock.now().instant - start).as_secs_f64();
        let after = collector.usage()?;
        let events = args.events as f64;
        let mut run = Run::default();
        run.add(RECEIVER, after.cpu_us().saturating_sub(before.cpu_us()) as f64 / events, "us/event");
        run.add("load CPU", outcome.cpu_us as f64 / events, "us/event");
        run.add("events/s", events / seconds, "events/s");
        run.add("rows per request", totals.events as f64 / totals.requests.max(1) as f64, "events");
        run.add("latencies looked at", totals.from_ingest.count as f64, "events");
        report.runs.push(run);
    }
    let worst = report.runs.iter().filter_map(|run| run.get(RECEIVER)).fold(0.0, f64::max);
    report.gates = vec![Gate { name: RECEIVER, value: worst, limit: LIMIT_RECEIVER_US }];
    Ok(report)
}
