//! The raw event, version 1: what a producer sends, borrowed and flat.
//!
//! [`Reader::read`] goes over the text once, checks the JSON grammar, the bounds, the members' types and values,
//! and leaves the members as slices of the input. The checks that need more than the event (may this producer send
//! it, is the organisation known) are not made here, and nothing here is redacted.

mod chunk;
mod empty;
mod members;
mod number;
mod scan;
mod text;
mod unknown;

pub use scan::Measured;
pub use text::{Text, write_escaped};
pub use unknown::UnknownMembers;

use crate::Kind;
use crate::reject::{Code, Rejection};

/// The largest event, in bytes of its JSON text.
pub const MAX_EVENT: usize = 256 << 10;
/// The deepest nesting; the event object is level 1.
pub const MAX_DEPTH: u32 = 32;
/// The most members, all objects of the event together.
pub const MAX_MEMBERS: u32 = 1024;
/// The longest string, in bytes between its quotes.
pub const MAX_STRING: usize = 64 << 10;
/// The longest event id, in bytes.
pub const MAX_ID: usize = 256;

/// A raw event. A text that is absent, null or `""` is empty.
#[derive(Clone, Copy)]
pub struct RawEvent<'a> {
    /// The text from which the event was read, which may hold more than the event.
    pub source: &'a [u8],
    /// The producer's id of the event: 1 to [`MAX_ID`] printable ASCII characters without space, quote, backslash.
    pub id: Text<'a>,
    /// The kind; `api_call` when the member is missing.
    pub kind: Kind,
    /// The time, milliseconds since 1970.
    pub time_ms: i64,
    /// The time as it was sent, if that is the form in which records state it.
    pub time_text: Text<'a>,
    /// The organisation. Not checked here.
    pub org_id: Text<'a>,
    /// The site's id.
    pub site_id: Text<'a>,
    /// The site's host name.
    pub site: Text<'a>,
    /// The product.
    pub product: Text<'a>,
    /// The app.
    pub app: App<'a>,
    /// Who acts.
    pub actor: Actor<'a>,
    /// Where the call comes from.
    pub client: Client<'a>,
    /// The request.
    pub request: Request<'a>,
    /// The response.
    pub response: Response,
    /// What happened to the app, for the kind `lifecycle`.
    pub lifecycle: Lifecycle<'a>,
    /// What the app tells, for the kind `app_event`.
    pub app_event: AppEvent<'a>,
    /// What the platform's audit log tells, for the kind `audit_event`.
    pub audit_event: AuditEvent<'a>,
}

/// The members of `app`.
#[derive(Debug, Clone, Copy, Default)]
#[allow(missing_docs, reason = "named as in the format")]
pub struct App<'a> {
    pub id: Text<'a>,
    pub key: Text<'a>,
    pub kind: Text<'a>,
    pub installation_id: Text<'a>,
    pub environment: Text<'a>,
    pub version: Text<'a>,
}

/// The members of `actor`.
#[derive(Debug, Clone, Copy, Default)]
#[allow(missing_docs, reason = "named as in the format")]
pub struct Actor<'a> {
    pub acting_as: Text<'a>,
    pub account_id: Text<'a>,
    pub credential: Text<'a>,
}

/// The members of `client`.
#[derive(Debug, Clone, Copy, Default)]
#[allow(missing_docs, reason = "named as in the format")]
pub struct Client<'a> {
    pub origin: Text<'a>,
    pub evidence: Text<'a>,
    pub ip: Text<'a>,
    pub user_agent: Text<'a>,
}

/// The members of `request`.
#[derive(Debug, Clone, Copy, Default)]
#[allow(missing_docs, reason = "named as in the format")]
pub struct Request<'a> {
    pub id: Text<'a>,
    pub trace_id: Text<'a>,
    pub method: Text<'a>,
    pub path: Text<'a>,
    pub query: Text<'a>,
    pub bytes: Option<u64>,
    /// The header `x-audit-log-description`.
    pub description: Text<'a>,
    /// The header `x-audit-log-group`.
    pub group: Text<'a>,
}

