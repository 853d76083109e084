//! What the operator says about organisations: which folder is whose, and which variables are open to it.

use std::collections::BTreeMap;

use event::OrgId;

use super::raw::RawGrant;
use crate::path::KeyPath;
use crate::scope::Scope;

/// What is said about each organisation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Grants {
    prefixes: BTreeMap<OrgId, String>,
    folders: BTreeMap<OrgId, String>,
}

impl Grants {
    /// The prefix of variables that the organisation's files may refer to.
    pub(crate) fn prefix(&self, org: &OrgId) -> Option<&str> {
        self.prefixes.get(org).map(String::as_str)
    }

    /// The folder that alone may declare the organisation.
    pub(crate) fn folder(&self, org: &OrgId) -> Option<&str> {
        self.folders.get(org).map(String::as_str)
    }

    /// The organisation that alone this folder may declare.
    pub(crate) fn org(&self, folder: &str) -> Option<&OrgId> {
        self.folders.iter().find(|(_, own)| *own == folder).map(|(org, _)| org)
    }

    pub(super) fn compile(scope: &mut Scope<'_>, raw: BTreeMap<String, RawGrant>) -> Self {
        let mut grants = Self::default();
        for (id, grant) in raw {
            // Ids hold dots, so their path is built key by key.
            let mut path = scope.base().join("orgs");
            path.push_key(&id);
            let Ok(org) = OrgId::new(&id) else {
                wrong(scope, &path, event::BadOrgId.to_string(), "this is the `id` of its org.yaml");
                continue;
            };
            if grant.env_prefix.is_none() && grant.folder.is_none() {
                let hint = "write a prefix such as ACME_, or its folder";
                wrong(scope, &path.join("env_prefix"), "this key is missing".to_owned(), hint);
            }
            if let Some(folder) = grant.folder {
                grants.bind(scope, &path.join("folder"), &org, folder);
            }
            if let Some(prefix) = grant.env_prefix {
                grants.open(scope, &path.join("env_prefix"), org, prefix);
            }
        }
        grants
    }

    fn bind(&mut self, scope: &mut Scope<'_>, key: &KeyPath, org: &OrgId, folder: String) {
        if folder.is_empty() || folder.starts_with('.') || folder.contains('/') {
            let hint = "such as acme for orgs.d/acme";
            wrong(scope, key, "expected the name of a folder below orgs_dir".to_owned(), hint);
        } else if let Some(other) = self.org(&folder) {
            let what = format!("the folder is that of {other} already");
            wrong(scope, key, what, "give each organisation one folder");
        } else {
            self.folders.insert(org.clone(), folder);
        }
    }

    fn open(&mut self, scope: &mut Scope<'_>, key: &KeyPath, org: OrgId, prefix: String) {
        let good = prefix.len() > 1
            && prefix.ends_with('_')
            && prefix.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
        if !good || prefix.starts_with("TRAILWIRE_") {
            let what = "expected upper-case letters, digits and underscores with an underscore at the end";
            wrong(scope, key, what.to_owned(), "such as ACME_; TRAILWIRE_ is the operator's own");
            return;
        }
        let clash = self
            .prefixes
            .values()
            .find(|other| other.starts_with(&prefix) || prefix.starts_with(other.as_str()));
        if clash.is_some() {
            let what = "one organisation could read another's variables: one prefix begins with the other";
            wrong(scope, key, what.to_owned(), "choose prefixes of which none begins another");
            return;
        }
        self.prefixes.insert(org, prefix);
    }
}

fn wrong(scope: &mut Scope<'_>, path: &KeyPath, what: String, hint: &str) {
    scope.note(crate::Severity::Error, path, what, Some(hint.to_owned()));
}
