//! The scanner: one pass over JSON text, by the grammar of RFC 8259 and within the bounds of the format.

mod names;
mod numbers;

pub(crate) use names::SeenName;

use super::chunk::{Chunk, WIDTH};
use super::text::{ESCAPED, ODD, SUSPECT, Text, hex4};
use super::{MAX_DEPTH, MAX_MEMBERS, MAX_STRING, Problem, Scratch};
use crate::reject::Code;
use crate::time::CANONICAL_LEN;

/// A place in JSON text. The text is raw, so it has no `Debug`.
pub(crate) struct Scanner<'a, 's> {
    bytes: &'a [u8],
    pub(crate) at: usize,
    depth: u32,
    members: u32,
    /// Only the grammar counts: to find the end of an event that is refused anyway.
    lenient: bool,
    /// The length of `"name":"`, if the value that is read next has exactly this before it; else 0.
    pub(crate) opening: u8,
    pub(crate) scratch: &'s mut Scratch,
}

/// A value that is only measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Measured {
    /// Characters of a string, elements of an array, members of an object, 1 for a number, true or false, 0 for
    /// null.
    pub len: usize,
    /// Whether there is anything: not absent, not null.
    pub present: bool,
}

impl<'a, 's> Scanner<'a, 's> {
    pub(crate) fn new(bytes: &'a [u8], at: usize, scratch: &'s mut Scratch) -> Self {
        scratch.seen.clear();
        Self { bytes, at, depth: 0, members: 0, lenient: false, opening: 0, scratch }
    }

    /// A scanner that only minds the grammar, and that there is an end to the nesting.
    pub(crate) fn lenient(bytes: &'a [u8], at: usize, scratch: &'s mut Scratch) -> Self {
        Self { lenient: true, ..Self::new(bytes, at, scratch) }
    }

