//! What the audit reads from an indexed record.

use std::borrow::Cow;

use serde::Deserialize;

/// The facts of one of our records as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The organisation.
    pub org: String,
    /// The raw event's id; empty for a gap.
    pub id: String,
    /// The number within the organisation; `None` for a gap or heartbeat.
    pub seq: Option<u64>,
    /// `fields.prev_seq`.
    pub prev_seq: Option<u64>,
    /// The kind.
    pub kind: String,
    /// When the event reached Trailwire, milliseconds since 1970.
    pub received_at: Option<i64>,
    /// `fields.delivery_id`.
    pub delivery_id: Option<String>,
}

#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    org_id: Cow<'a, str>,
    #[serde(borrow, default)]
    id: Cow<'a, str>,
    seq: Option<u64>,
    #[serde(borrow, default)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    received_at: Option<Cow<'a, str>>,
}

#[derive(Deserialize, Default)]
struct Fields<'a> {
    prev_seq: Option<u64>,
    #[serde(borrow)]
    delivery_id: Option<Cow<'a, str>>,
}

/// Reads the text of `event` and of `fields`. `None` when the event is no record of ours.
#[must_use]
pub fn facts(event: &str, fields: Option<&str>) -> Option<Facts> {
    let record: Record<'_> = serde_json::from_str(event).ok()?;
    let fields: Fields<'_> = fields.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    Some(Facts {
        org: record.org_id.into_owned(),
        id: record.id.into_owned(),
        seq: record.seq,
        prev_seq: fields.prev_seq,
        kind: record.kind.into_owned(),
        received_at: record.received_at.and_then(|text| utc_millis(text.as_bytes())),
        delivery_id: fields.delivery_id.map(Cow::into_owned),
    })
}

/// Milliseconds since 1970 of `YYYY-MM-DDTHH:MM:SS.mmmZ`, the only form that records hold.
#[must_use]
pub fn utc_millis(text: &[u8]) -> Option<i64> {
    let number = |from: usize, digits: usize| {
        text.get(from..from + digits)?
            .iter()
            .try_fold(0_i64, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
    };
    let fixed = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.'), (23, b'Z')];
    if text.len() != 24 || fixed.iter().any(|(at, byte)| text.get(*at) != Some(byte)) {
        return None;
    }
    let days = days_since_1970(number(0, 4)?, number(5, 2)?, number(8, 2)?);
    let seconds = days * 86_400 + number(11, 2)? * 3_600 + number(14, 2)? * 60 + number(17, 2)?;
    Some(seconds * 1_000 + number(20, 3)?)
}

/// Days from 1970-01-01 in the Gregorian calendar: years are counted from March, so that the leap day is the last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month_from_march = (month + 9) % 12;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    year * 365 + leap_days + day_of_year - 719_468
}

#[cfg(test)]
mod tests;
