use std::io::Write;

use proptest::prelude::*;

use super::*;

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// With a checksum, which decides whether damage is noticed.
fn zstd(data: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// Text that compresses about as well as events do.
fn text(len: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut text = Vec::with_capacity(len + 32);
    while text.len() < len {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.extend_from_slice(format!("{{\"id\":\"{state:x}\"}}\n").as_bytes());
    }
    text.truncate(len);
    text
}

fn inflated(body: &[u8], encoding: Encoding) -> Result<Vec<u8>, InflateFault> {
    let mut out = Vec::new();
    inflate(body, encoding, &mut out).map(|()| out)
}

#[test]
fn what_was_compressed_comes_back() {
    let data = text(1 << 20);
    assert_eq!(inflated(&gzip(&data), Encoding::Gzip).unwrap(), data);
    assert_eq!(inflated(&zstd(&data), Encoding::Zstd).unwrap(), data);
    assert_eq!(inflated(&data, Encoding::Identity).unwrap(), data);
}

#[test]
fn members_and_frames_are_joined() {
    let joined = [gzip(b"one\n"), gzip(b"two\n")].concat();
    assert_eq!(inflated(&joined, Encoding::Gzip).unwrap(), b"one\ntwo\n");
    let joined = [zstd(b"one\n"), zstd(b"two\n")].concat();
    assert_eq!(inflated(&joined, Encoding::Zstd).unwrap(), b"one\ntwo\n");
}

#[test]
fn a_bomb_is_stopped_at_the_ratio() {
    let zeros = vec![0_u8; 64 << 20];
    let bomb = gzip(&zeros);
    assert!(bomb.len() * MAX_RATIO < MAX_BODY, "the ratio is what stops it: {} bytes", bomb.len());
    let mut out = Vec::new();
    assert_eq!(inflate(&bomb, Encoding::Gzip, &mut out), Err(InflateFault::Ratio));
    assert!(out.capacity() <= 2 * MAX_RATIO * bomb.len(), "{} bytes were allocated", out.capacity());
    assert_eq!(inflated(&zstd(&zeros), Encoding::Zstd).map(|out| out.len()), Err(InflateFault::Ratio));
}

#[test]
fn the_size_limit_holds_after_decompression() {
    let exact = text(MAX_BODY);
    assert_eq!(inflated(&zstd(&exact), Encoding::Zstd).unwrap().len(), MAX_BODY);
    let more = text(MAX_BODY + 1);
    let len = |body: &[u8], encoding| inflated(body, encoding).map(|out| out.len());
    assert_eq!(len(&zstd(&more), Encoding::Zstd), Err(InflateFault::TooLarge));
    assert_eq!(len(&gzip(&more), Encoding::Gzip), Err(InflateFault::TooLarge));
}

#[test]
fn small_bodies_may_compress_better_than_the_ratio() {
    let equal = vec![b'a'; 60 << 10];
    let small = zstd(&equal);
    assert!(small.len() * MAX_RATIO < equal.len());
    assert_eq!(inflated(&small, Encoding::Zstd).unwrap(), equal);
}

#[test]
fn cut_and_damaged_streams_are_invalid() {
    let data = text(100_000);
    for (whole, encoding, name) in
        [(gzip(&data), Encoding::Gzip, "gzip"), (zstd(&data), Encoding::Zstd, "zstd")]
    {
        let cut = &whole[..whole.len() - 5];
        let len = |body: &[u8]| inflated(body, encoding).map(|out| out.len());
        assert_eq!(len(cut), Err(InflateFault::Invalid(name)));
        let mut damaged = whole.clone();
        let middle = damaged.len() / 2;
        damaged[middle] ^= 0x55;
        damaged[middle + 1] ^= 0xaa;
        assert_eq!(len(&damaged), Err(InflateFault::Invalid(name)), "{name}");
        assert_eq!(len(b"{\"id\":1}"), Err(InflateFault::Invalid(name)));
    }
    assert_eq!(inflated(b"", Encoding::Gzip).unwrap_or_default(), b"");
}

#[test]
fn a_zstd_frame_with_a_huge_window_is_refused() {
    // A frame header that asks for a window of 2^31 bytes, then one raw block.
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, (31 - 10) << 3, 0x09, 0x00, 0x00, b'a'];
    assert_eq!(inflated(&frame, Encoding::Zstd), Err(InflateFault::Invalid("zstd")));
    let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, (20 - 10) << 3, 0x09, 0x00, 0x00, b'a'];
    assert_eq!(inflated(&frame, Encoding::Zstd).unwrap(), b"a");
}

#[test]
fn encodings_are_read_from_the_header() {
    assert_eq!(Encoding::parse(None), Some(Encoding::Identity));
    assert_eq!(Encoding::parse(Some(b" GZIP ")), Some(Encoding::Gzip));
    assert_eq!(Encoding::parse(Some(b"zstd")), Some(Encoding::Zstd));
    assert_eq!(Encoding::parse(Some(b"br")), None);
    assert_eq!(Encoding::parse(Some(b"gzip, gzip")), None);
}

#[test]
fn the_pace_leaves_time_for_what_has_come() {
    let pace = Pace { grace: std::time::Duration::from_secs(10), bytes_per_second: 1000 };
    assert_eq!(pace.allowed(0), std::time::Duration::from_secs(10));
    assert_eq!(pace.allowed(5000), std::time::Duration::from_secs(15));
}

proptest! {
    #[test]
    fn any_bytes_inflate_or_are_refused(data in proptest::collection::vec(any::<u8>(), 0..2000)) {
        for encoding in [Encoding::Gzip, Encoding::Zstd] {
            let mut out = Vec::new();
            let limit = encoding.inflated_limit(data.len());
            if inflate(&data, encoding, &mut out).is_ok() {
                prop_assert!(out.len() <= limit);
            }
        }
    }

    #[test]
    fn any_bytes_survive(data in proptest::collection::vec(any::<u8>(), 0..20_000)) {
        prop_assert_eq!(inflated(&gzip(&data), Encoding::Gzip).unwrap(), data.clone());
        prop_assert_eq!(inflated(&zstd(&data), Encoding::Zstd).unwrap(), data);
    }
}
