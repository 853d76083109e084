//! The commands that only look: they read files or ask a running daemon, print, and end.

pub mod journal;
pub mod schema;
pub mod sinks;
pub mod validate;

use std::collections::BTreeMap;
use std::path::Path;

use crate::cli::Exit;
use crate::sinks::{Configuration, types};

/// The process's environment. This is the only place that reads it.
#[must_use]
pub fn environment() -> BTreeMap<String, String> {
    // Variables that are no UTF-8 cannot be referred to from YAML.
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect()
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
