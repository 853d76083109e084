//! The collector's answer → a verdict. Pure: the code table of Splunk's HEC and of those who imitate it.
//!
//! What decides is the number `code`, never the text; without a usable one the HTTP status decides. An answer that
//! does not clearly say "accepted" is never taken for one: the batch is then sent again.

mod parse;
#[cfg(test)]
mod tests;
mod words;

use std::fmt;
use std::time::Duration;

use flow::sink::{Cause, Verdict};

use crate::settings::PartialAccept;

pub use words::peer_words;

/// An HTTP answer.
#[derive(Clone, Copy)]
pub struct Answer<'a> {
    /// The status.
    pub status: u16,
    /// The wait that it asks for.
    pub retry_after: Option<Duration>,
    /// Its `Content-Type`.
    pub content_type: &'a str,
    /// The first 64 KiB of its body.
    pub body: &'a [u8],
}

/// What was asked.
#[derive(Clone, Copy)]
pub struct Sent<'a> {
    /// Records in the batch.
    pub records: u64,
    /// Bytes of the body before compression.
    pub bytes: usize,
    /// Whether it was compressed.
    pub gzip: bool,
    /// Whether the channel was renewed after the collector refused the one before.
    pub channel_renewed: bool,
    /// The setting.
    pub partial_accept: PartialAccept,
    /// The token, so that it can be taken out of the collector's words.
    pub token: &'a str,
}

/// Without the body: a collector may repeat the token in it.
impl fmt::Debug for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("retry_after", &self.retry_after)
            .field("content_type", &self.content_type)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// Without the token.
impl fmt::Debug for Sent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { records, bytes, gzip, channel_renewed, partial_accept, token: _ } = self;
        f.debug_struct("Sent")
            .field("records", records)
            .field("bytes", bytes)
            .field("gzip", gzip)
            .field("channel_renewed", channel_renewed)
            .field("partial_accept", partial_accept)
            .finish_non_exhaustive()
    }
}

/// A change for the attempts that follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adjust {
    /// Use another channel id.
    NewChannel,
    /// Compress no more.
    NoCompression,
}

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// For the lane.
    pub verdict: Verdict,
    /// For the sink.
    pub adjust: Option<Adjust>,
    /// The collector took the batch and says that its queue is nearly full.
    pub nearly_full: bool,
}

/// Splunk Cloud says code 6, number 0 for a body over its size limit; no limit seen is below this.
const SIZE_SUSPECT: usize = 1_000_000;

/// Judges an answer.
#[must_use]
pub fn judge(answer: &Answer<'_>, sent: &Sent<'_>) -> Judgement {
    let parsed = parse::Parsed::of(answer.body);
    let case = Case { answer, sent, parsed: &parsed };
    let verdict = match (parsed.code, answer.status) {
        // Success needs both: the status and, when there is a code, the code.
        (Some(0 | 24 | 25 | 200) | None, 200..=299) => {
            let verdict = case.success();
            let nearly_full = verdict == Verdict::Accepted && matches!(parsed.code, Some(24 | 25));
            return Judgement { nearly_full, ..verdict.into() };
        }
        (Some(17), 200..=299) => case.blocked("set endpoint to the collector, not to its health check"),
        (Some(1 | 22), _) => {
            case.blocked("enable the token in Splunk (Settings, Data inputs, HTTP Event Collector)")
        }
        (Some(2 | 3), 400..=499) => {
            case.blocked("check the token setting: the collector takes `Splunk <token>` only")
        }
        (Some(4 | 21), _) => {
            case.blocked("put a valid token into the sink's secret; it is read again at every attempt")
        }
        (Some(5), 400..=499) => case.blocked("report this as a fault of Trailwire: it sends no empty body"),
        (Some(6), _) if parsed.number == Some(0) && sent.bytes > SIZE_SUSPECT => {
            case.split("lower batch.max_bytes")
        }
        (Some(6 | 12 | 13 | 15), _) => case.refused_at(parsed.number),
        // Splunk counts one too high here. Where that is mended, one record is sent twice and none is lost.
        (Some(7), _) => case.wrong_index(parsed.number.and_then(|number| number.checked_sub(1))),
        (Some(8 | 9 | 18 | 19 | 20 | 23 | 26 | 27), _) => case.retry("wait: it is sent again by itself"),
        (Some(10 | 28), 400..=499) => case.blocked("check that no proxy removes X-Splunk-Request-Channel"),
        (Some(11), 400..=499) if !sent.channel_renewed => {
            return Judgement {
                verdict: case.retry("wait: it is sent again on a new channel"),
                adjust: Some(Adjust::NewChannel),
                nearly_full: false,
            };
        }
        (Some(11), 400..=499) => case.blocked("check that no proxy changes X-Splunk-Request-Channel"),
        (Some(14), 400..=499) => case.blocked("set endpoint to the collector, not to its acknowledgements"),
        (Some(16), 400..=499) => {
            case.blocked("remove the query from the endpoint: the token goes into a header")
        }
        (_, status) => return case.by_status(status),
    };
    verdict.into()
}

