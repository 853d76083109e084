//! The tree → serde types, without stopping at the first thing that is wrong.
//!
//! serde ends at an error. So what is wrong is noted with its place, the value is taken as not written (or, in a
//! layered tree, as the lower layer has it), and the tree is read again, until it reads through. Unknown keys are
//! noted on the way: serde tells us which keys a struct has.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, IntoDeserializer as _, Visitor};

use crate::path::{KeyPath, Step};
use crate::problem::{Place, Problem, Problems};
use crate::secret::SECRET_REF;
use crate::yaml::{Entry, Node, Value};

mod fault;
#[cfg(test)]
mod tests;

use fault::Fault;

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

struct Reader<'a> {
    node: &'a Node,
    notes: &'a Notes<'a>,
    /// `${…}` is welcome here.
    secret: bool,
}

impl<'a> Reader<'a> {
    fn expected(&self, what: &str) -> Fault {
        Fault::new(format!("expected {what}, found {}", self.node.kind()))
    }

    fn text(&self, what: &str) -> Result<&'a str, Fault> {
        let text = self.node.text().ok_or_else(|| self.expected(what))?;
        if !self.secret && text.contains("${") {
            return Err(Fault::new("`${…}` is looked up only at keys that hold secrets").hint(
                "write the value itself; in trailwire.yaml a variable TRAILWIRE__KEY__KEY can set any key",
            ));
        }
        Ok(text)
    }

    fn number<T: std::str::FromStr>(&self, what: &str) -> Result<T, Fault> {
        let text = match &self.node.value {
            Value::Scalar { text, quoted: false } => text,
            Value::Scalar { .. } => {
                return Err(Fault::new(format!("expected {what}, found a text in quotes")));
            }
            _ => return Err(self.expected(what)),
        };
        text.replace('_', "").parse().map_err(|_| Fault::new(format!("expected {what}")))
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $type:ty, $what:literal;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            visitor.$visit(self.number::<$type>($what)?)
        })*
    };
}

