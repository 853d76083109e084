//! Quantities as people write them in YAML: `30s`, `8MiB`, `2000/s`.
//!
//! A number without a unit is refused: `timeout: 30` reads as seconds to one person and as milliseconds to the
//! next.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error as _};

#[cfg(test)]
mod tests;

/// Why a text is no quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadQuantity {
    /// Not a length of time.
    #[error(
        "`{0}` is not a length of time: write a whole number and a unit, such as 500ms, 30s, 5m, 12h or 7d"
    )]
    Interval(String),
    /// Not a number of bytes.
    #[error("`{0}` is not a size: write a whole number and a unit, such as 512B, 1MB, 8MiB or 50GiB")]
    ByteSize(String),
    /// Not a number of events in a time.
    #[error("`{0}` is not a rate: write a whole number per second, minute or hour, such as 2000/s")]
    EventRate(String),
    /// Not a number of bytes in a time.
    #[error("`{0}` is not a rate in bytes: write a size per second, minute or hour, such as 1MB/s")]
    ByteRate(String),
}

/// A length of time: `500ms`, `30s`, `5m`, `12h`, `7d`, or several of them, largest first: `1h30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interval(pub Duration);

const TIME_UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl FromStr for Interval {
    type Err = BadQuantity;

    fn from_str(text: &str) -> Result<Self, BadQuantity> {
        let bad = || BadQuantity::Interval(shown(text));
        let mut rest = text;
        let mut total = 0u64;
        let mut last = u64::MAX;
        while !rest.is_empty() || last == u64::MAX {
            let (count, after) = leading_number(rest).ok_or_else(bad)?;
            let unit_len = after.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (unit, after) = after.split_at_checked(unit_len).ok_or_else(bad)?;
            let millis = lookup(&TIME_UNITS, unit).filter(|millis| *millis < last).ok_or_else(bad)?;
            total = count.checked_mul(millis).and_then(|part| total.checked_add(part)).ok_or_else(bad)?;
            last = millis;
            rest = after;
        }
        Ok(Self(Duration::from_millis(total)))
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let (unit, size) = largest_whole(&TIME_UNITS, millis, ("ms", 1));
        write!(f, "{}{unit}", millis / size)
    }
}

/// A number of bytes: `512B`, `1MB` (1,000,000), `8MiB` (8 × 1,048,576), `50GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

const SIZE_UNITS: [(&str, u64); 10] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("KB", 1_000),
    ("B", 1),
];

impl ByteSize {
    /// As an index or length of this machine; the largest one if it does not fit.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for ByteSize {
    type Err = BadQuantity;

    fn from_str(text: &str) -> Result<Self, BadQuantity> {
        let bad = || BadQuantity::ByteSize(shown(text));
        let (count, unit) = leading_number(text).ok_or_else(bad)?;
        let size = lookup(&SIZE_UNITS, unit).ok_or_else(bad)?;
        count.checked_mul(size).map(Self).ok_or_else(bad)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, size) = largest_whole(&SIZE_UNITS, self.0, ("B", 1));
        write!(f, "{}{unit}", self.0 / size)
    }
}

/// Events in a time: `2000/s`, `100/m`, `5000/h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventRate {
    /// How many events.
    pub events: u64,
    /// In which time.
    pub per: Duration,
}

impl FromStr for EventRate {
    type Err = BadQuantity;

    fn from_str(text: &str) -> Result<Self, BadQuantity> {
        let bad = || BadQuantity::EventRate(shown(text));
        let (amount, per) = split_rate(text).ok_or_else(bad)?;
        let (events, rest) = leading_number(amount).ok_or_else(bad)?;
        if !rest.is_empty() || events == 0 {
            return Err(bad());
        }
        Ok(Self { events, per })
    }
}

impl fmt::Display for EventRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.events, rate_unit(self.per))
    }
}

/// Bytes in a time: `1MB/s`, `100MiB/h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ByteRate {
    /// How many bytes.
    pub bytes: ByteSize,
    /// In which time.
    pub per: Duration,
}

impl FromStr for ByteRate {
    type Err = BadQuantity;