/// The members of `response`.
#[derive(Debug, Clone, Copy, Default)]
#[allow(missing_docs, reason = "named as in the format")]
pub struct Response {
    /// 0 to 999; 0 means that there was none, as if absent.
    pub status: u16,
    pub bytes: Option<u64>,
    /// `duration_ms` in microseconds.
    pub duration_us: Option<u64>,
    pub rate_limit_remaining: Option<i64>,
}

/// The members of `lifecycle`.
#[derive(Debug, Clone, Copy, Default)]
#[allow(missing_docs, reason = "named as in the format")]
pub struct Lifecycle<'a> {
    pub event: Text<'a>,
    pub by: Text<'a>,
    pub scopes_before: Option<TextList<'a>>,
    pub scopes_after: Option<TextList<'a>>,
    pub version_before: Text<'a>,
    pub version_after: Text<'a>,
}

/// The members of `app_event`.
#[derive(Debug, Clone, Copy, Default)]
#[allow(missing_docs, reason = "named as in the format")]
pub struct AppEvent<'a> {
    pub name: Text<'a>,
    pub object_type: Text<'a>,
    pub object_id: Text<'a>,
    pub object_name: Measured,
    pub summary: Measured,
    pub before: Measured,
    pub after: Measured,
}

/// The members of `audit_event`.
#[derive(Debug, Clone, Copy, Default)]
#[allow(missing_docs, reason = "named as in the format")]
pub struct AuditEvent<'a> {
    pub action: Text<'a>,
    pub category: Text<'a>,
    pub context: Measured,
    pub container: Measured,
    pub message: Measured,
}

/// An array of strings, kept as it stands.
#[derive(Clone, Copy, Default)]
pub struct TextList<'a> {
    /// From the bracket to the bracket; its elements are strings, which was checked.
    bytes: &'a [u8],
}

impl std::fmt::Debug for TextList<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TextList({} bytes)", self.bytes.len())
    }
}

impl<'a> TextList<'a> {
    /// Tells the elements one by one.
    pub fn for_each(&self, mut visit: impl FnMut(Text<'a>)) {
        let mut scratch = Scratch::default();
        let mut scanner = scan::Scanner::new(self.bytes, 0, &mut scratch);
        let walked = scanner.elements(|scanner| {
            scanner.next();
            visit(scanner.string()?);
            Ok(())
        });
        debug_assert!(walked.is_ok(), "the list was checked when it was read");
    }
}

/// Without the text from which it was read. (The texts in it show their lengths only.)
impl std::fmt::Debug for RawEvent<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RawEvent")
            .field("kind", &self.kind)
            .field("time_ms", &self.time_ms)
            .field("id", &self.id)
            .field("org_id", &self.org_id)
            .finish_non_exhaustive()
    }
}

impl Default for RawEvent<'_> {
    fn default() -> Self {
        empty::EVENT
    }
}

/// Memory that reading needs again and again, kept between events.
pub struct Scratch {
    /// For the hashes of names: whoever knew them could make names that all collide, and each pair would be compared.
    seed: u64,
    seen: Vec<scan::SeenName>,
    decoded: Vec<u8>,
    /// The members that the format does not know, over all events read with this scratch.
    pub unknown: UnknownMembers,
}

/// What is left over of an event in here is raw, so none of it is shown.
impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scratch").finish_non_exhaustive()
    }
}

impl Default for Scratch {
    fn default() -> Self {
        use std::hash::{BuildHasher as _, RandomState};
        let seed = RandomState::new().hash_one(0u64);
        Self { seed, seen: Vec::new(), decoded: Vec::new(), unknown: UnknownMembers::default() }
    }
}

/// Why a text is no raw event, without the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Problem {
    /// The code.
    pub code: Code,
    /// The byte offset in the text at which it was noticed.
    pub at: usize,
    /// The member concerned, with the path to it; empty if there is none or the format does not know it.
    pub member: &'static str,
    /// What belongs there instead; may be empty.
    pub note: &'static str,
}

