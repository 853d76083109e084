//! The members of a raw event: which there are, of which type, and which are required.

use super::scan::Scanner;
use super::text::{ODD, SUSPECT, Text};
use super::{
    Actor, App, AppEvent, AuditEvent, Client, Lifecycle, MAX_ID, Measured, Problem, RawEvent, Request,
    Response, TextList, empty, number,
};
use crate::Kind;
use crate::reject::Code;
use crate::time;

const LIFECYCLE_EVENTS: [&[u8]; 6] =
    [b"installed", b"uninstalled", b"enabled", b"disabled", b"upgraded", b"permissions_changed"];

/// Reads the object here, whose known members are listed in the order of the format's description.
///
/// Most producers send them in this order. So each member is first looked for where it would then stand, by one
/// comparison with a constant, whose outcome the processor foresees; whatever comes in another way is read by name.
macro_rules! members {
    ($this:ident, $parent:literal, { $($bit:literal $name:literal => $read:expr,)* }) => {{
        $this.enter()?;
        let first_unknown = $this.names_seen();
        let mut seen = 0u32;
        let mut lead = b'{';
        $(
            if $this.eat_name(lead, concat!("\"", $name, "\":")) {
                $read;
                seen |= 1 << $bit;
                lead = b',';
            }
        )*
        while $this.another_member(lead)? {
            lead = b',';
            let start = $this.at + 1;
            let name = $this.name()?;
            $this.opening = 0;
            let mut decoded = Vec::new();
            let name_bytes = name.decode(&mut decoded);
            let known: u32 = $(if same_name($parent, name_bytes, $name.as_bytes()) { 1 << $bit } else)* { 0 };
            if seen & known != 0 {
                return $this.duplicate($parent, start);
            }
            seen |= known;
            match known {
                $(known if known == 1 << $bit => $read,)*
                _ => $this.unknown($parent, start, name)?,
            }
        }
        $this.distinct(first_unknown, $parent)?;
        $this.leave();
    }};
}

/// [`members!`] where there may be null instead.
macro_rules! object {
    ($this:ident, $parent:literal, $members:tt) => {
        if $this.next() == b'{' {
            members!($this, $parent, $members);
        } else {
            $this.null_or($parent, "it must be an object")?;
        }
    };
}

/// Whether a member's name is `known`. The names of headers have no case.
fn same_name(parent: &str, name: &[u8], known: &[u8]) -> bool {
    name == known || (parent == HEADERS && name.eq_ignore_ascii_case(known))
}

const HEADERS: &str = "request.headers";

