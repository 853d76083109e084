//! Identifiers that raw events and records carry.

use std::fmt;
use std::sync::Arc;

/// The longest organisation id, in bytes.
pub const ORG_ID_MAX: usize = 128;

/// An organisation: the customer and tenant.
///
/// 1 to [`ORG_ID_MAX`] bytes of `[A-Za-z0-9._:-]`, so that it needs no escaping in JSON, in a header or in a
/// file name. Cheap to clone. Compared byte by byte: case matters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrgId(Arc<str>);

/// Why a text is no organisation id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an organisation id has 1 to {ORG_ID_MAX} characters of A-Z a-z 0-9 . _ : -")]
pub struct BadOrgId;

impl OrgId {
    /// Checks and copies `text`.
    ///
    /// # Errors
    /// [`BadOrgId`] when the text is empty, too long or holds another character.
    pub fn new(text: &str) -> Result<Self, BadOrgId> {
        if Self::is_valid(text) { Ok(Self(Arc::from(text))) } else { Err(BadOrgId) }
    }

    /// Whether `text` may be an organisation id.
    #[must_use]
    pub fn is_valid(text: &str) -> bool {
        (1..=ORG_ID_MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-'))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for OrgId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for OrgId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for OrgId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for OrgId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}
