use super::*;

#[test]
fn names_are_counted_with_their_path() {
    let mut unknown = UnknownMembers::default();
    unknown.count("", b"extra");
    unknown.count("request", b"extra");
    unknown.count("request", b"extra");
    unknown.count("", b"request");
    assert_eq!(unknown.names().collect::<Vec<_>>(), [("extra", 1), ("request.extra", 2), ("request", 1)]);
    assert_eq!(unknown.total(), 4);
}

#[test]
fn a_value_in_place_of_a_name_is_not_kept() {
    let mut unknown = UnknownMembers::default();
    for name in ["zelda@people.example.org", "eyJhbGciOi", "5b10ac8d82e05b22cc7dfa01", "", "a=b", "é"] {
        unknown.count("app", name.as_bytes());
    }
    unknown.count("app", b"\xff");
    assert_eq!(unknown.names().collect::<Vec<_>>(), [("app.*", 7)]);
}

#[test]
fn beyond_64_names_there_is_only_a_count() {
    let mut unknown = UnknownMembers::default();
    for i in 0..100 {
        let name: String = format!("member_{i}")
            .chars()
            .map(|c| if c.is_ascii_digit() { (c as u8 + 49) as char } else { c })
            .collect();
        unknown.count("", name.as_bytes());
    }
    assert_eq!((unknown.names().count(), unknown.others(), unknown.total()), (64, 36, 100));
    let mut sum = unknown.clone();
    sum.merge(&unknown);
    assert_eq!((sum.names().count(), sum.others(), sum.total()), (64, 72, 200));
}
