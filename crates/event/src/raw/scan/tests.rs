use proptest::prelude::*;

use super::*;

/// Goes over `text` as one value; the problem if it is none.
fn scan(text: &str) -> Result<(), Box<Problem>> {
    let mut scratch = Scratch::default();
    let mut scanner = Scanner::new(text.as_bytes(), 0, &mut scratch);
    scanner.measure()?;
    scanner.next();
    if scanner.at_end() { Ok(()) } else { Err(scanner.bad_json("something follows")) }
}

fn code(text: &str) -> Option<Code> {
    scan(text).err().map(|problem| problem.code)
}

/// What the two must agree on: the grammar. serde_json's skipping takes half surrogates, longer and deeper texts
/// and duplicates, which are not of the grammar.
fn agrees(text: &str) -> Result<(), TestCaseError> {
    let theirs = serde_json::from_str::<serde::de::IgnoredAny>(text);
    match code(text) {
        None => prop_assert!(theirs.is_ok(), "taken, but: {:?}", theirs),
        Some(Code::BadJson) => prop_assert!(theirs.is_err(), "refused, but valid: {:?}", scan(text)),
        // Noticed before the rest of the text was seen, which may be broken.
        Some(Code::DuplicateMember | Code::UnpairedSurrogate | Code::TooDeep) => {}
        Some(other) => prop_assert!(false, "{other}"),
    }
    Ok(())
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        ".*".prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map(".{0,20}", inner, 0..6).prop_map(|m| m.into_iter().collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn takes_what_serde_json_writes(value in json(), pretty: bool) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        prop_assert_eq!(scan(&text), Ok(()));
    }

    #[test]
    fn agrees_with_serde_json_about_changed_json(value in json(), edits in prop::collection::vec((any::<prop::sample::Index>(), 0..4u8, any::<prop::sample::Index>()), 1..4)) {
        const PIECES: [&str; 26] = ["{", "}", "[", "]", ",", ":", "\"", "\\", "\\u", "\\ud83d", "\\udc00", "0", "-", "1.", ".5", "e", "E+", "null", "tru", " ", "\t", "\u{1}", "\u{0}", "\n", "é", "00"];
        let mut text = serde_json::to_string(&value).unwrap();
        for (place, action, piece) in edits {
            let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
            if places.is_empty() {
                break;
            }
            let at = places[place.index(places.len())];
            match action {
                0 => drop(text.remove(at)),
                1 => text.truncate(at),
                _ => text.insert_str(at, PIECES[piece.index(PIECES.len())]),
            }
        }
        agrees(&text)?;
    }

    #[test]
    fn agrees_with_serde_json_about_anything(text in "[\\[\\]{}:,\"\\\\ 0-9a-fnrtue.+\\-\n\u{1}]{0,24}") {
        agrees(&text)?;
    }

    #[test]
    fn finds_the_end_wherever_the_text_begins(value in json(), before in 0..20usize) {
        let text = format!("{}{value} ,", " ".repeat(before));
        let mut scratch = Scratch::default();
        let mut scanner = Scanner::lenient(text.as_bytes(), before, &mut scratch);
        scanner.measure().unwrap();
        prop_assert_eq!(scanner.at, text.len() - 2);
    }
}

#[test]
fn numbers_by_the_grammar() {
    for good in ["0", "-0", "10", "1.0", "-1.25e+10", "0E-7", "1e999"] {
        assert_eq!(scan(good), Ok(()), "{good}");
    }
    for bad in ["", "-", "01", "+1", ".5", "1.", "1e", "1e+", "0x1", "NaN", "Infinity", "1 2", "--1"] {
        assert_eq!(code(bad), Some(Code::BadJson), "{bad}");
    }
}

#[test]
fn half_surrogates() {
    for bad in [
        r#""\ud83d""#,
        r#""\udc00""#,
        r#""\ud83d\u0041""#,
        r#""\ud83d\ud83d""#,
        r#""\ud83dx""#,
        r#"{"\ud83d":1}"#,
    ] {
        assert_eq!(code(bad), Some(Code::UnpairedSurrogate), "{bad}");
    }
    assert_eq!(scan(r#""\uD83D\uDe00""#), Ok(()));
}

#[test]
fn depth() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(scan(&nested(32)), Ok(()));
    assert_eq!(code(&nested(33)), Some(Code::TooDeep));
    assert_eq!(code(&"[".repeat(10_000)), Some(Code::TooDeep));
    assert_eq!(code(&"{\"a\":".repeat(10_000)), Some(Code::TooDeep));
}

#[test]
fn long_strings() {
    assert_eq!(scan(&format!("\"{}\"", "x".repeat(MAX_STRING))), Ok(()));
    assert_eq!(code(&format!("\"{}\"", "x".repeat(MAX_STRING + 1))), Some(Code::StringTooLong));
    assert_eq!(code(&format!("{{\"{}\":1}}", "x".repeat(MAX_STRING + 1))), Some(Code::StringTooLong));
}

#[test]
fn members() {
    let object = |count: u32| {
        let members: Vec<String> = (0..count).map(|i| format!("\"m{i}\":{i}")).collect();
        format!("{{{}}}", members.join(","))
    };
    assert_eq!(scan(&object(MAX_MEMBERS)), Ok(()));
    assert_eq!(code(&object(MAX_MEMBERS + 1)), Some(Code::TooManyMembers));
}

#[test]
fn duplicates_at_any_depth_and_in_any_spelling() {
    for bad in [
        r#"{"a":1,"a":2}"#,
        r#"{"a":1,"b":2,"c":3,"\u0061":4}"#,
        r#"[{"x":{"a":1,"b":{},"a":null}}]"#,
        r#"{"":1,"":2}"#,
        r#"{"\ud83d\ude00":1,"😀":2}"#,
    ] {
        assert_eq!(code(bad), Some(Code::DuplicateMember), "{bad}");
    }
    assert_eq!(scan(r#"{"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}],"A":1}"#), Ok(()));
    let problem = scan(r#"{"a":1,"b":2,"a":3}"#).unwrap_err();
    assert_eq!(problem.at, 14, "the later of the two is told");
}

#[test]
fn measures() {
    let measure = |text: &str| {
        let mut scratch = Scratch::default();
        let measured = Scanner::new(text.as_bytes(), 0, &mut scratch).measure().unwrap();
        (measured.present, measured.len)
    };
    assert_eq!(measure("null"), (false, 0));
    assert_eq!(measure("\"\""), (true, 0));
    assert_eq!(measure(r#""é\n""#), (true, 2));
    assert_eq!(measure("[1,[2,3],{}]"), (true, 3));
    assert_eq!(measure(r#"{"a":[1,2,3]}"#), (true, 1));
    assert_eq!(measure("-12.5"), (true, 1));
}
