use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Option<i64> {
    parse_rfc3339(text.as_bytes())
}

#[test]
fn known_times() {
    assert_eq!(parse("1970-01-01T00:00:00Z"), Some(0));
    assert_eq!(parse("1969-12-31T23:59:59.999Z"), Some(-1));
    assert_eq!(parse("2026-11-22T08:15:30.123Z"), Some(1_795_335_330_123));
    assert_eq!(parse("2026-11-22T10:15:30.1239+02:00"), Some(1_795_335_330_123));
    assert_eq!(parse("2026-11-22t00:15:30.1z"), parse("2026-11-21 19:45:30.100-04:30"));
    assert_eq!(parse("2000-02-29T00:00:00Z"), Some(951_782_400_000));
    assert_eq!(parse("2016-12-31T23:59:60Z"), Some(1_483_228_799_999));
    assert_eq!(parse("0000-01-01T00:00:00Z"), Some(MIN_MS));
    assert_eq!(parse("9999-12-31T23:59:59.999Z"), Some(MAX_MS));
}

#[test]
fn what_is_no_time() {
    for text in [
        "",
        "2026-11-22",
        "2026-11-22T08:15:30",
        "2026-11-22T08:15:30.Z",
        "2026-11-22T08:15:30+0000",
        "2026-11-22T08:15Z",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:00:61Z",
        "2026-01-01T00:00:00+24:00",
        "2026-01-01T00:00:00Zx",
        "+026-01-01T00:00:00Z",
        "9999-12-31T23:59:59-00:01",
        "0000-01-01T00:00:00+00:01",
    ] {
        assert_eq!(parse(text), None, "{text}");
    }
}

#[test]
fn a_leap_second_is_not_canonical() {
    assert_eq!(parse_canonical(b"2016-12-31T23:59:59.000Z"), Some(1_483_228_799_000));
    assert_eq!(parse_canonical(b"2016-12-31T23:59:60.000Z"), None);
    assert_eq!(parse_canonical(b"2016-12-31T23:59:59Z"), None);
}

proptest! {
    #[test]
    fn formatting_and_parsing_undo_each_other(ms in MIN_MS..=MAX_MS) {
        let text = format_ms(ms);
        prop_assert_eq!(parse_rfc3339(&text), Some(ms));
        prop_assert_eq!(parse_canonical(&text), Some(ms));
    }

    #[test]
    fn what_is_canonical_is_a_time_and_formatted_the_same(text in "[0-9:]{4}-[0-2][0-9:]-[0-3][0-9/]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9]\\.[0-9]{2}[0-9;]Z") {
        match parse_canonical(text.as_bytes()) {
            Some(ms) => {
                prop_assert_eq!(parse(&text), Some(ms));
                let formatted = format_ms(ms);
                prop_assert_eq!(std::str::from_utf8(&formatted).unwrap(), text);
            }
            None => prop_assert!(parse(&text).is_none() || text.get(17..19) == Some("60")),
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>) {
        prop_assert!(parse_rfc3339(&bytes).is_none_or(in_range));
        prop_assert!(parse_canonical(&bytes).is_none_or(in_range));
    }
}
