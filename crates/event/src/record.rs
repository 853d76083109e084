//! The record, version 1: the redacted event as it is stored, hashed and delivered.
//!
//! A record is a stamped [`head`] and a tail that [`Tail::render`] writes before the owner sees it. Canonical: the
//! members below in this order, no white space, whole numbers, the shortest escapes. A member that does not apply,
//! or that nobody computes yet, is absent; filling one in later does not change `v`.
//!
//! ```text
//! v seq group? id_reused?                                                          stamped
//! id kind time org_id site_id? site? product?
//! app{id? key? kind? installation_id? environment? version? attribution}
//! actor?{acting_as? account_id? credential?}   client?{origin? evidence? ip? user_agent?}
//! request?{id? trace_id? method? path? query? bytes? description?{len}}
//! response?{status? bytes? rate_limit_remaining?}   duration_us?
//! lifecycle?{event by? scopes_before? scopes_after? version_before? version_after?}
//! app_event?{name object?{type? id? name?{len}} summary?{len} before?{len} after?{len}}
//! audit_event?{action category? context?{len} container?{len} message?{len}}
//! operation?{id effect admin bulk}   resource?{type id container?}   outcome
//! provenance{source asserted_by fidelity}   producer   redaction{policy count}   time_mark?   received_at
//! ```
//! What was told comes first, and behind it how and when it came here: the facts are a prefix, and only they are hashed
//! to recognise equal content. So an event that is sent again later, or by another way, is the same event.

mod head;
mod view;
mod write;

pub use head::{Head, MAX_HEAD, head};
pub use view::{View, ViewFault};

use crate::Kind;
use crate::raw::{RawEvent, Text, write_escaped};
use crate::time;
use write::Writer;

/// How much longer than its raw event a record may be, before what was replaced is counted.
pub const MAX_GROWTH: usize = 640;
/// How much longer each replaced value may make it.
pub const MAX_GROWTH_PER_REPLACED: usize = 32;
/// The longest name of a producer or a source, in bytes: they stand in every record.
pub const MAX_NAME: usize = 40;

/// A time far from the moment of receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeMark {
    /// More than a year before.
    Past,
    /// More than an hour after.
    Future,
}

/// How the app of an event is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attribution {
    /// The event names it.
    Declared,
    /// A rule of the app registry names it.
    Rule,
    /// It is not known.
    None,
}

/// Who vouches for an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AssertedBy {
    /// The platform on which the call was made.
    Platform,
    /// Something between app and platform.
    Proxy,
    /// The app's vendor.
    Vendor,
}

/// What is the same in all records of a request, rendered once.
#[derive(Debug, Clone)]
pub struct Origin {
    /// From `"provenance"` to the redaction's count, for records that are complete.
    full: Vec<u8>,
    /// The same for those that are not.
    partial: Vec<u8>,
    /// The two for what an app says of itself: that is its vendor's word, whoever passes it on.
    own_full: Vec<u8>,
    own_partial: Vec<u8>,
    /// `received_at` and the closing brace.
    receipt: Vec<u8>,
}

impl Origin {
    /// An origin: where Trailwire got the events from, such as `http`; who vouches for them; who sent them; the
    /// redaction policy that is applied to them; and the moment of receipt, in milliseconds since 1970. Of source
    /// and producer [`MAX_NAME`] bytes count.
    #[must_use]
    pub fn new(
        source: &str,
        asserted_by: AssertedBy,
        producer: &str,
        policy: &'static str,
        received_at: i64,
    ) -> Self {
        let render = |asserted_by: AssertedBy, fidelity: &str| {
            let mut out = b",\"provenance\":{\"source\":\"".to_vec();
            write_escaped(cut(source), &mut out);
            out.extend_from_slice(b"\",\"asserted_by\":\"");
            out.extend_from_slice(match asserted_by {
                AssertedBy::Platform => b"platform".as_slice(),
                AssertedBy::Proxy => b"proxy",
                AssertedBy::Vendor => b"vendor",
            });
            out.extend_from_slice(b"\",\"fidelity\":\"");
            out.extend_from_slice(fidelity.as_bytes());
            out.extend_from_slice(b"\"},\"producer\":\"");
            write_escaped(cut(producer), &mut out);
            out.extend_from_slice(b"\",\"redaction\":{\"policy\":\"");
            write_escaped(policy.as_bytes(), &mut out);
            out.extend_from_slice(b"\",\"count\":");
            out
        };
        let mut receipt = b",\"received_at\":\"".to_vec();
        receipt.extend_from_slice(&time::format_ms(received_at));
        receipt.extend_from_slice(b"\"}");
        Self {
            full: render(asserted_by, "full"),
            partial: render(asserted_by, "partial"),
            own_full: render(AssertedBy::Vendor, "full"),
            own_partial: render(AssertedBy::Vendor, "partial"),
            receipt,
        }
    }
}

