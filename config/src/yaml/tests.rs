use proptest::prelude::*;

use super::*;

fn read(text: &str) -> (Option<Node>, Problems) {
    parse(text, &Arc::new(Origin::File("f.yaml".to_owned())))
}

fn told(text: &str) -> String {
    read(text).1.to_string()
}

#[test]
fn every_node_knows_its_place() {
    let (root, problems) = read("a: 1\nb:\n  - x\n  - {c: \"q\"}\n");
    assert!(problems.is_empty(), "{problems}");
    let root = root.unwrap();
    let b = root.entry("b").unwrap();
    assert_eq!(b.key_place.to_string(), "f.yaml:2:1");
    let Value::List(items) = &b.node.value else { panic!("a list") };
    assert_eq!(items[0].place.to_string(), "f.yaml:3:5");
    let c = items[1].entry("c").unwrap();
    assert_eq!(c.node.place.to_string(), "f.yaml:4:9");
    assert_eq!(c.node.value, Value::Scalar { text: "q".to_owned(), quoted: true });
}

#[test]
fn scalars_keep_their_text() {
    let (root, _) = read("a: 007\nb: no\nc: 1e5\nd: ~\ne:\nf: 'null'\ng: |\n  two\n  lines\n");
    let root = root.unwrap();
    let text = |key: &str| root.entry(key).unwrap().node.text().map(str::to_owned);
    assert_eq!(text("a").as_deref(), Some("007"));
    assert_eq!(text("b").as_deref(), Some("no"));
    assert_eq!(text("c").as_deref(), Some("1e5"));
    assert_eq!((text("d"), text("e")), (None, None));
    assert_eq!(text("f").as_deref(), Some("null"));
    assert_eq!(text("g").as_deref(), Some("two\nlines\n"));
}

#[test]
fn nothing_written_is_nothing() {
    for text in ["", "\u{feff}", "# only a comment\n", "---\n", "---\n...\n"] {
        let (root, problems) = read(text);
        assert!(problems.is_empty() && root.unwrap().value == Value::Null, "{text:?}");
    }
}

#[test]
fn a_key_that_stands_twice_is_told_and_the_rest_is_read() {
    let (root, problems) = read("a:\n  x: 1\n  y: 2\n  x: 3\nb: 4\n");
    insta::assert_snapshot!(problems, @r"
    error: f.yaml:4:3: a.x: this key stands here a second time
      hint: the first one is at f.yaml:2:3; remove one of them
    ");
    let root = root.unwrap();
    assert_eq!(root.entry("a").unwrap().node.entry("x").unwrap().node.text(), Some("1"));
    assert!(root.entry("b").is_some());
}

#[test]
fn syntax_errors_have_a_place() {
    let wrong = [
        "a: [1, 2\nb: 3\n",
        "a: 1\n\tb: 2\n",
        "a: *nowhere\n",
        "a: !secret x\n",
        "a: 1\n---\nb: 2\n",
        "? [a, b]\n: 1\nc: 2\n",
        "a: &x [*x]\n",
    ];
    let all: Vec<String> = wrong.iter().map(|text| told(text)).collect();
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn aliases_are_copies_and_count_as_what_they_stand_for() {
    let (root, problems) = read("a: &x {k: 1}\nb: *x\n");
    assert!(problems.is_empty(), "{problems}");
    assert_eq!(root.unwrap().entry("b").unwrap().node.entry("k").unwrap().node.text(), Some("1"));
    let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..12 {
        let below = format!("*a{}", level - 1);
        bomb.push_str(&format!("a{level}: &a{level} [{}]\n", vec![below; 10].join(",")));
    }
    assert!(told(&bomb).contains("more than 1000000 values"), "{}", told(&bomb));
}

#[test]
fn depth_is_bounded() {
    let deep = |levels: usize| format!("{}x{}", "[".repeat(levels), "]".repeat(levels));
    assert!(told(&deep(MAX_DEPTH)).is_empty());
    assert!(told(&deep(MAX_DEPTH + 1)).contains("nested more than"));
    assert!(!told(&deep(100_000)).is_empty());
    let blocks: String = (0..2_000).map(|level| format!("{}a:\n", " ".repeat(level))).collect();
    assert!(!told(&blocks).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_text_is_read_without_panic(text in "\\PC*") {
        let (root, problems) = read(&text);
        prop_assert!(root.is_some() || problems.has_errors());
    }

    #[test]
    fn any_text_of_yaml_marks_is_read_without_panic(text in "[-a\"'#:,!&*?|>%@~{}\\[\\] \n\t0<=\\\\\u{85}\u{feff}]{0,60}") {
        let (root, problems) = read(&text);
        prop_assert!(root.is_some() || problems.has_errors());
    }

    #[test]
    fn what_json_writes_is_read_back(value in json()) {
        let (root, problems) = read(&value.to_string());
        prop_assert!(problems.is_empty(), "{}", problems);
        prop_assert_eq!(json_of(&root.unwrap()), value);
    }
}

/// JSON without numbers (a tree keeps their text) and with short keys (YAML bounds those of a flow map).
fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf =
        prop_oneof![Just(serde_json::Value::Null), "[ -~é\u{1F600}]{0,20}".prop_map(serde_json::Value::from)];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            prop::collection::btree_map("[ -~]{0,12}", inner, 0..4)
                .prop_map(|map| serde_json::Value::from(map.into_iter().collect::<serde_json::Map<_, _>>())),
        ]
    })
}

fn json_of(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Scalar { text, .. } => text.clone().into(),
        Value::List(items) => items.iter().map(json_of).collect(),
        Value::Map(entries) => entries
            .iter()
            .map(|e| (e.key.clone(), json_of(&e.node)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
    }
}
