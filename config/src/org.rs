//! An organisation's `org.yaml`.

use event::OrgId;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::operator::Quota;
use crate::problem::Place;
use crate::scope::Scope;
use crate::units::{ByteRate, Ceiling, EventRate};

/// An organisation that has a folder.
#[derive(Debug, Clone)]
pub struct Org {
    /// Its id, as events carry it.
    pub id: OrgId,
    /// Its name, for people.
    pub name: String,
    /// Its folder below `orgs_dir`.
    pub folder: String,
    /// What it may send: the operator's quota where `org.yaml` is silent.
    pub ingest: Quota,
    /// Where it is written.
    pub place: Place,
}

/// An organisation: org.yaml.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawOrg {
    /// The version of this format: 1.
    #[serde(rename = "version")]
    #[schemars(required)]
    _version: Option<u64>,
    /// The organisation's id, as events carry it in org_id.
    #[schemars(required)]
    id: Option<String>,
    /// Its name, for people.
    #[schemars(required)]
    name: Option<String>,
    /// Limits of its own.
    #[serde(default)]
    limits: RawOrgLimits,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct RawOrgLimits {
    /// What it may send, instead of the operator's limits.ingest_per_org.
    ingest: RawOrgQuota,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct RawOrgQuota {
    /// Events in a time.
    events: Option<Ceiling<EventRate>>,
    /// Bytes of raw events in a time.
    bytes: Option<Ceiling<ByteRate>>,
}

/// Checks an `org.yaml`. `None` when an error was noted.
pub(crate) fn compile(scope: &mut Scope<'_>, folder: &str, default: Quota) -> Option<Org> {
    let raw: RawOrg = scope.read()?;
    let id = scope.require("id", raw.id).and_then(|text| match OrgId::new(&text) {
        Ok(id) => Some(id),
        Err(bad) => {
            scope.error("id", bad.to_string());
            None
        }
    });
    let name = scope.require("name", raw.name);
    if name
        .as_ref()
        .is_some_and(|name| name.trim().is_empty() || name.len() > 256 || name.contains(char::is_control))
    {
        scope.error("name", "must have 1 to 256 bytes and no control characters");
    }
    let quota = raw.limits.ingest;
    let ingest = Quota {
        events: quota.events.map_or(default.events, |ceiling| ceiling.0),
        bytes: quota.bytes.map_or(default.bytes, |ceiling| ceiling.0),
    };
    let (id, name) = (id?, name?);
    (!scope.has_errors()).then(|| Org { id, name, folder: folder.to_owned(), ingest, place: scope.place() })
}