    /// The byte here, 0 at the end of the text. (A NUL in the text is an error wherever a byte is expected.)
    #[inline(always)]
    pub(crate) fn here(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    /// The next byte that is no white space.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> u8 {
        loop {
            let byte = self.here();
            if byte > b' ' || !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return byte;
            }
            self.at += 1;
        }
    }

    pub(crate) fn at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    #[cold]
    pub(crate) fn bad_json(&self, note: &'static str) -> Box<Problem> {
        Box::new(Problem { code: Code::BadJson, at: self.at, member: "", note })
    }

    #[inline(always)]
    fn slice(&self, start: usize, end: usize) -> &'a [u8] {
        self.bytes.get(start..end).unwrap_or_default()
    }

    /// The text from `start` to here.
    pub(crate) fn since(&self, start: usize) -> &'a [u8] {
        self.slice(start, self.at)
    }

    /// The sixteen bytes from `at`, if the text is that long.
    #[inline(always)]
    fn chunk(&self, at: usize) -> Option<Chunk> {
        self.bytes.get(at..)?.first_chunk().map(Chunk::new)
    }

    /// What is left from `at`, with quotes behind it, so that every scan stops.
    fn last_chunk(&self, at: usize) -> Chunk {
        let mut padded = [b'"'; WIDTH];
        for (slot, byte) in padded.iter_mut().zip(self.bytes.get(at..).unwrap_or_default()) {
            *slot = *byte;
        }
        Chunk::new(&padded)
    }

    /// The whole text.
    pub(crate) fn source(&self) -> &'a [u8] {
        self.bytes
    }

    /// Passes these bytes, if they are here.
    #[inline(always)]
    pub(crate) fn eat(&mut self, bytes: &'static [u8]) -> bool {
        let found = self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(bytes));
        if found {
            self.at += bytes.len();
        }
        found
    }

    /// What stands in the quotes here, if they are as far apart as a time in the records' form takes. It may be
    /// anything.
    #[inline(always)]
    pub(crate) fn quoted(&self) -> Option<&'a [u8]> {
        let (quote, rest) = self.bytes.get(self.at..)?.split_first()?;
        let (text, behind) = rest.split_at_checked(CANONICAL_LEN)?;
        (*quote == b'"' && behind.first() == Some(&b'"')).then_some(text)
    }

    /// Passes a member's `name`, with quotes and colon, if it is here behind `lead`: the brace before the first
    /// member of an object, the comma before any other.
    #[inline(always)]
    pub(crate) fn eat_name(&mut self, lead: u8, name: &'static str) -> bool {
        let Some((first, rest)) = self.bytes.get(self.at..).and_then(|rest| rest.split_first()) else {
            return false;
        };
        if *first != lead {
            return false;
        }
        if rest.starts_with(name.as_bytes()) {
            // The names of the format are short.
            self.opening = (name.len() + 1) as u8;
            self.at += 1 + name.len();
            return true;
        }
        // With white space between names and values, as some write JSON.
        !matches!(rest.first(), Some(b'"')) && self.eat_spaced_name(name)
    }

    #[inline(never)]
    fn eat_spaced_name(&mut self, name: &'static str) -> bool {
        let before = self.at;
        self.at += 1;
        self.next();
        let found = self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(name.as_bytes()));
        if found {
            self.opening = 0;
            self.at += name.len();
        } else {
            self.at = before;
        }
        found
    }

    /// Goes on to the next member, if there is one: from `lead`, the brace before the first or the comma before any
    /// other, to its name; else to the closing brace.
    #[inline(always)]
    pub(crate) fn another_member(&mut self, lead: u8) -> Result<bool, Box<Problem>> {
        match self.next() {
            b'}' if lead == b',' => Ok(false),
            byte if byte == lead => {
                self.at += 1;
                // There may be nothing in the object, but there is something behind a comma.
                Ok(self.next() != b'}' || lead == b',')
            }
            _ => Err(self.bad_json("a comma or a closing brace belongs here")),
        }
    }

    /// A member's name and its colon. On entry the opening quote is here; afterwards the first byte of the value.
    pub(crate) fn name(&mut self) -> Result<Text<'a>, Box<Problem>> {
        if self.here() != b'"' {
            return Err(self.bad_json("a member name in quotes belongs here"));
        }
        let start = self.at + 1;
        let found = self.chunk(start).map_or(WIDTH, |chunk| chunk.stops().trailing_zeros() as usize);
        let end = start + found;
        let short = self.slice(start, end);
        let name = if found < WIDTH && self.bytes.get(end) == Some(&b'"') && short.is_ascii() {
            self.at = end + 1;
            Text::new(short, 0)
        } else {
            // Long, escaped, not ASCII, broken, or near the end of the text.
            self.string()?
        };
        if self.here() != b':' && self.next() != b':' {
            return Err(self.bad_json("a colon belongs behind the member name"));
        }
        self.at += 1;
        self.members += 1;
        if self.members > MAX_MEMBERS && !self.lenient {
            return Err(Box::new(Problem { code: Code::TooManyMembers, at: start, member: "", note: "" }));
        }
        Ok(name)
    }

    /// A string. On entry its opening quote is here.
    pub(crate) fn string(&mut self) -> Result<Text<'a>, Box<Problem>> {
        let mut text = Text::default();
        self.string_into::<true>(&mut text)?;
        Ok(text)
    }

    /// A string, written to where it belongs. With `LOOK` it is told what it is made of; without, that stays open.
    #[inline(always)]
    pub(crate) fn string_into<const LOOK: bool>(&mut self, into: &mut Text<'a>) -> Result<(), Box<Problem>> {
        let start = self.at + 1;
        let found = if LOOK { self.plain_string(start) } else { self.simple_string::<false>(start) };
        match found {
            Some((end, marks)) => {
                self.at = end + 1;
                *into = Text::placed(self.slice(start, end), marks, start, self.opening);
                Ok(())
            }
            None => self.unusual_string::<LOOK>(start, into),
        }
    }

    /// The end of a string and its marks, if it is plain, and not at the end of the text. The quote behind it is then
    /// the first byte that is not plain, so that one look at each byte is enough.
    #[inline(always)]
    fn plain_string(&self, start: usize) -> Option<(usize, u8)> {
        let mut at = start;
        let mut suspect = 0;
        loop {
            let chunk = self.chunk(at)?;
            let odd = chunk.odd();
            if odd == 0 {
                suspect |= chunk.suspect();
                at += WIDTH;
                continue;
            }
            suspect |= chunk.suspect() & (odd ^ (odd - 1));
            at += odd.trailing_zeros() as usize;
            if self.bytes.get(at) != Some(&b'"') || at - start > MAX_STRING {
                return None;
            }
            return Some((at, u8::from(suspect != 0) * SUSPECT));
        }
    }

    /// The end of a string and its marks, if it is ASCII without escapes, and not at the end of the text.
    #[inline(always)]
    fn simple_string<const LOOK: bool>(&self, start: usize) -> Option<(usize, u8)> {
        let mut at = start;
        let (mut odd, mut suspect) = (0, 0);
        // Of the last chunk also what follows the string: then it is looked at once more.
        let mut all = Chunk::zero();
        loop {
            let chunk = self.chunk(at)?;
            let stops = chunk.stops();
            all = all.or(chunk);
            if stops == 0 {
                if LOOK {
                    odd |= chunk.odd();
                    suspect |= chunk.suspect();
                }
                at += WIDTH;
                continue;
            }
            let found = stops.trailing_zeros();
            if LOOK {
                let before = (1u32 << found) - 1;
                odd |= chunk.odd() & before;
                suspect |= chunk.suspect() & before;
            }
            at += found as usize;
            if self.bytes.get(at) != Some(&b'"') || all.not_ascii() != 0 || at - start > MAX_STRING {
                return None;
            }
            let marks = if LOOK {
                (u8::from(odd != 0) * ODD) | (u8::from(suspect != 0) * SUSPECT)
            } else {
                ODD | SUSPECT
            };
            return Some((at, marks));
        }
    }

    /// A string that has an escape or more than ASCII, is too long or broken, or lies at the end of the text.
    #[inline(never)]
    fn unusual_string<const LOOK: bool>(
        &mut self,
        start: usize,
        into: &mut Text<'a>,
    ) -> Result<(), Box<Problem>> {
        if LOOK && let Some((end, marks)) = self.simple_string::<true>(start) {
            // It has a character that is not plain, and nothing worse.
            self.at = end + 1;
            *into = Text::placed(self.slice(start, end), marks, start, self.opening);
            return Ok(());
        }
        let mut at = start;
        let (mut marks, mut not_ascii) = (0, false);
        loop {
            let chunk = self.chunk(at).unwrap_or_else(|| self.last_chunk(at));
            let found = (chunk.stops() | 1 << WIDTH).trailing_zeros();
            let before = (1u32 << found) - 1;
            marks |= u8::from(chunk.odd() & before != 0) * ODD;
            marks |= u8::from(chunk.suspect() & before != 0) * SUSPECT;
            not_ascii |= chunk.not_ascii() & before != 0;
            at += found as usize;
            if found as usize == WIDTH {
                continue;
            }
            self.at = at;
            match self.here() {
                b'"' => break,
                b'\\' => {
                    marks |= ESCAPED | ODD;
                    at += self.escape()?;
                }
                _ if self.at_end() => return Err(self.bad_json("the string does not end")),
                _ => return Err(self.bad_json("a control character in a string must be escaped")),
            }
        }
        self.at = at + 1;
        if at - start > MAX_STRING && !self.lenient {
            return Err(Box::new(Problem { code: Code::StringTooLong, at: start, member: "", note: "" }));
        }
        if not_ascii && !self.lenient {
            self.utf8(start, at)?;
        }
        *into = Text::placed(self.slice(start, at), marks, start, self.opening);
        Ok(())
    }

    /// Checks the encoding of a string. Outside of strings the grammar allows ASCII only.
    #[inline(never)]
    fn utf8(&self, start: usize, end: usize) -> Result<(), Box<Problem>> {
        match std::str::from_utf8(self.slice(start, end)) {
            Ok(_) => Ok(()),
            Err(e) => {
                let at = start + e.valid_up_to();
                Err(Box::new(Problem { code: Code::BadUtf8, at, member: "", note: "" }))
            }
        }
    }

    /// The length of the escape here, which is a valid one.
    #[inline(never)]
    fn escape(&self) -> Result<usize, Box<Problem>> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(2),
            Some(b'u') => {
                let unit = |from| self.bytes.get(from..from + 4).and_then(hex4);
                let unpaired =
                    || Box::new(Problem { code: Code::UnpairedSurrogate, at: self.at, member: "", note: "" });
                match unit(self.at + 2) {
                    Some(0xd800..=0xdbff) => {
                        match (self.slice(self.at + 6, self.at + 8), unit(self.at + 8)) {
                            (b"\\u", Some(0xdc00..=0xdfff)) => Ok(12),
                            _ if self.lenient => Ok(6),
                            _ => Err(unpaired()),
                        }
                    }
                    Some(0xdc00..=0xdfff) if !self.lenient => Err(unpaired()),
                    Some(_) => Ok(6),
                    None => Err(self.bad_json("four hexadecimal digits belong behind \\u")),
                }
            }
            _ => Err(self.bad_json("there is no such escape")),
        }
    }

    /// `true`, `false` or `null`.
    pub(crate) fn word(&mut self, word: &[u8]) -> Result<(), Box<Problem>> {
        let end = self.at + word.len();
        if self.slice(self.at, end) != word {
            return Err(self.bad_json("a value belongs here"));
        }
        self.at = end;
        Ok(())
    }

    /// One level deeper. The opening brace or bracket is here, and stays.
    #[inline(always)]
    pub(crate) fn enter(&mut self) -> Result<(), Box<Problem>> {
        self.depth += 1;
        if self.depth > MAX_DEPTH && (!self.lenient || self.depth > 4 * MAX_DEPTH) {
            return Err(Box::new(Problem { code: Code::TooDeep, at: self.at, member: "", note: "" }));
        }
        Ok(())
    }

    /// Back up one level; the closing brace or bracket is here.
    #[inline(always)]
    pub(crate) fn leave(&mut self) {
        self.depth -= 1;
        self.at += 1;
    }

    /// Goes over any value and measures it.
    pub(crate) fn measure(&mut self) -> Result<Measured, Box<Problem>> {
        let len = match self.next() {
            b'"' => self.string()?.count_chars(),
            b'{' => self.free_object()?,
            b'[' => self.elements(|scanner| scanner.measure().map(drop))?,
            b't' => self.word(b"true").map(|()| 1)?,
            b'f' => self.word(b"false").map(|()| 1)?,
            b'n' => {
                self.word(b"null")?;
                return Ok(Measured::default());
            }
            _ => self.number().map(|_| 1)?,
        };
        Ok(Measured { len, present: true })
    }

    /// The elements of an array, each read by `element`; returns their number. On entry the bracket is here.
    pub(crate) fn elements(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<(), Box<Problem>>,
    ) -> Result<usize, Box<Problem>> {
        self.enter()?;
        self.at += 1;
        let mut count = 0;
        if self.next() != b']' {
            loop {
                element(self)?;
                count += 1;
                match self.next() {
                    b',' => self.at += 1,
                    b']' => break,
                    _ => return Err(self.bad_json("a comma or a closing bracket belongs here")),
                }
            }
        }
        self.leave();
        Ok(count)
    }

    fn free_object(&mut self) -> Result<usize, Box<Problem>> {
        self.enter()?;
        let first_seen = self.scratch.seen.len();
        let mut count = 0;
        let mut lead = b'{';
        while self.another_member(lead)? {
            lead = b',';
            let start = self.at + 1;
            let name = self.name()?;
            self.remember(start, name);
            self.measure()?;
            count += 1;
        }
        self.distinct(first_seen, "")?;
        self.leave();
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
