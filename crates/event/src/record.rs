//! The record, version 1: the redacted event as it is stored, hashed and delivered.
//!
//! A record is a stamped [`head`] and a tail that [`Tail::render`] writes before the owner sees it. Canonical: the
//! members below in this order, no white space, whole numbers, the shortest escapes. A member that does not apply,
//! or that nobody computes yet, is absent; filling one in later does not change `v`.
//!
//! ```text
//! v seq group? id_reused?                                                          stamped
//! id kind time time_mark? org_id site_id? site? product?
//! app{id? key? kind? installation_id? environment? version? attribution}
//! actor?{acting_as? account_id? credential?}   client?{origin? evidence? ip? user_agent?}
//! request?{id? trace_id? method? path? query? bytes? description?{len}}
//! response?{status? bytes? rate_limit_remaining?}   duration_us?
//! lifecycle?{event by? scopes_before? scopes_after? version_before? version_after?}
//! app_event?{name object?{type? id? name?{len}} summary?{len} before?{len} after?{len}}
//! audit_event?{action category? context?{len} container?{len} message?{len}}
//! operation?{id effect admin bulk}   resource?{type id container?}   outcome
//! provenance{source asserted_by fidelity}   producer   redaction{policy count}   received_at
//! ```
//! `received_at` comes last, so that what is hashed to recognise equal content is a prefix.

mod head;
mod view;

pub use head::{Head, MAX_HEAD, head};
pub use view::{View, ViewFault};

use crate::Kind;
use crate::raw::{Measured, RawEvent, Text, write_escaped};
use crate::time::{self, CANONICAL_LEN};

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
    /// Where Trailwire got the event from, such as `http`; at most [`MAX_NAME`] bytes.
    pub source: &'r str,
    /// Who vouches for it.
    pub asserted_by: AssertedBy,
    /// Whether app and status are known.
    pub complete: bool,
    /// The producer; at most [`MAX_NAME`] bytes.
    pub producer: &'r str,
    /// The name of the redaction policy.
    pub policy: &'static str,
    /// How many values were replaced or left out.
    pub replaced: u32,
    /// The moment of receipt, as [`time::format_ms`] writes it.
    pub received_at: &'r [u8; CANONICAL_LEN],
}

