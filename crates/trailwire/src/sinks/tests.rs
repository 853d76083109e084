use std::collections::BTreeMap;
use std::path::Path;

use flow::clock::Clock;

use super::*;

fn load(folder: &Path) -> Configuration {
    config::load(&folder.join("trailwire.yaml"), &BTreeMap::new(), &types())
        .unwrap_or_else(|problems| panic!("{problems}"))
}

fn write(folder: &Path, sinks: &str) {
    let text = "version: 1\ndevelopment: true\n";
    std::fs::write(folder.join("trailwire.yaml"), text).unwrap();
    std::fs::write(folder.join("shared_sinks.yaml"), format!("version: 1\nsinks:\n{sinks}")).unwrap();
}

fn sink(name: &str, keys: &str) -> String {
    format!("  {name}: {{type: splunk_hec, endpoint: 'https://hec.example.com', token: secret, {keys}}}\n")
}

#[test]
fn only_sinks_that_changed_are_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let client = egress::Client::new(egress::Policy::default(), Clock::system()).unwrap();
    let mut made = Made::default();
    let mut make = |sinks: &str| {
        write(folder.path(), sinks);
        let configured = made.make(&load(folder.path()), &client);
        let target = |spec: SinkSpec| match spec.target {
            Target::Ready(target) => (spec.name, target),
            Target::Unusable(cause) => panic!("{cause:?}"),
        };
        configured.sinks.into_iter().map(target).collect::<BTreeMap<_, _>>()
    };
    let first = make(&(sink("a", "orgs: [x]") + &sink("b", "orgs: [x]")));
    // Another line, and another neighbour.
    let second = make(&("\n".to_owned() + &sink("a", "orgs: [x]") + &sink("b", "orgs: [x], index: other")));
    assert!(Arc::ptr_eq(&first["a"], &second["a"]) && !Arc::ptr_eq(&first["b"], &second["b"]));
    let third = make(&(sink("b", "orgs: [x], index: other") + &sink("a", "orgs: [x, y]")));
    assert!(Arc::ptr_eq(&second["b"], &third["b"]) && !Arc::ptr_eq(&second["a"], &third["a"]));
    // One that was gone is a new one.
    make("");
    assert!(!Arc::ptr_eq(&third["b"], &make(&sink("b", "orgs: [x], index: other"))["b"]));
}

#[test]
fn a_broken_shared_sink_gets_its_own_organisations_or_no_lane() {
    let folder = tempfile::tempdir().unwrap();
    let client = egress::Client::new(egress::Policy::default(), Clock::system()).unwrap();
    let broken =
        [("some", "orgs: [x, y]"), ("all", "orgs: \"*\""), ("none", ""), ("bad", "orgs: [x, 'y z']")];
    let text: String =
        broken.iter().map(|(name, orgs)| sink(name, &format!("no_such_key: 1, {orgs}"))).collect();
    write(folder.path(), &text);
    let configured = Made::default().make(&load(folder.path()), &client);
    let org = |id: &str| OrgId::new(id).unwrap();
    let scopes: Vec<_> =
        configured.sinks.iter().map(|spec| (spec.name.as_str(), spec.scope.clone())).collect();
    let some = Scope::Orgs(Arc::new(BTreeSet::from([org("x"), org("y")])));
    assert_eq!(scopes, [("some", some), ("all", Scope::All)]);
    assert!(configured.sinks.iter().all(|spec| matches!(spec.target, Target::Unusable(_))));
    let unread: Vec<_> = configured.unread.iter().map(|unread| unread.sinks.clone()).collect();
    let one = |name: &str| UnreadSinks::One(name.to_owned());
    assert_eq!(unread, [one("none"), one("bad")]);
    // A whole file.
    write(folder.path(), "  a: [\n");
    let configured = Made::default().make(&load(folder.path()), &client);
    assert_eq!(configured.unread[0].sinks, UnreadSinks::Any("shared_sinks.yaml".to_owned()));
    assert!(configured.unread[0].cause.what.contains("shared_sinks.yaml:"));
}
