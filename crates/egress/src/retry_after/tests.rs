use super::*;

fn parsed(retry: &str, date: Option<&str>) -> Option<u64> {
    let mut headers = HeaderMap::new();
    headers.insert(RETRY_AFTER, retry.parse().unwrap());
    if let Some(date) = date {
        headers.insert(DATE, date.parse().unwrap());
    }
    // 2026-11-22T08:15:30Z
    parse(&headers, UnixMillis(1_795_335_330_000)).map(|wait| wait.as_secs())
}

#[test]
fn seconds() {
    assert_eq!(parsed("7", None), Some(7));
    assert_eq!(parsed(" 0 ", None), Some(0));
    assert_eq!(parsed("1000000000", None), Some(3600));
    assert_eq!(parsed("99999999999999999999999999", None), Some(3600));
}

#[test]
fn nonsense_is_as_if_it_were_not_there() {
    for text in ["", "-1", "1e9", "NaN", "inf", "soon", "7, 8", "7.5", "0x10"] {
        assert_eq!(parsed(text, None), None, "{text}");
    }
    assert_eq!(parse(&HeaderMap::new(), UnixMillis(0)), None);
}

#[test]
fn a_date_is_read_against_the_peers_clock() {
    let retry = "Sun, 22 Nov 2026 08:16:00 GMT";
    assert_eq!(parsed(retry, None), Some(30));
    assert_eq!(parsed(retry, Some("Sun, 22 Nov 2026 08:15:50 GMT")), Some(10));
    assert_eq!(parsed(retry, Some("Sun, 22 Nov 2026 08:17:50 GMT")), Some(0), "the date has passed");
    assert_eq!(parsed(retry, Some("Sun, 22 Nov 2020 08:15:50 GMT")), Some(3600));
}
