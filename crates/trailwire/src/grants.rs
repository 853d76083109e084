//! From configured producers and quotas to what the intake needs.

use std::collections::BTreeMap;
use std::hash::Hash;
use std::num::NonZeroU64;
use std::sync::Arc;

use anyhow::Context;
use api::auth::{Producer, Producers, TokenHash};
use api::quota::{Quota, Rate};
use config::{Operator, Selection};
use pipelines::{Allowed, Grant};

/// What each producer may send, by name.
///
/// # Errors
/// When a producer's name cannot stand in records.
pub fn all(operator: &Operator) -> anyhow::Result<BTreeMap<String, Arc<Grant>>> {
    operator
        .producers
        .iter()
        .map(|producer| Ok((producer.name.clone(), Arc::new(grant(producer)?))))
        .collect()
}

/// The producers of the ingest listener.
///
/// # Errors
/// As [`all`].
pub fn producers(operator: &Operator) -> anyhow::Result<Producers> {
    let producers: anyhow::Result<Vec<Producer>> = operator
        .producers
        .iter()
        .map(|producer| {
            let tokens = producer.tokens.iter().map(token).collect();
            Ok(Producer { grant: grant(producer)?, tokens })
        })
        .collect();
    Ok(Producers::new(producers?))
}

/// A configured token's hash.
#[must_use]
pub fn token(hash: &config::TokenHash) -> TokenHash {
    TokenHash::from_digest(*hash.as_bytes())
}

fn grant(producer: &config::Producer) -> anyhow::Result<Grant> {
    let allowed = Grant::new(
        &producer.name,
        allowed(&producer.orgs),
        allowed(&producer.kinds),
        allowed(&producer.apps),
    );
    let grant = allowed.with_context(|| format!("producer `{}`", producer.name))?;
    Ok(grant.vouched_for_by(producer.asserted_by))
}

fn allowed<T: Clone + Eq + Hash>(selection: &Selection<T>) -> Allowed<T> {
    match selection {
        Selection::All => Allowed::All,
        Selection::These(these) => Allowed::only(these.iter().cloned()),
    }
}

/// A configured quota.
#[must_use]
pub fn quota(quota: &config::Quota) -> Quota {
    let rate = |amount, per| NonZeroU64::new(amount).map(|amount| Rate { amount, per });
    Quota {
        events: quota.events.and_then(|events| rate(events.events, events.per)),
        bytes: quota.bytes.and_then(|bytes| rate(bytes.bytes.0, bytes.per)),
    }
}
