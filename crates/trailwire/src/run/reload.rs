//! Reading the configuration again while everything runs.
//!
//! Sinks are compared one by one, so that no lane waits for another's change. What cannot be read leaves the last good
//! version in force: a bad operator's file changes nothing, a bad sink keeps running as it was.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use api::ingest::Ingest;

use super::{Core, owner_text};
use crate::grants;
use crate::sinks::{Configuration, Made, types};

pub(super) struct Reloading {
    path: PathBuf,
    environment: BTreeMap<String, String>,
    current: Configuration,
    made: Made,
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
        made: Made,
        ingest: Arc<Ingest>,
    ) -> Self {
        Self { path, environment, current, made, ingest }
    }

    pub(super) async fn apply(&mut self, core: &Core) {
        let read = config::load_again(&self.path, &self.environment, &types(), &self.current);
        let (fresh, kept) = match read {
            Ok(read) => read,
            Err(problems) => {
                tracing::error!(%problems, "the configuration cannot be read: everything stays as it is");
                return;
            }
        };
        for problem in fresh.problems().iter() {
            tracing::warn!(%problem, "the new configuration has a problem");
        }
        for (owner, sink) in kept {
            let org = owner_text(owner.as_ref());
            tracing::warn!(org, sink, "its new settings cannot be used: it goes on with the old ones");
        }
        core.directory.configure(fresh.orgs.iter().map(|org| &org.id));
        match grants::producers(&fresh.operator) {
            Ok(producers) => self.ingest.replace_producers(producers),
            Err(error) => tracing::error!(%error, "the producers stay as they are"),
        }
        core.intake.quotas().replace(
            grants::quota(&fresh.operator.ingest_per_org),
            fresh.orgs.iter().map(|org| (core.directory.recall(&org.id).key, grants::quota(&org.ingest))),
        );
        if let Err(error) = core.lanes.apply(self.made.make(&fresh, &core.client)).await {
            tracing::error!(%error, "the sinks were not applied");
            return;
        }
        core.source.check_tables().await;
        tracing::info!(sinks = fresh.sinks.len(), broken = fresh.broken.len(), "configuration applied");
        self.current = fresh;
    }
}