impl<'a> Scanner<'a, '_> {
    /// Reads an event at this place, which becomes the place behind it.
    pub(super) fn event(&mut self, event: &mut RawEvent<'a>) -> Result<(), Box<Problem>> {
        *event = empty::EVENT;
        event.source = self.source();
        if self.next() != b'{' {
            // Broken JSON is told as such; anything else that is whole is "not an object".
            let at = self.at;
            self.measure()?;
            return Err(Box::new(Problem { code: Code::NotAnObject, at, member: "", note: "" }));
        }
        let mut has_time = false;
        members!(self, "", {
            0 "id" => self.text("id", &mut event.id)?,
            1 "kind" => self.kind(&mut event.kind)?,
            2 "time" => has_time = self.time(event)?,
            3 "org_id" => self.text("org_id", &mut event.org_id)?,
            4 "site_id" => self.text("site_id", &mut event.site_id)?,
            5 "site" => self.text("site", &mut event.site)?,
            6 "product" => self.text("product", &mut event.product)?,
            7 "app" => self.app(&mut event.app)?,
            8 "actor" => self.actor(&mut event.actor)?,
            9 "client" => self.client(&mut event.client)?,
            10 "request" => self.request(&mut event.request)?,
            11 "response" => self.response(&mut event.response)?,
            12 "lifecycle" => self.lifecycle(&mut event.lifecycle)?,
            13 "app_event" => self.app_event(&mut event.app_event)?,
            14 "audit_event" => self.audit_event(&mut event.audit_event)?,
        });
        self.check(event, has_time)
    }

    /// What is required and cannot be told member by member.
    fn check(&self, event: &RawEvent<'a>, has_time: bool) -> Result<(), Box<Problem>> {
        let missing =
            |member| Err(Box::new(Problem { code: Code::MissingMember, at: self.at - 1, member, note: "" }));
        if event.id.is_empty() {
            return missing("id");
        }
        if !is_event_id(event.id) {
            let note = "an id is 1 to 256 printable ASCII characters without space, quote and backslash";
            return Err(Box::new(Problem { code: Code::BadValue, at: self.at - 1, member: "id", note }));
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

    fn app(&mut self, app: &mut App<'a>) -> Result<(), Box<Problem>> {
        object!(self, "app", {
            0 "id" => self.text("app.id", &mut app.id)?,
            1 "key" => self.text("app.key", &mut app.key)?,
            2 "kind" => self.word_or_words("app.kind", &mut app.kind)?,
            3 "installation_id" => self.text("app.installation_id", &mut app.installation_id)?,
            4 "environment" => self.text("app.environment", &mut app.environment)?,
            5 "version" => self.text("app.version", &mut app.version)?,
        });
        Ok(())
    }

    fn actor(&mut self, actor: &mut Actor<'a>) -> Result<(), Box<Problem>> {
        object!(self, "actor", {
            0 "acting_as" => self.word_or_words("actor.acting_as", &mut actor.acting_as)?,
            1 "account_id" => self.text("actor.account_id", &mut actor.account_id)?,
            2 "credential" => self.word_or_words("actor.credential", &mut actor.credential)?,
        });
        Ok(())
    }

    fn client(&mut self, client: &mut Client<'a>) -> Result<(), Box<Problem>> {
        object!(self, "client", {
            0 "origin" => self.word_or_words("client.origin", &mut client.origin)?,
            1 "evidence" => self.word_or_words("client.evidence", &mut client.evidence)?,
            2 "ip" => self.word_or_words("client.ip", &mut client.ip)?,
            3 "user_agent" => self.word_or_words("client.user_agent", &mut client.user_agent)?,
        });
        Ok(())
    }

    fn request(&mut self, request: &mut Request<'a>) -> Result<(), Box<Problem>> {
        object!(self, "request", {
            0 "id" => self.text("request.id", &mut request.id)?,
            1 "trace_id" => self.text("request.trace_id", &mut request.trace_id)?,
            2 "method" => self.word_or_words("request.method", &mut request.method)?,
            3 "path" => self.word_or_words("request.path", &mut request.path)?,
            4 "query" => self.word_or_words("request.query", &mut request.query)?,
            5 "bytes" => request.bytes = self.whole("request.bytes")?,
            6 "headers" => self.headers(request)?,
        });
        Ok(())
    }

    fn headers(&mut self, request: &mut Request<'a>) -> Result<(), Box<Problem>> {
        object!(self, "request.headers", {
            0 "x-audit-log-description" =>
                self.word_or_words("request.headers.x-audit-log-description", &mut request.description)?,
            1 "x-audit-log-group" => self.word_or_words("request.headers.x-audit-log-group", &mut request.group)?,
        });
        Ok(())
    }

    fn response(&mut self, response: &mut Response) -> Result<(), Box<Problem>> {
        object!(self, "response", {
            0 "status" => response.status = self.status()?,
            1 "bytes" => response.bytes = self.whole("response.bytes")?,
            2 "duration_ms" => response.duration_us = self.duration()?,
            3 "rate_limit_remaining" => response.rate_limit_remaining = self.rest_of_limit()?,
        });
        Ok(())
    }

    fn lifecycle(&mut self, told: &mut Lifecycle<'a>) -> Result<(), Box<Problem>> {
        object!(self, "lifecycle", {
            0 "event" => self.lifecycle_event(&mut told.event)?,
            1 "by" => self.text("lifecycle.by", &mut told.by)?,
            2 "scopes_before" => self.texts("lifecycle.scopes_before", &mut told.scopes_before)?,
            3 "scopes_after" => self.texts("lifecycle.scopes_after", &mut told.scopes_after)?,
            4 "version_before" => self.text("lifecycle.version_before", &mut told.version_before)?,
            5 "version_after" => self.text("lifecycle.version_after", &mut told.version_after)?,
        });
        Ok(())
    }

    fn app_event(&mut self, told: &mut AppEvent<'a>) -> Result<(), Box<Problem>> {
        object!(self, "app_event", {
            0 "name" => self.text("app_event.name", &mut told.name)?,
            1 "object" => self.app_event_object(told)?,
            2 "summary" => told.summary = self.words("app_event.summary")?,
            3 "before" => told.before = self.measure()?,
            4 "after" => told.after = self.measure()?,
        });
        Ok(())
    }

    fn app_event_object(&mut self, told: &mut AppEvent<'a>) -> Result<(), Box<Problem>> {
        object!(self, "app_event.object", {
            0 "type" => self.text("app_event.object.type", &mut told.object_type)?,
            1 "id" => self.word_or_words("app_event.object.id", &mut told.object_id)?,
            2 "name" => told.object_name = self.words("app_event.object.name")?,
        });
        Ok(())
    }

    fn audit_event(&mut self, told: &mut AuditEvent<'a>) -> Result<(), Box<Problem>> {
        object!(self, "audit_event", {
            0 "action" => self.text("audit_event.action", &mut told.action)?,
            1 "category" => self.text("audit_event.category", &mut told.category)?,
            2 "context" => told.context = self.measure()?,
            3 "container" => told.container = self.measure()?,
            4 "message" => told.message = self.measure()?,
        });
        Ok(())
    }

    /// A member that the format does not know: gone over, counted, named, and remembered so that it comes once.
    #[cold]
    fn unknown(&mut self, parent: &'static str, start: usize, name: Text<'a>) -> Result<(), Box<Problem>> {
        self.remember(start, name);
        let mut decoded = Vec::new();
        self.scratch.unknown.count(parent, name.decode(&mut decoded));
        self.measure().map(drop)
    }

    #[cold]
    fn duplicate(&self, member: &'static str, at: usize) -> Result<(), Box<Problem>> {
        Err(Box::new(Problem { code: Code::DuplicateMember, at, member, note: "" }))
    }

    #[cold]
    fn bad_type(&self, member: &'static str, note: &'static str) -> Box<Problem> {
        Box::new(Problem { code: Code::BadType, at: self.at, member, note })
    }

    /// Null, which is as good as absent. Anything else is of the wrong type, if it is anything at all.
    #[cold]
    fn null_or(&mut self, member: &'static str, note: &'static str) -> Result<(), Box<Problem>> {
        let wrong = self.bad_type(member, note);
        match self.here() {
            b'n' => self.word(b"null"),
            _ => {
                self.measure()?;
                Err(wrong)
            }
        }
    }

    /// A text that is kept as it is, if it looks harmless.
    #[inline(always)]
    fn text(&mut self, member: &'static str, into: &mut Text<'a>) -> Result<(), Box<Problem>> {
        self.text_or_null::<true>(member, into)
    }

    /// A text that is looked at later: a word of a list, or what redaction takes apart.
    #[inline(always)]
    fn word_or_words(&mut self, member: &'static str, into: &mut Text<'a>) -> Result<(), Box<Problem>> {
        self.text_or_null::<false>(member, into)
    }

    #[inline(always)]
    fn text_or_null<const LOOK: bool>(
        &mut self,
        member: &'static str,
        into: &mut Text<'a>,
    ) -> Result<(), Box<Problem>> {
        if self.here() == b'"' {
            return self.string_into::<LOOK>(into);
        }
        // The name is not right before it.
        self.opening = 0;
        if self.next() == b'"' {
            self.string_into::<LOOK>(into)
        } else {
            self.null_or(member, "it must be a string")
        }
    }

    /// A string of which only the length is kept.
    fn words(&mut self, member: &'static str) -> Result<Measured, Box<Problem>> {
        if !matches!(self.next(), b'"' | b'n') {
            self.null_or(member, "it must be a string")?;
        }
        self.measure()
    }

    fn lifecycle_event(&mut self, into: &mut Text<'a>) -> Result<(), Box<Problem>> {
        let at = self.at;
        self.word_or_words("lifecycle.event", into)?;
        let word = into.decode(&mut self.scratch.decoded);
        if word.is_empty() || LIFECYCLE_EVENTS.contains(&word) {
            return Ok(());
        }
        let note = "it must be installed, uninstalled, enabled, disabled, upgraded or permissions_changed";
        Err(Box::new(Problem { code: Code::BadValue, at, member: "lifecycle.event", note }))
    }

    fn texts(&mut self, member: &'static str, into: &mut Option<TextList<'a>>) -> Result<(), Box<Problem>> {
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
    ) -> Result<Option<T>, Box<Problem>> {
        if !matches!(self.next(), b'0'..=b'9' | b'-') {
            self.null_or(member, "it must be a number")?;
            return Ok(None);
        }
        let at = self.at;
        let number = self.number()?;
        match read(number) {
            Some(value) => Ok(Some(value)),
            None => Err(Box::new(Problem { code: Code::BadValue, at, member, note })),
        }
    }

    #[inline(always)]
    fn whole(&mut self, member: &'static str) -> Result<Option<u64>, Box<Problem>> {
        match self.short_number() {
            Some(number) => Ok(Some(number)),
            None => self.long_whole(member),
        }
    }

    #[inline(never)]
    fn long_whole(&mut self, member: &'static str) -> Result<Option<u64>, Box<Problem>> {
        self.numeric(member, "it must be a whole number, not negative", number::whole)
    }

    fn status(&mut self) -> Result<u16, Box<Problem>> {
        let start = self.at;
        match self.short_number().map(u16::try_from) {
            Some(Ok(status)) if status < 1000 => return Ok(status),
            _ => self.at = start,
        }
        let status =
            |text: &[u8]| number::whole(text).and_then(|n| u16::try_from(n).ok()).filter(|n| *n < 1000);
        let note = "it must be a whole number from 0 to 999";
        Ok(self.numeric("response.status", note, status)?.unwrap_or(0))
    }

    fn duration(&mut self) -> Result<Option<u64>, Box<Problem>> {
        if let Some(micros) = self.short_millis() {
            return Ok(Some(micros));
        }
        let note = "it must be a number of milliseconds, not negative, at most 31 years";
        self.numeric("response.duration_ms", note, number::micros)
    }

    fn rest_of_limit(&mut self) -> Result<Option<i64>, Box<Problem>> {
        if let Some(number) = self.short_number() {
            // It has at most ten digits.
            return Ok(i64::try_from(number).ok());
        }
        self.numeric("response.rate_limit_remaining", "it must be a whole number", number::signed)
    }

    #[inline(always)]
    fn kind(&mut self, into: &mut Kind) -> Result<(), Box<Problem>> {
        // What most events are.
        if self.eat(b"\"api_call\"") {
            *into = Kind::ApiCall;
            return Ok(());
        }
        self.other_kind(into)
    }

    #[inline(never)]
    fn other_kind(&mut self, into: &mut Kind) -> Result<(), Box<Problem>> {
        let mut name = Text::default();
        self.text("kind", &mut name)?;
        let decoded = name.decode(&mut self.scratch.decoded);
        match decoded {
            b"api_call" | b"" => *into = Kind::ApiCall,
            other => match std::str::from_utf8(other).ok().and_then(Kind::from_raw_name) {
                Some(kind) => *into = kind,
                None => {
                    let note = "it must be api_call, lifecycle, app_event or audit_event";
                    return Err(Box::new(Problem {
                        code: Code::UnknownKind,
                        at: self.at,
                        member: "kind",
                        note,
                    }));
                }
            },
        }
        Ok(())
    }

    /// Reads the time; returns whether there is one.
    fn time(&mut self, event: &mut RawEvent<'a>) -> Result<bool, Box<Problem>> {
        let note = "it must be RFC 3339, or a whole number of milliseconds since 1970, years 0 to 9999";
        // In the form in which records state it, which has no place for an escape: then it needs no scanning.
        if let Some((text, ms)) = self.quoted().and_then(|text| Some((text, time::parse_canonical(text)?))) {
            event.time_ms = ms;
            event.time_text = Text::placed(text, ODD | SUSPECT, self.at + 1, self.opening);
            self.at += text.len() + 2;
            return Ok(true);
        }
        let at = self.at;
        let wrong = || Box::new(Problem { code: Code::BadTime, at, member: "time", note });
        match self.next() {
            b'"' => {
                let mut text = Text::default();
                self.opening = 0;
                self.string_into::<false>(&mut text)?;
                if text.is_empty() {
                    return Ok(false);
                }
                if let Some(ms) = time::parse_canonical(text.escaped_bytes()) {
                    event.time_ms = ms;
                    event.time_text = text;
                    return Ok(true);
                }
                let decoded = text.decode(&mut self.scratch.decoded);
                event.time_ms = time::parse_rfc3339(decoded).ok_or_else(wrong)?;
                Ok(true)
            }
            b'0'..=b'9' | b'-' => {
                let number = self.number()?;
                event.time_ms = number::signed(number).filter(|ms| time::in_range(*ms)).ok_or_else(wrong)?;
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
fn is_event_id(id: Text<'_>) -> bool {
    if id.is_plain() {
        return id.escaped_bytes().len() <= MAX_ID;
    }
    let mut buffer = Vec::new();
    let id = id.decode(&mut buffer);
    id.len() <= MAX_ID && id.iter().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\'))
}
