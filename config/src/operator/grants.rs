//! What the operator grants to organisations: variables of the environment, by prefix.

use std::collections::BTreeMap;

use event::OrgId;

use super::raw::RawGrant;
use crate::scope::Scope;

/// The prefix of variables that each organisation's files may refer to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Grants(BTreeMap<OrgId, String>);

impl Grants {
    pub(crate) fn prefix(&self, org: &OrgId) -> Option<&str> {
        self.0.get(org).map(String::as_str)
    }

    pub(super) fn compile(scope: &mut Scope<'_>, raw: BTreeMap<String, RawGrant>) -> Self {
        let mut grants: BTreeMap<OrgId, String> = BTreeMap::new();
        for (id, grant) in raw {
            // Ids hold dots, so their path is built key by key.
            let mut path = scope.base().join("orgs");
            path.push_key(&id);
            let key = path.join("env_prefix");
            let mut wrong = |path, what: String, hint: &str| {
                scope.note(crate::Severity::Error, path, what, Some(hint.to_owned()));
            };
            let Ok(org) = OrgId::new(&id) else {
                wrong(&path, event::BadOrgId.to_string(), "this is the `id` of its org.yaml");
                continue;
            };
            let Some(prefix) = grant.env_prefix else {
                wrong(&key, "this key is missing".to_owned(), "write a prefix such as ACME_");
                continue;
            };
            let good = prefix.len() > 1
                && prefix.ends_with('_')
                && prefix.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
            if !good || prefix.starts_with("TRAILWIRE_") {
                let what =
                    "expected upper-case letters, digits and underscores with an underscore at the end";
                wrong(&key, what.to_owned(), "such as ACME_; TRAILWIRE_ is the operator's own");
                continue;
            }
            let clash = grants
                .values()
                .find(|other| other.starts_with(&prefix) || prefix.starts_with(other.as_str()));
            if clash.is_some() {
                let what =
                    "one organisation could read another's variables: one prefix begins with the other";
                wrong(&key, what.to_owned(), "choose prefixes of which none begins another");
                continue;
            }
            grants.insert(org, prefix);
        }
        Self(grants)
    }
}