impl<'de> de::Deserializer<'de> for Reader<'_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::List(_) => self.deserialize_seq(visitor),
            Value::Map(_) => self.deserialize_map(visitor),
            Value::Scalar { text, quoted: true } => visitor.visit_str(text),
            Value::Scalar { text, .. } => match text.as_str() {
                "true" => visitor.visit_bool(true),
                "false" => visitor.visit_bool(false),
                _ => match (text.parse(), text.parse::<i64>(), text.parse::<f64>()) {
                    (Ok(number), _, _) => visitor.visit_u64(number),
                    (_, Ok(number), _) => visitor.visit_i64(number),
                    (_, _, Ok(number)) if number.is_finite() => visitor.visit_f64(number),
                    _ => visitor.visit_str(text),
                },
            },
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::Scalar { text, quoted: false } if text == "true" => visitor.visit_bool(true),
            Value::Scalar { text, quoted: false } if text == "false" => visitor.visit_bool(false),
            Value::Scalar { .. } => Err(Fault::new("expected true or false")),
            _ => Err(self.expected("true or false")),
        }
    }

    numbers! {
        deserialize_u8 visit_u8 u8, "a whole number from 0 to 255";
        deserialize_u16 visit_u16 u16, "a whole number from 0 to 65535";
        deserialize_u32 visit_u32 u32, "a whole number from 0 to 4294967295";
        deserialize_u64 visit_u64 u64, "a whole number from 0";
        deserialize_i8 visit_i8 i8, "a whole number";
        deserialize_i16 visit_i16 i16, "a whole number";
        deserialize_i32 visit_i32 i32, "a whole number";
        deserialize_i64 visit_i64 i64, "a whole number";
        deserialize_f32 visit_f32 f32, "a number";
        deserialize_f64 visit_f64 f64, "a number";
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_str(self.text("a text")?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.node.value == Value::Null { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.secret |= name == SECRET_REF;
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.node.value {
            Value::List(items) => {
                visitor.visit_seq(Items { items: items.iter().enumerate(), notes: self.notes })
            }
            _ => Err(self.expected("a list")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_keys(None, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_keys(Some(fields), visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let one_of = format!("one of {}", variants.join(", "));
        let word = self.text(&one_of)?;
        if !variants.contains(&word) {
            let fault = Fault::new(format!("expected {one_of}"));
            return Err(match nearest(word, variants) {
                Some(near) => fault.hint(format!("did you mean `{near}`?")),
                None => fault,
            });
        }
        let word: StrDeserializer<'_, Fault> = word.into_deserializer();
        visitor.visit_enum(word)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! { i128 u128 bytes byte_buf unit unit_struct tuple tuple_struct }
}

impl Reader<'_> {
    fn deserialize_keys<'de, V: Visitor<'de>>(
        self,
        known: Option<&'static [&'static str]>,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let entries = match &self.node.value {
            Value::Map(entries) => entries.as_slice(),
            Value::Null => &[],
            _ => return Err(self.expected("a map of keys")),
        };
        visitor.visit_map(Keys { entries: entries.iter(), known, current: None, notes: self.notes })
    }
}

struct Items<'a, I> {
    items: I,
    notes: &'a Notes<'a>,
}

impl<'a, 'de, I: Iterator<Item = (usize, &'a Node)>> de::SeqAccess<'de> for Items<'a, I> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        for (index, node) in self.items.by_ref() {
            self.notes.path.borrow_mut().push_index(index);
            if self.notes.has_failed() {
                self.notes.path.borrow_mut().pop();
                continue;
            }
            let read = seed.deserialize(Reader { node, notes: self.notes, secret: false });
            let read = read.map_err(|fault| fault.at(|| self.notes.here()));
            self.notes.path.borrow_mut().pop();
            return read.map(Some);
        }
        Ok(None)
    }
}

struct Keys<'a> {
    entries: std::slice::Iter<'a, Entry>,
    /// The keys of the struct; `None` when any key will do.
    known: Option<&'static [&'static str]>,
    current: Option<(&'a Entry, &'a Node)>,
    notes: &'a Notes<'a>,
}

impl<'a> Keys<'a> {
    /// The next entry that is to be read, and its node.
    fn advance(&mut self) -> Option<(&'a Entry, &'a Node)> {
        loop {
            let entry = self.entries.next()?;
            if let Some(known) = self.known {
                let key = entry.key.as_str();
                if !known.contains(&key) {
                    if !self.notes.is_elsewhere(key) {
                        self.notes.unknown(entry, known);
                    }
                    continue;
                }
            }
            self.notes.path.borrow_mut().push_key(&entry.key);
            let failed = self.notes.has_failed();
            self.notes.path.borrow_mut().pop();
            let node = if failed { entry.node.beneath.as_deref() } else { Some(&entry.node) };
            match node {
                Some(node) if self.known.is_none() || node.value != Value::Null => {
                    return Some((entry, node));
                }
                _ => {}
            }
        }
    }
}

impl<'de> de::MapAccess<'de> for Keys<'_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        self.current = self.advance();
        let Some((entry, _)) = self.current else { return Ok(None) };
        let key: StrDeserializer<'_, Fault> = entry.key.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|fault| {
            fault.at(|| {
                let mut path = self.notes.here();
                path.push_key(&entry.key);
                path
            })
        })
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let Some((entry, node)) = self.current.take() else {
            return Err(Fault::new("a value was asked for before its key"));
        };
        self.notes.path.borrow_mut().push_key(&entry.key);
        let read = seed.deserialize(Reader { node, notes: self.notes, secret: false });
        let read = read.map_err(|fault| fault.at(|| self.notes.here()));
        self.notes.path.borrow_mut().pop();
        read
    }
}

impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reader({})", self.node.place)
    }
}
