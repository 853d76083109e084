//! Writing members: what passes unchanged is copied from the raw event in stretches as long as possible.

use crate::raw::{Measured, Text, write_escaped};

/// Writes a record's tail.
///
/// A member that stands in the raw event exactly as it belongs into the record is not copied at once: if the next
/// one follows it there too, both are copied together. In canonical input, which is what most producers send, that
/// makes a handful of copies of a few dozen.
#[derive(Debug)]
pub(super) struct Writer<'o, 's> {
    out: &'o mut Vec<u8>,
    source: &'s [u8],
    /// The stretch of the source that is to be copied next.
    from: usize,
    to: usize,
}

impl<'o, 's> Writer<'o, 's> {
    pub(super) fn new(out: &'o mut Vec<u8>, source: &'s [u8]) -> Self {
        Self { out, source, from: 0, to: 0 }
    }

    /// How much there is in the output.
    pub(super) fn len(&mut self) -> usize {
        self.flush();
        self.out.len()
    }

    #[inline(always)]
    fn flush(&mut self) {
        if self.from < self.to {
            self.out.extend_from_slice(self.source.get(self.from..self.to).unwrap_or_default());
            self.from = self.to;
        }
    }

    #[inline(always)]
    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.flush();
        self.out.extend_from_slice(bytes);
    }

    #[inline(always)]
    pub(super) fn put_text(&mut self, text: Text<'_>) {
        if text.has_escape() { self.put_unescaped(text) } else { self.put(text.escaped_bytes()) }
    }

    /// A text whose escapes may not be the shortest.
    #[cold]
    fn put_unescaped(&mut self, text: Text<'_>) {
        let mut decoded = Vec::new();
        self.put_escaped(text.decode(&mut decoded));
    }

    pub(super) fn put_escaped(&mut self, text: &[u8]) {
        self.flush();
        write_escaped(text, self.out);
    }

    #[inline(always)]
    pub(super) fn put_number(&mut self, value: impl itoa::Integer) {
        self.put(itoa::Buffer::new().format(value).as_bytes());
    }

    /// A member with a text, unless that is empty. `opening` reaches to the text.
    #[inline(always)]
    pub(super) fn member(&mut self, opening: &'static [u8], text: Text<'_>) {
        if text.is_empty() {
            return;
        }
        match text.as_member(opening.len()) {
            Some((from, to)) => {
                debug_assert!(self.source.get(from..to).is_some_and(|raw| raw.starts_with(opening)));
                if from != self.to {
                    self.flush();
                    self.from = from;
                }
                self.to = to;
            }
            None => {
                self.put(opening);
                self.put_text(text);
                self.put(b"\"");
            }
        }
    }

    /// A member with a text that needs no escaping, unless that is empty.
    #[inline(always)]
    pub(super) fn clean(&mut self, opening: &[u8], text: &[u8]) {
        debug_assert!(text.iter().all(|b| *b >= b' ' && *b != b'"' && *b != b'\\'));
        if !text.is_empty() {
            self.put(opening);
            self.put(text);
            self.put(b"\"");
        }
    }

    #[inline(always)]
    pub(super) fn number(&mut self, opening: &[u8], value: Option<impl itoa::Integer>) {
        if let Some(value) = value {
            self.put(opening);
            self.put_number(value);
        }
    }

    pub(super) fn length(&mut self, opening: &[u8], len: usize) {
        self.put(opening);
        self.put_number(len);
        self.put(b"}");
    }

    pub(super) fn measured(&mut self, opening: &[u8], value: Measured) {
        if value.present {
            self.length(opening, value.len);
        }
    }

    /// An object, unless it would be empty. Every member begins with a comma; the first comma becomes the brace.
    #[inline(always)]
    pub(super) fn object(&mut self, opening: &[u8], members: impl FnOnce(&mut Self)) {
        self.flush();
        let start = self.out.len();
        self.out.extend_from_slice(opening);
        let first = self.out.len();
        members(self);
        self.flush();
        match self.out.get_mut(first) {
            Some(comma) => {
                *comma = b'{';
                self.out.push(b'}');
            }
            None => self.out.truncate(start),
        }
    }
}
