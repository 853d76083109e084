//! One object of an `/event` body: the envelope and what is wrong with it.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::code::Code;
use crate::settings::{Mode, Token};

/// The members of one object, as they stand in the body.
pub type Members<'a> = BTreeMap<String, &'a RawValue>;

/// Metadata that holds on from one object of a body to the next.
#[derive(Debug, Clone, Default)]
pub struct Sticky {
    host: Option<String>,
    source: Option<String>,
    sourcetype: Option<String>,
    index: Option<String>,
    time: Option<String>,
}

/// An object that can be indexed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// `host`, its own or an earlier object's.
    pub host: Option<String>,
    /// `source`, its own or an earlier object's.
    pub source: Option<String>,
    /// `sourcetype`, its own or an earlier object's.
    pub sourcetype: Option<String>,
    /// `index`, its own, an earlier object's or the token's.
    pub index: String,
    /// `time` as it was written, epoch seconds; `None` means on receipt.
    pub time: Option<String>,
    /// The text of `event`, JSON.
    pub event: String,
    /// The text of `fields`, a JSON object.
    pub fields: Option<String>,
}

/// Why an object ends the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is refused with this code.
    Refused(Code),
    /// It holds a key that the collector does not know: the body is taken to end here, without a word.
    UnknownKey,
}

const KEYS: [&str; 7] = ["time", "host", "source", "sourcetype", "index", "event", "fields"];

/// Judges one object. `Ok(None)` is an object that is skipped without a word (`fields` without `event`).
///
/// # Errors
/// [`Fault`], with which the body ends.
pub fn judge(
    members: &Members<'_>,
    sticky: &mut Sticky,
    token: &Token,
    mode: Mode,
) -> Result<Option<Envelope>, Fault> {
    let splunk = matches!(mode, Mode::Enterprise | Mode::Cloud);
    if splunk && members.keys().any(|key| !KEYS.contains(&key.as_str())) {
        return Err(Fault::UnknownKey);
    }
    let Some(event) = members.get("event") else {
        return match mode {
            Mode::Enterprise | Mode::Cloud if members.contains_key("fields") => Ok(None),
            Mode::FluentBitLike => Err(Fault::Refused(Code::InvalidDataFormat)),
            _ => Err(Fault::Refused(Code::EventRequired)),
        };
    };
    judge_event(event, mode).map_err(Fault::Refused)?;
    let time = match members.get("time") {
        Some(time) => Some(epoch_seconds(time).ok_or(match mode {
            Mode::VectorLike | Mode::FluentBitLike => Fault::Refused(Code::InvalidDataFormat),
            _ => Fault::Refused(Code::IndexedFields),
        })?),
        None => None,
    };
    let fields = match members.get("fields") {
        Some(fields) => {
            judge_fields(fields).map_err(|code| match (mode, code) {
                (Mode::VectorLike | Mode::FluentBitLike, _) => Fault::Refused(Code::InvalidDataFormat),
                (_, code) => Fault::Refused(code),
            })?;
            Some(fields.get().to_owned())
        }
        None => None,
    };
    let index = match members.get("index").map(|raw| text(raw)) {
        Some(Some(index)) => Some(index),
        Some(None) if splunk => return Err(Fault::Refused(Code::IncorrectIndex)),
        _ => None,
    };
    if let Some(index) = &index
        && splunk
        && !token.allows_index(index)
    {
        return Err(Fault::Refused(Code::IncorrectIndex));
    }
    for (key, kept) in
        [("host", &mut sticky.host), ("source", &mut sticky.source), ("sourcetype", &mut sticky.sourcetype)]
    {
        if let Some(raw) = members.get(key) {
            *kept = Some(text(raw).ok_or(Fault::Refused(Code::InvalidDataFormat))?);
        }
    }
    if index.is_some() {
        sticky.index = index;
    }
    // Only Vector's source lets the time stick as well.
    let time = if mode == Mode::VectorLike {
        if time.is_some() {
            sticky.time = time;
        }
        sticky.time.clone()
    } else {
        time
    };
    Ok(Some(Envelope {
        host: sticky.host.clone(),
        source: sticky.source.clone(),
        sourcetype: sticky.sourcetype.clone(),
        index: sticky.index.clone().unwrap_or_else(|| token.default_index.clone()),
        time,
        event: event.get().to_owned(),
        fields,
    }))
}

fn judge_event(event: &RawValue, mode: Mode) -> Result<(), Code> {
    let blank_text = || text(event).is_some_and(|text| text.trim().is_empty());
    let empty_within = |open: char, close: char| {
        event
            .get()
            .strip_prefix(open)
            .and_then(|rest| rest.strip_suffix(close))
            .is_some_and(|s| s.trim().is_empty())
    };
    let blank = event.get() == "null" || blank_text();
    match mode {
        Mode::FluentBitLike => Ok(()),
        Mode::VectorLike if blank => Err(Code::EventBlank),
        Mode::VectorLike if !event.get().starts_with(['"', '{']) => Err(Code::InvalidDataFormat),
        Mode::VectorLike => Ok(()),
        _ if blank || empty_within('{', '}') || empty_within('[', ']') => Err(Code::EventBlank),
        _ => Ok(()),
    }
}

/// `fields` is a flat object of scalars and arrays of scalars.
fn judge_fields(fields: &RawValue) -> Result<(), Code> {
    let Ok(Value::Object(fields)) = serde_json::from_str(fields.get()) else {
        return Err(Code::InvalidDataFormat);
    };
    // How Splunk treats `null` here was never measured, so it counts as wrong: a sink that never sends it is safe.
    let scalar = |value: &Value| matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_));
    let fine = fields.values().all(|value| match value {
        Value::Array(items) => items.iter().all(scalar),
        other => scalar(other),
    });
    if fine { Ok(()) } else { Err(Code::IndexedFields) }
}

/// A number, or a string that holds one.
fn epoch_seconds(raw: &RawValue) -> Option<String> {
    let written = text(raw).unwrap_or_else(|| raw.get().to_owned());
    let written = written.trim();
    let decimal = written.strip_prefix('-').unwrap_or(written);
    let digits_and_point = !decimal.is_empty() && decimal.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    (digits_and_point && written.parse::<f64>().is_ok()).then(|| written.to_owned())
}

fn text(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

#[cfg(test)]
mod tests;
