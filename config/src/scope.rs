//! One part of a configuration while it is compiled: reads it, and collects what is wrong with it.

use std::collections::HashSet;
use std::fmt;

use serde::de::DeserializeOwned;

use crate::path::KeyPath;
use crate::problem::{Origin, Place, Problem, Problems, Severity};
use crate::read::{Elsewhere, Part, read};
use crate::secret::{Secret, SecretRef, SecretScope, SecretSource};
use crate::yaml::Node;

/// The part of a file that one compile step is about, such as one sink, and the problems found in it.
///
/// Keys are given relative to the part, dotted: `batch.max_bytes`.
pub struct Scope<'a> {
    part: Part<'a>,
    elsewhere: Elsewhere,
    secrets: SecretScope<'a>,
    failed: HashSet<KeyPath>,
    problems: Problems,
}

impl<'a> Scope<'a> {
    pub(crate) fn new(part: Part<'a>, secrets: SecretScope<'a>) -> Self {
        Self {
            part,
            elsewhere: Elsewhere::These(&[]),
            secrets,
            failed: HashSet::new(),
            problems: Problems::default(),
        }
    }

    /// Reads this part as `T`. The common keys of a sink are known here and left out.
    ///
    /// `None`: it cannot be read at all. A value with wrong keys is given as if those keys were not written; they
    /// are noted as problems, so that what follows may find more.
    pub fn read<T: DeserializeOwned>(&mut self) -> Option<T> {
        self.read_but(self.elsewhere)
    }

    fn read_but<T: DeserializeOwned>(&mut self, elsewhere: Elsewhere) -> Option<T> {
        let (value, problems) = read(&self.part, elsewhere, &mut self.failed);
        self.problems.append(problems);
        value
    }

    /// Reads those keys of this part that `T` knows, and is silent on the others.
    pub(crate) fn read_known<T: DeserializeOwned>(&mut self) -> Option<T> {
        self.read_but(Elsewhere::Others)
    }

    /// The text at `key`, if a single value is written there.
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        self.part.find(&self.part.base.join(key)).and_then(Node::text).map(str::to_owned)
    }

    /// Passes `value` on, noting that `key` is missing when there is none.
    pub fn require<T>(&mut self, key: &str, value: Option<T>) -> Option<T> {
        if value.is_none() && !self.failed.contains(&self.part.base.join(key)) {
            self.error(key, "this key is missing");
        }
        value
    }

    /// Notes that the value of `key` is wrong.
    pub fn error(&mut self, key: &str, what: impl Into<String>) {
        self.note(Severity::Error, &self.part.base.join(key), what.into(), None);
    }

    /// Notes that the value of `key` is wrong, and what to do.
    pub fn error_with_hint(&mut self, key: &str, what: impl Into<String>, hint: impl Into<String>) {
        self.note(Severity::Error, &self.part.base.join(key), what.into(), Some(hint.into()));
    }

    /// Notes something at `key` that a person should know.
    pub fn warn(&mut self, key: &str, what: impl Into<String>, hint: impl Into<String>) {
        self.note(Severity::Warning, &self.part.base.join(key), what.into(), Some(hint.into()));
    }

    /// Notes that `key` asks for what this version cannot do. Such a key is never ignored.
    pub fn not_supported_yet(&mut self, key: &str) {
        self.error_with_hint(key, "not supported yet", "remove the key; a later version will bring it");
    }

    /// Looks up the secret at `key`. A secret file that is missing or wrongly protected is a warning: it can be put
    /// right while Trailwire runs, and each attempt looks again.
    pub fn secret(&mut self, key: &str, reference: Option<SecretRef>) -> Option<SecretSource> {
        let reference = self.require(key, reference)?;
        let path = self.part.base.join(key);
        let variable = self.part.find(&path).and_then(|node| match node.place.origin() {
            Origin::Variable(name) => Some(name.as_str()),
            _ => None,
        });
        match self.secrets.resolve(&reference.0, variable) {
            Ok(source) => {
                if let Err(error) = source.read() {
                    self.note(
                        Severity::Warning,
                        &path,
                        error.to_string(),
                        Some("each attempt looks again".to_owned()),
                    );
                }
                Some(source)
            }
            Err(refused) => {
                self.note(Severity::Error, &path, refused.what, Some(refused.hint));
                None
            }
        }
    }

    /// Looks up the secret at `key` and gives its value as it is now. Unlike with [`Scope::secret`], a file that
    /// cannot be read is an error: the value is needed before anything starts.
    pub(crate) fn secret_now(&mut self, key: &str, reference: Option<SecretRef>) -> Option<Secret> {
        let before = self.problems.len();
        let source = self.secret(key, reference)?;
        let secret = source.read().ok();
        if secret.is_none() {
            self.problems.raise_from(before);
        }
        secret
    }

    /// Whether an error was noted.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.problems.has_errors()
    }

    pub(crate) fn with_elsewhere(mut self, keys: &'static [&'static str]) -> Self {
        self.elsewhere = Elsewhere::These(keys);
        self
    }

    /// Whether a person wrote `key`, in a file or a variable.
    pub(crate) fn is_written(&self, key: &str) -> bool {
        self.part
            .find(&self.part.base.join(key))
            .is_some_and(|node| !matches!(node.place.origin(), Origin::Default))
    }

    pub(crate) fn note(&mut self, severity: Severity, path: &KeyPath, what: String, hint: Option<String>) {
        let place = self.part.place_of(path);
        self.problems.push(Problem { severity, place, path: path.to_string(), what, hint });
    }

    /// Notes something about one item of the list at `key`.
    pub(crate) fn note_item(&mut self, severity: Severity, key: &str, index: usize, what: String) {
        let mut path = self.part.base.join(key);
        path.push_index(index);
        self.note(severity, &path, what, None);
    }

    /// Notes that `name` is missing in one item of the list at `key`.
    pub(crate) fn require_in_item(&mut self, key: &str, index: usize, name: &str) {
        let mut path = self.part.base.join(key);
        path.push_index(index);
        let path = path.join(name);
        if !self.failed.contains(&path) {
            self.note(Severity::Error, &path, "this key is missing".to_owned(), None);
        }
    }

    /// Where this part is written.
    pub(crate) fn place(&self) -> Place {
        self.part.place_of(&self.part.base)
    }

    pub(crate) fn base(&self) -> &KeyPath {
        &self.part.base
    }

    pub(crate) fn take_problems(self) -> Problems {
        self.problems.without_repeats()
    }
}

impl fmt::Debug for Scope<'_> {
    // Neither the tree nor the environment: both hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scope({})", self.part.base)
    }
}
