//! Defaults < file < environment, as one tree that still knows where each value was written.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::problem::{Origin, Place, Problem, Problems};
use crate::yaml::{Entry, Node, Value, parse};

#[cfg(test)]
mod tests;

/// Variables that begin with this set keys of `trailwire.yaml`.
pub(crate) const PREFIX: &str = "TRAILWIRE__";

const DEFAULTS: &str = include_str!("../default.yaml");

/// The embedded defaults.
pub(crate) fn defaults() -> (Option<Node>, Problems) {
    parse(DEFAULTS, &Arc::new(Origin::Default))
}

/// Lays `over` over `under`: maps are joined key by key, anything else replaces, nothing at all leaves what is there.
pub(crate) fn merge(under: Node, over: Node) -> Node {
    match (under.value, over.value) {
        (value, Value::Null) => Node { place: under.place, value, beneath: under.beneath },
        (Value::Map(mut entries), Value::Map(above)) => {
            for entry in above {
                match entries.iter().position(|lower| lower.key == entry.key) {
                    Some(at) => {
                        let lower = entries.swap_remove(at);
                        // A key's place is where the upper layer writes it, unless that writes nothing.
                        let key_place =
                            if entry.node.value == Value::Null { lower.key_place } else { entry.key_place };
                        entries.push(Entry {
                            key: entry.key,
                            key_place,
                            node: merge(lower.node, entry.node),
                        });
                    }
                    None => entries.push(entry),
                }
            }
            Node::new(over.place, Value::Map(entries))
        }
        (value, above) => {
            let beneath = Node { place: under.place, value, beneath: under.beneath };
            Node { place: over.place, value: above, beneath: Some(Box::new(beneath)) }
        }
    }
}

/// Lays the variables over `tree`.
///
/// `TRAILWIRE__LISTEN__INGEST` sets `listen.ingest`. Names are compared without regard to case, since variables are
/// upper case. A value that begins with `[` or `{` is read as YAML, any other is a single value as it stands.
pub(crate) fn overlay(mut tree: Node, env: &BTreeMap<String, String>, problems: &mut Problems) -> Node {
    for (name, value) in env {
        let Some(keys) = name.strip_prefix(PREFIX) else { continue };
        let origin = Arc::new(Origin::Variable(name.clone()));
        let keys: Vec<&str> = keys.split("__").collect();
        if keys.iter().any(|key| key.is_empty()) {
            problems.push(
                Problem::error(Place::whole(&origin), "", "this variable names no key")
                    .hint("put two underscores between keys, such as TRAILWIRE__LISTEN__INGEST"),
            );
            continue;
        }
        let Some(value) = variable_value(value, &origin, problems) else { continue };
        let mut node = value;
        for key in spelled_as_in(&tree, &keys).into_iter().rev() {
            let place = Place::whole(&origin);
            node = Node::new(place.clone(), Value::Map(vec![Entry { key, key_place: place, node }]));
        }
        tree = merge(tree, node);
    }
    tree
}

fn variable_value(value: &str, origin: &Arc<Origin>, problems: &mut Problems) -> Option<Node> {
    if value.starts_with(['[', '{']) {
        let (node, found) = parse(value, origin);
        problems.append(found);
        return node;
    }
    let value = match value {
        "" => Value::Null,
        text => Value::Scalar { text: text.to_owned(), quoted: false },
    };
    Some(Node::new(Place::whole(origin), value))
}

/// The keys as `tree` spells them, or in lower case where it has none of that name.
fn spelled_as_in(tree: &Node, keys: &[&str]) -> Vec<String> {
    let mut at = Some(tree);
    let mut spelled = Vec::with_capacity(keys.len());
    for key in keys {
        let entry =
            at.and_then(|node| node.entries().iter().find(|entry| entry.key.eq_ignore_ascii_case(key)));
        spelled.push(entry.map_or_else(|| key.to_ascii_lowercase(), |entry| entry.key.clone()));
        at = entry.map(|entry| &entry.node);
    }
    spelled
}