/// At most [`MAX_NAME`] bytes of a name, whole characters.
fn cut(name: &str) -> &[u8] {
    let mut kept = name.len().min(MAX_NAME);
    while !name.is_char_boundary(kept) {
        kept -= 1;
    }
    name.as_bytes().get(..kept).unwrap_or_default()
}

/// A tail to be written. Nothing is redacted here: what it is given has been.
#[derive(Debug, Clone, Copy)]
pub struct Tail<'r> {
    /// The facts. Of its request, `path` and `query` are not read, of its client `user_agent`, of its lifecycle the
    /// scopes, of its app event `object_id`: what is left of them stands below.
    pub facts: &'r RawEvent<'r>,
    /// Keyed hash of the id, which then stands in its place: for ids that look like a secret.
    pub id_hash: Option<u64>,
    /// Whether the time is far from the moment of receipt.
    pub time_mark: Option<TimeMark>,
    /// The path after redaction; needs no escaping.
    pub path: &'r [u8],
    /// The query after redaction; needs no escaping.
    pub query: &'r [u8],
    /// The user agent after redaction; needs no escaping.
    pub user_agent: &'r [u8],
    /// `lifecycle.scopes_before` as a JSON array, empty if there is none.
    pub scopes_before: &'r [u8],
    /// `lifecycle.scopes_after` as a JSON array, empty if there is none.
    pub scopes_after: &'r [u8],
    /// Keyed hash of `app_event.object.id`.
    pub object_id: Option<u64>,
    /// How the app is known.
    pub attribution: Attribution,
    /// What it shares with the other events of its request.
    pub origin: &'r Origin,
    /// Whether app and status are known.
    pub complete: bool,
    /// How many values were replaced or left out.
    pub replaced: u32,
}

