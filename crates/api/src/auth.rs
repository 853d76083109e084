//! Who may send and who may ask: bearer tokens, kept as hashes only.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use pipelines::Grant;
use rustc_hash::FxHashMap;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

/// SHA-256 of a token. The token itself is forgotten when the configuration is loaded.
///
/// A plain hash is enough because tokens are long and random; a slow one would let clients spend our processor.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Hashes a token.
    #[must_use]
    pub fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// A hash from the configuration (`token_sha256`).
    #[must_use]
    pub const fn from_digest(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// Compares in constant time.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    fn slot(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

/// An authenticated sender of raw events.
#[derive(Debug)]
pub struct Producer {
    /// What it may send; holds its name.
    pub grant: Grant,
    /// Its tokens: one, or two while one is being replaced.
    pub tokens: Vec<TokenHash>,
}

/// All producers, by token. Immutable: a reload makes a new one.
#[derive(Debug, Default)]
pub struct Producers {
    // The place in the map follows from the hash, which a client cannot choose without knowing the token; the
    // comparison that decides is in constant time.
    by_slot: FxHashMap<u64, Vec<(TokenHash, Arc<Admitted>)>>,
}

/// A producer with its share of the memory for bodies.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) grant: Grant,
    /// In the units of [`crate::budget`]: so that one producer that stalls cannot keep the others out.
    pub(crate) share: Arc<Semaphore>,
}

impl Producers {
    /// A table of producers. A token that two producers share belongs to the first.
    #[must_use]
    pub fn new(producers: Vec<Producer>) -> Self {
        let mut by_slot: FxHashMap<u64, Vec<(TokenHash, Arc<Admitted>)>> = FxHashMap::default();
        for producer in producers {
            let admitted = Arc::new(Admitted {
                grant: producer.grant,
                share: Arc::new(Semaphore::new(crate::budget::PRODUCER_UNITS)),
            });
            for token in producer.tokens {
                by_slot.entry(token.slot()).or_default().push((token, Arc::clone(&admitted)));
            }
        }
        Self { by_slot }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_slot.is_empty()
    }

    pub(crate) fn find(&self, token: &[u8]) -> Option<Arc<Admitted>> {
        let hash = TokenHash::of(token);
        let candidates = self.by_slot.get(&hash.slot())?;
        candidates.iter().find(|(known, _)| known.matches(&hash)).map(|(_, admitted)| Arc::clone(admitted))
    }
}

/// Why there is no token to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoToken {
    Missing,
    /// More than one header, or another scheme.
    NotBearer,
}

/// The token of `Authorization: Bearer …`.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<&[u8], NoToken> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(NoToken::Missing)?.as_bytes();
    if values.next().is_some() {
        return Err(NoToken::NotBearer);
    }
    let (scheme, token) = value.split_at_checked(7).ok_or(NoToken::NotBearer)?;
    let token = token.trim_ascii();
    if scheme.eq_ignore_ascii_case(b"bearer ") && !token.is_empty() {
        Ok(token)
    } else {
        Err(NoToken::NotBearer)
    }
}
