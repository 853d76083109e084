//! An event without members, as a constant: every event that is read begins as a copy of it, and a thousand bytes are
//! copied at once faster than forty members are set one by one.

use super::{
    Actor, App, AppEvent, AuditEvent, Client, Lifecycle, Measured, RawEvent, Request, Response, Text,
};
use crate::Kind;

const TEXT: Text<'static> = Text::new(b"", 0);
const MEASURED: Measured = Measured { len: 0, present: false };

pub(super) const EVENT: RawEvent<'static> = RawEvent {
    source: &[],
    id: TEXT,
    kind: Kind::ApiCall,
    time_ms: 0,
    time_text: TEXT,
    org_id: TEXT,
    site_id: TEXT,
    site: TEXT,
    product: TEXT,
    app: App { id: TEXT, key: TEXT, kind: TEXT, installation_id: TEXT, environment: TEXT, version: TEXT },
    actor: Actor { acting_as: TEXT, account_id: TEXT, credential: TEXT },
    client: Client { origin: TEXT, evidence: TEXT, ip: TEXT, user_agent: TEXT },
    request: Request {
        id: TEXT,
        trace_id: TEXT,
        method: TEXT,
        path: TEXT,
        query: TEXT,
        bytes: None,
        description: TEXT,
        group: TEXT,
    },
    response: Response { status: 0, bytes: None, duration_us: None, rate_limit_remaining: None },
    lifecycle: Lifecycle {
        event: TEXT,
        by: TEXT,
        scopes_before: None,
        scopes_after: None,
        version_before: TEXT,
        version_after: TEXT,
    },
    app_event: AppEvent {
        name: TEXT,
        object_type: TEXT,
        object_id: TEXT,
        object_name: MEASURED,
        summary: MEASURED,
        before: MEASURED,
        after: MEASURED,
    },
    audit_event: AuditEvent {
        action: TEXT,
        category: TEXT,
        context: MEASURED,
        container: MEASURED,
        message: MEASURED,
    },
};
