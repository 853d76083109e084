//! The way to a value: `sinks.soc-splunk.batch.max_bytes`, `egress.allow[0].cidr`.

use std::fmt;

/// A YAML path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct KeyPath(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

impl KeyPath {
    pub(crate) fn push_key(&mut self, key: &str) {
        self.0.push(Step::Key(key.to_owned()));
    }

    pub(crate) fn push_index(&mut self, index: usize) {
        self.0.push(Step::Index(index));
    }

    pub(crate) fn pop(&mut self) {
        self.0.pop();
    }

    /// The steps behind the first `count`.
    pub(crate) fn steps_from(&self, count: usize) -> &[Step] {
        self.0.get(count..).unwrap_or_default()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// This path and the keys of a dotted `relative` path behind it.
    pub(crate) fn join(&self, relative: &str) -> Self {
        let mut path = self.clone();
        for key in relative.split('.').filter(|key| !key.is_empty()) {
            path.push_key(key);
        }
        path
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) => {
                    if index > 0 {
                        f.write_str(".")?;
                    }
                    // A key can be anything that a person typed: bounded, and without what moves a terminal's cursor.
                    key.chars().filter(|c| !c.is_control()).take(64).try_for_each(|c| write!(f, "{c}"))?;
                }
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}
