//! The compile step of the keys that every sink has.

use std::time::Duration;

use event::time::parse_rfc3339;

use super::{
    Batch, Calls, Format, RawCommon, RequestLimits, SinkCommon, SinkDefaults, StartFrom,
    raw::{RawCalls, RawFormat},
};
use crate::scope::Scope;
use crate::units::{ByteSize, Interval};

/// One record can be 256 KiB and what is added to it: a batch that cannot hold one would block its sink.
const MIN_BATCH_BYTES: u64 = 300_000;
const MAX_BATCH_EVENTS: u32 = 50_000;
const MAX_DELAY: Duration = Duration::from_secs(300);
const TIMEOUT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(600));
const MAX_CONCURRENCY: u32 = 256;

/// Checks the common keys, noting what is wrong. Always gives a value, so that the type's own keys are checked too.
pub(crate) fn compile_common(scope: &mut Scope<'_>, raw: &RawCommon, defaults: &SinkDefaults) -> SinkCommon {
    if !raw.select.filter.trim().is_empty() {
        scope.not_supported_yet("select.filter");
    }
    if raw.rate_limit.is_some() {
        scope.not_supported_yet("rate_limit");
    }
    let RawCalls::All = raw.select.calls;
    let RawFormat::Record = raw.encoding.format;
    SinkCommon {
        calls: Calls::All,
        format: Format::Record,
        batch: batch(scope, raw, defaults),
        request: request(scope, raw, defaults),
        from: raw.from.as_deref().map_or(StartFrom::End, |from| start_from(scope, from)),
        paused: raw.paused,
    }
}

fn batch(scope: &mut Scope<'_>, raw: &RawCommon, defaults: &SinkDefaults) -> Batch {
    let default = defaults.batch;
    let max_bytes = raw.batch.max_bytes.unwrap_or(ByteSize(default.max_bytes as u64));
    let max_events = raw.batch.max_events.unwrap_or(default.max_events);
    let max_delay = raw.batch.max_delay.unwrap_or(Interval(default.max_delay));
    if !(MIN_BATCH_BYTES..=defaults.max_batch_bytes).contains(&max_bytes.0) {
        let (least, most) = (ByteSize(MIN_BATCH_BYTES), ByteSize(defaults.max_batch_bytes));
        scope.error("batch.max_bytes", format!("must be from {least} (one large record) to {most}"));
    }
    if !(1..=MAX_BATCH_EVENTS).contains(&max_events) {
        scope.error("batch.max_events", format!("must be from 1 to {MAX_BATCH_EVENTS}"));
    }
    if max_delay.0 > MAX_DELAY {
        scope.error("batch.max_delay", format!("must be at most {}", Interval(MAX_DELAY)));
    }
    Batch { max_bytes: max_bytes.as_usize(), max_events, max_delay: max_delay.0 }
}

fn request(scope: &mut Scope<'_>, raw: &RawCommon, defaults: &SinkDefaults) -> RequestLimits {
    let timeout = raw.request.timeout.map_or(defaults.request.timeout, |timeout| timeout.0);
    let concurrency = raw.request.concurrency.unwrap_or(defaults.request.concurrency);
    if !(TIMEOUT.0..=TIMEOUT.1).contains(&timeout) {
        let (least, most) = (Interval(TIMEOUT.0), Interval(TIMEOUT.1));
        scope.error("request.timeout", format!("must be from {least} to {most}"));
    }
    if !(1..=MAX_CONCURRENCY).contains(&concurrency) {
        scope.error("request.concurrency", format!("must be from 1 to {MAX_CONCURRENCY}"));
    }
    RequestLimits { timeout, concurrency }
}

fn start_from(scope: &mut Scope<'_>, from: &str) -> StartFrom {
    match from {
        "end" => StartFrom::End,
        "earliest" => StartFrom::Earliest,
        time => match parse_rfc3339(time.as_bytes()) {
            Some(millis) => StartFrom::Time(millis),
            None => {
                scope.error_with_hint(
                    "from",
                    "expected end, earliest, or a time in RFC 3339",
                    "write a time as 2026-11-22T08:00:00Z",
                );
                StartFrom::End
            }
        },
    }
}
