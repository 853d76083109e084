//! `"*"` or a list.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

/// All of something, or those that are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection<T> {
    /// `"*"`.
    All,
    /// A list.
    These(Vec<T>),
}

impl<T: PartialEq> Selection<T> {
    /// Whether `item` is among them.
    pub fn contains<Q: ?Sized>(&self, item: &Q) -> bool
    where
        T: PartialEq<Q>,
    {
        match self {
            Self::All => true,
            Self::These(items) => items.iter().any(|listed| listed == item),
        }
    }
}

/// A [`Selection`] as the YAML gives it.
#[derive(Debug, Clone)]
pub(crate) struct RawSelection(pub(crate) Selection<String>);

impl<'de> Deserialize<'de> for RawSelection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl<'de> Visitor<'de> for Words {
            type Value = RawSelection;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"*\" or a list")
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<RawSelection, E> {
                if word == "*" {
                    Ok(RawSelection(Selection::All))
                } else {
                    Err(E::custom("expected \"*\" or a list"))
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<RawSelection, A::Error> {
                let mut words = Vec::new();
                while let Some(word) = items.next_element::<String>()? {
                    words.push(word);
                }
                Ok(RawSelection(Selection::These(words)))
            }
        }
        deserializer.deserialize_any(Words)
    }
}

impl JsonSchema for RawSelection {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Selection".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "`*` for all, or a list.",
            "oneOf": [{ "const": "*" }, { "type": "array", "items": { "type": "string" } }],
        })
    }
}
