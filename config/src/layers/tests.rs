use super::*;

fn tree(text: &str) -> Node {
    let (tree, problems) = parse(text, &Arc::new(Origin::File("f.yaml".to_owned())));
    assert!(problems.is_empty(), "{problems}");
    tree.unwrap()
}

fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn show(node: &Node) -> String {
    match &node.value {
        Value::Null => "~".to_owned(),
        Value::Scalar { text, .. } => text.clone(),
        Value::List(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(",")),
        Value::Map(entries) => {
            let mut shown: Vec<_> = entries.iter().map(|e| format!("{}:{}", e.key, show(&e.node))).collect();
            shown.sort();
            format!("{{{}}}", shown.join(","))
        }
    }
}

#[test]
fn the_defaults_are_valid_yaml() {
    let (tree, problems) = defaults();
    assert!(problems.is_empty(), "{problems}");
    assert!(tree.unwrap().entry("listen").is_some());
}

#[test]
fn maps_join_lists_replace_and_nothing_leaves_what_is_there() {
    let under = tree("a: {x: 1, y: 2}\nb: [1, 2]\nc: {z: 1}\nd: 5\n");
    let over = tree("a: {y: 3, w: 4}\nb: [9]\nc:\nd: {e: 6}\n");
    assert_eq!(show(&merge(under, over)), "{a:{w:4,x:1,y:3},b:[9],c:{z:1},d:{e:6}}");
}

#[test]
fn a_covered_value_is_kept_beneath() {
    let merged = merge(merge(tree("a: 1\n"), tree("a: 2\n")), tree("a: 3\n"));
    let a = &merged.entry("a").unwrap().node;
    let beneath = a.beneath.as_deref().unwrap();
    assert_eq!((a.text(), beneath.text()), (Some("3"), Some("2")));
    assert_eq!(beneath.beneath.as_deref().unwrap().text(), Some("1"));
}

#[test]
fn variables_set_keys() {
    let mut problems = Problems::default();
    let variables = env(&[
        ("TRAILWIRE__LISTEN__INGEST", "0.0.0.0:1"),
        ("TRAILWIRE__PRODUCERS__GATEWAY__ORGS", "[a, b]"),
        ("TRAILWIRE__PRODUCERS__GATEWAY__TOKEN", "#*&: it's ${so}"),
        ("TRAILWIRE__DATA_DIR", ""),
        ("TRAILWIRE_GATEWAY_TOKEN", "not a key"),
        ("TRAILWIRE__NEW__KEY", "v"),
    ]);
    let file = tree("listen: {ingest: x, admin: y}\nproducers: {Gateway: {orgs: \"*\"}}\ndata_dir: d\n");
    let merged = overlay(file, &variables, &mut problems);
    assert!(problems.is_empty(), "{problems}");
    assert_eq!(
        show(&merged),
        "{data_dir:d,listen:{admin:y,ingest:0.0.0.0:1},new:{key:v},producers:{Gateway:{orgs:[a,b],token:#*&: it's ${so}}}}"
    );
    let ingest = &merged.entry("listen").unwrap().node.entry("ingest").unwrap().node;
    assert_eq!(ingest.place.to_string(), "variable TRAILWIRE__LISTEN__INGEST");
}

#[test]
fn a_variable_that_names_no_key_is_told() {
    let mut problems = Problems::default();
    overlay(
        tree("a: 1"),
        &env(&[("TRAILWIRE__", "x"), ("TRAILWIRE__A____B", "x"), ("TRAILWIRE__L", "[1")]),
        &mut problems,
    );
    let sources: Vec<String> = problems.iter().map(|problem| problem.place.source()).collect();
    assert_eq!(sources, ["variable TRAILWIRE__", "variable TRAILWIRE__A____B", "variable TRAILWIRE__L"]);
}
