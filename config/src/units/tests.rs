use proptest::prelude::*;

use super::*;

fn interval(text: &str) -> Option<u64> {
    text.parse::<Interval>().ok().map(|i| i.0.as_millis() as u64)
}

#[test]
fn intervals_need_a_unit() {
    for (text, millis) in [
        ("500ms", 500),
        ("30s", 30_000),
        ("5m", 300_000),
        ("12h", 43_200_000),
        ("7d", 604_800_000),
        ("0s", 0),
    ] {
        assert_eq!(interval(text), Some(millis), "{text}");
    }
    assert_eq!(interval("1h30m"), Some(5_400_000));
    assert_eq!(interval("1s500ms"), Some(1_500));
    for text in [
        "",
        "30",
        "s",
        "1.5s",
        "-1s",
        "30 s",
        "30S",
        "1m1h",
        "1s1s",
        "7w",
        "99999999999999999999d",
        "_1s",
        "１s",
    ] {
        assert_eq!(interval(text), None, "{text}");
    }
}

#[test]
fn sizes_tell_powers_of_ten_from_powers_of_two() {
    let size = |text: &str| text.parse::<ByteSize>().ok().map(|s| s.0);
    for (text, bytes) in [
        ("512B", 512),
        ("1kB", 1_000),
        ("1KB", 1_000),
        ("1KiB", 1_024),
        ("1MB", 1_000_000),
        ("8MiB", 8 << 20),
        ("50GiB", 50 << 30),
        ("2TB", 2_000_000_000_000),
        ("1_000B", 1_000),
    ] {
        assert_eq!(size(text), Some(bytes), "{text}");
    }
    for text in
        ["", "1000", "1M", "1mb", "1Mib", "1.5MB", "-1B", "18446744073709551616B", "17179869184GiB", "1 MB"]
    {
        assert_eq!(size(text), None, "{text}");
    }
}

#[test]
fn rates_say_per_what() {
    assert_eq!("2000/s".parse(), Ok(EventRate { events: 2000, per: Duration::from_secs(1) }));
    assert_eq!("6/m".parse(), Ok(EventRate { events: 6, per: Duration::from_secs(60) }));
    assert_eq!("1MB/h".parse(), Ok(ByteRate { bytes: ByteSize(1_000_000), per: Duration::from_secs(3_600) }));
    for text in ["2000", "0/s", "/s", "2000/d", "2k/s", "2000/s/s"] {
        assert!(text.parse::<EventRate>().is_err(), "{text}");
    }
    for text in ["1000/s", "0B/s", "1MB", "unlimited"] {
        assert!(text.parse::<ByteRate>().is_err(), "{text}");
    }
    assert_eq!("unlimited".parse(), Ok(Ceiling::<EventRate>::UNLIMITED));
}

#[test]
fn errors_show_the_text_without_control_characters_and_bounded() {
    let error = format!("x\u{1b}[31m{}", "y".repeat(1_000)).parse::<Interval>().unwrap_err().to_string();
    assert!(!error.contains('\u{1b}') && error.len() < 200, "{error}");
}

proptest! {
    #[test]
    fn printed_quantities_parse_back(millis in 0u64..1 << 50, bytes in 0u64..u64::MAX, events in 1u64..u64::MAX, unit in 0usize..3) {
        let interval = Interval(Duration::from_millis(millis));
        prop_assert_eq!(interval.to_string().parse(), Ok(interval));
        prop_assert_eq!(ByteSize(bytes).to_string().parse(), Ok(ByteSize(bytes)));
        let rate = EventRate { events, per: Duration::from_secs(RATE_UNITS[unit].1) };
        prop_assert_eq!(rate.to_string().parse(), Ok(rate));
    }

    #[test]
    fn any_text_is_judged_without_panic(text in ".*") {
        let errors = [
            text.parse::<Interval>().err(),
            text.parse::<ByteSize>().err(),
            text.parse::<EventRate>().err(),
            text.parse::<Ceiling<ByteRate>>().err(),
        ];
        for error in errors.into_iter().flatten() {
            prop_assert!(error.to_string().chars().count() < 200);
        }
    }
}
