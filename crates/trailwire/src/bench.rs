//! `trailwire bench`: measures this build on this machine, with generator, receiver and daemon as separate processes.
//!
//! Nothing here is told to the daemon but by its configuration and over HTTP, and nothing is read of it but its answers,
//! `/proc` and what the receiver got.

mod calibration;
mod child;
mod collector;
mod figures;
mod harness;
pub(crate) mod http;
pub(crate) mod installation;
mod job;
mod lanes;
mod load;
mod open;
mod process;
mod rig;

use std::path::PathBuf;

use clap::Subcommand;

use crate::cli::Exit;

pub use collector::Args as CollectorArgs;
pub use load::Args as LoadArgs;

/// Command line of `bench`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 measured (and with --gate, passed); 1 a gate was missed, or it could not be measured.

Examples:
  trailwire bench j1 --runs 3
  trailwire bench j2 --rate 60000 --gate
  trailwire bench j1 --rate 100000 --json
  trailwire bench open --records 10000000 --folder /var/tmp/bench-open"
)]
pub struct Args {
    /// What to measure.
    #[command(subcommand)]
    bench: Bench,
    /// Print the figures as JSON.
    #[arg(long, global = true)]
    json: bool,
    /// Exit with 1 when a gate is missed.
    #[arg(long, global = true)]
    gate: bool,
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// One shared HEC sink for all organisations, as fast as it goes (or at --rate).
    #[command(after_help = "Example:\n  trailwire bench j1 --runs 3 --gate")]
    J1(JobArgs),
    /// One HEC sink for each organisation, at an offered rate.
    #[command(after_help = "Example:\n  trailwire bench j2 --rate 60000 --gate")]
    J2(JobArgs),
    /// Opening a journal of many records.
    #[command(
        after_help = "Example:\n  trailwire bench open --records 10000000 --folder /var/tmp/bench-open"
    )]
    Open(open::Args),
    /// What idle sinks cost.
    #[command(after_help = "Example:\n  trailwire bench lanes --gate")]
    Lanes(lanes::Args),
    /// What load and receiver of these benches cost by themselves.
    #[command(after_help = "Example:\n  trailwire bench harness --rate 60000")]
    Harness(JobArgs),
}

/// What the two reference jobs have in common.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct JobArgs {
    /// Events that are measured.
    #[arg(long, default_value_t = 500_000)]
    events: u64,
    /// Events before that, so that memory is touched and connections are open.
    #[arg(long, default_value_t = 20_000)]
    warmup: u64,
    /// Organisations.
    #[arg(long, default_value_t = 2_000)]
    orgs: u32,
    /// Apps.
    #[arg(long, default_value_t = 400)]
    apps: u32,
    /// Seed of the events.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Events of one request to the daemon.
    #[arg(long, default_value_t = 1_000)]
    batch: u64,
    /// Connections to the daemon.
    #[arg(long, default_value_t = 4)]
    connections: u64,
    /// Events offered per second. J1 without it: as fast as answers come. J2 without it: 60,000.
    #[arg(long)]
    rate: Option<u64>,
    /// How often to measure, each time with a fresh daemon and journal; the median by CPU is judged.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    /// Work in this folder, which must not exist or be empty, and leave it there.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

impl JobArgs {
    /// The measured events, sent to the daemon at `rate`.
    fn plan(&self, rate: Option<u64>) -> rig::Plan {
        rig::Plan {
            events: self.events,
            first: 0,
            orgs: self.orgs,
            apps: self.apps,
            seed: self.seed,
            batch: self.batch,
            connections: self.connections,
            rate,
            on_the_fly: false,
            hec: false,
        }
    }
}

/// Runs `bench`.
///
/// # Errors
/// A process does not start, ends early or stands still.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(async {
        match args.bench {
            Bench::J1(job) => job::measure(job::Which::J1, &job).await,
            Bench::J2(job) => job::measure(job::Which::J2, &job).await,
            Bench::Open(open) => open::measure(&open).await,
            Bench::Harness(job) => harness::measure(&job).await,
            Bench::Lanes(lanes) => lanes::measure(&lanes).await,
        }
    })?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    Ok(if args.gate && !report.passed() { Exit::Failure } else { Exit::Success })
}

/// Runs the hidden command `bench-load`.
///
/// # Errors
/// See [`LoadArgs`].
pub fn run_load(args: LoadArgs) -> anyhow::Result<()> {
    load::run(args)
}

/// Runs the hidden command `bench-receiver`.
///
/// # Errors
/// See [`CollectorArgs`].
pub fn run_collector(args: &CollectorArgs) -> anyhow::Result<()> {
    collector::run(args)
}
