//! Records → the body of one request: objects one after the other, each with a line feed behind it.
//!
//! Pure. Writes exactly the keys `time`, `host`, `source`, `sourcetype`, `index`, `event` and `fields`, all of them
//! on every object: a collector lets metadata stick from one object to the next, and silently drops what follows an
//! object with a key that it does not know.

#[cfg(test)]
mod tests;

use event::decimal;
use event::ids::ORG_ID_MAX;
use event::raw::MAX_ID as EVENT_ID_MAX;
use flow::sink::{RowView, Rows};

/// Digits of the largest number.
const NUMBER_MAX: usize = 20;

/// The metadata of one sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Metadata<'a> {
    /// `host`; the record's organisation when it is not set.
    pub host: Option<&'a str>,
    /// `source`.
    pub source: &'a str,
    /// `sourcetype`.
    pub sourcetype: &'a str,
    /// `index`; the token's own when it is not set.
    pub index: Option<&'a str>,
}

/// Encodes for one sink.
#[derive(Debug, Clone)]
pub struct Encoder {
    /// `,"host":"…` up to where an organisation would go.
    host: Vec<u8>,
    host_is_org: bool,
    /// `","source":…` up to the record.
    rest: Vec<u8>,
}

impl Encoder {
    /// Renders what is the same for every record.
    #[must_use]
    pub fn new(metadata: Metadata<'_>) -> Self {
        let mut host = b",\"host\":\"".to_vec();
        if let Some(name) = metadata.host {
            host.extend_from_slice(escaped(name).as_bytes());
        }
        let mut rest = format!(
            "\",\"source\":\"{}\",\"sourcetype\":\"{}\"",
            escaped(metadata.source),
            escaped(metadata.sourcetype)
        );
        if let Some(index) = metadata.index {
            rest.push_str(&format!(",\"index\":\"{}\"", escaped(index)));
        }
        rest.push_str(",\"event\":");
        Self { host, host_is_org: metadata.host.is_none(), rest: rest.into_bytes() }
    }

    /// Bytes that the envelope adds to a record, at most.
    #[must_use]
    pub fn overhead(&self) -> usize {
        let orgs = if self.host_is_org { 2 } else { 1 } * ORG_ID_MAX;
        let time = TIME.len() + 1 + NUMBER_MAX + ".000".len();
        let ids = EVENT_ID.len() + EVENT_ID_MAX + NEXT.len() + ORG_ID.len() + DELIVERY_ID.len() + 32;
        let seqs = SEQ.len() + PREV_SEQ.len() + 2 * NUMBER_MAX;
        time + self.host.len() + self.rest.len() + FIELDS.len() + orgs + ids + seqs + END.len()
    }

    /// Appends the rows to `body`.
    pub fn encode(&self, rows: &Rows, delivery_id: &str, body: &mut Vec<u8>) {
        rows.for_each(|row| self.push(&row, delivery_id, body));
    }

    fn push(&self, row: &RowView<'_>, delivery_id: &str, body: &mut Vec<u8>) {
        body.extend_from_slice(TIME);
        push_time(row.time_ms, body);
        body.extend_from_slice(&self.host);
        if self.host_is_org {
            body.extend_from_slice(row.org.as_bytes());
        }
        body.extend_from_slice(&self.rest);
        body.extend_from_slice(row.record);
        body.extend_from_slice(FIELDS);
        if row.seq.is_none() {
            body.extend_from_slice(GAP);
        } else if let Some(id) = event_id(row.record).filter(|id| (1..=EVENT_ID_MAX).contains(&id.len())) {
            body.extend_from_slice(EVENT_ID);
            body.extend_from_slice(id);
            body.extend_from_slice(NEXT);
        }
        body.extend_from_slice(ORG_ID);
        // Its characters need no escaping.
        body.extend_from_slice(row.org.as_bytes());
        if let Some(seq) = row.seq {
            body.extend_from_slice(SEQ);
            decimal::push(seq.0, body);
            // An indexed field cannot be null: the first record after a sink was added, and a replayed one, have none.
            if let Some(Some(prev)) = row.prev_seq {
                body.extend_from_slice(PREV_SEQ);
                decimal::push(prev.0, body);
            }
        } else {
            body.push(b'"');
        }
        body.extend_from_slice(DELIVERY_ID);
        body.extend_from_slice(delivery_id.as_bytes());
        body.extend_from_slice(END);
    }
}

const TIME: &[u8] = b"{\"time\":";
const FIELDS: &[u8] = b",\"fields\":{";
const GAP: &[u8] = b"\"kind\":\"gap\",";
const EVENT_ID: &[u8] = b"\"event_id\":\"";
const NEXT: &[u8] = b"\",";
const ORG_ID: &[u8] = b"\"org_id\":\"";
const SEQ: &[u8] = b"\",\"seq\":";
const PREV_SEQ: &[u8] = b",\"prev_seq\":";
const DELIVERY_ID: &[u8] = b",\"delivery_id\":\"";
const END: &[u8] = b"\"}}\n";

/// Milliseconds as seconds with three decimals, by integers: a float would round.
fn push_time(millis: i64, body: &mut Vec<u8>) {
    if millis < 0 {
        body.push(b'-');
    }
    let (seconds, rest) = (millis.unsigned_abs() / 1000, millis.unsigned_abs() % 1000);
    decimal::push(seconds, body);
    let digit = |n: u64| b'0' + u8::try_from(n % 10).unwrap_or(0);
    body.extend_from_slice(&[b'.', digit(rest / 100), digit(rest / 10), digit(rest)]);
}

/// The text between the quotes of a record's `id`, escapes as they stand.
///
/// `id` is the first member after the stamped part, which is `"v"`, `"seq"` and sometimes `"group"` and
/// `"id_reused"`; none of them holds an escape, a comma or a nested value.
fn event_id(record: &[u8]) -> Option<&[u8]> {
    let mut rest = record.strip_prefix(b"{\"v\":1,\"seq\":")?;
    for _ in 0..3 {
        // A few digits, mostly: too short for a search to pay.
        rest = rest.get(rest.iter().position(|byte| *byte == b',')? + 1..)?;
        if let Some(value) = rest.strip_prefix(b"\"id\":\"") {
            return string_end(value).and_then(|end| value.get(..end));
        }
    }
    None
}

/// Where the string whose content begins here ends.
fn string_end(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        if text.get(at) == Some(&b'"') {
            return Some(at);
        }
        at += 2;
    }
}

/// The text as the content of a JSON string.
fn escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or_default().to_owned()
}
