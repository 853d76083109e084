//! Whether an event may come in: kind, organisation, app, quota. In this order, so that an organisation that the
//! producer may not speak for is not even taken in.

use std::time::Duration;

use event::OrgId;
use event::raw::RawEvent;
use event::reject::{Code, Rejection};
use flow::orgs::{OrgEntry, UnknownOrg};

use crate::Grant;
use crate::known_orgs::KnownOrgs;
use crate::plan::{Input, Plan};
use crate::redact::has_token_shape;

/// Why an event may not come in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refused {
    pub(crate) code: Code,
    retry_after: Option<Duration>,
}

impl Refused {
    fn new(code: Code) -> Self {
        Self { code, retry_after: None }
    }

    pub(crate) fn reject(self, line: u32) -> Rejection {
        let message = self.code.entry().meaning.to_owned();
        Rejection { line, code: self.code, message, retry_after: self.retry_after }
    }
}

impl Plan {
    /// Admits an event of `bytes` bytes, or tells why not.
    #[inline]
    pub(crate) fn admit(
        &self,
        event: &RawEvent<'_>,
        bytes: usize,
        input: &mut Input<'_>,
        known: &mut KnownOrgs,
        decoded: &mut Vec<u8>,
    ) -> Result<OrgEntry, Refused> {
        if !input.grant.allows_kind(event.kind) {
            return Err(Refused::new(Code::KindNotAllowed));
        }
        let org = event.org_id.decode(decoded);
        let found = match known.find(org) {
            Some(found) if found.allowed || input.grant.allows_all_orgs() => found.entry,
            _ => self.find(org, input.grant, known)?,
        };
        if input.grant.limits_apps() {
            let (mut id, mut key) = (Vec::new(), Vec::new());
            if !input.grant.allows_app(event.app.id.decode(&mut id), event.app.key.decode(&mut key)) {
                return Err(Refused::new(Code::AppNotAllowed));
            }
        }
        (input.quota)(found.key, bytes as u64)
            .map_err(|after| Refused { code: Code::OverQuota, retry_after: Some(after) })?;
        Ok(found)
    }

    #[inline(never)]
    fn find(&self, org: &[u8], grant: &Grant, remembered: &mut KnownOrgs) -> Result<OrgEntry, Refused> {
        let bad = Refused::new(Code::BadOrg);
        let org = std::str::from_utf8(org).map_err(|_| bad)?;
        // What the directory has is a valid id.
        let is_new = self.directory.find(org).is_none();
        if is_new && (!OrgId::is_valid(org) || has_token_shape(org.as_bytes())) {
            return Err(bad);
        }
        if !grant.allows_org(org) {
            return Err(Refused::new(Code::OrgNotAllowed));
        }
        let entry = self.directory.resolve(org).map_err(|unknown| match unknown {
            UnknownOrg::Invalid => bad,
            UnknownOrg::Refused => Refused::new(Code::UnknownOrg),
            UnknownOrg::TooMany => Refused::new(Code::TooManyOrgs),
        })?;
        remembered.allow(org.as_bytes(), entry);
        Ok(entry)
    }
}
