//! Reading everything again while it is in force: what was good before stays so where the new text is not.

use std::collections::BTreeMap;
use std::path::Path;

use event::OrgId;

use super::{Loaded, load_after};
use crate::org::Org;
use crate::problem::Problems;
use crate::sink::{BrokenSink, SinkConfig, SinkType};

/// A sink: its owner, none for the operator's, and its name.
pub type SinkName = (Option<OrgId>, String);

/// [`load`](super::load) where `before` is in force. What cannot be used any more is taken from it: sinks, and
/// organisations with their quotas. Also gives the sinks that were kept so, by owner and name.
///
/// What is kept is part of the result, so that it is kept again as long as nobody has mended the files.
///
/// # Errors
/// As [`load`](super::load): then everything stays as it is.
pub fn load_again<T: Clone>(
    path: &Path,
    env: &BTreeMap<String, String>,
    types: &[SinkType<T>],
    before: &Loaded<T>,
) -> Result<(Loaded<T>, Vec<SinkName>), Problems> {
    let mut fresh = load_after(path, env, types, &before.orgs)?;
    keep_orgs(&mut fresh, &before.orgs);
    let kept = keep_sinks(&mut fresh, before);
    Ok((fresh, kept))
}

/// An organisation whose folder is there and cannot be relied on stays what it was.
fn keep_orgs<T>(fresh: &mut Loaded<T>, before: &[Org]) {
    for org in before {
        let is_broken = fresh.broken.iter().any(|broken| broken.folder.as_deref() == Some(&org.folder));
        let is_declared = fresh.orgs.iter().any(|other| other.id == org.id);
        // Its folder may have become another's by what is written in it.
        if is_broken && !is_declared {
            fresh.orgs.push(org.clone());
        }
    }
}

/// A sink that was good before and is broken now goes on as it was.
fn keep_sinks<T: Clone>(fresh: &mut Loaded<T>, before: &Loaded<T>) -> Vec<SinkName> {
    let mut kept = Vec::new();
    for old in &before.sinks {
        let is = |owner: Option<&OrgId>, name: &str| owner == old.owner.as_ref() && name == old.name;
        let is_there = fresh.sinks.iter().any(|sink| is(sink.owner.as_ref(), &sink.name));
        let may_be =
            fresh.broken.iter().any(|broken| broken.may_be(old.owner.as_ref(), &old.name, &before.orgs));
        if may_be && !is_there {
            fresh.sinks.push(SinkConfig::clone(old));
            kept.push((old.owner.clone(), old.name.clone()));
        }
    }
    // One sink that goes on is not shown a second time as broken; a file is.
    fresh.broken.retain(|broken: &BrokenSink| match &broken.name {
        Some(name) => !kept.iter().any(|(owner, kept)| *owner == broken.owner && kept == name),
        None => true,
    });
    kept
}
