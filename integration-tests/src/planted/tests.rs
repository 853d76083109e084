use super::*;

#[test]
fn every_spelling_is_found() {
    let planted = Planted::read();
    let value = "Ottokar von Nichtecht";
    let utf8 = "Þórunn Ímyndaða Łukaszewicz";
    let text = format!("\0before {value} after");
    let spellings = [
        text.clone(),
        "x=ottokar%20von%20nichtecht&y".to_owned(),
        "x=Ottokar+von+Nichtecht&y".to_owned(),
        "Ottokar\\u0020von Nichtecht".to_owned(),
        "x=%4fttokar%2520von+Nichtecht".to_owned(),
    ];
    for spelling in spellings {
        assert_eq!(planted.found_in(spelling.as_bytes()), [value], "{spelling}");
    }
    for shift in ["", "a", "ab"] {
        let packed = STANDARD_NO_PAD.encode(format!("{shift}{value} and more"));
        assert!(planted.found_in(packed.as_bytes()).contains(&value), "{packed}");
        let packed = URL_SAFE_NO_PAD.encode(format!("{shift}{utf8}~~"));
        assert!(planted.found_in(packed.as_bytes()).contains(&utf8), "{packed}");
    }
    let percent: String = utf8.bytes().map(|byte| format!("%{byte:02x}")).collect();
    assert_eq!(planted.found_in(percent.as_bytes()), [utf8]);
    let escaped: String = utf8.chars().map(|c| format!("\\u{:04X}", c as u32)).collect();
    assert_eq!(planted.found_in(escaped.as_bytes()), [utf8]);
    assert_eq!(planted.found_in(b"a eyJhbGc b"), ["eyJ"]);
    assert!(planted.found_in_binary(b"\xffeyJ\x00").is_empty());
    assert_eq!(planted.found_in_binary(b"\xffeyJhbGciO"), ["eyJ"]);
    assert_eq!(planted.found_in(b"tel=%2B44+20%207946+0112"), ["+44 20 7946 0112"]);
    assert_eq!(planted.found_in(b"tel +44 20 7946 0112"), ["+44 20 7946 0112"]);
    assert!(planted.found_in(b"nothing to see, Ottokar and Nichtecht apart").is_empty());
}

#[test]
fn the_sample_holds_what_is_looked_for() {
    let sample = std::fs::read(binary::root().join("config/demo/real-sample.ndjson")).unwrap();
    assert!(Planted::read().found_in(&sample).len() > 30);
}
