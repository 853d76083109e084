use super::*;

const TOKEN: &str = "11111111-2222-3333-4444-5555AbCdEf55";

fn sent() -> Sent<'static> {
    Sent {
        records: 10,
        bytes: 9_000,
        gzip: false,
        channel_renewed: false,
        partial_accept: PartialAccept::None,
        token: TOKEN,
    }
}

fn answer(status: u16, body: &str) -> Answer<'_> {
    Answer { status, retry_after: None, content_type: "application/json", body: body.as_bytes() }
}

fn judged(status: u16, body: &str) -> Judgement {
    judge(&answer(status, body), &sent())
}

/// The verdict in a word, with what it carries.
fn word(judgement: &Judgement) -> String {
    let verdict = match &judgement.verdict {
        Verdict::Accepted => "accepted".to_owned(),
        Verdict::Retry { after: None, .. } => "retry".to_owned(),
        Verdict::Retry { after: Some(after), .. } => format!("retry after {}", after.as_secs()),
        Verdict::Blocked(_) => "blocked".to_owned(),
        Verdict::Split(_) => "split".to_owned(),
        Verdict::PerRow { accepted_prefix, refused: Some(refused), .. } => {
            format!("has {accepted_prefix}, refuses {refused}")
        }
        Verdict::PerRow { accepted_prefix, refused: None, .. } => format!("has {accepted_prefix}"),
    };
    let verdict = if judgement.nearly_full { format!("{verdict}, nearly full") } else { verdict };
    match judgement.adjust {
        Some(adjust) => format!("{verdict}, {adjust:?}"),
        None => verdict,
    }
}

