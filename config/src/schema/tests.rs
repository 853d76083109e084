use super::*;
use crate::load::parse_yaml;
use crate::sink::tests::pipe;

fn schema(name: &str) -> jsonschema::Validator {
    let file = schemas(&[pipe()]).into_iter().find(|file| file.name == name).unwrap();
    let schema: Value = serde_json::from_str(&file.text).unwrap();
    jsonschema::draft202012::meta::validate(&schema).unwrap_or_else(|error| panic!("{name}: {error}"));
    jsonschema::validator_for(&schema).unwrap()
}

fn accepts(name: &str, yaml: &str) -> bool {
    schema(name).is_valid(&parse_yaml::<Value>("f.yaml", yaml).unwrap())
}

#[test]
fn the_defaults_are_good_by_the_schema() {
    assert!(accepts("trailwire.schema.json", include_str!("../../default.yaml")));
}

#[test]
fn schemas_accept_what_we_accept_and_refuse_what_we_refuse() {
    let name = "trailwire.schema.json";
    assert!(accepts(name, "version: 1\nthreads: 4\nlisten: {ingest: '0.0.0.0:1'}\n"));
    assert!(accepts(name, "version: 1\nproducers: {a: {token: x, orgs: \"*\", kinds: [api_call]}}\n"));
    for bad in [
        "{}",
        "version: 2",
        "version: 1\nbuffer: {max_age: 7}",
        "version: 1\ndata-dir: x",
        "version: 1\nproducers: {a: {token: x}}",
    ] {
        assert!(!accepts(name, bad), "{bad}");
    }
    let name = "org.schema.json";
    assert!(accepts(name, "version: 1\nid: a\nname: A\nlimits: {ingest: {events: unlimited}}\n"));
    assert!(!accepts(name, "version: 1\nid: a\n"));
    let name = "sinks.schema.json";
    let sink = |keys: &str| format!("version: 1\nsinks: {{a: {{type: pipe, to: x, token: y{keys}}}}}\n");
    assert!(
        accepts(name, &sink(""))
            && accepts(name, &sink(", select: {filter: a}, rate_limit: {events: 2000/s}"))
    );
    for bad in [", orgs: '*'", ", index: x", ", batch: {max_bytes: 5}", ", type2: x"] {
        assert!(!accepts(name, &sink(bad)), "{bad}");
    }
    assert!(!accepts(name, "version: 1\nsinks: {a: {type: pump, to: x, token: y}}\n"));
    let name = "shared_sinks.schema.json";
    assert!(
        !accepts(name, &sink(""))
            && accepts(name, &sink(", orgs: '*'"))
            && accepts(name, &sink(", orgs: [a]"))
    );
}

#[test]
fn readers_see_no_name_of_our_code() {
    for file in schemas(&[pipe()]) {
        assert!(!file.text.contains("\"Raw") && !file.text.contains("/Raw"), "{}", file.name);
    }
}
