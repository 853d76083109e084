//! What one organisation may see of the status.

use event::OrgId;
use serde::Serialize;

use super::{OrgText, SinkState, SinkStatus, Status, state_name};

/// The answer of `/v1/status?org=`. Everything that is summed over organisations is left out: from the growth of a sum
/// one of them could tell how much another one does.
#[derive(Debug, Clone, Serialize)]
pub struct OrgStatus {
    /// The version of the program.
    pub version: String,
    /// The organisation.
    pub org: OrgText,
    /// The sinks that get its records.
    pub sinks: Vec<OrgSink>,
}

/// A sink, as far as the organisation may know it.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
#[allow(clippy::large_enum_variant, reason = "an organisation has a handful of them, and most are its own")]
pub enum OrgSink {
    /// Its own, with everything.
    Own(SinkStatus),
    /// One of the operator's.
    Shared(SharedSink),
}

/// A sink of the operator's that gets this organisation's records, among others. Its counts, its lag and its errors may
/// come from another one's records, so there are none here.
#[derive(Debug, Clone, Serialize)]
pub struct SharedSink {
    /// Always `null`: it is the operator's.
    pub org: Option<OrgText>,
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is doing.
    #[serde(serialize_with = "state_name")]
    pub state: SinkState,
}

impl Status {
    /// The part of it that `org` may see.
    #[must_use]
    pub fn of_org(self, org: &OrgId) -> OrgStatus {
        let sinks = self.sinks.into_iter().filter_map(|sink| match &sink.org {
            Some(owner) if owner.0 == *org => Some(OrgSink::Own(sink)),
            Some(_) => None,
            None if sink.scope.as_ref().is_some_and(|scope| scope.covers(org.as_str())) => {
                let SinkStatus { name, kind, state, .. } = sink;
                Some(OrgSink::Shared(SharedSink { org: None, name, kind, state }))
            }
            None => None,
        });
        OrgStatus { version: self.version, sinks: sinks.collect(), org: OrgText(org.clone()) }
    }
}
