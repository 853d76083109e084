//! Counting without parsing, for load: lines, and the two times of each event.
//!
//! The collector must not be what a benchmark measures, so this looks for newlines and for `"received_at":"` only.
//! It relies on what our own encoder writes: one envelope a line, `time` first.

use std::collections::BTreeSet;

use flow::clock::UnixMillis;
use memchr::memmem::Finder;

use crate::ledger::LatencyMeter;
use crate::record::utc_millis;

/// Scans bodies frame by frame.
#[derive(Debug)]
pub struct Scanner {
    received_at: Finder<'static>,
    org_id: Finder<'static>,
}

impl Default for Scanner {
    fn default() -> Self {
        Self { received_at: Finder::new(b"\"received_at\":\""), org_id: Finder::new(b"\"org_id\":\"") }
    }
}

/// What the frames of one body held so far.
#[derive(Debug, Default)]
pub struct Tally {
    lines: u64,
    open: bool,
    /// Events of another organisation than the token's, of those looked at.
    pub foreign: u64,
}

impl Tally {
    /// Events of the body, once all its frames were scanned.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.lines + u64::from(self.open)
    }
}

/// The two latencies that the benchmarks report.
#[derive(Debug, Default)]
pub struct Meters {
    /// From `received_at`.
    pub from_ingest: LatencyMeter,
    /// From `time`.
    pub from_event: LatencyMeter,
}

impl Scanner {
    /// Takes the next frame of a body that arrived at `now`. What lies across two frames is counted, but its times
    /// are not looked at.
    pub fn frame(
        &self,
        frame: &[u8],
        orgs: Option<&BTreeSet<String>>,
        now: UnixMillis,
        tally: &mut Tally,
        meters: &mut Meters,
    ) {
        let Some(last) = frame.last() else { return };
        if !tally.open {
            self.line(frame, now, meters);
        }
        for newline in memchr::memchr_iter(b'\n', frame) {
            tally.lines += 1;
            self.line(frame.get(newline + 1..).unwrap_or_default(), now, meters);
        }
        tally.open = *last != b'\n';
        for place in self.received_at.find_iter(frame) {
            let start = place + self.received_at.needle().len();
            if let Some(millis) = frame.get(start..start + 24).and_then(utc_millis) {
                meters.from_ingest.add(millis, now);
            }
        }
        if let Some(orgs) = orgs
            && let Some(place) = self.org_id.find(frame)
            && let Some(rest) = frame.get(place + self.org_id.needle().len()..)
            && let Some(end) = memchr::memchr(b'"', rest)
            && let Some(org) = rest.get(..end)
            && !std::str::from_utf8(org).is_ok_and(|org| orgs.contains(org))
        {
            tally.foreign += 1;
        }
    }

    /// Reads `{"time":<seconds>.<3 digits>` at the start of a line.
    fn line(&self, line: &[u8], now: UnixMillis, meters: &mut Meters) {
        let Some(digits) = line.strip_prefix(b"{\"time\":") else { return };
        let mut millis = 0_i64;
        let mut fraction = None;
        for byte in digits.iter().take(20) {
            match (byte, fraction) {
                (b'0'..=b'9', Some(3)) => {}
                (b'0'..=b'9', _) => {
                    millis = millis * 10 + i64::from(byte - b'0');
                    fraction = fraction.map(|digits: u32| digits + 1);
                }
                (b'.', None) => fraction = Some(0),
                _ => break,
            }
        }
        if fraction == Some(3) {
            meters.from_event.add(millis, now);
        }
    }
}

#[cfg(test)]
mod tests;
