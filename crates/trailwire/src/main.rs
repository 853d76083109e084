//! The binary: reads the command line and the environment, runs a command, ends with its exit code.

use std::process::ExitCode;

use clap::Parser;
use trailwire::cli::{Cli, Exit};
use trailwire::commands;

/// Blocks and bodies of megabytes come and go; this allocator keeps their pages instead of giving them back.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let environment = commands::environment();
    #[cfg(feature = "failpoints")]
    if let Err(error) = trailwire::failpoints::arm(&environment) {
        eprintln!("error: {error:#}");
        return ExitCode::from(Exit::Failure as u8);
    }
    let exit = match commands::dispatch(cli, environment) {
        Ok(exit) => exit,
        Err(error) => {
            eprintln!("error: {error:#}");
            Exit::Failure
        }
    };
    ExitCode::from(exit as u8)
}