impl Problem {
    /// Whether the text is no JSON at all, so that one cannot tell where the event ends.
    #[must_use]
    pub fn is_syntax(&self) -> bool {
        self.code == Code::BadJson
    }

    /// The rejection of the event on `line` that begins `start` bytes into the text.
    #[must_use]
    pub fn reject(&self, line: u32, start: usize) -> Rejection {
        Rejection { line, code: self.code, message: self.words(start), retry_after: None }
    }

    /// The problem in words, with the byte counted from 1 at `start`.
    #[must_use]
    pub fn words(&self, start: usize) -> String {
        let meaning = self.code.entry().meaning;
        let byte = self.at.saturating_sub(start) + 1;
        match (self.member, self.note) {
            ("", "") => format!("{meaning} (byte {byte})"),
            ("", note) => format!("{meaning}: {note} (byte {byte})"),
            (member, "") => format!("{meaning}: {member} (byte {byte})"),
            (member, note) => format!("{member}: {note} (byte {byte})"),
        }
    }
}

/// Reads raw events.
#[derive(Debug)]
pub struct Reader<'s> {
    scratch: &'s mut Scratch,
}

impl<'s> Reader<'s> {
    /// A reader that uses `scratch`.
    #[must_use]
    pub fn new(scratch: &'s mut Scratch) -> Self {
        Self { scratch }
    }

    /// Reads the one event that `text` is, such as a line of NDJSON; white space around it does not matter.
    ///
    /// # Errors
    /// [`Problem`]: the event is refused.
    pub fn read<'a>(&mut self, text: &'a [u8], event: &mut RawEvent<'a>) -> Result<(), Box<Problem>> {
        if text.len() > MAX_EVENT {
            return Err(Box::new(Problem { code: Code::EventTooLarge, at: MAX_EVENT, member: "", note: "" }));
        }
        let mut scanner = scan::Scanner::new(text, 0, self.scratch);
        scanner.event(event)?;
        scanner.next();
        if scanner.at_end() { Ok(()) } else { Err(scanner.bad_json("something follows the object")) }
    }

    /// Reads the event that begins at byte `at` of `text`, such as an element of an array; returns where it ends.
    ///
    /// # Errors
    /// [`Problem`]: the event is refused. Where it ends, [`Reader::skip`] tells.
    pub fn read_at<'a>(
        &mut self,
        text: &'a [u8],
        at: usize,
        event: &mut RawEvent<'a>,
    ) -> Result<usize, Box<Problem>> {
        let mut scanner = scan::Scanner::new(text, at, self.scratch);
        scanner.event(event)?;
        let end = scanner.at;
        if end - at > MAX_EVENT {
            return Err(Box::new(Problem {
                code: Code::EventTooLarge,
                at: at + MAX_EVENT,
                member: "",
                note: "",
            }));
        }
        Ok(end)
    }

    /// Goes over any JSON value that begins at byte `at` of `text`; returns where it ends. Duplicates, bounds and
    /// types do not matter. What nests beyond 128 levels is not checked, its end is found by counting brackets.
    ///
    /// # Errors
    /// [`Problem`]: the text is not valid JSON.
    pub fn skip(&mut self, text: &[u8], at: usize) -> Result<usize, Box<Problem>> {
        let mut scanner = scan::Scanner::lenient(text, at, self.scratch);
        match scanner.measure() {
            Ok(_) => Ok(scanner.at),
            Err(problem) if problem.code == Code::TooDeep => end_of_nested(text, at).ok_or(problem),
            Err(problem) => Err(problem),
        }
    }
}

/// Where the array or object that begins at `at` ends, by its brackets alone: without a stack, whatever its depth.
fn end_of_nested(text: &[u8], at: usize) -> Option<usize> {
    let mut depth = 0usize;
    let mut at = at;
    loop {
        match *text.get(at)? {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            b'"' => loop {
                at += 1;
                match *text.get(at)? {
                    b'\\' => at += 1,
                    b'"' => break,
                    _ => {}
                }
            },
            _ => {}
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests;
