//! The members of a raw event: which there are, of which type, and which are required.

use super::scan::Scanner;
use super::text::Text;
use super::{MAX_ID, Measured, Problem, RawEvent, TextList, number};
use crate::Kind;
use crate::reject::Code;
use crate::time;

/// The bit of a known member in its object's set of members seen, or that the name is unknown.
type Known = Result<Option<u32>, Problem>;

const LIFECYCLE_EVENTS: [&[u8]; 6] =
    [b"installed", b"uninstalled", b"enabled", b"disabled", b"upgraded", b"permissions_changed"];

impl<'a> Scanner<'a, '_> {
    /// Reads an event at this place, which becomes the place behind it.
    pub(super) fn event(&mut self, event: &mut RawEvent<'a>) -> Result<(), Problem> {
        *event = RawEvent::default();
        if self.next() != b'{' {
            // Broken JSON is told as such; anything else that is whole is "not an object".
            let at = self.at;
            self.measure()?;
            return Err(Problem { code: Code::NotAnObject, at, member: "", note: "" });
        }
        let mut has_time = false;
        self.members("", |this, name| {
            Ok(Some(match name {
                b"id" => this.text("id", &mut event.id).map(|()| 0)?,
                b"kind" => this.kind(&mut event.kind).map(|()| 1)?,
                b"time" => {
                    has_time = this.time(event)?;
                    2
                }
                b"org_id" => this.text("org_id", &mut event.org_id).map(|()| 3)?,
                b"site_id" => this.text("site_id", &mut event.site_id).map(|()| 4)?,
                b"site" => this.text("site", &mut event.site).map(|()| 5)?,
                b"product" => this.text("product", &mut event.product).map(|()| 6)?,
                b"app" => this.app(event).map(|()| 7)?,
                b"actor" => this.actor(event).map(|()| 8)?,
                b"client" => this.client(event).map(|()| 9)?,
                b"request" => this.request(event).map(|()| 10)?,
                b"response" => this.response(event).map(|()| 11)?,
                b"lifecycle" => this.lifecycle(event).map(|()| 12)?,
                b"app_event" => this.app_event(event).map(|()| 13)?,
                b"audit_event" => this.audit_event(event).map(|()| 14)?,
                _ => return Ok(None),
            }))
        })?;
        self.check(event, has_time)
    }

    /// What is required and cannot be told member by member.
    fn check(&self, event: &RawEvent<'a>, has_time: bool) -> Result<(), Problem> {
        let missing = |member| Err(Problem { code: Code::MissingMember, at: self.at - 1, member, note: "" });
        if event.id.is_empty() {
            return missing("id");
        }
        if !(event.id.is_plain() && event.id.escaped_bytes().len() <= MAX_ID)
            && !is_event_id(event.id.decode(&mut Vec::new()))
        {
            let note = "an id is 1 to 256 printable ASCII characters without space, quote and backslash";
            return Err(Problem { code: Code::BadValue, at: self.at - 1, member: "id", note });
        }
        if !has_time {
            return missing("time");
        }
        if event.org_id.is_empty() {
            return missing("org_id");
        }
        match event.kind {
            Kind::ApiCall if event.request.method.is_empty() => missing("request.method"),
            Kind::ApiCall if event.request.path.is_empty() => missing("request.path"),
            Kind::Lifecycle if event.lifecycle.event.is_empty() => missing("lifecycle.event"),
            Kind::AppEvent if event.app_event.name.is_empty() => missing("app_event.name"),
            Kind::AuditEvent if event.audit_event.action.is_empty() => missing("audit_event.action"),
            _ => Ok(()),
        }
    }

    fn app(&mut self, event: &mut RawEvent<'a>) -> Result<(), Problem> {
        let app = &mut event.app;
        self.object("app", |this, name| {
            Ok(Some(match name {
                b"id" => this.text("app.id", &mut app.id).map(|()| 0)?,
                b"key" => this.text("app.key", &mut app.key).map(|()| 1)?,
                b"kind" => this.text("app.kind", &mut app.kind).map(|()| 2)?,
                b"installation_id" => this.text("app.installation_id", &mut app.installation_id).map(|()| 3)?,
                b"environment" => this.text("app.environment", &mut app.environment).map(|()| 4)?,
                b"version" => this.text("app.version", &mut app.version).map(|()| 5)?,
                _ => return Ok(None),
            }))
        })
    }

    fn actor(&mut self, event: &mut RawEvent<'a>) -> Result<(), Problem> {
        let actor = &mut event.actor;
        self.object("actor", |this, name| {
            Ok(Some(match name {
                b"acting_as" => this.text("actor.acting_as", &mut actor.acting_as).map(|()| 0)?,
                b"account_id" => this.text("actor.account_id", &mut actor.account_id).map(|()| 1)?,
                b"credential" => this.text("actor.credential", &mut actor.credential).map(|()| 2)?,
                _ => return Ok(None),
            }))
        })
    }

    fn client(&mut self, event: &mut RawEvent<'a>) -> Result<(), Problem> {
        let client = &mut event.client;
        self.object("client", |this, name| {
            Ok(Some(match name {
                b"origin" => this.text("client.origin", &mut client.origin).map(|()| 0)?,
                b"evidence" => this.text("client.evidence", &mut client.evidence).map(|()| 1)?,
                b"ip" => this.text("client.ip", &mut client.ip).map(|()| 2)?,
                b"user_agent" => this.text("client.user_agent", &mut client.user_agent).map(|()| 3)?,
                _ => return Ok(None),
            }))
        })
    }

    fn request(&mut self, event: &mut RawEvent<'a>) -> Result<(), Problem> {
        let request = &mut event.request;
        self.object("request", |this, name| {
            Ok(Some(match name {
                b"id" => this.text("request.id", &mut request.id).map(|()| 0)?,
                b"trace_id" => this.text("request.trace_id", &mut request.trace_id).map(|()| 1)?,
                b"method" => this.text("request.method", &mut request.method).map(|()| 2)?,
                b"path" => this.text("request.path", &mut request.path).map(|()| 3)?,
                b"query" => this.text("request.query", &mut request.query).map(|()| 4)?,
                b"bytes" => this.whole("request.bytes", &mut request.bytes).map(|()| 5)?,
                b"headers" => this.headers(&mut request.description, &mut request.group).map(|()| 6)?,
                _ => return Ok(None),
            }))
        })
    }

    fn headers(&mut self, description: &mut Text<'a>, group: &mut Text<'a>) -> Result<(), Problem> {
        self.object("request.headers", |this, name| {
            // Header names have no case.
            Ok(Some(if name.eq_ignore_ascii_case(b"x-audit-log-description") {
                this.text("request.headers.x-audit-log-description", description).map(|()| 0)?
            } else if name.eq_ignore_ascii_case(b"x-audit-log-group") {
                this.text("request.headers.x-audit-log-group", group).map(|()| 1)?
            } else {
                return Ok(None);
            }))
        })
    }

    fn response(&mut self, event: &mut RawEvent<'a>) -> Result<(), Problem> {
        let response = &mut event.response;
        self.object("response", |this, name| {
            Ok(Some(match name {
                b"status" => this.status(&mut response.status).map(|()| 0)?,
                b"bytes" => this.whole("response.bytes", &mut response.bytes).map(|()| 1)?,
                b"duration_ms" => this.duration(&mut response.duration_us).map(|()| 2)?,
                b"rate_limit_remaining" => {
                    let member = "response.rate_limit_remaining";
                    response.rate_limit_remaining =
                        this.numeric(member, "it must be a whole number", number::signed)?;
                    3
                }
                _ => return Ok(None),
            }))
        })
    }

    fn lifecycle(&mut self, event: &mut RawEvent<'a>) -> Result<(), Problem> {
        let lifecycle = &mut event.lifecycle;
        self.object("lifecycle", |this, name| {
            Ok(Some(match name {
                b"event" => {
                    this.text("lifecycle.event", &mut lifecycle.event)?;
                    let word = lifecycle.event.decode(&mut this.scratch.decoded);
                    if !word.is_empty() && !LIFECYCLE_EVENTS.contains(&word) {
                        let note = "it must be installed, uninstalled, enabled, disabled, upgraded or permissions_changed";
                        return Err(this.bad_value("lifecycle.event", note));
                    }
                    0
                }
                b"by" => this.text("lifecycle.by", &mut lifecycle.by).map(|()| 1)?,
                b"scopes_before" => this.texts("lifecycle.scopes_before", &mut lifecycle.scopes_before).map(|()| 2)?,
                b"scopes_after" => this.texts("lifecycle.scopes_after", &mut lifecycle.scopes_after).map(|()| 3)?,
                b"version_before" => this.text("lifecycle.version_before", &mut lifecycle.version_before).map(|()| 4)?,
                b"version_after" => this.text("lifecycle.version_after", &mut lifecycle.version_after).map(|()| 5)?,
                _ => return Ok(None),
            }))
        })
    }

    fn app_event(&mut self, event: &mut RawEvent<'a>) -> Result<(), Problem> {
        let told = &mut event.app_event;
        self.object("app_event", |this, name| {
            Ok(Some(match name {
                b"name" => this.text("app_event.name", &mut told.name).map(|()| 0)?,
                b"object" => {
                    this.object("app_event.object", |this, name| {
                        Ok(Some(match name {
                            b"type" => this.text("app_event.object.type", &mut told.object_type).map(|()| 0)?,
                            b"id" => this.text("app_event.object.id", &mut told.object_id).map(|()| 1)?,
                            b"name" => this.words("app_event.object.name", &mut told.object_name).map(|()| 2)?,
                            _ => return Ok(None),
                        }))
                    })?;
                    1
                }
                b"summary" => this.words("app_event.summary", &mut told.summary).map(|()| 2)?,
                b"before" => this.anything(&mut told.before).map(|()| 3)?,
                b"after" => this.anything(&mut told.after).map(|()| 4)?,
                _ => return Ok(None),
            }))
        })
    }

    fn audit_event(&mut self, event: &mut RawEvent<'a>) -> Result<(), Problem> {
        let told = &mut event.audit_event;
        self.object("audit_event", |this, name| {
            Ok(Some(match name {
                b"action" => this.text("audit_event.action", &mut told.action).map(|()| 0)?,
                b"category" => this.text("audit_event.category", &mut told.category).map(|()| 1)?,
                b"context" => this.anything(&mut told.context).map(|()| 2)?,
                b"container" => this.anything(&mut told.container).map(|()| 3)?,
                b"message" => this.anything(&mut told.message).map(|()| 4)?,
                _ => return Ok(None),
            }))
        })
    }

    /// An object or null.
    #[inline(always)]
    fn object(
        &mut self,
        member: &'static str,
        read: impl FnMut(&mut Self, &[u8]) -> Known,
    ) -> Result<(), Problem> {
        match self.next() {
            b'{' => self.members(member, read),
            _ => self.null_or(member, "it must be an object"),
        }
    }

    /// The members of the object here. `read` is given a member's name and reads the value if it knows the name.
    #[inline(always)]
    fn members(
        &mut self,
        parent: &'static str,
        mut read: impl FnMut(&mut Self, &[u8]) -> Known,
    ) -> Result<(), Problem> {
        self.enter()?;
        let first_unknown = self.unknown_mark();
        let mut seen = 0u32;
        if self.next() != b'}' {
            loop {
                self.next();
                let start = self.at + 1;
                let name = self.name()?;
                let known = if name.has_escape() {
                    let mut decoded = Vec::new();
                    read(self, name.decode(&mut decoded))?
                } else {
                    read(self, name.escaped_bytes())?
                };
                match known {
                    Some(bit) if seen & 1 << bit != 0 => {
                        return Err(Problem { code: Code::DuplicateMember, at: start, member: parent, note: "" });
                    }
                    Some(bit) => seen |= 1 << bit,
                    None => self.unknown(parent, start, name)?,
                }
                match self.next() {
                    b',' => self.at += 1,
                    b'}' => break,
                    _ => return Err(self.bad_json("a comma or a closing brace belongs here")),
                }
            }
        }
        self.distinct(first_unknown, parent)?;
        self.leave();
        Ok(())
    }

    /// A member that the format does not know: gone over, counted, named, and remembered so that it comes once.
    #[cold]
    fn unknown(&mut self, parent: &'static str, start: usize, name: Text<'a>) -> Result<(), Problem> {
        self.remember(start, name);
        let mut decoded = Vec::new();
        self.scratch.unknown.count(parent, name.decode(&mut decoded));
        self.measure().map(drop)
    }

    fn unknown_mark(&self) -> usize {
        self.scratch.seen.len()
    }

    #[cold]
    fn bad_type(&self, member: &'static str, note: &'static str) -> Problem {
        Problem { code: Code::BadType, at: self.at, member, note }
    }

    #[cold]
    fn bad_value(&self, member: &'static str, note: &'static str) -> Problem {
        Problem { code: Code::BadValue, at: self.at, member, note }
    }

    /// Null, which is as good as absent. Anything else is of the wrong type, if it is anything at all.
    #[cold]
    fn null_or(&mut self, member: &'static str, note: &'static str) -> Result<(), Problem> {
        let wrong = self.bad_type(member, note);
        match self.here() {
            b'n' => self.word(b"null"),
            _ => {
                self.measure()?;
                Err(wrong)
            }
        }
    }

    #[inline(always)]
    fn text(&mut self, member: &'static str, into: &mut Text<'a>) -> Result<(), Problem> {
        if self.next() == b'"' {
            *into = self.string()?;
            Ok(())
        } else {
            self.null_or(member, "it must be a string")
        }
    }

    /// A string of which only the length is kept.
    fn words(&mut self, member: &'static str, into: &mut Measured) -> Result<(), Problem> {
        match self.next() {
            b'"' | b'n' => self.anything(into),
            _ => self.null_or(member, "it must be a string"),
        }
    }

    fn anything(&mut self, into: &mut Measured) -> Result<(), Problem> {
        *into = self.measure()?;
        Ok(())
    }

    fn texts(&mut self, member: &'static str, into: &mut Option<TextList<'a>>) -> Result<(), Problem> {
        if self.next() != b'[' {
            return self.null_or(member, "it must be an array of strings");
        }
        let start = self.at;
        self.elements(|this| match this.next() {
            b'"' => this.string().map(drop),
            _ => {
                let wrong = this.bad_type(member, "it must be an array of strings");
                this.measure()?;
                Err(wrong)
            }
        })?;
        *into = Some(TextList { bytes: self.since(start) });
        Ok(())
    }

    /// A number as `read` understands it, or null.
    #[inline(always)]
    fn numeric<T>(
        &mut self,
        member: &'static str,
        note: &'static str,
        read: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        if !matches!(self.next(), b'0'..=b'9' | b'-') {
            self.null_or(member, "it must be a number")?;
            return Ok(None);
        }
        let wrong = Problem { code: Code::BadValue, at: self.at, member, note };
        let number = self.number()?;
        read(number).ok_or(wrong).map(Some)
    }

    #[inline(always)]
    fn whole(&mut self, member: &'static str, into: &mut Option<u64>) -> Result<(), Problem> {
        *into = self.numeric(member, "it must be a whole number, not negative", number::whole)?;
        Ok(())
    }

    fn status(&mut self, into: &mut u16) -> Result<(), Problem> {
        let status = |text: &[u8]| number::whole(text).and_then(|n| u16::try_from(n).ok()).filter(|n| *n < 1000);
        let note = "it must be a whole number from 0 to 999";
        *into = self.numeric("response.status", note, status)?.unwrap_or(0);
        Ok(())
    }

    fn duration(&mut self, into: &mut Option<u64>) -> Result<(), Problem> {
        let note = "it must be a number of milliseconds, not negative, at most 31 years";
        *into = self.numeric("response.duration_ms", note, number::micros)?;
        Ok(())
    }

    fn kind(&mut self, into: &mut Kind) -> Result<(), Problem> {
        let mut name = Text::default();
        self.text("kind", &mut name)?;
        let decoded = name.decode(&mut self.scratch.decoded);
        match decoded {
            b"api_call" | b"" => *into = Kind::ApiCall,
            other => match std::str::from_utf8(other).ok().and_then(Kind::from_raw_name) {
                Some(kind) => *into = kind,
                None => {
                    let note = "it must be api_call, lifecycle, app_event or audit_event";
                    return Err(Problem { code: Code::UnknownKind, at: self.at, member: "kind", note });
                }
            },
        }
        Ok(())
    }

    /// Reads the time; returns whether there is one.
    fn time(&mut self, event: &mut RawEvent<'a>) -> Result<bool, Problem> {
        let note = "it must be RFC 3339, or a whole number of milliseconds since 1970, years 0 to 9999";
        let wrong = Problem { code: Code::BadTime, at: self.at, member: "time", note };
        match self.next() {
            b'"' => {
                let text = self.string()?;
                if text.is_empty() {
                    return Ok(false);
                }
                let decoded = text.decode(&mut self.scratch.decoded);
                event.time_ms = time::parse_rfc3339(decoded).ok_or(wrong)?;
                if !text.has_escape() && time::is_canonical(text.escaped_bytes()) {
                    event.time_text = text;
                }
                Ok(true)
            }
            b'0'..=b'9' | b'-' => {
                let number = self.number()?;
                event.time_ms = number::signed(number).filter(|ms| time::in_range(*ms)).ok_or(wrong)?;
                Ok(true)
            }
            _ => {
                self.null_or("time", "it must be a string or a number")?;
                Ok(false)
            }
        }
    }
}

/// Printable ASCII without space, quote and backslash, not too long.
fn is_event_id(id: &[u8]) -> bool {
    id.len() <= MAX_ID && id.iter().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\'))
}
