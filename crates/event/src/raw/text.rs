//! A string as it stands in the input, between its quotes.

/// A borrowed, still escaped JSON string, with what the scanner saw on its way.
///
/// The bytes are valid UTF-8 and their escapes are valid: only the scanner makes one from input.
#[derive(Clone, Copy, Default)]
pub struct Text<'a> {
    bytes: &'a [u8],
    /// Where the text begins in the event's source, if `opening` is not 0.
    at: u32,
    /// The length of what stands right before it, `"name":"`, if it stands there without white space; else 0.
    opening: u8,
    marks: u8,
}

/// There is a backslash.
pub(crate) const ESCAPED: u8 = 1;
/// There may be something outside `A-Z a-z 0-9 - . / : _`.
pub(crate) const ODD: u8 = 2;
/// There may be a `J` or `T`.
pub(crate) const SUSPECT: u8 = 4;

impl<'a> Text<'a> {
    /// The text that stands for a value that was taken out.
    pub const MASK: Text<'static> = Text::new(b"*", ODD);

    pub(crate) const fn new(bytes: &'a [u8], marks: u8) -> Self {
        Self { bytes, at: 0, opening: 0, marks }
    }

    /// A text that begins at `at` of its source, with `opening` bytes before it that are the member's name as a
    /// record has it.
    #[inline(always)]
    pub(crate) const fn placed(bytes: &'a [u8], marks: u8, at: usize, opening: u8) -> Self {
        // Sources are shorter than 4 GiB; of a longer one the place is not used.
        let fits = at <= u32::MAX as usize;
        Self { bytes, at: at as u32, opening: if fits { opening } else { 0 }, marks }
    }

    /// The range of the source in which `opening` bytes of the member's name and the text with its quote stand as
    /// they belong into a record.
    #[inline(always)]
    pub(crate) fn as_member(&self, opening: usize) -> Option<(usize, usize)> {
        if usize::from(self.opening) != opening || self.has_escape() {
            return None;
        }
        let at = self.at as usize;
        Some((at - opening, at + self.bytes.len() + 1))
    }

    /// A text of letters, digits and `- . / : _` only, such as a word of ours.
    #[must_use]
    pub const fn plain(word: &'static str) -> Text<'static> {
        Text::new(word.as_bytes(), SUSPECT)
    }

    /// What stands between the quotes, escapes and all.
    #[must_use]
    pub const fn escaped_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether the member is absent, null or `""`, which all mean the same.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether there is a backslash in it, so that its bytes are not its text.
    #[must_use]
    pub const fn has_escape(&self) -> bool {
        self.marks & ESCAPED != 0
    }

    /// Whether it is known to have only characters of `A-Z a-z 0-9 - . / : _`. The scanner looks at the texts that
    /// are kept as they are, not at all.
    #[must_use]
    pub const fn is_plain(&self) -> bool {
        self.marks & ODD == 0
    }

    /// Whether it is known to be plain and without the letters `J` and `T`, which every token shape has: it can be
    /// kept without a second look.
    #[must_use]
    pub const fn is_harmless(&self) -> bool {
        self.marks & (ESCAPED | ODD | SUSPECT) == 0
    }

    /// The text itself, in `buffer` if it has escapes.
    #[must_use]
    pub fn decode<'b>(&self, buffer: &'b mut Vec<u8>) -> &'b [u8]
    where
        'a: 'b,
    {
        if !self.has_escape() {
            return self.bytes;
        }
        buffer.clear();
        unescape(self.bytes, buffer);
        buffer
    }

    /// How many Unicode characters the text has.
    #[must_use]
    pub fn count_chars(&self) -> usize {
        let count = |bytes: &[u8]| bytes.iter().filter(|&&b| b & 0xc0 != 0x80).count();
        if self.has_escape() {
            let mut decoded = Vec::with_capacity(self.bytes.len());
            unescape(self.bytes, &mut decoded);
            count(&decoded)
        } else {
            count(self.bytes)
        }
    }
}

impl std::fmt::Debug for Text<'_> {
    /// Tells the length only: what a producer sent must not reach a log line by accident.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Text({} bytes)", self.bytes.len())
    }
}

/// Appends the text behind valid JSON escapes.
fn unescape(bytes: &[u8], out: &mut Vec<u8>) {
    let mut rest = bytes;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (before, escape) = rest.split_at(at);
        out.extend_from_slice(before);
        let used = match escape.get(1) {
            Some(b'u') => unescape_unicode(escape, out),
            Some(&letter) => {
                out.push(match letter {
                    b'b' => 8,
                    b'f' => 12,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    other => other,
                });
                2
            }
            None => 1,
        };
        rest = escape.get(used..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

/// Decodes `\uXXXX`, with its second half if it has one; returns the bytes used.
fn unescape_unicode(escape: &[u8], out: &mut Vec<u8>) -> usize {
    let unit = hex4(escape.get(2..6).unwrap_or_default()).unwrap_or(0xfffd);
    let (code, used) = match (unit, escape.get(6..8), escape.get(8..12).and_then(hex4)) {
        (0xd800..=0xdbff, Some(b"\\u"), Some(low @ 0xdc00..=0xdfff)) => {
            (0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00), 12)
        }
        _ => (unit, 6),
    };
    let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    used
}

/// The number behind four hexadecimal digits.
pub(crate) fn hex4(digits: &[u8]) -> Option<u32> {
    if digits.len() != 4 {
        return None;
    }
    digits.iter().try_fold(0, |number, &digit| Some(number << 4 | char::from(digit).to_digit(16)?))
}

/// Appends `text`, which is valid UTF-8, as the inside of a JSON string: the shortest escapes, everything else raw.
pub fn write_escaped(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|&b| b == b'"' || b == b'\\' || b < 0x20) {
        let (before, from) = rest.split_at(at);
        out.extend_from_slice(before);
        match from.first() {
            Some(b'"') => out.extend_from_slice(b"\\\""),
            Some(b'\\') => out.extend_from_slice(b"\\\\"),
            Some(8) => out.extend_from_slice(b"\\b"),
            Some(12) => out.extend_from_slice(b"\\f"),
            Some(b'\n') => out.extend_from_slice(b"\\n"),
            Some(b'\r') => out.extend_from_slice(b"\\r"),
            Some(b'\t') => out.extend_from_slice(b"\\t"),
            Some(&control) => {
                let digit = |value: u8| if value < 10 { b'0' + value } else { b'a' + value - 10 };
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[digit(control >> 4), digit(control & 15)]);
            }
            None => {}
        }
        rest = from.get(1..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests;
