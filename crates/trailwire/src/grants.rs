//! From configured producers and quotas to what the intake needs.

use std::collections::BTreeMap;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use api::auth::{Producer, Producers, TokenHash};
use api::quota::Quota;
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
    allowed.with_context(|| format!("producer `{}`", producer.name))
}

fn allowed<T: Clone + Eq + Hash>(selection: &Selection<T>) -> Allowed<T> {
    match selection {
        Selection::All => Allowed::All,
        Selection::These(these) => Allowed::only(these.iter().cloned()),
    }
}

/// A configured quota, per second.
#[must_use]
pub fn quota(quota: &config::Quota) -> Quota {
    Quota {
        events: quota.events.map(|rate| per_second(rate.events, rate.per)),
        bytes: quota.bytes.map(|rate| per_second(rate.bytes.0, rate.per)),
    }
}

/// At least one a second: a smaller rate would need a longer memory than the limiter has.
fn per_second(amount: u64, per: Duration) -> NonZeroU32 {
    let rate = amount / per.as_secs().max(1);
    NonZeroU32::new(u32::try_from(rate).unwrap_or(u32::MAX)).unwrap_or(NonZeroU32::MIN)
}
