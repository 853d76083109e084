//! One node as serde sees it.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, IntoDeserializer as _, Visitor};

use super::fault::Fault;
use super::{Notes, nearest};
use crate::secret::SECRET_REF;
use crate::yaml::{Entry, Node, Value};

pub(super) struct Reader<'a> {
    pub(super) node: &'a Node,
    pub(super) notes: &'a Notes<'a>,
    /// `${…}` is welcome here.
    pub(super) secret: bool,
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
