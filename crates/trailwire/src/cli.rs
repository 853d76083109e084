//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{bench, demo, generate};

/// What went wrong, as an exit code. 2 is clap's for a wrong command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All is well.
    Success = 0,
    /// The command failed, or found what it was asked to look for.
    Failure = 1,
    /// The configuration cannot be used.
    Configuration = 3,
    /// The journal is damaged: see `trailwire journal verify`.
    Damaged = 4,
    /// Another process holds the data folder.
    Locked = 5,
}

const AFTER: &str = "\
Examples:
  trailwire demo                                  see it work, without network or other servers
  trailwire validate --config trailwire.yaml      check the configuration and all sinks
  trailwire run --config trailwire.yaml           run
  trailwire sinks status --config trailwire.yaml  how each sink is doing

Exit codes: 0 success, 1 failure, 2 wrong command line, 3 configuration, 4 damaged journal, 5 data folder in use.";

/// Tells security teams what third-party apps do with their data.
#[derive(Debug, Parser)]
#[command(name = "trailwire", version, about, after_help = AFTER, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// All commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Take events in and deliver them, until SIGTERM or Ctrl-C.
    #[command(
        after_help = "Example:\n  trailwire run --config trailwire.yaml\n\nPrints one line `ready ingest=URL admin=URL` to standard output when it serves."
    )]
    Run(RunArgs),
    /// Show the product on one screen: recorded real events, a journal, a receiver. Needs no network.
    Demo(demo::Args),
    /// Check the configuration without starting anything.
    #[command(after_help = "Example:\n  trailwire validate --config trailwire.yaml --json")]
    Validate(ValidateArgs),
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
    /// Store the events of a file (or `-` for standard input) in the journal of a daemon that does not run.
    #[command(
        after_help = "Examples:\n  trailwire ingest events.ndjson --config trailwire.yaml --producer gateway\n  zstd -dc events.ndjson.zst | trailwire ingest - --config trailwire.yaml --producer gateway\n\nFor a daemon that runs, POST to its /v1/events instead."
    )]
    Ingest(IngestArgs),
    /// Show sinks.
    Sinks {
        /// What to show.
        #[command(subcommand)]
        command: SinksCommand,
    },
    /// Look into a journal, check it, repair it. The daemon must not run for `repair`.
    Journal {
        /// What to do.
        #[command(subcommand)]
        command: JournalCommand,
    },
    /// Print a JSON Schema.
    #[command(after_help = "Example:\n  trailwire schema record > record.schema.json")]
    Schema {
        /// Of what.
        of: SchemaOf,
    },
}

/// Where the configuration is.
#[derive(Debug, Args, Clone)]
pub struct ConfigArgs {
    /// The operator's file. Relative paths in it start from its folder.
    #[arg(long, value_name = "FILE", default_value = "trailwire.yaml")]
    pub config: PathBuf,
}

/// `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Also read events from standard input, as this producer, line by line.
    #[arg(long, requires = "producer")]
    pub stdin: bool,
    /// The producer under whose rights standard input is read.
    #[arg(long, value_name = "NAME")]
    pub producer: Option<String>,
}

/// `validate`.
#[derive(Debug, Args)]
pub struct ValidateArgs {
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// One JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

/// `ingest`.
#[derive(Debug, Args)]
pub struct IngestArgs {
    /// The file of NDJSON, or `-`.
    pub file: PathBuf,
    /// Where the configuration is.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The producer under whose rights the events come.
    #[arg(long, value_name = "NAME")]
    pub producer: String,
    /// One JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

/// `sinks`.
#[derive(Debug, Subcommand)]
pub enum SinksCommand {
    /// What is configured.
    #[command(after_help = "Example:\n  trailwire sinks list --config trailwire.yaml")]
    List {
        /// Where the configuration is.
        #[command(flatten)]
        config: ConfigArgs,
        /// JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// How each sink of the running daemon is doing.
    #[command(
        after_help = "Example:\n  trailwire sinks status --config trailwire.yaml\n\nThe admin token, if one is configured, is taken from TRAILWIRE_ADMIN_TOKEN."
    )]
    Status {
        /// Where the configuration is.
        #[command(flatten)]
        config: ConfigArgs,
        /// The daemon's admin listener, if it is not where the configuration says.
        #[arg(long, value_name = "URL")]
        admin: Option<String>,
        /// JSON instead of text.
        #[arg(long)]
        json: bool,
    },
}

/// `journal`.
#[derive(Debug, Subcommand)]
pub enum JournalCommand {
    /// What is in it: partitions, segments, rows, organisations.
    #[command(after_help = "Example:\n  trailwire journal inspect data/journal --totals")]
    Inspect {
        /// The journal's folder, such as data/journal.
        folder: PathBuf,
        /// Read every record and count per organisation, app, kind and status class.
        #[arg(long)]
        totals: bool,
        /// JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Check every checksum and every number. Changes nothing. Exit code 4 when something is damaged.
    #[command(after_help = "Example:\n  trailwire journal verify data/journal")]
    Verify {
        /// The journal's folder.
        folder: PathBuf,
        /// JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Give damaged ranges up: each becomes a loss statement that every sink is told of as a gap.
    #[command(after_help = "Example:\n  trailwire journal repair data/journal --accept-loss")]
    Repair {
        /// The journal's folder.
        folder: PathBuf,
        /// Without it only what would be lost is shown.
        #[arg(long)]
        accept_loss: bool,
        /// JSON instead of text.
        #[arg(long)]
        json: bool,
    },
}

/// The schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// A raw event, as producers send it.
    Raw,
    /// A record, as sinks deliver it.
    Record,
    /// trailwire.yaml
    Trailwire,
    /// org.yaml
    Org,
    /// sinks.yaml
    Sinks,
    /// shared_sinks.yaml
    SharedSinks,
}
