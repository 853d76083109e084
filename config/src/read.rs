//! The tree → serde types, without stopping at the first thing that is wrong.
//!
//! serde ends at an error. So what is wrong is noted with its place, the value is taken as not written (or, in a
//! layered tree, as the lower layer has it), and the tree is read again, until it reads through. Unknown keys are
//! noted on the way: serde tells us which keys a struct has.

use std::cell::RefCell;
use std::collections::HashSet;

use serde::de;

use crate::path::{KeyPath, Step};
use crate::problem::{Place, Problem, Problems};
use crate::yaml::{Entry, Node, Value};

mod fault;
mod reader;
#[cfg(test)]
mod tests;

use fault::Fault;
use reader::Reader;

/// More wrong values than this in one part of a file are not told one by one.
const MAX_PASSES: usize = 200;

/// The keys at the top of a part that somebody else reads.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Elsewhere {
    /// These.
    These(&'static [&'static str]),
    /// All that this reading does not know.
    Others,
}

/// A part of a tree: the node at `base`.
#[derive(Clone)]
pub(crate) struct Part<'a> {
    pub(crate) node: &'a Node,
    /// Where it is written: the key that leads to it, or the top of the file.
    pub(crate) place: Place,
    pub(crate) base: KeyPath,
}

impl<'a> Part<'a> {
    /// A whole file.
    pub(crate) fn whole(root: &'a Node) -> Self {
        Self { node: root, place: root.place.clone(), base: KeyPath::default() }
    }

    /// The node at `path`, which leads into this part.
    pub(crate) fn find(&self, path: &KeyPath) -> Option<&'a Node> {
        path.steps_from(self.base.len())
            .iter()
            .try_fold(self.node, |node, step| next(node, step).map(|found| found.0))
    }

    /// The place of `path`, or of the nearest thing around it that is written.
    pub(crate) fn place_of(&self, path: &KeyPath) -> Place {
        let mut node = self.node;
        let mut place = place_of_value(node, &self.place);
        for step in path.steps_from(self.base.len()) {
            let Some((found, key_place)) = next(node, step) else { break };
            node = found;
            place = place_of_value(node, key_place);
        }
        place.clone()
    }
}

fn next<'a>(node: &'a Node, step: &Step) -> Option<(&'a Node, &'a Place)> {
    match (step, &node.value) {
        (Step::Key(key), Value::Map(_)) => node.entry(key).map(|entry| (&entry.node, &entry.key_place)),
        (Step::Index(index), Value::List(items)) => items.get(*index).map(|item| (item, &item.place)),
        _ => None,
    }
}

/// The place of a single value is the value itself, that of a map or list the key which leads to it.
fn place_of_value<'a>(node: &'a Node, key_place: &'a Place) -> &'a Place {
    if matches!(node.value, Value::Scalar { .. }) { &node.place } else { key_place }
}

/// Reads a part, but for the keys at its top that are read elsewhere.
///
/// Gives what could be read, if anything, beside the problems; `failed` gets the paths of wrong values, so that
/// nobody calls them missing.
pub(crate) fn read<T: de::DeserializeOwned>(
    part: &Part<'_>,
    elsewhere: Elsewhere,
    failed: &mut HashSet<KeyPath>,
) -> (Option<T>, Problems) {
    let notes = Notes {
        base: &part.base,
        elsewhere,
        path: RefCell::new(part.base.clone()),
        failed: RefCell::new(std::mem::take(failed)),
        problems: RefCell::default(),
    };
    let mut value = None;
    for _ in 0..MAX_PASSES {
        notes.path.replace(part.base.clone());
        match T::deserialize(Reader { node: part.node, notes: &notes, secret: false }) {
            Ok(read) => {
                value = Some(read);
                break;
            }
            Err(fault) => {
                if !notes.take(part, fault) {
                    break;
                }
            }
        }
    }
    *failed = notes.failed.into_inner();
    (value, notes.problems.into_inner().without_repeats())
}

struct Notes<'a> {
    base: &'a KeyPath,
    elsewhere: Elsewhere,
    path: RefCell<KeyPath>,
    failed: RefCell<HashSet<KeyPath>>,
    problems: RefCell<Problems>,
}

impl Notes<'_> {
    /// Notes a fault; false when nothing more can be read.
    fn take(&self, part: &Part<'_>, fault: Fault) -> bool {
        let path = fault.path.unwrap_or_else(|| self.base.clone());
        let told = fault.missing.is_some_and(|key| self.failed.borrow().contains(&path.join(key)));
        if !told {
            let place = part.place_of(&path);
            let shown = fault.missing.map_or_else(|| path.to_string(), |key| path.join(key).to_string());
            let mut problem = Problem::error(place, shown, fault.what);
            problem.hint = fault.hint;
            self.problems.borrow_mut().push(problem);
        }
        let at_the_top = path == *self.base;
        self.failed.borrow_mut().insert(path) && !at_the_top
    }

    fn here(&self) -> KeyPath {
        self.path.borrow().clone()
    }

    fn is_at_top(&self) -> bool {
        *self.path.borrow() == *self.base
    }

    /// Whether somebody else reads this key.
    fn is_elsewhere(&self, key: &str) -> bool {
        self.is_at_top()
            && match self.elsewhere {
                Elsewhere::These(keys) => keys.contains(&key),
                Elsewhere::Others => true,
            }
    }

    fn has_failed(&self) -> bool {
        self.failed.borrow().contains(&*self.path.borrow())
    }

    fn unknown(&self, entry: &Entry, known: &[&str]) {
        let mut candidates: Vec<&str> = known.to_vec();
        if self.is_at_top()
            && let Elsewhere::These(keys) = self.elsewhere
        {
            candidates.extend(keys);
        }
        let path = {
            let mut path = self.here();
            path.push_key(&entry.key);
            path
        };
        let hint = match nearest(&entry.key, &candidates) {
            Some(near) => format!("did you mean `{near}`?"),
            None if candidates.is_empty() => "no key is known here".to_owned(),
            None => {
                candidates.sort_unstable();
                format!("known keys are {}", candidates.join(", "))
            }
        };
        self.problems
            .borrow_mut()
            .push(Problem::error(entry.key_place.clone(), path.to_string(), "unknown key").hint(hint));
    }
}

/// The candidate that a person probably meant.
pub(crate) fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let word: String = word.chars().take(64).collect::<String>().to_lowercase().replace('-', "_");
    candidates
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
