//! The recorded events that are shipped.

use std::collections::BTreeMap;

use anyhow::Context;
use serde::Deserialize;

/// Calls of real client libraries, described in `config/demo/README.md`.
const SHIPPED: &str = include_str!("../../../../config/demo/real-sample.ndjson");

/// Raw events and the organisations that they are of.
#[derive(Debug)]
pub(super) struct Sample {
    /// One raw event each.
    pub(super) lines: Vec<&'static str>,
    /// Id and name.
    pub(super) orgs: BTreeMap<String, String>,
}

impl Sample {
    /// Reads what is shipped.
    pub(super) fn shipped() -> anyhow::Result<Self> {
        #[derive(Deserialize)]
        struct Event {
            org_id: String,
            site: Option<String>,
        }
        let lines: Vec<&str> = SHIPPED.lines().filter(|line| !line.trim().is_empty()).collect();
        let mut orgs = BTreeMap::new();
        for line in &lines {
            let event: Event = serde_json::from_str(line).context("a shipped event cannot be read")?;
            // `acme-sandbox.example.net` is the second site of acme.
            let site = event.site.as_deref().unwrap_or("unnamed");
            let name = site.split(['.', '-']).next().unwrap_or(site).to_owned();
            orgs.entry(event.org_id).or_insert(name);
        }
        Ok(Self { lines, orgs })
    }
}
