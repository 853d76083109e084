//! Secrets: given by reference, never shown, re-read when they change.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::{Deserialize, Deserializer};

mod file;
mod open;
mod reference;
#[cfg(test)]
mod tests;

use file::SecretFile;
use reference::Reference;

/// The value of a secret. It has no way out but [`Secret::expose`], and is wiped when the last copy goes.
#[derive(Clone)]
pub struct Secret(Arc<SecretString>);

impl Secret {
    /// Wraps a value.
    #[must_use]
    pub fn new(value: String) -> Self {
        Self(Arc::new(SecretString::from(value)))
    }

    /// The value. Do not store, log or format it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// Why a secret cannot be read now. The message names the reference, never the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The file is not there or cannot be read.
    #[error("secret {reference} cannot be read: {reason}")]
    Unreadable {
        /// `${file:NAME}`.
        reference: String,
        /// The operating system's words.
        reason: String,
    },
    /// Others than the owner can read the file.
    #[error("secret {reference} is readable by others (mode {mode:04o}): run `chmod 0600` on it")]
    Exposed {
        /// `${file:NAME}`.
        reference: String,
        /// Permission bits.
        mode: u32,
    },
    /// The path or a symbolic link in it leaves the folder of secrets.
    #[error("secret {reference} lies outside of its folder of secrets: put it below `secrets/`")]
    Outside {
        /// `${file:NAME}`.
        reference: String,
    },
    /// The value cannot be a secret.
    #[error("secret {reference} {what}")]
    Unusable {
        /// The reference.
        reference: String,
        /// What is wrong with the value.
        what: &'static str,
    },
}

/// Where a secret comes from. [`SecretSource::read`] gives its value as it is now, so that a rotated token is used
/// by the next attempt.
#[derive(Clone)]
pub struct SecretSource(Arc<Source>);

enum Source {
    Fixed { shown: String, value: Secret },
    File(SecretFile),
}

impl SecretSource {
    pub(crate) fn fixed(shown: String, value: Secret) -> Self {
        Self(Arc::new(Source::Fixed { shown, value }))
    }

    /// A secret whose value is known and does not change, such as one that a program made itself.
    #[must_use]
    pub fn from_value(value: Secret) -> Self {
        Self::fixed("in memory".to_owned(), value)
    }

    /// The secret in a file that a program names itself. The file is looked at when the secret is read.
    #[must_use]
    pub fn from_file(path: &Path) -> Self {
        Self(Arc::new(Source::File(SecretFile::anywhere(Path::new(""), &path.to_string_lossy()))))
    }

    /// The value as it is now. A file is looked at each time (one `stat`) and read when it has changed; this blocks
    /// for as long as the file system does.
    ///
    /// # Errors
    /// [`SecretError`]: the settings' fault; trying again helps once a person has put the file right.
    pub fn read(&self) -> Result<Secret, SecretError> {
        match &*self.0 {
            Source::Fixed { value, .. } => Ok(value.clone()),
            Source::File(file) => file.read(),
        }
    }

    /// The reference, such as `${file:hec-token}`: safe to show.
    #[must_use]
    pub fn shown(&self) -> &str {
        match &*self.0 {
            Source::Fixed { shown, .. } => shown,
            Source::File(file) => file.shown(),
        }
    }

    /// Whether both name the same secret, whatever its value is now.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (&*self.0, &*other.0) {
            (Source::Fixed { shown: a, value: v }, Source::Fixed { shown: b, value: w }) => {
                a == b && v.expose() == w.expose()
            }
            (Source::File(a), Source::File(b)) => a.path() == b.path(),
            _ => false,
        }
    }
}

/// By [`SecretSource::is_same`].
impl PartialEq for SecretSource {
    fn eq(&self, other: &Self) -> bool {
        self.is_same(other)
    }
}

impl fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretSource({})", self.shown())
    }
}

/// A secret as the YAML gives it: a reference, not yet looked up. `Debug` shows nothing, since a person may have
/// written the secret itself.
#[derive(Clone)]
pub struct SecretRef(pub(crate) String);

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretRef(redacted)")
    }
}

/// Tells our reader that `${…}` is welcome at this key.
pub(crate) const SECRET_REF: &str = "$trailwire::SecretRef";

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = SecretRef;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a reference such as ${file:NAME} or ${env:NAME}")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                deserializer: D,
            ) -> Result<SecretRef, D::Error> {
                String::deserialize(deserializer).map(SecretRef)
            }
        }
        deserializer.deserialize_newtype_struct(SECRET_REF, Visitor)
    }
}

