use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::*;
use crate::problem::Origin;
use crate::secret::SecretRef;
use crate::units::Interval;
use crate::yaml::parse;

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Top {
    #[serde(default)]
    name: String,
    #[serde(default)]
    port: u16,
    #[serde(default)]
    ratio: f64,
    #[serde(default)]
    on: bool,
    wait: Option<Interval>,
    #[serde(default)]
    colour: Colour,
    #[serde(default)]
    parts: Vec<Piece>,
    #[serde(default)]
    by_name: BTreeMap<String, Piece>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Piece {
    size: i32,
    #[serde(default)]
    label: String,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Colour {
    #[default]
    Red,
    DarkBlue,
}

fn tree(text: &str) -> Node {
    let (tree, problems) = parse(text, &Arc::new(Origin::File("f.yaml".to_owned())));
    assert!(problems.is_empty(), "{problems}");
    tree.unwrap()
}

fn top(text: &str) -> (Option<Top>, String) {
    let (value, problems) = read(&Part::whole(&tree(text)), Elsewhere::These(&["type"]), &mut HashSet::new());
    (value, problems.to_string())
}

#[test]
fn good_values_are_read_as_their_types() {
    let (value, problems) =
        top("name: 007\nport: 65_535\nratio: 0.5\non: true\nwait: 1h30m\ncolour: dark_blue\n\
         parts: [{size: -1}, {size: 2, label: \"x\"}]\nby_name: {a: {size: 3}}\ntype: not ours\n");
    assert_eq!(problems, "");
    let value = value.unwrap();
    assert_eq!((value.name.as_str(), value.port, value.ratio, value.on), ("007", 65_535, 0.5, true));
    assert_eq!(value.colour, Colour::DarkBlue);
    assert_eq!(value.parts[1], Piece { size: 2, label: "x".to_owned() });
    assert_eq!(value.by_name["a"].size, 3);
    assert_eq!(value.wait.map(|wait| wait.0.as_secs()), Some(5_400));
}

#[test]
fn keys_without_a_value_count_as_not_written() {
    let (value, problems) = top("name:\nport: ~\nwait:\nparts:\n");
    assert_eq!(problems, "");
    assert_eq!(value.unwrap().port, 0);
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let (value, problems) = top("nmae: x\nport: 70000\non: yes\nwait: 5\ncolour: dark-blue\nratio: [1]\n\
         parts:\n  - {size: a}\n  - {label: only}\n  - {size: 1, lable: x}\n  - 7\nby_name:\n  b: {size: 1.5}\nsome_other_thing: 1\n");
    insta::assert_snapshot!(problems);
    let value = value.unwrap();
    assert_eq!(value.parts, [Piece { size: 1, label: String::new() }], "what is right is read all the same");
}

#[test]
fn a_wrong_top_gives_nothing() {
    for text in ["[1, 2]", "just text"] {
        let (value, problems) = top(text);
        assert!(value.is_none() && problems.contains("expected a map of keys"), "{problems}");
    }
}

#[test]
fn a_wrong_value_falls_back_to_the_layer_beneath() {
    let merged = crate::layers::merge(tree("port: 1\nname: low"), tree("port: x\nname: high"));
    let (value, problems): (Option<Top>, _) =
        read(&Part::whole(&merged), Elsewhere::These(&[]), &mut HashSet::new());
    assert_eq!(problems.len(), 1);
    let value = value.unwrap();
    assert_eq!((value.port, value.name.as_str()), (1, "high"));
}

#[test]
fn references_are_read_only_where_secrets_belong() {
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sink {
        token: SecretRef,
        #[serde(default)]
        index: String,
    }
    let (value, problems): (Option<Sink>, _) = read(
        &Part::whole(&tree("token: ${file:x}\nindex: ${env:Y}\n")),
        Elsewhere::These(&[]),
        &mut HashSet::new(),
    );
    let value = value.unwrap();
    assert_eq!((value.token.0.as_str(), value.index.as_str()), ("${file:x}", ""));
    assert!(
        problems.to_string().starts_with("error: f.yaml:2:8: index: `${…}` is looked up only"),
        "{problems}"
    );
}

#[test]
fn values_are_never_shown_where_a_type_is_wrong() {
    let (_, problems) = top(
        "port: hunter2\non: hunter2\ncolour: hunter2\nratio: hunter2\nparts: hunter2\nby_name: hunter2\n",
    );
    assert!(problems.matches("error").count() == 6 && !problems.contains("hunter2"), "{problems}");
}

#[test]
fn the_nearest_word_is_suggested_only_when_it_is_near() {
    let words = ["endpoint", "token", "index", "max_bytes"];
    assert_eq!(nearest("endpont", &words), Some("endpoint"));
    assert_eq!(nearest("max-bytes", &words), Some("max_bytes"));
    assert_eq!(nearest("MaxBytes", &words), Some("max_bytes"));
    assert_eq!(nearest("tokne", &words), Some("token"));
    assert_eq!(nearest("certificate", &words), None);
    assert_eq!(nearest(&"x".repeat(100_000), &words), None);
}
