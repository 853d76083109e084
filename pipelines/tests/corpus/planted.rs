//! The planted values: invented secrets and personal data that stand in the corpus and may stand nowhere else, in
//! no spelling.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use memchr::memmem;

const PLANTED: &str = include_str!("../../../config/demo/planted.txt");

/// How many of the planted values stand in `text`, decoded.
pub(crate) fn found_in(text: &str) -> usize {
    let haystack = readable(text.as_bytes());
    PLANTED.lines().filter(|value| memmem::find(&haystack, value.to_lowercase().as_bytes()).is_some()).count()
}

/// Panics when one of the planted values, or anything that begins like a JSON web token, stands in `texts`.
pub(crate) fn assert_absent(texts: &[String]) {
    let all = texts.join("\n");
    let haystack = readable(all.as_bytes());
    for value in PLANTED.lines() {
        let value_lower = value.to_lowercase();
        assert!(memmem::find(&haystack, value_lower.as_bytes()).is_none(), "{value}");
        for spelling in base64_spellings(value.as_bytes()) {
            assert!(
                memmem::find(all.as_bytes(), spelling.as_bytes()).is_none(),
                "{value} as base64: {spelling}"
            );
        }
    }
    assert!(memmem::find(all.as_bytes(), b"eyJ").is_none());
    assert!(memmem::find(&haystack, b"atatt").is_none());
}

/// In lower case, without JSON escapes, percent escapes (two layers) and `+`.
fn readable(text: &[u8]) -> Vec<u8> {
    let mut text = without_escapes(text);
    for _ in 0..2 {
        text = percent_decoded(&text);
    }
    let text = String::from_utf8_lossy(&text).to_lowercase().replace('+', " ");
    // The one planted value that holds a plus sign itself must stay comparable.
    text.replace(" 44 20 7946", "+44 20 7946").into_bytes()
}

fn without_escapes(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let code =
            text.get(at..at + 2).filter(|two| *two == b"\\u").and_then(|_| hex(text.get(at + 2..at + 6)?));
        if let Some(character) = code.and_then(char::from_u32) {
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            at += 6;
        } else if text[at] == b'\\' && at + 1 < text.len() {
            out.push(text[at + 1]);
            at += 2;
        } else {
            out.push(text[at]);
            at += 1;
        }
    }
    out
}

fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        match text.get(at + 1..at + 3).filter(|_| text[at] == b'%').and_then(hex) {
            Some(byte) => {
                out.push(byte as u8);
                at += 3;
            }
            None => {
                out.push(text[at]);
                at += 1;
            }
        }
    }
    out
}

fn hex(digits: &[u8]) -> Option<u32> {
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// What of the value is seen in base64, whatever stands around it: three alignments, two alphabets.
fn base64_spellings(value: &[u8]) -> Vec<String> {
    let mut spellings = Vec::new();
    for before in 0..3 {
        let padded = [vec![0; before], value.to_vec()].concat();
        // The characters that depend on the neighbours are cut off.
        let (from, to) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
        for text in [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
            spellings.push(text.get(from..to).unwrap().to_owned());
        }
    }
    spellings
}

#[test]
fn the_check_finds_what_it_looks_for() {
    let value = "Zelda Plantagenet-Fakename";
    let encoded = STANDARD_NO_PAD.encode(format!("xy{value}z"));
    for hidden in [
        value.to_owned(),
        value.to_uppercase(),
        value.replace(' ', "+"),
        value.replace(' ', "%20").replace('Z', "%5a"),
        value.replace(' ', "%2520"),
        value.replace('Z', "\\u005A"),
        encoded,
    ] {
        let texts = vec![format!("x{hidden}y")];
        assert!(std::panic::catch_unwind(|| assert_absent(&texts)).is_err(), "{hidden}");
    }
    assert_absent(&["nothing of the kind".to_owned()]);
    assert_eq!(found_in("a%2BZelda+Plantagenet-Fakename, %2B44%2020%207946%200112"), 2);
}