impl Tail<'_> {
    /// Appends the tail to `out`, from `"id":` to the closing brace. Returns how many of its bytes come before
    /// `received_at`, which are the same whenever the same event is sent.
    pub fn render(&self, out: &mut Vec<u8>) -> usize {
        let start = out.len();
        let facts = self.facts;
        put(out, b"\"id\":\"");
        match self.id_hash {
            Some(hash) => {
                put(out, b"hash:");
                put(out, &hex16(hash));
            }
            None => put_text(out, facts.id),
        }
        put(out, b"\",\"kind\":\"");
        put(out, facts.kind.name().as_bytes());
        put(out, b"\",\"time\":\"");
        if facts.time_text.is_empty() {
            put(out, &time::format_ms(facts.time_ms));
        } else {
            put_text(out, facts.time_text);
        }
        put(
            out,
            match self.time_mark {
                None => b"\"".as_slice(),
                Some(TimeMark::Past) => b"\",\"time_mark\":\"past\"",
                Some(TimeMark::Future) => b"\",\"time_mark\":\"future\"",
            },
        );
        member(out, b",\"org_id\":\"", facts.org_id);
        member(out, b",\"site_id\":\"", facts.site_id);
        member(out, b",\"site\":\"", facts.site);
        member(out, b",\"product\":\"", facts.product);
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
        self.closing(out);
        let without_receipt = out.len() - start;
        put(out, b",\"received_at\":\"");
        put(out, self.received_at);
        put(out, b"\"}");
        without_receipt
    }

    fn app(&self, out: &mut Vec<u8>) {
        let app = &self.facts.app;
        object(out, b",\"app\":", |out| {
            member(out, b",\"id\":\"", app.id);
            member(out, b",\"key\":\"", app.key);
            member(out, b",\"kind\":\"", app.kind);
            member(out, b",\"installation_id\":\"", app.installation_id);
            member(out, b",\"environment\":\"", app.environment);
            member(out, b",\"version\":\"", app.version);
            put(
                out,
                match self.attribution {
                    Attribution::Declared => b",\"attribution\":\"declared\"".as_slice(),
                    Attribution::Rule => b",\"attribution\":\"rule\"",
                    Attribution::None => b",\"attribution\":\"none\"",
                },
            );
        });
    }

    fn actor_and_client(&self, out: &mut Vec<u8>) {
        let (actor, client) = (&self.facts.actor, &self.facts.client);
        object(out, b",\"actor\":", |out| {
            member(out, b",\"acting_as\":\"", actor.acting_as);
            member(out, b",\"account_id\":\"", actor.account_id);
            member(out, b",\"credential\":\"", actor.credential);
        });
        object(out, b",\"client\":", |out| {
            member(out, b",\"origin\":\"", client.origin);
            member(out, b",\"evidence\":\"", client.evidence);
            member(out, b",\"ip\":\"", client.ip);
            clean(out, b",\"user_agent\":\"", self.user_agent);
        });
    }

    fn request(&self, out: &mut Vec<u8>) {
        let request = &self.facts.request;
        object(out, b",\"request\":", |out| {
            member(out, b",\"id\":\"", request.id);
            member(out, b",\"trace_id\":\"", request.trace_id);
            member(out, b",\"method\":\"", request.method);
            clean(out, b",\"path\":\"", self.path);
            clean(out, b",\"query\":\"", self.query);
            number(out, b",\"bytes\":", request.bytes);
            if !request.description.is_empty() {
                length(out, b",\"description\":{\"len\":", request.description.count_chars());
            }
        });
    }

    fn response(&self, out: &mut Vec<u8>) {
        let response = &self.facts.response;
        object(out, b",\"response\":", |out| {
            if response.status != 0 {
                number(out, b",\"status\":", Some(response.status));
            }
            number(out, b",\"bytes\":", response.bytes);
            number(out, b",\"rate_limit_remaining\":", response.rate_limit_remaining);
        });
        number(out, b",\"duration_us\":", response.duration_us);
    }

    fn lifecycle(&self, out: &mut Vec<u8>) {
        let lifecycle = &self.facts.lifecycle;
        object(out, b",\"lifecycle\":", |out| {
            member(out, b",\"event\":\"", lifecycle.event);
            member(out, b",\"by\":\"", lifecycle.by);
            for (name, scopes) in [
                (b",\"scopes_before\":".as_slice(), self.scopes_before),
                (b",\"scopes_after\":", self.scopes_after),
            ] {
                if !scopes.is_empty() {
                    put(out, name);
                    put(out, scopes);
                }
            }
            member(out, b",\"version_before\":\"", lifecycle.version_before);
            member(out, b",\"version_after\":\"", lifecycle.version_after);
        });
    }

    fn app_event(&self, out: &mut Vec<u8>) {
        let told = &self.facts.app_event;
        object(out, b",\"app_event\":", |out| {
            member(out, b",\"name\":\"", told.name);
            object(out, b",\"object\":", |out| {
                member(out, b",\"type\":\"", told.object_type);
                if let Some(hash) = self.object_id {
                    put(out, b",\"id\":\"hash:");
                    put(out, &hex16(hash));
                    put(out, b"\"");
                }
                measured(out, b",\"name\":{\"len\":", told.object_name);
            });
            measured(out, b",\"summary\":{\"len\":", told.summary);
            measured(out, b",\"before\":{\"len\":", told.before);
            measured(out, b",\"after\":{\"len\":", told.after);
        });
    }

    fn audit_event(&self, out: &mut Vec<u8>) {
        let told = &self.facts.audit_event;
        object(out, b",\"audit_event\":", |out| {
            member(out, b",\"action\":\"", told.action);
            member(out, b",\"category\":\"", told.category);
            measured(out, b",\"context\":{\"len\":", told.context);
            measured(out, b",\"container\":{\"len\":", told.container);
            measured(out, b",\"message\":{\"len\":", told.message);
        });
    }

    fn closing(&self, out: &mut Vec<u8>) {
        put(
            out,
            match self.facts.response.status {
                200..=399 => b",\"outcome\":\"success\",\"provenance\":{\"source\":\"".as_slice(),
                400..=599 => b",\"outcome\":\"failure\",\"provenance\":{\"source\":\"",
                _ => b",\"outcome\":\"unknown\",\"provenance\":{\"source\":\"",
            },
        );
        write_escaped(self.source.as_bytes(), out);
        put(
            out,
            match self.asserted_by {
                AssertedBy::Platform => b"\",\"asserted_by\":\"platform\",\"fidelity\":\"".as_slice(),
                AssertedBy::Proxy => b"\",\"asserted_by\":\"proxy\",\"fidelity\":\"",
                AssertedBy::Vendor => b"\",\"asserted_by\":\"vendor\",\"fidelity\":\"",
            },
        );
        put(
            out,
            if self.complete { b"full\"},\"producer\":\"".as_slice() } else { b"partial\"},\"producer\":\"" },
        );
        write_escaped(self.producer.as_bytes(), out);
        put(out, b"\",\"redaction\":{\"policy\":\"");
        put(out, self.policy.as_bytes());
        put(out, b"\",\"count\":");
        put_number(out, self.replaced);
        put(out, b"}");
    }
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