impl JsonSchema for SecretRef {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SecretRef".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A reference to a secret: ${file:NAME} (a file below the folder of secrets, readable by \
                its owner only) or ${env:NAME}. The secret itself is accepted only with `development: true`.",
        })
    }
}

/// Which secrets the author of a file may refer to.
#[derive(Clone, Copy)]
pub(crate) struct SecretScope<'a> {
    /// The environment as the binary handed it in.
    pub(crate) env: &'a BTreeMap<String, String>,
    /// Which variables.
    pub(crate) variables: Variables<'a>,
    /// Which files.
    pub(crate) files: Files<'a>,
    /// Whether a secret may stand in the file itself.
    pub(crate) literals: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Variables<'a> {
    /// The operator's files.
    Any,
    /// An organisation's files: only those that begin with the operator's prefix for it.
    Prefixed(&'a str),
    /// An organisation without a prefix.
    None,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Files<'a> {
    /// The operator's files: any path, relative ones from this folder.
    From(&'a Path),
    /// An organisation's files: only what lies below `secrets/` in its folder.
    SecretsOf(&'a Path),
}

/// Why a reference is refused for good, in words for a [`crate::Problem`].
pub(crate) struct Refused {
    pub(crate) what: String,
    pub(crate) hint: String,
}

impl SecretScope<'_> {
    /// Looks up what a file says. A missing or wrongly protected *file* is not refused here: it may be put right
    /// while we run, and each read tells.
    pub(crate) fn resolve(&self, text: &str, from_variable: Option<&str>) -> Result<SecretSource, Refused> {
        let refused = |what: String, hint: &str| Refused { what, hint: hint.to_owned() };
        match Reference::parse(text) {
            Ok(Reference::Variable(name)) => self.variable(name),
            Ok(Reference::File(name)) => self.file(name),
            // A value of the environment layer is no more exposed than a `${env:…}` would be.
            Ok(Reference::Literal) if self.literals || from_variable.is_some() => {
                let shown =
                    from_variable.map_or_else(|| "in the file".to_owned(), |name| format!("${{env:{name}}}"));
                fixed(shown, text)
            }
            Ok(Reference::Literal) => Err(refused(
                "the secret itself stands in the file".to_owned(),
                "write ${file:NAME} or ${env:NAME}, or set `development: true` in trailwire.yaml",
            )),
            Err(bad) => Err(refused(bad.to_string(), "write ${file:NAME} or ${env:NAME} and nothing else")),
        }
    }

    fn file(&self, name: &str) -> Result<SecretSource, Refused> {
        let file = match self.files {
            Files::From(folder) => SecretFile::anywhere(folder, name),
            Files::SecretsOf(folder) => SecretFile::below(folder, name).ok_or_else(|| Refused {
                what: format!("${{file:{name}}} must name a file below the folder of secrets"),
                hint: "no leading `/`, no `..`".to_owned(),
            })?,
        };
        Ok(SecretSource(Arc::new(Source::File(file))))
    }

    fn variable(&self, name: &str) -> Result<SecretSource, Refused> {
        let allowed = match self.variables {
            Variables::Any => true,
            Variables::Prefixed(prefix) => name.starts_with(prefix),
            Variables::None => false,
        };
        if !allowed {
            let what = format!("${{env:{name}}} is not open to this organisation");
            let hint = match self.variables {
                Variables::Prefixed(prefix) => {
                    format!("the operator allows variables that begin with `{prefix}`; or use ${{file:NAME}}")
                }
                _ => "use ${file:NAME}, or ask the operator for `orgs: {ORG_ID: {env_prefix: …}}`".to_owned(),
            };
            return Err(Refused { what, hint });
        }
        match self.env.get(name) {
            Some(value) => fixed(format!("${{env:{name}}}"), value),
            None => Err(Refused {
                what: format!("the variable {name} is not set"),
                hint: format!("set {name} in the environment of trailwire, then start it again"),
            }),
        }
    }
}

fn fixed(shown: String, value: &str) -> Result<SecretSource, Refused> {
    match file::usable(value, &shown) {
        Ok(secret) => Ok(SecretSource::fixed(shown, secret)),
        Err(error) => {
            Err(Refused { what: error.to_string(), hint: "give it a value of one line".to_owned() })
        }
    }
}
