use super::*;
use crate::record::head;

#[test]
fn the_members_are_found_with_and_without_the_optional_ones() {
    let tail = br#""id":"a\"b","kind":"api_call","time":"1969-12-31T23:59:59.999Z","org_id":"o","site_id":"s","site":"x.example.net","product":"jira"}"#;
    let record = [head(7, Some(255), true).as_bytes(), tail].concat();
    let view = View::of(&record).unwrap();
    assert_eq!((view.seq, view.group), (7, Some("000000000000000000000000000000ff")));
    assert_eq!(
        (view.id, view.kind, view.org_id, view.site),
        ("a\\\"b", "api_call", "o", Some("x.example.net"))
    );
    assert_eq!(view.time_ms(), Some(-1));

    let tail =
        br#""id":"a","kind":"notice","time":"1970-01-01T00:00:00.000Z","org_id":"o","product":"site"}"#;
    let record = [head(0, None, false).as_bytes(), tail].concat();
    let view = View::of(&record).unwrap();
    assert_eq!((view.seq, view.group, view.site, view.time_ms()), (0, None, None, Some(0)));
}

#[test]
fn other_bytes_are_refused() {
    for bytes in
        ["", "{}", r#"{"v":2,"seq":1,"id":"a"}"#, r#"{"v":1,"seq":,"id":"a"}"#, r#"{"v":1,"seq":1,"id":"a"#]
    {
        assert!(View::of(bytes.as_bytes()).is_err(), "{bytes}");
    }
}
