//! The planted values of the recorded calls: invented secrets and personal data that may come out nowhere, in no
//! spelling.

use aho_corasick::{AhoCorasick, AhoCorasickBuilder};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::binary;

/// Looks for all of them in one pass.
#[derive(Debug)]
pub struct Planted {
    values: Vec<String>,
    /// In text that was made readable: the values and what begins every JSON web token.
    plain: AhoCorasick,
    /// In the bytes as they are.
    packed: AhoCorasick,
    /// To which value each of the patterns belongs.
    plain_of: Vec<usize>,
    packed_of: Vec<usize>,
}

/// Every JSON object in base64 begins with this, so every JSON web token does.
const TOKEN_START: &str = "eyJ";

impl Planted {
    /// Reads the list that is shipped with the sample.
    #[must_use]
    pub fn read() -> Self {
        let text = std::fs::read_to_string(binary::root().join("config/demo/planted.txt")).unwrap();
        let values: Vec<String> = text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
        assert!(values.len() > 30, "the list is the list");
        let (mut packed, mut packed_of) = (vec![TOKEN_START.to_owned()], vec![usize::MAX]);
        for (index, value) in values.iter().enumerate() {
            for spelling in base64_spellings(value.as_bytes()) {
                packed.push(spelling);
                packed_of.push(index);
            }
        }
        let (mut plain, mut plain_of) = (Vec::new(), Vec::new());
        for (index, value) in values.iter().enumerate() {
            // What is looked through has lost its `+`.
            plain.push(value.to_lowercase().replace('+', " "));
            plain_of.push(index);
        }
        let plain = AhoCorasickBuilder::new().ascii_case_insensitive(true).build(plain).unwrap();
        Self { values, plain, plain_of, packed: AhoCorasick::new(&packed).unwrap(), packed_of }
    }

    /// What stands in a text: plain, percent-encoded, with `+` for a space, with JSON escapes, or as base64.
    #[must_use]
    pub fn found_in(&self, text: &[u8]) -> Vec<&str> {
        self.search(text, 0)
    }

    /// The same in bytes that are partly hashes: there `eyJ` alone comes up by chance, followed by more of base64 it
    /// hardly does.
    #[must_use]
    pub fn found_in_binary(&self, bytes: &[u8]) -> Vec<&str> {
        self.search(bytes, 5)
    }

    fn search(&self, bytes: &[u8], behind_start: usize) -> Vec<&str> {
        let mut found: Vec<&str> = Vec::new();
        // Twice: what a client encoded may have been encoded again by what it passed through.
        let once = readable(bytes);
        let twice = readable(&once);
        for text in [&once, &twice] {
            let hits = self.plain.find_overlapping_iter(text);
            found.extend(hits.map(|hit| self.value(&self.plain_of, hit.pattern().as_usize())));
        }
        let is_meant = |end: usize, pattern: usize| {
            let behind = bytes.get(end..end + behind_start);
            let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            pattern != 0 || behind.is_some_and(|behind| behind.iter().all(is_letter))
        };
        found.extend(
            self.packed
                .find_overlapping_iter(bytes)
                .filter(|hit| is_meant(hit.end(), hit.pattern().as_usize()))
                .map(|hit| self.value(&self.packed_of, hit.pattern().as_usize())),
        );
        found.sort_unstable();
        found.dedup();
        found
    }

    fn value(&self, of: &[usize], pattern: usize) -> &str {
        of.get(pattern).and_then(|index| self.values.get(*index)).map_or(TOKEN_START, String::as_str)
    }

    /// # Panics
    /// When one of them stands in the text.
    pub fn assert_absent(&self, place: &str, text: &[u8]) {
        let found = self.found_in(text);
        assert!(found.is_empty(), "planted values in {place}: {found:#?}");
    }
}

/// Undoes percent-encoding, `+` for a space and JSON escapes, and lowers what is lowered in Unicode.
fn readable(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digits = |from: usize, count: usize| {
            let text = std::str::from_utf8(bytes.get(from..from + count)?).ok()?;
            u32::from_str_radix(text, 16).ok()
        };
        match byte {
            b'%' if let Some(code) = digits(at + 1, 2) => {
                out.push(code as u8);
                at += 3;
            }
            b'\\'
                if bytes.get(at + 1) == Some(&b'u')
                    && let Some(code) = digits(at + 2, 4).and_then(char::from_u32) =>
            {
                out.extend_from_slice(code.encode_utf8(&mut [0; 4]).as_bytes());
                at += 6;
            }
            b'\\' if matches!(bytes.get(at + 1), Some(b'/' | b'"' | b'\\')) => {
                out.extend(bytes.get(at + 1));
                at += 2;
            }
            b'+' => {
                out.push(b' ');
                at += 1;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    // Only where there is something to lower beyond ASCII, which the search does itself.
    match String::from_utf8(out) {
        Ok(text) if !text.is_ascii() => text.to_lowercase().into_bytes(),
        Ok(text) => text.into_bytes(),
        Err(bad) => String::from_utf8_lossy(bad.as_bytes()).to_lowercase().into_bytes(),
    }
}

/// How `value` looks inside base64, wherever it begins in the group of three bytes.
fn base64_spellings(value: &[u8]) -> Vec<String> {
    let mut all = Vec::new();
    for before in 0..3 {
        let padded: Vec<u8> = std::iter::repeat_n(0, before).chain(value.iter().copied()).collect();
        // The first letters hold bits of what comes before, the last ones of what comes after.
        let first = (before * 8).div_ceil(6);
        let last = padded.len() * 8 / 6;
        for text in [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
            all.extend(text.get(first..last).map(str::to_owned));
        }
    }
    all.sort();
    all.dedup();
    all
}

#[cfg(test)]
mod tests;
