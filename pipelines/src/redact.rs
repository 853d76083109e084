//! Redaction policy `deny-1`: what is not known to be harmless does not pass.
//!
//! | member | what is left |
//! |---|---|
//! | `id` | itself; a keyed hash if it is not plain or has the shape of a token |
//! | path | the words of the APIs, versions; `*` for every other segment |
//! | query | the names of the parameters, never a value; `*` for what may not be a name |
//! | user agent | `product/version` tokens |
//! | closed vocabularies (`acting_as`, …) | their words; `unknown` for anything else |
//! | `client.ip` | an IP address |
//! | other ids, names, versions | plain characters, bounded, not of a token's shape; else `*` |
//! | description, summary, object name, before, after, audit context, container, message | a length |
//! | group key, app event's object id | keyed hashes |
//!
//! Everything is looked at after decoding. Whatever is replaced or left out is counted.

mod address;
mod agent;
mod path;
mod query;

use std::fmt;

pub use agent::user_agent;
pub use event::secret::has_token_shape;
pub use path::path;
pub use query::query;

use event::raw::{Measured, RawEvent, Text, TextList};

use crate::keys::Keys;

/// The name of this policy, which stands in every record.
pub const POLICY: &str = "deny-1";

/// The longest id or name that is kept, in bytes.
const MAX_ID: usize = 256;
/// The longest word or version that is kept, in bytes.
const MAX_WORD: usize = 64;

/// What redaction makes of an event, beside what it changes in place. Kept between events for its memory.
#[derive(Default)]
pub struct Work {
    /// The path.
    pub path: Vec<u8>,
    /// The query.
    pub query: Vec<u8>,
    /// The user agent.
    pub user_agent: Vec<u8>,
    /// `lifecycle.scopes_before` as JSON.
    pub scopes_before: Vec<u8>,
    /// `lifecycle.scopes_after` as JSON.
    pub scopes_after: Vec<u8>,
    /// The hash that replaces the event's id.
    pub id_hash: Option<u64>,
    /// The hash that replaces `app_event.object.id`.
    pub object_id: Option<u64>,
    /// How many values were replaced or left out.
    pub replaced: u32,
    pub(crate) decoded: Vec<u8>,
    agents: agent::Memo,
}

/// What is left over of an event in here may be raw, so none of it is shown.
impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work").field("replaced", &self.replaced).finish_non_exhaustive()
    }
}

/// Redacts an event: its texts in place, the rest into `work`.
pub(crate) fn event(event: &mut RawEvent<'_>, keys: &Keys, work: &mut Work) {
    work.replaced = 0;
    work.id_hash = None;
    work.object_id = None;
    work.path.clear();
    work.query.clear();
    work.user_agent.clear();
    work.scopes_before.clear();
    work.scopes_after.clear();

    if !(event.id.is_harmless() || is_plain(event.id, b"", &mut work.decoded)) {
        let id = event.id.decode(&mut work.decoded);
        let mut org = Vec::new();
        work.id_hash = Some(keys.value(event.org_id.decode(&mut org), id));
        work.replaced += 1;
    }
    work.keep(&mut event.site_id, MAX_ID);
    work.keep(&mut event.site, MAX_ID);
    work.keep(&mut event.product, MAX_WORD);
    let app = &mut event.app;
    work.keep(&mut app.id, MAX_ID);
    work.keep(&mut app.key, MAX_ID);
    work.keep(&mut app.installation_id, MAX_ID);
    work.keep(&mut app.environment, MAX_WORD);
    work.keep_also(&mut app.version, MAX_WORD, b"+");
    work.word(&mut app.kind, &["connect", "forge", "oauth"], None);
    work.actor_and_client(event);
    work.request(event);
    match event.kind {
        event::Kind::Lifecycle => work.lifecycle(event),
        event::Kind::AppEvent => work.app_event(event, keys),
        event::Kind::AuditEvent => work.audit_event(event),
        _ => {}
    }
}

