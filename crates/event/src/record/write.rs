//! Writing members: what passes unchanged is copied from the raw event in stretches as long as possible.

use super::hex16;
use crate::decimal;
use crate::raw::{Measured, Text, write_escaped};

/// Writes a record's tail.
///
/// What stands in the raw event exactly as it belongs into the record is not copied at once: if what comes next
/// follows it there too, both are copied together. In canonical input, which is what most producers send, that makes
/// a handful of copies of a few dozen. Whether bytes are those that belong there is always decided by looking at
/// them, never by the order in which they were read.
#[derive(Debug)]
pub(super) struct Writer<'o, 's> {
    out: &'o mut Vec<u8>,
    source: &'s [u8],
    /// The stretch of the source that is to be copied next; `to` is also where it may go on later.
    from: usize,
    to: usize,
    /// What stands before the next member: nothing, a brace, a comma.
    lead: u8,
}

impl<'o, 's> Writer<'o, 's> {
    pub(super) fn new(out: &'o mut Vec<u8>, source: &'s [u8]) -> Self {
        Self { out, source, from: 0, to: 0, lead: 0 }
    }

    /// How much there is in the output.
    pub(super) fn len(&mut self) -> usize {
        self.flush();
        self.out.len()
    }

    #[inline(always)]
    fn flush(&mut self) {
        if self.from < self.to {
            self.copy_stretch();
        }
    }

    #[inline(never)]
    fn copy_stretch(&mut self) {
        self.out.extend_from_slice(self.source.get(self.from..self.to).unwrap_or_default());
        self.from = self.to;
    }

    /// Bytes that hardly ever stand in the source.
    #[inline(always)]
    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.flush();
        self.out.extend_from_slice(bytes);
    }

    /// Bytes that often follow in the source.
    #[inline(always)]
    pub(super) fn put_or_follow(&mut self, bytes: &'static [u8]) {
        if self.source.get(self.to..).is_some_and(|rest| rest.starts_with(bytes)) {
            self.to += bytes.len();
        } else {
            self.put(bytes);
        }
    }

    #[inline(always)]
    fn put_lead(&mut self) {
        self.flush();
        if self.lead != 0 {
            self.out.push(self.lead);
        }
        self.lead = b',';
    }

    /// A member with a text, unless that is empty. `opening` is `"name":"`.
    #[inline(always)]
    pub(super) fn member(&mut self, opening: &'static [u8], text: Text<'_>) {
        if text.is_empty() {
            return;
        }
        let Some((start, end)) = text.as_member(opening.len()) else {
            return self.member_apart(opening, text);
        };
        debug_assert!(self.source.get(start..end).is_some_and(|raw| raw.starts_with(opening)));
        if self.to + 1 == start && self.source.get(self.to) == Some(&self.lead) {
            self.lead = b',';
        } else {
            self.put_lead();
            self.from = start;
        }
        self.to = end;
    }

    #[inline(never)]
    fn member_apart(&mut self, opening: &'static [u8], text: Text<'_>) {
        self.put_lead();
        self.out.extend_from_slice(opening);
        if text.has_escape() {
            // Its escapes may not be the shortest.
            let mut decoded = Vec::new();
            write_escaped(text.decode(&mut decoded), self.out);
        } else {
            self.out.extend_from_slice(text.escaped_bytes());
        }
        self.out.push(b'"');
    }

    /// A member with a text that needs no escaping, unless that is empty.
    #[inline(always)]
    pub(super) fn clean(&mut self, opening: &'static [u8], text: &[u8]) {
        debug_assert!(text.iter().all(|b| *b >= b' ' && *b != b'"' && *b != b'\\'));
        if !text.is_empty() {
            self.put_lead();
            self.out.extend_from_slice(opening);
            self.out.extend_from_slice(text);
            self.out.push(b'"');
        }
    }

    /// A member with a value that is written already, unless that is empty.
    pub(super) fn rendered(&mut self, opening: &'static [u8], value: &[u8]) {
        if !value.is_empty() {
            self.put_lead();
            self.out.extend_from_slice(opening);
            self.out.extend_from_slice(value);
        }
    }

    /// A member with a keyed hash. `opening` is `"name":"hash:`.
    pub(super) fn hashed(&mut self, opening: &'static [u8], hash: u64) {
        self.clean(opening, &hex16(hash));
    }

    #[inline(always)]
    pub(super) fn number(&mut self, opening: &'static [u8], value: Option<u64>) {
        if let Some(value) = value {
            self.put_lead();
            self.out.extend_from_slice(opening);
            decimal::push(value, self.out);
        }
    }

    #[inline(always)]
    pub(super) fn signed(&mut self, opening: &'static [u8], value: Option<i64>) {
        if let Some(value) = value {
            self.put_lead();
            self.out.extend_from_slice(opening);
            decimal::push_signed(value, self.out);
        }
    }

    /// A number that hardly ever stands in the source.
    #[inline(always)]
    pub(super) fn put_number(&mut self, value: u64) {
        self.flush();
        decimal::push(value, self.out);
    }

    /// A member whose value was left out but for its length.
    pub(super) fn length(&mut self, opening: &'static [u8], len: usize) {
        self.put_lead();
        self.out.extend_from_slice(opening);
        self.out.extend_from_slice(b"{\"len\":");
        decimal::push(len as u64, self.out);
        self.out.push(b'}');
    }

    pub(super) fn measured(&mut self, opening: &'static [u8], value: Measured) {
        if value.present {
            self.length(opening, value.len);
        }
    }

    /// An object with at least one member. `opening` is `,"name":` with the lead that is due.
    #[inline(always)]
    pub(super) fn object(&mut self, opening: &'static [u8], members: impl FnOnce(&mut Self)) {
        debug_assert!(opening.first() == Some(&self.lead));
        self.put_or_follow(opening);
        self.lead = b'{';
        members(self);
        debug_assert!(self.lead == b',', "an object without members");
        self.put_or_follow(b"}");
        self.lead = b',';
    }
}
