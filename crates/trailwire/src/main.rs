//! The `trailwire` command.

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "trailwire", version, about = "Tells a security team what third-party apps do with its data")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make raw events for trying things out.
    Generate(trailwire::generate::Args),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Generate(args) => trailwire::generate::run(&args),
    }
}