impl Work {
    fn actor_and_client(&mut self, event: &mut RawEvent<'_>) {
        let (actor, client) = (&mut event.actor, &mut event.client);
        self.keep_also(&mut actor.account_id, MAX_ID, b"|");
        let unknown = Some("unknown");
        self.word(
            &mut actor.acting_as,
            &["app", "user_offline", "user", "user_interactive", "unknown"],
            unknown,
        );
        self.word(
            &mut actor.credential,
            &[
                "connect_jwt",
                "oauth_3lo",
                "forge_app",
                "forge_user",
                "session",
                "unknown",
                "connect_assertion",
                "forge_none",
                "remote_system",
                "remote_user",
                "api_token",
            ],
            unknown,
        );
        self.word(&mut client.origin, &["backend", "unknown", "remote", "frontend"], unknown);
        let evidence = ["token_type", "none", "declared", "user_agent", "ip_range"];
        self.word(&mut client.evidence, &evidence, Some("none"));
        if !client.ip.is_empty() && !address::is_ip(client.ip.escaped_bytes()) {
            client.ip = Text::default();
            self.replaced += 1;
        }
        if !client.user_agent.is_empty() {
            let agent = client.user_agent.decode(&mut self.decoded);
            self.replaced += self.agents.redact(agent, &mut self.user_agent);
        }
    }

    fn request(&mut self, event: &mut RawEvent<'_>) {
        let request = &mut event.request;
        self.keep(&mut request.id, MAX_ID);
        self.keep(&mut request.trace_id, MAX_ID);
        self.method(&mut request.method);
        let mut inner_query: &[u8] = b"";
        if !request.path.is_empty() {
            let whole = request.path.decode(&mut self.decoded);
            // A query or a fragment in the path is not part of it.
            let end = memchr::memchr2(b'?', b'#', whole).unwrap_or(whole.len());
            let (path_only, behind) = whole.split_at(end);
            self.replaced += path(path_only, &mut self.path);
            inner_query = behind;
        }
        if let Some(behind) = inner_query.strip_prefix(b"?") {
            self.replaced += query(behind, &mut self.query);
        } else if !inner_query.is_empty() {
            self.replaced += 1;
        }
        if !request.query.is_empty() {
            let whole = request.query.decode(&mut self.decoded);
            self.replaced += query(whole, &mut self.query);
        }
        self.replaced += u32::from(!request.description.is_empty()) + u32::from(!request.group.is_empty());
    }

    fn lifecycle(&mut self, event: &mut RawEvent<'_>) {
        let lifecycle = &mut event.lifecycle;
        self.keep_also(&mut lifecycle.by, MAX_ID, b"|");
        self.keep_also(&mut lifecycle.version_before, MAX_WORD, b"+");
        self.keep_also(&mut lifecycle.version_after, MAX_WORD, b"+");
        let mut rendered = std::mem::take(&mut self.scopes_before);
        self.scopes(lifecycle.scopes_before, &mut rendered);
        self.scopes_before = rendered;
        let mut rendered = std::mem::take(&mut self.scopes_after);
        self.scopes(lifecycle.scopes_after, &mut rendered);
        self.scopes_after = rendered;
    }

    fn scopes(&mut self, scopes: Option<TextList<'_>>, out: &mut Vec<u8>) {
        let Some(scopes) = scopes else { return };
        out.push(b'[');
        scopes.for_each(|mut scope| {
            self.keep(&mut scope, 2 * MAX_WORD);
            out.extend_from_slice(if out.len() > 1 { b",\"" } else { b"\"" });
            out.extend_from_slice(scope.decode(&mut self.decoded));
            out.push(b'"');
        });
        out.push(b']');
    }

    fn app_event(&mut self, event: &mut RawEvent<'_>, keys: &Keys) {
        let told = &mut event.app_event;
        self.identifier(&mut told.name);
        self.identifier(&mut told.object_type);
        if !told.object_id.is_empty() {
            let mut org = Vec::new();
            let id = told.object_id.decode(&mut self.decoded);
            self.object_id = Some(keys.value(event.org_id.decode(&mut org), id));
            self.replaced += 1;
        }
        self.left_out(&[told.object_name, told.summary, told.before, told.after]);
    }

