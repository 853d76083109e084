//! Reading the configuration again while everything runs.
//!
//! Sinks are compared one by one, so that no lane waits for another's change. What cannot be read leaves the last good
//! version in force: a bad operator's file changes nothing, a bad sink keeps running as it was.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use api::ingest::Ingest;
use config::SinkConfig;

use super::{Core, owner_text};
use crate::grants;
use crate::sinks::{self, Configuration, types};

pub(super) struct Reloading {
    path: PathBuf,
    environment: BTreeMap<String, String>,
    current: Configuration,
    ingest: Arc<Ingest>,
}

/// The environment holds secrets of all kinds, also such as are not ours.
impl fmt::Debug for Reloading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloading").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Reloading {
    pub(super) fn new(
        path: PathBuf,
        environment: BTreeMap<String, String>,
        current: Configuration,
        ingest: Arc<Ingest>,
    ) -> Self {
        Self { path, environment, current, ingest }
    }

    pub(super) async fn apply(&mut self, core: &Core) {
        let mut fresh = match config::load(&self.path, &self.environment, &types()) {
            Ok(fresh) => fresh,
            Err(problems) => {
                tracing::error!(%problems, "the configuration cannot be read: everything stays as it is");
                return;
            }
        };
        for problem in fresh.problems().iter() {
            tracing::warn!(%problem, "the new configuration has a problem");
        }
        keep_last_good(&mut fresh, &self.current);
        core.directory.configure(fresh.orgs.iter().map(|org| &org.id));
        match grants::producers(&fresh.operator) {
            Ok(producers) => self.ingest.replace_producers(producers),
            Err(error) => tracing::error!(%error, "the producers stay as they are"),
        }
        core.intake.quotas().replace(
            grants::quota(&fresh.operator.ingest_per_org),
            fresh.orgs.iter().map(|org| (core.directory.recall(&org.id).key, grants::quota(&org.ingest))),
        );
        if let Err(error) = core.lanes.apply(sinks::specs(&fresh, &core.client)).await {
            tracing::error!(%error, "the sinks were not applied");
            return;
        }
        core.source.check_tables().await;
        tracing::info!(sinks = fresh.sinks.len(), broken = fresh.broken.len(), "configuration applied");
        self.current = fresh;
    }
}

/// A sink that was good before and is broken now goes on as it was.
fn keep_last_good(fresh: &mut Configuration, before: &Configuration) {
    let mut kept = Vec::new();
    fresh.broken.retain(|broken| {
        let may_be = |sink: &&SinkConfig<_>| broken.may_be(sink.owner.as_ref(), &sink.name, &before.orgs);
        let old: Vec<_> = before.sinks.iter().filter(may_be).cloned().collect();
        for sink in &old {
            let org = owner_text(sink.owner.as_ref());
            tracing::warn!(
                org,
                sink = sink.name,
                "its new settings cannot be used: it goes on with the old ones"
            );
        }
        let has_old = !old.is_empty();
        kept.extend(old);
        !has_old
    });
    for sink in kept {
        let is_there = fresh.sinks.iter().any(|other| other.owner == sink.owner && other.name == sink.name);
        if !is_there {
            fresh.sinks.push(sink);
        }
    }
}
