//! The body of an answer: JSON, JSON inside a JSON string, a web page, plain text, or nothing.

use serde_json::Value;

/// What could be read of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Parsed {
    /// `code`, when it is a number.
    pub(super) code: Option<i64>,
    /// `invalid-event-number`, when it is a number from 0.
    pub(super) number: Option<u64>,
    /// `text`, or the body when it is not JSON and no page.
    pub(super) text: String,
    /// It is HTML or XML.
    pub(super) page: bool,
    /// It begins as JSON and is not.
    pub(super) broken: bool,
}

impl Parsed {
    pub(super) fn of(body: &[u8]) -> Self {
        let body = body.trim_ascii();
        match serde_json::from_slice::<Value>(body) {
            // Some write their answers as JSON and then once more as a JSON string.
            Ok(Value::String(inner)) => match serde_json::from_str::<Value>(&inner) {
                Ok(value @ Value::Object(_)) => Self::of_value(&value),
                _ => Self { text: inner, ..Self::default() },
            },
            Ok(value) => Self::of_value(&value),
            Err(_) => {
                let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
                let page = body.first() == Some(&b'<');
                let broken = matches!(body.first(), Some(b'{' | b'[' | b'"'));
                let text = if page { String::new() } else { String::from_utf8_lossy(body).into_owned() };
                Self { text, page, broken, ..Self::default() }
            }
        }
    }

    fn of_value(value: &Value) -> Self {
        let text = value.get("text").and_then(Value::as_str).unwrap_or_default();
        Self {
            code: value.get("code").and_then(Value::as_i64),
            number: value.get("invalid-event-number").and_then(Value::as_u64),
            text: text.to_owned(),
            ..Self::default()
        }
    }
}