fn coded(status: u16, code: i64) -> String {
    word(&judged(status, &format!(r#"{{"text":"…","code":{code}}}"#)))
}

fn numbered(code: i64, number: &str, sent: &Sent<'_>) -> String {
    let body = format!(r#"{{"text":"…","code":{code},"invalid-event-number":{number}}}"#);
    word(&judge(&answer(400, &body), sent))
}

macro_rules! rows {
    ($($name:ident: ($status:expr, $code:expr) => $word:expr;)*) => {
        $(
            #[test]
            fn $name() {
                assert_eq!(coded($status, $code), $word);
            }
        )*
    };
}

// One test for each row of the code table.
rows! {
    code_0_success: (200, 0) => "accepted";
    code_1_token_disabled: (403, 1) => "blocked";
    code_2_token_required: (401, 2) => "blocked";
    code_3_invalid_authorization: (401, 3) => "blocked";
    code_4_invalid_token: (403, 4) => "blocked";
    code_5_no_data: (400, 5) => "blocked";
    code_6_invalid_format_without_number: (400, 6) => "split";
    code_7_incorrect_index_without_number: (400, 7) => "split";
    code_8_internal_error: (500, 8) => "retry";
    code_9_busy: (503, 9) => "retry";
    code_10_channel_missing: (400, 10) => "blocked";
    code_11_invalid_channel: (400, 11) => "retry, NewChannel";
    code_12_event_required_without_number: (400, 12) => "split";
    code_13_event_blank_without_number: (400, 13) => "split";
    code_14_ack_disabled: (400, 14) => "blocked";
    code_15_indexed_fields_without_number: (400, 15) => "split";
    code_16_query_authorization: (400, 16) => "blocked";
    code_17_healthy_is_not_delivered: (200, 17) => "blocked";
    code_18_queues_full: (503, 18) => "retry";
    code_19_acks_unavailable: (503, 19) => "retry";
    code_20_both: (503, 20) => "retry";
    code_21_invalid_token: (400, 21) => "blocked";
    code_22_token_disabled: (400, 22) => "blocked";
    code_23_shutting_down: (503, 23) => "retry";
    code_24_queue_nearly_full_is_delivered: (200, 24) => "accepted, nearly full";
    code_25_channel_nearly_full_is_delivered: (200, 25) => "accepted, nearly full";
    code_26_queue_full: (429, 26) => "retry";
    code_27_channel_full: (429, 27) => "retry";
    code_28_channel_missing_in_the_cloud: (400, 28) => "blocked";
    code_200_of_imitators: (200, 200) => "accepted";
    code_404_of_a_wrong_url: (404, 404) => "blocked";
    unknown_code_4xx: (400, 99) => "split";
    unknown_code_4xx_other_status: (418, 99) => "blocked";
    unknown_code_5xx: (500, 99) => "retry";
    unknown_code_2xx_is_not_delivered: (200, 99) => "retry";
    negative_code: (200, -1) => "retry";
    success_code_with_status_of_failure: (503, 0) => "retry";
    success_code_with_status_400: (400, 0) => "split";
    busy_with_status_200: (200, 9) => "retry";
    token_refused_with_status_200: (200, 4) => "blocked";
}

#[test]
fn code_6_12_13_15_name_the_bad_record() {
    let prefix = Sent { partial_accept: PartialAccept::Prefix, ..sent() };
    for code in [6, 12, 13, 15] {
        for number in [0, 4, 9] {
            let n = number.to_string();
            assert_eq!(numbered(code, &n, &sent()), format!("has 0, refuses {number}"), "code {code}");
            assert_eq!(numbered(code, &n, &prefix), format!("has {number}, refuses {number}"), "code {code}");
        }
    }
}

#[test]
fn code_7_counts_one_too_high() {
    let prefix = Sent { partial_accept: PartialAccept::Prefix, ..sent() };
    assert_eq!(numbered(7, "1", &prefix), "has 0, refuses 0");
    assert_eq!(numbered(7, "5", &prefix), "has 4, refuses 4");
    assert_eq!(numbered(7, "10", &prefix), "has 9, refuses 9");
    assert_eq!(numbered(7, "5", &sent()), "has 0, refuses 4");
    assert_eq!(numbered(7, "0", &prefix), "split", "a release that counts right: halves find it");
    assert_eq!(numbered(7, "11", &prefix), "split");
    let Verdict::PerRow { cause, .. } =
        judge(&answer(400, r#"{"text":"Incorrect index","code":7,"invalid-event-number":1}"#), &prefix)
            .verdict
    else {
        panic!("judged otherwise")
    };
    assert_eq!(cause.remedy, WRONG_INDEX);
    assert_eq!(cause.what, "the collector answered HTTP 400, code 7: Incorrect index");
}

#[test]
fn a_number_that_names_no_record_of_the_batch_gives_halves() {
    let prefix = Sent { partial_accept: PartialAccept::Prefix, ..sent() };
    for number in ["10", "11", "-1", "1.5", "\"3\"", "null", "1e3", "18446744073709551616", "[]", "{}"] {
        for code in [6, 7, 12, 13, 15] {
            if code == 7 && number == "10" {
                continue; // that is record 9
            }
            assert_eq!(numbered(code, number, &prefix), "split", "code {code}, {number}");
        }
    }
}

#[test]
fn the_cloud_says_too_large_as_code_6_of_record_0() {
    let large = Sent { bytes: 1_000_001, partial_accept: PartialAccept::Prefix, ..sent() };
    assert_eq!(numbered(6, "0", &large), "split");
    assert_eq!(numbered(6, "1", &large), "has 1, refuses 1");
    assert_eq!(numbered(12, "0", &large), "has 0, refuses 0");
    let small = Sent { bytes: 1_000_000, ..large };
    assert_eq!(numbered(6, "0", &small), "has 0, refuses 0");
}

#[test]
fn a_channel_refused_twice_blocks() {
    let renewed = Sent { channel_renewed: true, ..sent() };
    let body = r#"{"text":"Invalid data channel","code":11}"#;
    assert_eq!(word(&judge(&answer(400, body), &renewed)), "blocked");
}

#[test]
fn statuses_without_a_code() {
    let cases = [
        (201, "accepted"),
        (202, "accepted"),
        (204, "accepted"),
        (301, "blocked"),
        (302, "blocked"),
        (304, "blocked"),
        (307, "blocked"),
        (308, "blocked"),
        (400, "split"),
        (401, "blocked"),
        (402, "blocked"),
        (403, "blocked"),
        (404, "blocked"),
        (405, "blocked"),
        (407, "blocked"),
        (408, "retry"),
        (410, "blocked"),
        (413, "split"),
        (415, "blocked"),
        (422, "split"),
        (425, "retry"),
        (429, "retry"),
        (500, "retry"),
        (501, "retry"),
        (502, "retry"),
        (503, "retry"),
        (504, "retry"),
        (599, "retry"),
        (999, "retry"),
        (100, "retry"),
    ];
    for (status, expected) in cases {
        assert_eq!(word(&judged(status, "")), expected, "{status}");
    }
}

#[test]
fn a_page_of_html_with_each_status() {
    for (status, expected) in
        [(200, "blocked"), (400, "split"), (413, "split"), (415, "blocked"), (503, "retry")]
    {
        let body = "\n <!doctype html><title>Sign in</title>";
        assert_eq!(
            word(&judge(&Answer { content_type: "text/html", ..answer(status, body) }, &sent())),
            expected
        );
        assert_eq!(word(&judged(status, body)), expected, "without a content type");
    }
}

#[test]
fn compression_that_the_collector_does_not_read_is_switched_off() {
    let gzip = Sent { gzip: true, ..sent() };
    assert_eq!(word(&judge(&answer(415, "<html>"), &gzip)), "retry, NoCompression");
    assert_eq!(word(&judge(&answer(400, "<html>"), &gzip)), "retry, NoCompression");
    let refused = r#"{"code":6,"invalid-event-number":2}"#;
    assert_eq!(word(&judge(&answer(400, refused), &gzip)), "has 0, refuses 2");
}

#[test]
fn a_wait_is_passed_on() {
    let mut busy = answer(503, r#"{"text":"Server is busy","code":9}"#);
    busy.retry_after = Some(Duration::from_secs(7));
    assert_eq!(word(&judge(&busy, &sent())), "retry after 7");
}

#[test]
fn forms_of_success() {
    for body in [
        r#"{"text":"Success","code":0}"#,
        r#"{"text":"Success","code":0,"ackId":3}"#,
        r#" {"code":0,"ackID":3} "#,
        r#""OK""#,
        r#""{\"text\":\"Success\",\"code\":0}""#,
        r#"{"acknowledged":true}"#,
        r#"{"code":"0"}"#,
        r#"{"code":null}"#,
        "OK",
        "",
        " \r\n",
        "[]",
        "null",
    ] {
        assert_eq!(word(&judged(200, body)), "accepted", "{body}");
    }
}

#[test]
fn what_is_cut_short_is_not_success() {
    for body in [r#"{"text":"Succ"#, r#"{"text":"Success","code":0"#, "\"O", "[0"] {
        assert_eq!(word(&judged(200, body)), "retry", "{body}");
    }
}

#[test]
fn json_in_a_json_string_is_read() {
    let body = r#""{\"text\":\"Event field is required\",\"code\":12,\"invalid-event-number\":3}""#;
    assert_eq!(word(&judged(400, body)), "has 0, refuses 3");
}

#[test]
fn causes_tell_what_happened_and_what_to_do() {
    let Verdict::Blocked(cause) = judged(403, r#"{"text":"Invalid token","code":4}"#).verdict else {
        panic!("judged otherwise")
    };
    insta::assert_debug_snapshot!(cause);
}

#[test]
fn the_token_is_never_repeated() {
    for said in [
        format!("bad token {TOKEN}."),
        format!("{} and {}", TOKEN.to_uppercase(), TOKEN.to_lowercase()),
        format!("{}{TOKEN}", "x".repeat(150)),
        format!("{TOKEN}{TOKEN}"),
        TOKEN.replacen("2222", "22\u{200b}22", 1),
    ] {
        for body in [serde_json::json!({"text": said, "code": 4}).to_string(), said.clone()] {
            let shown = format!("{:?}", judged(403, &body)).to_lowercase();
            assert!(!shown.contains("2222-3333") && shown.contains("***"), "{shown}");
        }
    }
}

#[test]
fn words_are_bounded_and_harmless() {
    assert_eq!(peer_words("a\u{1b}[31mred\u{7}\r\nb\u{202e}c", "t"), "a [31mred bc");
    assert_eq!(peer_words(&"é".repeat(500), ""), format!("{}…", "é".repeat(200)));
    assert_eq!(peer_words("  two   words ", "none"), "two words");
    assert_eq!(peer_words("", "none"), "");
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever a peer sends: no panic, bounded words, no token, and nothing accepted without a 2xx.
        #[test]
        fn any_answer_is_survived(
            status in 0u16..1100,
            body in prop::collection::vec(any::<u8>(), 0..200),
            records in 0u64..5,
        ) {
            check(status, &body, records);
        }

        #[test]
        fn anything_like_an_answer_is_survived(
            status in prop::sample::select(vec![200u16, 400, 401, 403, 429, 500, 503]),
            code in prop::sample::select(vec!["0", "6", "7", "12", "13", "15", "24", "-7", "1e999", "\"6\"", "[]"]),
            number in prop::sample::select(vec!["0", "1", "2", "9", "-1", "18446744073709551615", "1.0"]),
            text in ".{0,300}",
            records in 0u64..5,
        ) {
            let text = serde_json::Value::from(text);
            let body = format!(r#"{{"text":{text},"code":{code},"invalid-event-number":{number}}}"#);
            check(status, body.as_bytes(), records);
        }
    }

    fn check(status: u16, body: &[u8], records: u64) {
        let answer = Answer { status, retry_after: None, content_type: "", body };
        for partial_accept in [PartialAccept::None, PartialAccept::Prefix] {
            let sent = Sent { records, partial_accept, ..sent() };
            match judge(&answer, &sent).verdict {
                Verdict::Accepted => assert!((200..300).contains(&status)),
                Verdict::PerRow { accepted_prefix, refused, cause } => {
                    let refused = refused.unwrap();
                    assert!(refused < records && accepted_prefix <= refused);
                    assert!(cause.what.chars().count() < 300);
                }
                Verdict::Retry { cause, .. } | Verdict::Blocked(cause) | Verdict::Split(cause) => {
                    assert!(cause.what.chars().count() < 300 && !cause.what.chars().any(char::is_control));
                }
            }
        }
    }
}

#[test]
fn the_token_is_not_shown_for_debugging() {
    let echo = format!("{{\"text\":\"{TOKEN}\",\"code\":4}}");
    let (answer, sent) = (answer(403, &echo), sent());
    let shown = format!("{answer:?} {sent:?} {:?}", judge(&answer, &sent));
    let numbers = format!("{:?}", TOKEN.as_bytes());
    assert!(!shown.contains(TOKEN) && !shown.contains(numbers.trim_matches(['[', ']'])), "{shown}");
    assert!(shown.contains("403") && shown.contains("records: 10"), "{shown}");
}
