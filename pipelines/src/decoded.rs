//! What decoding a request gives.

use event::raw::{Scratch, UnknownMembers};
use event::reject::{Code, Rejection};
use flow::prepared::Prepared;

use crate::known_orgs::KnownOrgs;
use crate::redact::Work;

/// The most rejections that are told in words. All of them are listed: a sender that is not told of a refused event takes
/// it for stored.
pub const MAX_TOLD: usize = 1000;

/// Why a whole body is refused. Nothing of it is stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BodyFault {
    /// The code, which has the HTTP status.
    pub code: Code,
    /// Why, in words.
    pub message: String,
}

impl BodyFault {
    pub(crate) fn new(code: Code) -> Self {
        Self { code, message: code.entry().meaning.to_owned() }
    }

    pub(crate) fn broken(detail: &str) -> Self {
        Self { code: Code::BrokenBody, message: format!("{}: {detail}", Code::BrokenBody.entry().meaning) }
    }
}

/// The rows and rejections of a request, and the memory that making them takes: keep it for the next request.
#[derive(Debug, Default)]
pub struct Decoded {
    /// The rows by partition, as many as the directory has. Take them out to submit them.
    pub parts: Vec<Prepared>,
    /// The refused events, in the order of their lines; those behind the first [`MAX_TOLD`] without words.
    pub rejected: Vec<Rejection>,
    /// How many events were refused with [`Code::OverQuota`].
    pub over_quota: u64,
    /// How many rows there are in all parts.
    pub accepted: u64,
    pub(crate) scratch: Scratch,
    pub(crate) work: Work,
    pub(crate) known_orgs: KnownOrgs,
}

impl Decoded {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The members that the format does not know, over the events of this request.
    #[must_use]
    pub fn unknown_members(&self) -> &UnknownMembers {
        &self.scratch.unknown
    }

    /// Forgets the last request, keeps the memory.
    pub(crate) fn reset(&mut self, partitions: usize) {
        self.parts.resize_with(partitions, Prepared::default);
        for part in &mut self.parts {
            part.arena.clear();
            part.rows.clear();
        }
        if self.rejected.capacity() > MAX_TOLD {
            self.rejected = Vec::new();
        }
        self.rejected.clear();
        self.over_quota = 0;
        self.accepted = 0;
        self.scratch.unknown.clear();
    }

    pub(crate) fn reject(&mut self, code: Code, rejection: impl FnOnce() -> Rejection) {
        self.over_quota += u64::from(code == Code::OverQuota);
        let mut rejection = rejection();
        if self.rejected.len() >= MAX_TOLD {
            rejection.message = String::new();
        }
        self.rejected.push(rejection);
    }
}
