//! Ways to misbehave, one request at a time.

use std::time::Duration;

use http::StatusCode;

use crate::code::Code;
use crate::reply::Reply;

/// What to do with one request instead of the usual.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fault {
    /// Do not look at the request and index nothing.
    pub skip: bool,
    /// Answer this instead of what the request deserves.
    pub answer: Option<Reply>,
    /// How the answer goes out.
    pub manner: Manner,
}

/// How an answer goes out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Manner {
    /// At once and whole.
    #[default]
    Usual,
    /// Whole, after this time.
    After(Duration),
    /// Head and body byte by byte with this time between two.
    ByteByByte(Duration),
    /// Head and body, announcing one byte more than it ever sends, and the connection stays open.
    NeverEnds,
    /// The head, and then a body without end, as fast as it is read.
    Endless,
    /// Head and half of the body, then the connection is closed.
    Truncated,
    /// Nothing: the connection is closed.
    Lost,
    /// Nothing: the connection is reset, after the body was read.
    Reset,
    /// The connection is reset after about this many bytes of the body were read; implies `skip`.
    ResetWithin(usize),
}

impl Fault {
    /// No fault: lets one request of a script pass.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Answers `reply` without looking at the request; nothing is indexed.
    #[must_use]
    pub fn reply(reply: Reply) -> Self {
        Self { skip: true, answer: Some(reply), manner: Manner::Usual }
    }

    /// Answers `code` without looking at the request; nothing is indexed.
    #[must_use]
    pub fn code(code: Code) -> Self {
        Self::reply(Reply::code(code))
    }

    /// 503 with code 9 and, if given, `Retry-After`.
    #[must_use]
    pub fn busy(retry_after: Option<&str>) -> Self {
        let reply = Reply::code(Code::ServerBusy);
        Self::reply(match retry_after {
            Some(value) => reply.retry_after(value),
            None => reply,
        })
    }

    /// A page for people; nothing is indexed.
    #[must_use]
    pub fn html(status: StatusCode) -> Self {
        Self::reply(Reply::html(status))
    }

    /// Indexes as usual, then answers `reply`.
    #[must_use]
    pub fn indexed_but(reply: Reply) -> Self {
        Self { skip: false, answer: Some(reply), manner: Manner::Usual }
    }

    /// Indexes as usual, and the answer is lost with the connection.
    #[must_use]
    pub fn reply_lost() -> Self {
        Self::manner(Manner::Lost)
    }

    /// Indexes as usual, and the answer goes out in this manner.
    #[must_use]
    pub fn manner(manner: Manner) -> Self {
        let skip = matches!(manner, Manner::ResetWithin(_));
        Self { skip, answer: None, manner }
    }
}