impl Tail<'_> {
    /// Appends the tail to `out`, from `"id":` to the closing brace. Returns how many of its bytes are facts: they are
    /// the same whenever the same event is sent, and by whatever way.
    pub fn render(&self, out: &mut Vec<u8>) -> usize {
        let start = out.len();
        let facts = self.facts;
        let out = &mut Writer::new(out, facts.source);
        match self.id_hash {
            Some(hash) => out.hashed(b"\"id\":\"hash:", hash),
            None => out.member(b"\"id\":\"", facts.id),
        }
        out.put_or_follow(match facts.kind {
            Kind::ApiCall => b",\"kind\":\"api_call\"",
            Kind::Lifecycle => b",\"kind\":\"lifecycle\"",
            Kind::AppEvent => b",\"kind\":\"app_event\"",
            Kind::AuditEvent => b",\"kind\":\"audit_event\"",
            Kind::CallGroup => b",\"kind\":\"call_group\"",
            Kind::Notice => b",\"kind\":\"notice\"",
            Kind::AdminAction => b",\"kind\":\"admin_action\"",
        });
        if facts.time_text.is_empty() {
            out.clean(b"\"time\":\"", &time::format_ms(facts.time_ms));
        } else {
            out.member(b"\"time\":\"", facts.time_text);
        }
        out.member(b"\"org_id\":\"", facts.org_id);
        out.member(b"\"site_id\":\"", facts.site_id);
        out.member(b"\"site\":\"", facts.site);
        out.member(b"\"product\":\"", facts.product);
        self.app(out);
        self.actor_and_client(out);
        self.request(out);
        self.response(out);
        match facts.kind {
            Kind::Lifecycle => self.lifecycle(out),
            Kind::AppEvent => self.app_event(out),
            Kind::AuditEvent => self.audit_event(out),
            _ => {}
        }
        out.put(match facts.response.status {
            200..=399 => b",\"outcome\":\"success\"",
            400..=599 => b",\"outcome\":\"failure\"",
            _ => b",\"outcome\":\"unknown\"",
        });
        let told = out.len() - start;
        self.closing(out);
        told
    }

    fn app(&self, out: &mut Writer<'_, '_>) {
        let app = &self.facts.app;
        out.object(b",\"app\":", |out| {
            out.member(b"\"id\":\"", app.id);
            out.member(b"\"key\":\"", app.key);
            out.member(b"\"kind\":\"", app.kind);
            out.member(b"\"installation_id\":\"", app.installation_id);
            out.member(b"\"environment\":\"", app.environment);
            out.member(b"\"version\":\"", app.version);
            out.rendered(
                b"\"attribution\":",
                match self.attribution {
                    Attribution::Declared => b"\"declared\"".as_slice(),
                    Attribution::Rule => b"\"rule\"",
                    Attribution::None => b"\"none\"",
                },
            );
        });
    }

    fn actor_and_client(&self, out: &mut Writer<'_, '_>) {
        let (actor, client) = (&self.facts.actor, &self.facts.client);
        if any(&[actor.acting_as, actor.account_id, actor.credential]) {
            out.object(b",\"actor\":", |out| {
                out.member(b"\"acting_as\":\"", actor.acting_as);
                out.member(b"\"account_id\":\"", actor.account_id);
                out.member(b"\"credential\":\"", actor.credential);
            });
        }
        if any(&[client.origin, client.evidence, client.ip]) || !self.user_agent.is_empty() {
            out.object(b",\"client\":", |out| {
                out.member(b"\"origin\":\"", client.origin);
                out.member(b"\"evidence\":\"", client.evidence);
                out.member(b"\"ip\":\"", client.ip);
                out.clean(b"\"user_agent\":\"", self.user_agent);
            });
        }
    }

    fn request(&self, out: &mut Writer<'_, '_>) {
        let request = &self.facts.request;
        if !any(&[request.id, request.trace_id, request.method, request.description])
            && self.path.is_empty()
            && self.query.is_empty()
            && request.bytes.is_none()
        {
            return;
        }
        out.object(b",\"request\":", |out| {
            out.member(b"\"id\":\"", request.id);
            out.member(b"\"trace_id\":\"", request.trace_id);
            out.member(b"\"method\":\"", request.method);
            out.clean(b"\"path\":\"", self.path);
            out.clean(b"\"query\":\"", self.query);
            out.number(b"\"bytes\":", request.bytes);
            if !request.description.is_empty() {
                out.length(b"\"description\":", request.description.count_chars());
            }
        });
    }

    fn response(&self, out: &mut Writer<'_, '_>) {
        let response = &self.facts.response;
        let status = Some(response.status).filter(|status| *status != 0);
        if status.is_some() || response.bytes.is_some() || response.rate_limit_remaining.is_some() {
            out.object(b",\"response\":", |out| {
                out.number(b"\"status\":", status.map(u64::from));
                out.number(b"\"bytes\":", response.bytes);
                out.signed(b"\"rate_limit_remaining\":", response.rate_limit_remaining);
            });
        }
        out.number(b"\"duration_us\":", response.duration_us);
    }

    fn lifecycle(&self, out: &mut Writer<'_, '_>) {
        let lifecycle = &self.facts.lifecycle;
        out.object(b",\"lifecycle\":", |out| {
            out.member(b"\"event\":\"", lifecycle.event);
            out.member(b"\"by\":\"", lifecycle.by);
            out.rendered(b"\"scopes_before\":", self.scopes_before);
            out.rendered(b"\"scopes_after\":", self.scopes_after);
            out.member(b"\"version_before\":\"", lifecycle.version_before);
            out.member(b"\"version_after\":\"", lifecycle.version_after);
        });
    }

    fn app_event(&self, out: &mut Writer<'_, '_>) {
        let told = &self.facts.app_event;
        out.object(b",\"app_event\":", |out| {
            out.member(b"\"name\":\"", told.name);
            if !told.object_type.is_empty() || self.object_id.is_some() || told.object_name.present {
                out.object(b",\"object\":", |out| {
                    out.member(b"\"type\":\"", told.object_type);
                    if let Some(hash) = self.object_id {
                        out.hashed(b"\"id\":\"hash:", hash);
                    }
                    out.measured(b"\"name\":", told.object_name);
                });
            }
            out.measured(b"\"summary\":", told.summary);
            out.measured(b"\"before\":", told.before);
            out.measured(b"\"after\":", told.after);
        });
    }

    fn audit_event(&self, out: &mut Writer<'_, '_>) {
        let told = &self.facts.audit_event;
        out.object(b",\"audit_event\":", |out| {
            out.member(b"\"action\":\"", told.action);
            out.member(b"\"category\":\"", told.category);
            out.measured(b"\"context\":", told.context);
            out.measured(b"\"container\":", told.container);
            out.measured(b"\"message\":", told.message);
        });
    }

    fn closing(&self, out: &mut Writer<'_, '_>) {
        let origin = self.origin;
        out.put(match (self.facts.kind, self.complete) {
            (Kind::AppEvent, true) => &origin.own_full,
            (Kind::AppEvent, false) => &origin.own_partial,
            (_, true) => &origin.full,
            (_, false) => &origin.partial,
        });
        out.put_number(u64::from(self.replaced));
        out.put(match self.time_mark {
            None => b"}".as_slice(),
            Some(TimeMark::Past) => b"},\"time_mark\":\"past\"",
            Some(TimeMark::Future) => b"},\"time_mark\":\"future\"",
        });
        out.put(&origin.receipt);
    }
}

/// Whether any of the texts is there.
fn any(texts: &[Text<'_>]) -> bool {
    texts.iter().any(|text| !text.is_empty())
}

/// Sixteen hexadecimal digits.
#[must_use]
pub fn hex16(number: u64) -> [u8; 16] {
    let mut out = [0; 16];
    let mut rest = number;
    for slot in out.iter_mut().rev() {
        let digit = u8::try_from(rest & 15).unwrap_or(0);
        *slot = if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
        rest >>= 4;
    }
    out
}

#[cfg(test)]
mod tests;
