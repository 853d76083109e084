//! What is wrong with a configuration: all of it at once, each with its place and a way out.

use std::fmt;
use std::sync::Arc;

use serde::ser::{Serialize, SerializeStruct, Serializer};

#[cfg(test)]
mod tests;

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    origin: Arc<Origin>,
    line: u32,
    column: u32,
}

/// What a value was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The defaults in this program.
    Default,
    /// A file, as it was named to us.
    File(String),
    /// An environment variable.
    Variable(String),
}

impl Place {
    pub(crate) fn new(origin: &Arc<Origin>, line: usize, column: usize) -> Self {
        let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self { origin: Arc::clone(origin), line: small(line), column: small(column) }
    }

    /// A whole file, variable or the defaults.
    pub(crate) fn whole(origin: &Arc<Origin>) -> Self {
        Self::new(origin, 0, 0)
    }

    /// The file or `variable NAME` or `default.yaml`.
    #[must_use]
    pub fn source(&self) -> String {
        match &*self.origin {
            Origin::Default => "default.yaml".to_owned(),
            Origin::File(name) => name.clone(),
            Origin::Variable(name) => format!("variable {name}"),
        }
    }

    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The line, from 1; `None` when the problem is about the whole file, or in a variable.
    #[must_use]
    pub fn line(&self) -> Option<u32> {
        (self.line > 0 && !matches!(*self.origin, Origin::Variable(_))).then_some(self.line)
    }

    /// The column in characters, from 1, under the same condition.
    #[must_use]
    pub fn column(&self) -> Option<u32> {
        self.line().map(|_| self.column)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source())?;
        match self.line() {
            Some(line) => write!(f, ":{line}:{}", self.column),
            None => Ok(()),
        }
    }
}

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// What it concerns (the process, an organisation, a sink) does not start.
    Error,
    /// It starts, and a person should know.
    Warning,
}

impl Severity {
    fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One thing that is wrong. It never shows the value of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// Where it is.
    pub place: Place,
    /// The YAML path, such as `sinks.soc-splunk.batch.max_bytes`; empty for the whole file.
    pub path: String,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Problem {
    pub(crate) fn error(place: Place, path: impl Into<String>, what: impl Into<String>) -> Self {
        Self { severity: Severity::Error, place, path: path.into(), what: what.into(), hint: None }
    }

    pub(crate) fn warning(place: Place, path: impl Into<String>, what: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(place, path, what) }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: ", self.severity.name(), self.place)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.what)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Problem", 7)?;
        out.serialize_field("severity", self.severity.name())?;
        out.serialize_field("source", &self.place.source())?;
        out.serialize_field("line", &self.place.line())?;
        out.serialize_field("column", &self.place.column())?;
        out.serialize_field("path", &self.path)?;
        out.serialize_field("what", &self.what)?;
        out.serialize_field("hint", &self.hint)?;
        out.end()
    }
}

/// Everything that is wrong, in the order in which it was found. Its `Display` is for people, its `Serialize`
/// (an array) for programs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    pub(crate) fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    pub(crate) fn append(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The same key can be judged in several ways; once said is enough. For few problems: it compares each with all.
    pub(crate) fn without_repeats(self) -> Self {
        let mut once: Vec<Problem> = Vec::with_capacity(self.0.len());
        for problem in self.0 {
            if !once.contains(&problem) {
                once.push(problem);
            }
        }
        Self(once)
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether one of them is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// Each of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }

    /// The first error, or else the first warning: what a line of a status page has room for.
    #[must_use]
    pub fn first(&self) -> Option<&Problem> {
        self.0.iter().find(|problem| problem.severity == Severity::Error).or_else(|| self.0.first())
    }

    /// Makes errors of the warnings from the `index`th on.
    pub(crate) fn raise_from(&mut self, index: usize) {
        for problem in self.0.iter_mut().skip(index) {
            problem.severity = Severity::Error;
        }
    }

    /// Orders by file, line and column, so that a reader goes through each file once.
    pub(crate) fn sorted(mut self) -> Self {
        self.0
            .sort_by_cached_key(|problem| (problem.place.source(), problem.place.line, problem.place.column));
        self.0.dedup();
        self
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl Serialize for Problems {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.0)
    }
}