    fn from_str(text: &str) -> Result<Self, BadQuantity> {
        let bad = || BadQuantity::ByteRate(shown(text));
        let (amount, per) = split_rate(text).ok_or_else(bad)?;
        let bytes = amount.parse::<ByteSize>().ok().filter(|bytes| bytes.0 > 0).ok_or_else(bad)?;
        Ok(Self { bytes, per })
    }
}

impl fmt::Display for ByteRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.bytes, rate_unit(self.per))
    }
}

/// A limit, or the word `unlimited`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ceiling<T>(pub Option<T>);

impl<T> Ceiling<T> {
    /// No limit.
    pub const UNLIMITED: Self = Self(None);
}

impl<T: FromStr> FromStr for Ceiling<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        if text == "unlimited" { Ok(Self(None)) } else { text.parse().map(|limit| Self(Some(limit))) }
    }
}

impl<T: fmt::Display> fmt::Display for Ceiling<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(limit) => limit.fmt(f),
            None => f.write_str("unlimited"),
        }
    }
}

const RATE_UNITS: [(&str, u64); 3] = [("s", 1), ("m", 60), ("h", 3_600)];

fn split_rate(text: &str) -> Option<(&str, Duration)> {
    let (amount, unit) = text.split_once('/')?;
    Some((amount, Duration::from_secs(lookup(&RATE_UNITS, unit)?)))
}

fn rate_unit(per: Duration) -> &'static str {
    RATE_UNITS.iter().find(|(_, secs)| *secs == per.as_secs()).map_or("s", |(unit, _)| unit)
}

/// Digits at the start of `text` as a number, and what follows. `_` may group digits.
fn leading_number(text: &str) -> Option<(u64, &str)> {
    let len = text.bytes().take_while(|b| b.is_ascii_digit() || *b == b'_').count();
    let (digits, rest) = text.split_at_checked(len)?;
    if digits.starts_with('_') || digits.ends_with('_') {
        return None;
    }
    Some((digits.replace('_', "").parse().ok()?, rest))
}

fn lookup(units: &[(&str, u64)], unit: &str) -> Option<u64> {
    units.iter().find(|(name, _)| *name == unit).map(|(_, size)| *size)
}

fn largest_whole(
    units: &[(&'static str, u64)],
    amount: u64,
    smallest: (&'static str, u64),
) -> (&'static str, u64) {
    if amount == 0 {
        return smallest;
    }
    units.iter().copied().find(|(_, size)| amount.is_multiple_of(*size)).unwrap_or(smallest)
}

/// The text as an error may show it.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}

macro_rules! written_as_text {
    ($name:ty, $schema_name:literal, $pattern:literal, $description:literal) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $schema_name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "description": $description })
            }
        }
    };
}

written_as_text!(
    Interval,
    "Interval",
    "^([0-9][0-9_]*(d|h|ms|m|s))+$",
    "A length of time, such as 500ms, 30s, 5m, 12h, 7d."
);
written_as_text!(
    ByteSize,
    "ByteSize",
    "^[0-9][0-9_]*(B|[kKMGT]B|[KMGT]iB)$",
    "A number of bytes, such as 512B, 1MB, 8MiB, 50GiB."
);
written_as_text!(EventRate, "EventRate", "^[0-9][0-9_]*/(s|m|h)$", "Events in a time, such as 2000/s.");
written_as_text!(
    ByteRate,
    "ByteRate",
    "^[0-9][0-9_]*(B|[kKMGT]B|[KMGT]iB)/(s|m|h)$",
    "Bytes in a time, such as 1MB/s."
);
written_as_text!(
    Ceiling<EventRate>,
    "EventCeiling",
    "^(unlimited|[0-9][0-9_]*/(s|m|h))$",
    "Events in a time, such as 2000/s, or `unlimited`."
);
written_as_text!(
    Ceiling<ByteRate>,
    "ByteCeiling",
    "^(unlimited|[0-9][0-9_]*(B|[kKMGT]B|[KMGT]iB)/(s|m|h))$",
    "Bytes in a time, such as 1MB/s, or `unlimited`."
);
