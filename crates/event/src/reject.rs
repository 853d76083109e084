//! The registry of rejection codes: every refusal at ingest has one, and a producer may rely on it.
//!
//! A code is never given a new meaning and never reused. `docs/errors/` holds one page per code; a test compares
//! the pages with this table.

use std::fmt;
use std::time::Duration;

/// Who has to change something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The sender: the same bytes will be refused again.
    Producer,
    /// Trailwire or its operator: the same bytes may be taken later.
    Ours,
}

/// What a row of the registry says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The code as the enumeration.
    pub code: Code,
    /// The code as text, `TW-NNNN`.
    pub name: &'static str,
    /// The status of the HTTP answer. For a code that refuses one event of many: 200, since the request itself is
    /// answered normally and the event stands in `rejected`.
    pub http_status: u16,
    /// Whose fault.
    pub fault: Fault,
    /// Whether sending the same bytes again can help.
    pub retry: bool,
    /// The meaning in one line.
    pub meaning: &'static str,
}

macro_rules! registry {
    ($($variant:ident = $name:literal, $status:literal, $fault:ident, $retry:ident, $meaning:literal;)*) => {
        /// Why something was refused at ingest.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = concat!($name, ": ", $meaning)] $variant,)*
        }

        /// All codes, in the order of their numbers.
        pub const REGISTRY: &[Entry] = &[
            $(Entry {
                code: Code::$variant,
                name: $name,
                http_status: $status,
                fault: Fault::$fault,
                retry: registry!(@retry $retry),
                meaning: $meaning,
            },)*
        ];

        impl Code {
            /// What the registry says of this code.
            #[must_use]
            pub const fn entry(self) -> Entry {
                match self {
                    $(Self::$variant => Entry {
                        code: self,
                        name: $name,
                        http_status: $status,
                        fault: Fault::$fault,
                        retry: registry!(@retry $retry),
                        meaning: $meaning,
                    },)*
                }
            }
        }
    };
    (@retry retry) => { true };
    (@retry final) => { false };
}

registry! {
    // The whole request.
    Unauthorised = "TW-1001", 401, Producer, final, "the request carries no token, or one that no producer has";
    MethodNotAllowed = "TW-1002", 405, Producer, final, "the address exists, but not for this HTTP method";
    NotFound = "TW-1003", 404, Producer, final, "there is nothing at this address";
    UnsupportedMedia = "TW-1004", 415, Producer, final, "the content type or the content encoding is not supported";
    BadCompression = "TW-1005", 400, Producer, final, "the body cannot be decompressed";
    CompressionRatio = "TW-1006", 413, Producer, final, "the body grows more than a hundredfold when decompressed";
    BodyTooLarge = "TW-1007", 413, Producer, final, "the body is larger than 16 MiB after decompression";
    TooManyEvents = "TW-1008", 413, Producer, final, "the body holds more than 50,000 events";
    BrokenBody = "TW-1009", 400, Producer, final, "the JSON array or object is not valid JSON, so nothing of it was stored";
    BodyIncomplete = "TW-1010", 400, Producer, retry, "the connection ended, or was too slow, before the body was complete";
    OverQuotaAll = "TW-1011", 429, Producer, retry, "every event of the request is over its organisation's ingest quota";
    Busy = "TW-1012", 503, Ours, retry, "the memory for incoming bodies or a partition's queue is full";
    DiskFull = "TW-1013", 503, Ours, retry, "there is no disk space left for events";
    Stopping = "TW-1014", 503, Ours, retry, "this process is shutting down";
    // One event.
    BadJson = "TW-2001", 200, Producer, final, "the line is not valid JSON";
    BadUtf8 = "TW-2002", 200, Producer, final, "the line is not valid UTF-8";
    NotAnObject = "TW-2003", 200, Producer, final, "the event is not a JSON object";
    EventTooLarge = "TW-2004", 200, Producer, final, "the event is larger than 256 KiB";
    TooDeep = "TW-2005", 200, Producer, final, "the event is nested deeper than 32 levels";
    TooManyMembers = "TW-2006", 200, Producer, final, "the event has more than 1,024 members";
    StringTooLong = "TW-2007", 200, Producer, final, "a string of the event is longer than 64 KiB";
    DuplicateMember = "TW-2008", 200, Producer, final, "an object of the event has a member twice";
    UnpairedSurrogate = "TW-2009", 200, Producer, final, "a string of the event has half of a surrogate pair as escape";
    MissingMember = "TW-2010", 200, Producer, final, "a required member is missing, null or empty";
    BadType = "TW-2011", 200, Producer, final, "a member has another JSON type than the format says";
    BadValue = "TW-2012", 200, Producer, final, "a member's value is outside what the format allows";
    BadTime = "TW-2013", 200, Producer, final, "the time is neither RFC 3339 nor epoch milliseconds";
    UnknownKind = "TW-2014", 200, Producer, final, "the kind is not one that a producer may send";
    BadOrg = "TW-2101", 200, Producer, final, "org_id is not a valid organisation id";
    UnknownOrg = "TW-2102", 200, Producer, final, "the organisation is not declared here, and unknown ones are refused";
    TooManyOrgs = "TW-2103", 200, Ours, retry, "there are as many undeclared organisations as are accepted";
    OrgNotAllowed = "TW-2104", 200, Producer, final, "this producer may not send events of this organisation";
    KindNotAllowed = "TW-2105", 200, Producer, final, "this producer may not send events of this kind";
    AppNotAllowed = "TW-2106", 200, Producer, final, "this producer may not send events of this app";
    OverQuota = "TW-2107", 200, Producer, retry, "the organisation's ingest quota is used up";
}

impl Code {
    /// The code as text, `TW-NNNN`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.entry().name
    }

    /// The code behind a text.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        REGISTRY.iter().find(|entry| entry.name == name).map(|entry| entry.code)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One event that was refused. It never quotes what the producer sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The position in the request: line or array index, from 1.
    pub line: u32,
    /// Why, stable.
    pub code: Code,
    /// Why, in words, with member and byte position where there is one.
    pub message: String,
    /// When to try again, for codes where that helps and the time is known.
    pub retry_after: Option<Duration>,
}

#[cfg(test)]
mod tests;
