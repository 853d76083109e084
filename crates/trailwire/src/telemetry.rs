//! Our own log lines: pretty for people, JSON for machines, to standard error.

use std::io::IsTerminal;

use anyhow::Context;
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For a terminal.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// Starts logging. `filter` is a tracing filter such as `info` or `info,flow=debug`.
///
/// # Errors
/// When the filter cannot be read or logging runs already.
pub fn start(format: Format, filter: &str) -> anyhow::Result<()> {
    let filter =
        EnvFilter::try_new(filter).with_context(|| format!("`{filter}` is no log filter: try `info`"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        Format::Pretty => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        Format::Json => builder.json().flatten_event(true).try_init(),
    }
    .map_err(|error| anyhow::anyhow!("starting the log: {error}"))
}
