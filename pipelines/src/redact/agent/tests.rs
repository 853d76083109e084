use proptest::prelude::*;

use super::*;

fn redacted(text: &str) -> (String, u32) {
    let mut out = Vec::new();
    let left_out = user_agent(text.as_bytes(), &mut out);
    (String::from_utf8(out).unwrap(), left_out)
}

#[track_caller]
fn check(text: &str, expected: &str, left_out: u32) {
    assert_eq!(redacted(text), (expected.to_owned(), left_out), "{text}");
}

#[test]
fn real_ones() {
    check("python-requests/2.34.2", "python-requests/2.34.2", 0);
    check("axios/1.21.1", "axios/1.21.1", 0);
    check("node", "", 1);
    check("TidelineSync/4.2.1 (+https://tideline.example.com/bot)", "TidelineSync/4.2.1", 1);
    check("ferry-import/3.3.3 python-requests", "ferry-import/3.3.3", 1);
    check("hookline/5.5.0 (node) key=planted-ua-token-0014", "hookline/5.5.0", 1);
    check(
        "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
        "Mozilla/5.0 Gecko/20100101 Firefox/145.0",
        1,
    );
    check("Mozilla/5.0 (compatible; lf/2)", "Mozilla/5.0", 1);
    check("Apache-HttpClient/4.5.13 (Java/17.0.2)", "Apache-HttpClient/4.5.13", 1);
    check(
        "okhttp/5.0.0-alpha.14 curl/8.5.0 x/1.0b2 y/v2",
        "okhttp/5.0.0-alpha.14 curl/8.5.0 x/1.0b2 y/v2",
        0,
    );
}

#[test]
fn what_may_be_a_value_goes() {
    for agent in [
        "zelda@example.org/1.0",
        "key=planted/1.0",
        "eyJhbGci/1.0",
        "ATATT3x/1.0",
        "x/eyJ",
        "x/1.2.3-zelda",
        "x/123456789",
        "x/1.2.3.4.5.6",
        "x/1..2",
        "x/",
        "/1.0",
        "user0107/1.0",
        "1x/1.0",
        "x/1.0/2.0",
        "x/1.0;zelda",
        "Basic cGxhbnRlZA==",
        "Þórunn/1.0",
        &format!("{}/1.0", "x".repeat(33)),
    ] {
        check(agent, "", 1);
    }
}

#[test]
fn comments_may_be_nested_or_open() {
    check("a/1 (b (c/2) d/3) e/4", "a/1 e/4", 1);
    check("a/1 (zelda/2", "a/1", 1);
    check("a/1) b/2", "a/1 b/2", 1);
    check("a/1(b/2)c/3", "a/1 c/3", 1);
}

#[test]
fn a_long_one_is_cut_between_tokens() {
    let (out, left_out) = redacted(&"abc/1.0 ".repeat(100));
    assert!(out.len() < MAX_AGENT && out.ends_with("abc/1.0") && left_out == 1);
}

proptest! {
    #[test]
    fn the_memo_gives_the_same(agents in prop::collection::vec("[a-c/1.() =]{0,12}( a/1){0,12}", 0..40)) {
        let mut memo = Memo::default();
        for agent in agents {
            let mut out = Vec::new();
            let left_out = memo.redact(agent.as_bytes(), &mut out);
            prop_assert_eq!(redacted(&agent), (String::from_utf8(out).unwrap(), left_out));
        }
    }

    #[test]
    fn anything_is_taken(bytes: Vec<u8>) {
        let mut out = Vec::new();
        user_agent(&bytes, &mut out);
        prop_assert!(out.is_ascii() && out.len() <= bytes.len());
    }
}
