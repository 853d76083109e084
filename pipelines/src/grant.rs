//! What an authenticated producer may send.

use std::collections::HashSet;
use std::hash::Hash;

use event::record::AssertedBy;
use event::{Kind, OrgId};

/// Everything, or only these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed<T: Eq + Hash> {
    /// Everything.
    All,
    /// These.
    Only(HashSet<T>),
}

impl<T: Eq + Hash> Allowed<T> {
    /// Only these.
    pub fn only(these: impl IntoIterator<Item = T>) -> Self {
        Self::Only(these.into_iter().collect())
    }
}

/// A name that no producer can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a producer's name has 1 to {} characters of A-Z a-z 0-9 . _ -", event::record::MAX_NAME)]
pub struct BadProducer;

/// A producer and its limits, as its token proves them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    producer: String,
    orgs: Allowed<OrgId>,
    kinds: Allowed<Kind>,
    apps: Allowed<String>,
    asserted_by: AssertedBy,
}

impl Grant {
    /// A producer that may send what the three limits all allow. `apps` are ids or keys; a producer with such a
    /// limit cannot send events without app.
    ///
    /// # Errors
    /// [`BadProducer`]: the name stands in every record and in the hash of every id, so it is short and plain.
    pub fn new(
        producer: &str,
        orgs: Allowed<OrgId>,
        kinds: Allowed<Kind>,
        apps: Allowed<String>,
    ) -> Result<Self, BadProducer> {
        let plain = producer.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if !plain || !(1..=event::record::MAX_NAME).contains(&producer.len()) {
            return Err(BadProducer);
        }
        Ok(Self { producer: producer.to_owned(), orgs, kinds, apps, asserted_by: AssertedBy::Platform })
    }

    /// A producer without limits.
    ///
    /// # Errors
    /// [`BadProducer`].
    pub fn unlimited(producer: &str) -> Result<Self, BadProducer> {
        Self::new(producer, Allowed::All, Allowed::All, Allowed::All)
    }

    /// Who vouches for what this producer sends: the platform, unless it is said here. What an app tells of itself is its
    /// vendor's word in any case.
    #[must_use]
    pub fn vouched_for_by(mut self, asserted_by: AssertedBy) -> Self {
        self.asserted_by = asserted_by;
        self
    }

    pub(crate) fn asserted_by(&self) -> AssertedBy {
        self.asserted_by
    }

    /// The producer's name.
    #[must_use]
    pub fn producer(&self) -> &str {
        &self.producer
    }

    #[inline]
    pub(crate) fn allows_all_orgs(&self) -> bool {
        matches!(self.orgs, Allowed::All)
    }

    pub(crate) fn allows_org(&self, org: &str) -> bool {
        match &self.orgs {
            Allowed::All => true,
            Allowed::Only(orgs) => orgs.contains(org),
        }
    }

    pub(crate) fn allows_kind(&self, kind: Kind) -> bool {
        match &self.kinds {
            Allowed::All => true,
            Allowed::Only(kinds) => kinds.contains(&kind),
        }
    }

    /// Whether an app with this id and key is allowed; either may be empty. Both must be allowed where both are
    /// given, or a limited producer could put a foreign id beside its own key.
    pub(crate) fn allows_app(&self, id: &[u8], key: &[u8]) -> bool {
        match &self.apps {
            Allowed::All => true,
            Allowed::Only(apps) => {
                let listed = |name: &[u8]| std::str::from_utf8(name).is_ok_and(|name| apps.contains(name));
                match (id, key) {
                    (b"", b"") => false,
                    (id, b"") => listed(id),
                    (b"", key) => listed(key),
                    (id, key) => listed(id) && listed(key),
                }
            }
        }
    }

    /// Whether apps are limited at all.
    pub(crate) fn limits_apps(&self) -> bool {
        !matches!(self.apps, Allowed::All)
    }
}

#[cfg(test)]
mod tests;
