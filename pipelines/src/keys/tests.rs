use super::*;

#[test]
fn keys_are_stable_across_releases() {
    // On disk: row meta and duplicate window rest on these numbers.
    let keys = Keys::derive(&[7; 32]);
    let start = keys.dedupe_start("gateway");
    insta::assert_snapshot!(format!(
        "dedupe {:032x}\ncontent {:016x}\napp {:016x}\ngroup {:016x}\nvalue {:016x}",
        Keys::dedupe(&start, b"org", b"e-1"),
        keys.content(b"\"id\":\"e-1\""),
        keys.app(b"com.vendor.sync"),
        keys.group(b"org", b"app", b"nightly"),
        keys.value(b"org", b"10001"),
    ));
}

#[test]
fn every_part_matters() {
    let keys = Keys::derive(&[7; 32]);
    let dedupe = |org: &str, producer: &str, id: &str| {
        Keys::dedupe(&keys.dedupe_start(producer), org.as_bytes(), id.as_bytes())
    };
    let all = [
        dedupe("ab", "c", "d"),
        dedupe("a", "bc", "d"),
        dedupe("ab", "cd", ""),
        dedupe("ab", "", "cd"),
        dedupe("ab", "c", "e"),
    ];
    for (i, one) in all.iter().enumerate() {
        assert!(all.iter().skip(i + 1).all(|other| one != other));
    }
    // A long text takes another way to the same hash as a short one would.
    let long = "x".repeat(500);
    assert_ne!(dedupe(&long, "c", "d"), dedupe(&long, "c", "e"));
    let (org, id) = ("o".repeat(128), "i".repeat(256));
    assert_ne!(dedupe(&org, "c", &id), dedupe(&org, "c", &"i".repeat(255)));
    assert_ne!(keys.group(b"a", b"bc", b"d"), keys.group(b"ab", b"c", b"d"));
    assert_ne!(keys.value(b"a", b"x"), keys.value(b"b", b"x"));
    assert_ne!(keys.app(b"x"), Keys::derive(&[8; 32]).app(b"x"));
    assert_eq!(keys.app(b""), 0);
    assert_eq!(format!("{keys:?}"), "Keys");
}
