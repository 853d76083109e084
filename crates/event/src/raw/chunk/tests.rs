use proptest::prelude::*;

use super::*;

/// The four masks byte by byte.
fn plainly(chunk: &[u8; WIDTH]) -> [u32; 4] {
    let mask = |is: fn(u8) -> bool| {
        chunk.iter().enumerate().map(|(place, &byte)| u32::from(is(byte)) << place).sum::<u32>()
    };
    [
        mask(|byte| byte == b'"' || byte == b'\\' || byte < 0x20),
        mask(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'/' | b':' | b'_'))),
        mask(|byte| byte == b'J' || byte == b'T'),
        mask(|byte| !byte.is_ascii()),
    ]
}

fn masks(chunk: &[u8; WIDTH]) -> [u32; 4] {
    let chunk = Chunk::new(chunk);
    [chunk.stops(), chunk.odd(), chunk.suspect(), chunk.not_ascii()]
}

#[test]
fn every_byte_value_at_every_place() {
    for byte in 0..=255u8 {
        for place in 0..WIDTH {
            let mut chunk = [b'a'; WIDTH];
            chunk[place] = byte;
            assert_eq!(masks(&chunk), plainly(&chunk), "{byte:#x} at {place}");
        }
    }
}

proptest! {
    #[test]
    fn both_classifications_agree(chunk: [u8; WIDTH]) {
        prop_assert_eq!(masks(&chunk), plainly(&chunk));
    }
}
