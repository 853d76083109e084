//! YAML text → a tree whose every node knows where it was written.
//!
//! Scalars keep their text: whether `on` is a word and `007` a name is decided by the key that holds it, not by
//! the spelling, so that no value is changed before its type is known.

use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use crate::path::KeyPath;
use crate::problem::{Origin, Place, Problem, Problems};

#[cfg(test)]
mod tests;

/// The most nodes of a document, aliases counted as what they stand for: a bound on memory.
const MAX_NODES: usize = 1_000_000;
/// The deepest nesting.
const MAX_DEPTH: usize = 32;

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
    /// The value of a lower layer that this one covers: used when this one turns out to be of the wrong type, so
    /// that the rest can still be judged.
    pub(crate) beneath: Option<Box<Node>>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// Nothing, `~` or `null`: the same as if the key were not there.
    Null,
    Scalar {
        text: String,
        /// Written in quotes or as a block, hence a text in any case.
        quoted: bool,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_place: Place,
    pub(crate) node: Node,
}

impl Node {
    pub(crate) fn new(place: Place, value: Value) -> Self {
        Self { place, value, beneath: None }
    }

    /// The entries, if it is a map.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The text of a scalar.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// What it is, for messages. Never the value: it may be a secret.
    pub(crate) fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Scalar { .. } => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a map of keys",
        }
    }
}

/// Reads one document.
///
/// Duplicate keys are told and the first one counts; a syntax error ends the reading.
pub(crate) fn parse(text: &str, origin: &Arc<Origin>) -> (Option<Node>, Problems) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        origin: Arc::clone(origin),
        anchors: HashMap::new(),
        nodes: 0,
        path: KeyPath::default(),
        problems: Problems::default(),
    };
    let root = match reader.document() {
        Ok(root) => Some(root),
        Err(problem) => {
            reader.problems.push(problem);
            None
        }
    };
    (root, reader.problems)
}

struct Reader<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    origin: Arc<Origin>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    path: KeyPath,
    problems: Problems,
}

impl<'a> Reader<'a> {
    fn document(&mut self) -> Result<Node, Problem> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
                Event::StreamEnd => break,
                _ if root.is_some() => {
                    return Err(
                        self.error(span, "a second document begins here: one file holds one document")
                    );
                }
                event => root = Some(self.node(event, span, 0)?),
            }
        }
        Ok(root.unwrap_or_else(|| Node::new(Place::whole(&self.origin), Value::Null)))
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Problem> {
        if depth > MAX_DEPTH {
            return Err(self.error(span, format!("nested more than {MAX_DEPTH} levels deep")));
        }
        let before = self.nodes;
        self.count(1, span)?;
        let place = self.place(span);
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.is_some(), span)?;
                (scalar(text.into_owned(), style), anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(tag.is_some(), span)?;
                (Value::List(self.list(depth)?), anchor)
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(tag.is_some(), span)?;
                (Value::Map(self.map(depth)?), anchor)
            }
            Event::Alias(anchor) => {
                let Some((node, size)) = self.anchors.get(&anchor).cloned() else {
                    return Err(self.error(span, "this alias stands inside of what it names"));
                };
                self.count(size, span)?;
                return Ok(node);
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => return Err(self.error(span, "a value is missing here")),
        };
        let node = Node::new(place, value);
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), self.nodes - before));
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, Problem> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(items);
            }
            self.path.push_index(items.len());
            items.push(self.node(event, span, depth + 1)?);
            self.path.pop();
        }
    }

    fn map(&mut self, depth: usize) -> Result<Vec<Entry>, Problem> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen: HashMap<String, Place> = HashMap::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(entries);
            }
            let key_node = self.node(event, span, depth + 1)?;
            let (event, value_span) = self.next()?;
            let key_place = self.place(span);
            let Value::Scalar { text: key, .. } = key_node.value else {
                self.problems.push(self.error(span, "a key must be a single word or text"));
                self.node(event, value_span, depth + 1)?;
                continue;
            };
            self.path.push_key(&key);
            let node = self.node(event, value_span, depth + 1)?;
            if let Some(first) = seen.get(&key) {
                let hint = format!("the first one is at {first}; remove one of them");
                self.problems.push(self.error(span, "this key stands here a second time").hint(hint));
            } else {
                seen.insert(key.clone(), key_place.clone());
                entries.push(Entry { key, key_place, node });
            }
            self.path.pop();
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Problem> {
        match self.parser.next_event() {
            Some(Ok(read)) => Ok(read),
            Some(Err(error)) => {
                let mark = error.marker();
                let place = Place::new(&self.origin, mark.line(), mark.col() + 1);
                Err(Problem::error(place, self.path.to_string(), format!("not valid YAML: {}", error.info())))
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn count(&mut self, nodes: usize, span: Span) -> Result<(), Problem> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES {
            return Err(self.error(span, format!("more than {MAX_NODES} values in one file")));
        }
        Ok(())
    }

    fn refuse_tag(&self, tagged: bool, span: Span) -> Result<(), Problem> {
        if tagged { Err(self.error(span, "YAML tags (`!name`) have no meaning here")) } else { Ok(()) }
    }

    fn place(&self, span: Span) -> Place {
        Place::new(&self.origin, span.start.line(), span.start.col() + 1)
    }

    fn error(&self, span: Span, what: impl Into<String>) -> Problem {
        Problem::error(self.place(span), self.path.to_string(), what)
    }
}

fn scalar(text: String, style: ScalarStyle) -> Value {
    let quoted = style != ScalarStyle::Plain;
    if !quoted && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL") {
        return Value::Null;
    }
    Value::Scalar { text, quoted }
}
