//! One error of serde, with the path that serde does not know.

use std::fmt;

use serde::de;

use crate::path::KeyPath;

#[derive(Debug)]
pub(super) struct Fault {
    pub(super) path: Option<KeyPath>,
    pub(super) what: String,
    pub(super) hint: Option<String>,
    /// The key that is missing in the map at `path`.
    pub(super) missing: Option<&'static str>,
}

impl Fault {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { path: None, what: what.into(), hint: None, missing: None }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Sets the path if none is known: the innermost place wins.
    pub(super) fn at(mut self, path: impl FnOnce() -> KeyPath) -> Self {
        if self.path.is_none() {
            self.path = Some(path());
        }
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(what: T) -> Self {
        Self::new(what.to_string())
    }

    // serde's own words show the value, which may be a secret at the wrong key.
    fn invalid_type(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(format!("expected {expected}"))
    }

    fn invalid_value(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(format!("expected {expected}"))
    }

    fn missing_field(field: &'static str) -> Self {
        Self { missing: Some(field), ..Self::new("this key is missing") }
    }
}
