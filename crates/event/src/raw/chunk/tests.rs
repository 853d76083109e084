use proptest::prelude::*;

use super::*;

/// The same function byte by byte.
fn classify_plainly(chunk: &[u8; WIDTH]) -> Masks {
    let mut masks = Masks { stop: 0, odd: 0, suspect: 0, not_ascii: 0 };
    for (place, &byte) in chunk.iter().enumerate() {
        let bit = 1u32 << place;
        if byte == b'"' || byte == b'\\' || byte < 0x20 {
            masks.stop |= bit;
        }
        if !(byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'/' | b':' | b'_')) {
            masks.odd |= bit;
        }
        if byte == b'J' || byte == b'T' {
            masks.suspect |= bit;
        }
        if !byte.is_ascii() {
            masks.not_ascii |= bit;
        }
    }
    masks
}

#[test]
fn every_byte_value_at_every_place() {
    for byte in 0..=255u8 {
        for place in 0..WIDTH {
            let mut chunk = [b'a'; WIDTH];
            chunk[place] = byte;
            assert_eq!(classify(&chunk), classify_plainly(&chunk), "{byte:#x} at {place}");
            assert_eq!(stops(&chunk), classify_plainly(&chunk).stop);
        }
    }
}

proptest! {
    #[test]
    fn both_classifications_agree(chunk: [u8; WIDTH]) {
        prop_assert_eq!(classify(&chunk), classify_plainly(&chunk));
        prop_assert_eq!(stops(&chunk), classify_plainly(&chunk).stop);
    }
}
