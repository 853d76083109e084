//! `trailwire validate`.

use std::collections::BTreeMap;

use serde_json::json;

use crate::cli::{Exit, ValidateArgs};
use crate::sinks::types;

/// Prints all problems, or what is configured.
#[must_use]
pub fn run(args: &ValidateArgs, environment: &BTreeMap<String, String>) -> Exit {
    let path = &args.config.config;
    match config::load(path, environment, &types()) {
        Err(problems) => {
            if args.json {
                println!("{}", json!({"valid": false, "problems": problems}));
            } else {
                print!("{problems}");
                println!("{} cannot be used: Trailwire would not start", path.display());
            }
            Exit::Configuration
        }
        Ok(loaded) => {
            let problems = loaded.problems();
            let (sinks, broken) = (loaded.sinks.len(), loaded.broken.len());
            if args.json {
                println!(
                    "{}",
                    json!({"valid": broken == 0, "orgs": loaded.orgs.len(), "sinks": sinks, "blocked_sinks": broken, "problems": problems})
                );
            } else {
                print!("{problems}");
                println!(
                    "{}: {} organisations declared, {sinks} sinks ready, {broken} blocked by their settings",
                    path.display(),
                    loaded.orgs.len()
                );
            }
            if broken == 0 { Exit::Success } else { Exit::Configuration }
        }
    }
}
