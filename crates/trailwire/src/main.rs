//! The `trailwire` command.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use trailwire::{bench, generate};

#[derive(Debug, Parser)]
#[command(
    name = "trailwire",
    version,
    about = "Tells a security team what third-party apps do with its data"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make raw events for trying things out.
    Generate(generate::Args),
    /// Measure this build on this machine.
    Bench(bench::Args),
    /// The load process of a bench.
    #[command(hide = true)]
    BenchLoad(bench::LoadArgs),
    /// The receiver process of a bench.
    #[command(hide = true)]
    BenchReceiver(bench::CollectorArgs),
}

fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        Command::Generate(args) => generate::run(&args)?,
        Command::Bench(args) => return bench::run(args),
        Command::BenchLoad(args) => bench::run_load(args)?,
        Command::BenchReceiver(args) => bench::run_collector(&args)?,
    }
    Ok(ExitCode::SUCCESS)
}
