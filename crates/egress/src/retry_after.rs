//! The `Retry-After` header: seconds or a date, whatever a peer may write into it.

#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime};

use flow::clock::UnixMillis;
use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};

/// The longest wait that a peer can ask for.
const MAX: Duration = Duration::from_secs(3600);

/// The wait that the peer asks for, at most an hour; `None` when it asks for none or for nonsense.
///
/// A date is read against the peer's own `Date`, so that its clock need not be right; without one, against `now`.
pub(crate) fn parse(headers: &HeaderMap, now: UnixMillis) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than fit are a very long time.
        return Some(text.parse().map_or(MAX, Duration::from_secs).min(MAX));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let peer = headers.get(DATE).and_then(|value| httpdate::parse_http_date(value.to_str().ok()?).ok());
    let from = match peer {
        Some(peer) => peer,
        None => SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(u64::try_from(now.0).ok()?))?,
    };
    Some(until.duration_since(from).unwrap_or_default().min(MAX))
}
