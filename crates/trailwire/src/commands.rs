//! One module per command, and what they share.

pub mod demo;
pub mod ingest;
pub mod journal;
pub mod run;
pub mod schema;
pub mod sinks;
pub mod validate;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;

use crate::cli::{Cli, Command, Exit};
use crate::sinks::{Configuration, types};
use crate::{bench, generate};

/// Runs a command.
///
/// # Errors
/// What went wrong, for a person to read.
pub fn dispatch(cli: Cli, environment: BTreeMap<String, String>) -> anyhow::Result<Exit> {
    match cli.command {
        Command::Run(args) => run::run(args, environment),
        Command::Demo(args) => block_on(demo::run(args)),
        Command::Ingest(args) => block_on(ingest::run(args, environment)),
        Command::Validate(args) => Ok(validate::run(&args, &environment)),
        Command::Sinks { command } => block_on(sinks::run(&command, &environment)),
        Command::Journal { command } => journal::run(&command),
        Command::Schema { of } => Ok(schema::run(of)),
        Command::Generate(args) => generate::run(&args).map(|()| Exit::Success),
        Command::Bench(args) => bench::run(args),
        Command::BenchLoad(args) => bench::run_load(args).map(|()| Exit::Success),
        Command::BenchReceiver(args) => bench::run_collector(&args).map(|()| Exit::Success),
    }
}

fn block_on(command: impl Future<Output = anyhow::Result<Exit>>) -> anyhow::Result<Exit> {
    runtime(None)?.block_on(command)
}

/// A runtime whose sockets are served by so many threads; `None`: by as many as there are cores.
///
/// # Errors
/// When the threads cannot be started.
pub fn runtime(threads: Option<u16>) -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = threads {
        builder.worker_threads(usize::from(threads.max(1)));
    }
    builder.enable_all().build().context("starting the threads that serve sockets")
}

/// The process's environment. This is the only place that reads it.
#[must_use]
pub fn environment() -> BTreeMap<String, String> {
    // Variables that are no UTF-8 cannot be referred to from YAML.
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Loads the configuration or prints all that is wrong with it.
///
/// # Errors
/// [`Exit::Configuration`] after the problems were printed.
pub fn load(path: &Path, environment: &BTreeMap<String, String>) -> Result<Configuration, Exit> {
    config::load(path, environment, &types()).map_err(|problems| {
        eprint!("{problems}");
        Exit::Configuration
    })
}

/// Whether there is a producer of this name, under whose rights a command reads; tells when there is none.
///
/// # Errors
/// [`Exit::Configuration`] after that was printed.
fn check_producer(configuration: &Configuration, name: &str, path: &Path) -> Result<(), Exit> {
    let producers = &configuration.operator.producers;
    if producers.iter().any(|producer| producer.name == name) {
        return Ok(());
    }
    let known: Vec<&str> = producers.iter().map(|producer| producer.name.as_str()).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    eprintln!("error: there is no producer `{name}` in {}; there are: {known}", path.display());
    Err(Exit::Configuration)
}

#[cfg(test)]
mod tests;