impl From<Verdict> for Judgement {
    fn from(verdict: Verdict) -> Self {
        Self { verdict, adjust: None, nearly_full: false }
    }
}

struct Case<'a> {
    answer: &'a Answer<'a>,
    sent: &'a Sent<'a>,
    parsed: &'a parse::Parsed,
}

impl Case<'_> {
    fn by_status(&self, status: u16) -> Judgement {
        let verdict = match status {
            413 => self.split("lower batch.max_bytes"),
            415 if self.sent.gzip => return self.uncompressed(),
            // A collector that cannot read the compression says 400 with a page of HTML.
            400 if self.sent.gzip && self.parsed.code.is_none() => return self.uncompressed(),
            // It does not say which record it dislikes, so halves find it.
            400 | 422 => self.split("look at the record that is shown when the halves are down to one"),
            401 | 403 | 407 => self.blocked("check the token, and the proxies before the collector"),
            404 | 405 | 410 => self
                .blocked("check the endpoint: the collector is at /services/collector/event on its own port"),
            300..=399 => self.blocked("set endpoint to the final address: redirects are not followed"),
            408 | 425 | 429 => self.retry("wait: it is sent again by itself"),
            400..=499 => self.blocked("check the endpoint and the proxies before it"),
            // 2xx with a code of refusal that no table knows, 5xx, and what is no status at all: not known to be
            // accepted.
            _ => self.retry("wait, and look at the collector's own log if it lasts"),
        };
        verdict.into()
    }

    fn success(&self) -> Verdict {
        if self.parsed.page || self.answer.content_type.to_ascii_lowercase().contains("text/html") {
            // A login page or a captive proxy says 200 too.
            return self.blocked("check the endpoint: a web page answered instead of a collector");
        }
        if self.parsed.broken {
            return self.retry("look at the collector's own log: its answers are cut short");
        }
        Verdict::Accepted
    }

    /// Record `index` is bad.
    fn refused_at(&self, index: Option<u64>) -> Verdict {
        let remedy = "look at the record: the collector refuses it for good";
        match index.filter(|index| *index < self.sent.records) {
            Some(index) => Verdict::PerRow {
                accepted_prefix: if self.sent.partial_accept == PartialAccept::Prefix { index } else { 0 },
                refused: Some(index),
                cause: self.cause(remedy),
            },
            None => self.split(remedy),
        }
    }

    fn wrong_index(&self, index: Option<u64>) -> Verdict {
        match self.refused_at(index) {
            Verdict::PerRow { accepted_prefix, refused, mut cause } => {
                cause.remedy = WRONG_INDEX.to_owned();
                Verdict::PerRow { accepted_prefix, refused, cause }
            }
            Verdict::Split(mut cause) => {
                cause.remedy = WRONG_INDEX.to_owned();
                Verdict::Split(cause)
            }
            other => other,
        }
    }

    fn uncompressed(&self) -> Judgement {
        Judgement {
            verdict: self.retry("set compression: none, since the collector does not read gzip"),
            adjust: Some(Adjust::NoCompression),
            nearly_full: false,
        }
    }

    fn blocked(&self, remedy: &str) -> Verdict {
        Verdict::Blocked(self.cause(remedy))
    }

    fn split(&self, remedy: &str) -> Verdict {
        Verdict::Split(self.cause(remedy))
    }

    fn retry(&self, remedy: &str) -> Verdict {
        Verdict::Retry { after: self.answer.retry_after, cause: self.cause(remedy) }
    }

    fn cause(&self, remedy: &str) -> Cause {
        let mut what = format!("the collector answered HTTP {}", self.answer.status);
        if let Some(code) = self.parsed.code {
            what.push_str(&format!(", code {code}"));
        }
        let said = peer_words(&self.parsed.text, self.sent.token);
        if !said.is_empty() {
            what.push_str(&format!(": {said}"));
        }
        Cause { what, remedy: remedy.to_owned(), code: Some(u32::from(self.answer.status)) }
    }
}

const WRONG_INDEX: &str = "allow the index for this token in Splunk, or change the sink's index setting";