    fn audit_event(&mut self, event: &mut RawEvent<'_>) {
        let told = &mut event.audit_event;
        self.identifier(&mut told.action);
        self.identifier(&mut told.category);
        self.left_out(&[told.context, told.container, told.message]);
    }

    fn left_out(&mut self, values: &[Measured]) {
        for value in values {
            self.replaced += u32::from(value.present);
        }
    }

    /// Keeps a text of plain characters, not longer than `max`.
    #[inline(always)]
    fn keep(&mut self, text: &mut Text<'_>, max: usize) {
        self.keep_also(text, max, b"");
    }

    /// Keeps a text of plain characters and those of `also`.
    #[inline(always)]
    fn keep_also(&mut self, text: &mut Text<'_>, max: usize, also: &[u8]) {
        if !(text.is_harmless() && text.escaped_bytes().len() <= max) {
            self.keep_if_plain(text, max, also);
        }
    }

    #[inline(never)]
    fn keep_if_plain(&mut self, text: &mut Text<'_>, max: usize, also: &[u8]) {
        if text.escaped_bytes().len() > max || !is_plain(*text, also, &mut self.decoded) {
            *text = Text::MASK;
            self.replaced += 1;
        }
    }

    /// Keeps a word of a closed vocabulary; else `instead`.
    #[inline(always)]
    fn word(&mut self, text: &mut Text<'_>, words: &[&'static str], instead: Option<&'static str>) {
        if !text.is_empty() && !words.iter().any(|word| word.as_bytes() == text.escaped_bytes()) {
            self.other_word(text, words, instead);
        }
    }

    #[cold]
    fn other_word(&mut self, text: &mut Text<'_>, words: &[&'static str], instead: Option<&'static str>) {
        let decoded = text.decode(&mut self.decoded);
        match words.iter().find(|word| word.as_bytes() == decoded) {
            Some(word) => *text = Text::plain(word),
            None => {
                *text = instead.map(Text::plain).unwrap_or_default();
                self.replaced += 1;
            }
        }
    }

    /// Keeps an HTTP method, in capitals; else `*`.
    #[inline]
    fn method(&mut self, method: &mut Text<'_>) {
        const METHODS: [&str; 23] = [
            "GET",
            "POST",
            "PUT",
            "DELETE",
            "PATCH",
            "HEAD",
            "OPTIONS",
            "CONNECT",
            "TRACE",
            "QUERY",
            "PROPFIND",
            "PROPPATCH",
            "MKCOL",
            "COPY",
            "MOVE",
            "LOCK",
            "UNLOCK",
            "REPORT",
            "SEARCH",
            "PURGE",
            "LINK",
            "UNLINK",
            "MERGE",
        ];
        if matches!(method.escaped_bytes(), b"" | b"GET" | b"POST" | b"PUT" | b"DELETE") {
            return;
        }
        let decoded = method.decode(&mut self.decoded);
        match METHODS.iter().find(|known| known.as_bytes().eq_ignore_ascii_case(decoded)) {
            Some(known) => *method = Text::plain(known),
            None => {
                *method = Text::MASK;
                self.replaced += 1;
            }
        }
    }

    /// Keeps a name that an app or platform gave to something it does, if it looks like one.
    fn identifier(&mut self, text: &mut Text<'_>) {
        if !text.is_empty() && !is_identifier(text.decode(&mut self.decoded)) {
            *text = Text::MASK;
            self.replaced += 1;
        }
    }
}

/// Letters, digits and `- . / : _`, of which never more than two digits side by side, short.
fn is_identifier(text: &[u8]) -> bool {
    text.len() <= MAX_WORD
        && text.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'/' | b':' | b'_'))
        && !text.windows(3).any(|three| three.iter().all(u8::is_ascii_digit))
        && !has_token_shape(text)
}

/// Whether the text has only plain characters and those of `also`, and no token's shape.
fn is_plain(text: Text<'_>, also: &[u8], decoded: &mut Vec<u8>) -> bool {
    let text = text.decode(decoded);
    text.iter().all(|b| {
        b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'/' | b':' | b'_') || also.contains(b)
    }) && !has_token_shape(text)
}

#[cfg(test)]
mod tests;
