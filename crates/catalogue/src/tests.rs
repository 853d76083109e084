use super::*;

#[test]
fn every_line_is_found_and_little_else() {
    let mut all: Vec<&[u8]> = SEGMENTS.lines().collect();
    assert!(all.len() > 370, "{}", all.len());
    assert!(all.iter().all(|segment| is_literal(segment)));
    let parameters: Vec<&[u8]> = PARAMETERS.lines().collect();
    assert!(parameters.len() > 297 && parameters.iter().all(|name| is_known_parameter(name)));
    for name in &parameters {
        assert_eq!(is_literal(name), all.contains(name));
    }
    for segment in &all {
        assert_eq!(is_known_parameter(segment), parameters.contains(segment));
        for changed in [[segment, &b"x"[..]].concat(), segment.to_ascii_uppercase(), segment[1..].to_vec()] {
            assert_eq!(is_literal(&changed), all.contains(&changed.as_slice()));
        }
    }
    all.dedup();
    assert!(all.is_sorted());
}

#[test]
fn a_number_is_a_version_only_behind_its_root() {
    assert!(is_version_of(b"api", b"3") && is_version_of(b"api", b"2") && is_version_of(b"agile", b"1.0"));
    assert!(!is_literal(b"3") && !is_literal(b"2") && !is_literal(b"1.0"));
    assert!(!is_version_of(b"issue", b"3") && !is_version_of(b"api", b"4") && !is_version_of(b"api 3", b""));
    assert!(
        !is_version_of(&[b'x'; 100], b"3")
            && !is_version_of(b"api", &[b'3'; 100])
            && !is_version_of(b"", b"")
    );
    assert!(is_literal(b"latest") && is_literal(b"v2"));
}

#[test]
fn what_may_name_something_is_no_literal() {
    for segment in ["", "PROJ-1", "10001", "zelda", "..", ".", "*", "undefined", "a/b", "rest ", "REST"] {
        assert!(!is_literal(segment.as_bytes()), "{segment}");
    }
}
