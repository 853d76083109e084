use proptest::prelude::*;

use super::*;

fn redacted(text: &str) -> (String, u32) {
    let mut out = b"kept".to_vec();
    let replaced = path(text.as_bytes(), &mut out);
    (String::from_utf8(out.split_off(4)).unwrap(), replaced)
}

#[track_caller]
fn check(text: &str, expected: &str, replaced: u32) {
    assert_eq!(redacted(text), (expected.to_owned(), replaced), "{text}");
}

#[test]
fn words_and_versions_stay() {
    check("/rest/api/3/issue/PROJ-1", "/rest/api/3/issue/*", 1);
    check("/rest/api/2/issue/PROJ-1/comment/10001", "/rest/api/2/issue/*/comment/*", 2);
    check("/rest/api/latest/serverInfo", "/rest/api/latest/serverInfo", 0);
    check(
        "/ex/jira/a95f1b28-ba4d/rest/agile/1.0/board/7/sprint",
        "/ex/jira/*/rest/agile/1.0/board/*/sprint",
        2,
    );
    check("/wiki/api/v2/pages/4711", "/wiki/api/v2/pages/*", 1);
    check("/gateway/api/graphql", "/gateway/api/graphql", 0);
    check("/rest/servicedeskapi/request/1", "/rest/servicedeskapi/request/*", 1);
}

#[test]
fn a_number_that_looks_like_a_version_is_a_value_elsewhere() {
    check("/rest/api/3/issue/3", "/rest/api/3/issue/*", 1);
    check("/3/2/1.0", "/*/*/*", 3);
    check("/rest/api/x/3", "/rest/api/*/*", 2);
}

#[test]
fn what_is_written_otherwise_is_the_same_path() {
    check("//rest///api/3//issue/", "/rest/api/3/issue", 0);
    check("/%72est/a%70i/3", "/rest/api/*", 1);
    check("/rest/./api/../api/3/%2e/myself", "/rest/api/3/myself", 0);
    check("/rest/%2E%2E/%2e./wiki", "/wiki", 0);
    check("/../..", "/", 0);
    check("", "/", 0);
    check("/", "/", 0);
    check("rest/api/3", "/rest/api/3", 0);
}

/// The short cut does what the long way does.
#[test]
fn known_beginnings_are_what_their_segments_are() {
    for beginning in KNOWN_BEGINNINGS {
        assert_eq!(beginning.text, format!("{}/", beginning.kept));
        assert!(beginning.kept.ends_with(&format!("/{}", beginning.last)));
        // An empty segment before it keeps the short cut away from all but the first; an encoded letter from it too.
        let first = beginning.text.as_bytes()[0];
        let long_way = format!("/%{first:02x}{}x/3", &beginning.text.chars().skip(1).collect::<String>());
        let (short, long) = (redacted(&format!("/{}x/3", beginning.text)), redacted(&long_way));
        // The encoded first segment is no root of a version, and none of these begins with one.
        assert_eq!(short, long);
    }
}

#[test]
fn hosts_do_not_pass() {
    check("https://zelda:secret@acme.example.net/rest/api/3/myself", "/rest/api/3/myself", 1);
    check("https://acme.example.net", "/", 1);
    check("//zelda.example.net/rest", "/*/rest", 1);
    check("/https://zelda.example.net/rest", "/*/*/rest", 2);
    check("zelda://rest/api", "/api", 1);
}

#[test]
fn matrix_parameters_do_not_pass() {
    check("/rest;jsessionid=zelda/api;v=1/3", "/rest/api/*", 3);
    check("/rest/api/3/issue/PROJ-1;zelda", "/rest/api/3/issue/*", 2);
    check("/rest/;zelda/api", "/rest/api", 1);
    check("/rest%3Bzelda/api", "/*/api", 1);
}

#[test]
fn encoded_slashes_do_not_move_a_value() {
    check("/rest%2Fapi/3", "/*/*", 2);
    check("/label/a%2Flabel", "/label/*", 1);
    check("/rest%252fapi", "/*", 1);
}

#[test]
fn what_is_no_encoding_does_not_pass() {
    for segment in [
        "%",
        "%4",
        "%zz",
        "%ff%fe",
        "\u{202e}zelda",
        "%00",
        "rest%00",
        "re st",
        "\\..\\zelda",
        "..%2f..",
        "*",
    ] {
        check(&format!("/{segment}"), "/*", 1);
    }
    check(&format!("/{}", "x".repeat(10_000)), "/*", 1);
}

proptest! {
    /// Whatever comes in, only words of the lists, versions and `*` come out, and no more than came in.
    #[test]
    fn only_words_come_out(text in "(/{0,2}(rest|api|3|issue|%72est|\\.\\.|%2e|[a-zA-Z0-9%;.+@é=]{0,8}|https:)){0,8}/?") {
        let (out, _) = redacted(&text);
        prop_assert!(out.starts_with('/'));
        prop_assert!(out.len() <= text.len() + 1);
        let mut before = "";
        for segment in out.split('/').skip(1).filter(|s| !s.is_empty()) {
            let known = is_literal(segment.as_bytes()) || is_version_of(before.as_bytes(), segment.as_bytes());
            prop_assert!(known || segment == "*", "{}", segment);
            before = segment;
        }
    }

    #[test]
    fn anything_is_taken(bytes: Vec<u8>) {
        let mut out = Vec::new();
        path(&bytes, &mut out);
        prop_assert!(out.is_ascii());
    }
}