#[inline(always)]
fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(bytes);
}

#[inline(always)]
fn put_text(out: &mut Vec<u8>, text: Text<'_>) {
    if text.has_escape() { put_escaped(out, text) } else { put(out, text.escaped_bytes()) }
}

/// A text whose escapes may not be the shortest.
#[cold]
fn put_escaped(out: &mut Vec<u8>, text: Text<'_>) {
    let mut decoded = Vec::new();
    write_escaped(text.decode(&mut decoded), out);
}

#[inline(always)]
fn put_number(out: &mut Vec<u8>, value: impl itoa::Integer) {
    put(out, itoa::Buffer::new().format(value).as_bytes());
}

/// A member with a text, unless that is empty. `opening` reaches to the text.
#[inline(always)]
fn member(out: &mut Vec<u8>, opening: &[u8], text: Text<'_>) {
    if !text.is_empty() {
        put(out, opening);
        put_text(out, text);
        out.push(b'"');
    }
}

/// A member with a text that needs no escaping, unless that is empty.
#[inline(always)]
fn clean(out: &mut Vec<u8>, opening: &[u8], text: &[u8]) {
    debug_assert!(text.iter().all(|b| *b >= b' ' && *b != b'"' && *b != b'\\'));
    if !text.is_empty() {
        put(out, opening);
        put(out, text);
        out.push(b'"');
    }
}

#[inline(always)]
fn number(out: &mut Vec<u8>, opening: &[u8], value: Option<impl itoa::Integer>) {
    if let Some(value) = value {
        put(out, opening);
        put_number(out, value);
    }
}

fn length(out: &mut Vec<u8>, opening: &[u8], len: usize) {
    put(out, opening);
    put_number(out, len);
    put(out, b"}");
}

fn measured(out: &mut Vec<u8>, opening: &[u8], value: Measured) {
    if value.present {
        length(out, opening, value.len);
    }
}

/// An object, unless it would be empty. Every member begins with a comma; the first comma becomes the brace.
#[inline(always)]
fn object(out: &mut Vec<u8>, opening: &[u8], members: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    put(out, opening);
    let first = out.len();
    members(out);
    match out.get_mut(first) {
        Some(comma) => {
            *comma = b'{';
            out.push(b'}');
        }
        None => out.truncate(start),
    }
}

#[cfg(test)]
mod tests;
