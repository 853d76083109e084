use proptest::prelude::*;

use super::*;

fn decode(escaped: &str) -> String {
    let mut buffer = Vec::new();
    let marks = if escaped.contains('\\') { ESCAPED } else { 0 };
    String::from_utf8(Text::new(escaped.as_bytes(), marks).decode(&mut buffer).to_vec()).unwrap()
}

#[test]
fn escapes_decode() {
    assert_eq!(decode(r#"a\"\\\/\b\f\n\r\t"#), "a\"\\/\u{8}\u{c}\n\r\t");
    assert_eq!(decode(r"\u00e9\u20AC\ud83D\ude00!"), "é€😀!");
}

#[test]
fn characters_are_counted_after_decoding() {
    assert_eq!(Text::new("Þórunn".as_bytes(), ODD).count_chars(), 6);
    assert_eq!(Text::new(br"\ud83d\ude00\n", ESCAPED).count_chars(), 2);
}

#[test]
fn debug_does_not_show_the_text() {
    assert_eq!(format!("{:?}", Text::new(b"zelda", 0)), "Text(5 bytes)");
}

proptest! {
    #[test]
    fn escaping_is_what_serde_json_writes_and_decoding_undoes_it(text: String) {
        let mut escaped = Vec::new();
        write_escaped(text.as_bytes(), &mut escaped);
        let theirs = serde_json::to_string(&text).unwrap();
        prop_assert_eq!(theirs, format!("\"{}\"", std::str::from_utf8(&escaped).unwrap()));
        prop_assert_eq!(decode(std::str::from_utf8(&escaped).unwrap()), text);
    }
}
