use proptest::prelude::*;

use super::*;

#[test]
fn whole_numbers() {
    for (text, value) in [
        ("0", Some(0)),
        ("204", Some(204)),
        ("204.0", Some(204)),
        ("9223372036854775807", Some(i64::MAX.unsigned_abs())),
        ("9223372036854775808", None),
        ("99999999999999999999", None),
        ("-1", None),
        ("1.5", None),
        ("1e2", None),
        ("1.0e2", None),
    ] {
        assert_eq!(whole(text.as_bytes()), value, "{text}");
    }
    assert_eq!(signed(b"-62167219200000"), Some(-62_167_219_200_000));
    assert_eq!(signed(b"-0"), Some(0));
}

#[test]
fn microseconds() {
    for (text, value) in [
        ("41.25", Some(41_250)),
        ("0", Some(0)),
        ("-0.0", Some(0)),
        ("0.0005", Some(1)),
        ("0.00049", Some(0)),
        ("0.00005", Some(0)),
        ("1e-05", Some(0)),
        ("5e-4", Some(1)),
        ("1.5e3", Some(1_500_000)),
        ("0e999999999999", Some(0)),
        ("1e999999999999", None),
        ("1e-999999999999", Some(0)),
        ("999999999999.999", Some(MAX_MICROS)),
        ("999999999999.9999", None),
        ("-0.001", None),
        ("0.00000000000000000000000000000000000001", Some(0)),
    ] {
        assert_eq!(micros(text.as_bytes()), value, "{text}");
    }
}

proptest! {
    #[test]
    fn microseconds_of_ordinary_durations(micros_in in 0u64..10_000_000_000) {
        let text = format!("{}.{:03}", micros_in / 1000, micros_in % 1000);
        prop_assert_eq!(micros(text.as_bytes()), Some(micros_in));
    }
}
