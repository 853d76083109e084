//! That no object has a member twice, where the names are not known beforehand.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Scanner;
use crate::raw::Problem;
use crate::raw::text::{ESCAPED, Text};
use crate::reject::Code;

/// A member name whose object has no other way to recognise a second one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SeenName {
    hash: u64,
    start: usize,
    end: usize,
    escaped: bool,
}

impl<'a> Scanner<'a, '_> {
    /// Notes the name that begins at `start`.
    pub(crate) fn remember(&mut self, start: usize, name: Text<'a>) {
        if self.lenient {
            return;
        }
        let end = start + name.escaped_bytes().len();
        let hash = xxh3_64_with_seed(name.decode(&mut self.scratch.decoded), self.scratch.seed);
        self.scratch.seen.push(SeenName { hash, start, end, escaped: name.has_escape() });
    }

    /// How many names are remembered: what [`Self::distinct`] wants to know at the end of the object.
    #[inline(always)]
    pub(crate) fn names_seen(&self) -> usize {
        self.scratch.seen.len()
    }

    /// Checks that the names remembered since `first` differ, and forgets them.
    #[inline(always)]
    pub(crate) fn distinct(&mut self, first: usize, member: &'static str) -> Result<(), Box<Problem>> {
        if self.scratch.seen.len() == first { Ok(()) } else { self.distinct_names(first, member) }
    }

    #[inline(never)]
    fn distinct_names(&mut self, first: usize, member: &'static str) -> Result<(), Box<Problem>> {
        let Some(names) = self.scratch.seen.get_mut(first..) else { return Ok(()) };
        if names.len() > 1 {
            // By hash, then by place, so that of two equal names the later one is told.
            names.sort_unstable_by_key(|name| (name.hash, name.start));
            let bytes = self.bytes;
            let text = |name: &SeenName| {
                Text::new(
                    bytes.get(name.start..name.end).unwrap_or_default(),
                    u8::from(name.escaped) * ESCAPED,
                )
            };
            for (place, name) in names.iter().enumerate() {
                let same_hash = names.iter().skip(place + 1).take_while(|other| other.hash == name.hash);
                for other in same_hash {
                    let (mut one, mut two) = (Vec::new(), Vec::new());
                    if text(name).decode(&mut one) == text(other).decode(&mut two) {
                        return Err(Box::new(Problem {
                            code: Code::DuplicateMember,
                            at: other.start,
                            member,
                            note: "",
                        }));
                    }
                }
            }
        }
        self.scratch.seen.truncate(first);
        Ok(())
    }
}
