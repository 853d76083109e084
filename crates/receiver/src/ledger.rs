//! What the collector has seen: requests, indexed events and totals.

use flow::clock::UnixMillis;
use hdrhistogram::Histogram;

use crate::envelope::Envelope;

/// One indexed event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Indexed {
    /// The number of the request it came with, from 0.
    pub request: u64,
    /// The token.
    pub token: String,
    /// The event with its metadata.
    pub envelope: Envelope,
    /// The channel of its request, see [`crate::Audit::channels`].
    pub channel: u32,
    /// When the head of its request arrived.
    pub began: UnixMillis,
    /// When it was indexed.
    pub at: UnixMillis,
}

impl Indexed {
    /// `event` parsed.
    #[must_use]
    pub fn event(&self) -> serde_json::Value {
        serde_json::from_str(&self.envelope.event).unwrap_or_default()
    }

    /// `fields` parsed, `null` when there are none.
    #[must_use]
    pub fn fields(&self) -> serde_json::Value {
        let text = self.envelope.fields.as_deref().unwrap_or("null");
        serde_json::from_str(text).unwrap_or_default()
    }
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestNote {
    /// Its number, from 0.
    pub number: u64,
    /// When its head arrived.
    pub at: UnixMillis,
    /// Method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Headers, lower case names; the value of `authorization` is the token alone.
    pub headers: Vec<(String, String)>,
    /// The token.
    pub token: String,
    /// Bytes of the body on the wire.
    pub wire_bytes: usize,
    /// Bytes of the body after decompression.
    pub plain_bytes: usize,
    /// How many events were indexed.
    pub indexed: u64,
    /// The status that was answered, or would have been but for a fault.
    pub status: u16,
    /// The collector's code in the answer.
    pub code: Option<u16>,
}

/// Counts since the start, or since [`crate::Receiver::reset`].
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize, PartialEq, Eq)]
pub struct Totals {
    /// Requests of which the head arrived.
    pub requests: u64,
    /// Events indexed.
    pub events: u64,
    /// Bytes of bodies on the wire.
    pub wire_bytes: u64,
    /// Events under a token that may not carry their organisation (in [`crate::Keep::Counts`]: of those looked at).
    pub foreign: u64,
    /// Milliseconds from `received_at` of a record to its arrival here.
    pub from_ingest: Latency,
    /// Milliseconds from the `time` of a record to its arrival here.
    pub from_event: Latency,
}

/// A latency distribution in milliseconds.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize, PartialEq, Eq)]
pub struct Latency {
    /// How many were measured.
    pub count: u64,
    /// Median.
    pub p50: u64,
    /// 90 of 100 are not above.
    pub p90: u64,
    /// 99 of 100 are not above.
    pub p99: u64,
    /// The highest.
    pub max: u64,
}

/// Collects latencies.
#[derive(Debug)]
pub struct LatencyMeter(Histogram<u64>);

/// An hour: what is slower counts as this.
const SLOWEST_MS: u64 = 3_600_000;

impl Default for LatencyMeter {
    fn default() -> Self {
        // Two digits keep the error under 1 %.
        let meter = Histogram::new_with_bounds(1, SLOWEST_MS, 2);
        Self(meter.expect("1 to an hour with two digits are bounds that the constructor accepts"))
    }
}

impl LatencyMeter {
    /// Adds the time from `start` to `end`; the clock of the same machine wrote both.
    pub fn add(&mut self, start: i64, end: UnixMillis) {
        let passed = u64::try_from(end.0.saturating_sub(start)).unwrap_or(0);
        self.0.saturating_record(passed.clamp(1, SLOWEST_MS));
    }

    /// The distribution so far. Everything under a millisecond counts as one.
    #[must_use]
    pub fn latency(&self) -> Latency {
        Latency {
            count: self.0.len(),
            p50: self.0.value_at_quantile(0.5),
            p90: self.0.value_at_quantile(0.9),
            p99: self.0.value_at_quantile(0.99),
            max: self.0.max(),
        }
    }
}
