use std::collections::BTreeMap;

use super::*;

/// Loads it as the daemon does: names of the sinks, and all that is wrong.
fn load(sinks: Sinks<'_>) -> Vec<(Option<String>, String)> {
    let folder = tempfile::tempdir().expect("a folder");
    let installation = Installation::write(folder.path(), "http://127.0.0.1:9", sinks, "").expect("written");
    let environment = BTreeMap::from([(PRODUCER_VARIABLE.to_owned(), "token-of-sixteen-bytes".to_owned())]);
    let types = [splunk_hec::settings::sink_type(splunk_hec::Settings::compile)];
    let loaded = config::load(&installation.config(), &environment, &types)
        .unwrap_or_else(|problems| panic!("{problems}"));
    assert!(loaded.broken.is_empty(), "{:?}", loaded.broken);
    loaded
        .sinks
        .iter()
        .map(|sink| (sink.owner.as_ref().map(ToString::to_string), sink.name.clone()))
        .collect()
}

#[test]
fn every_shape_is_a_valid_configuration() {
    assert_eq!(load(Sinks::None), []);
    let shared = (None, "everything".to_owned());
    assert_eq!(load(Sinks::Shared), std::slice::from_ref(&shared));
    let ids = ["84383462-b484-4cc4-bb21-ef2ecb49a2b1", "b15de681-febb-4238-90d1-81da410264e9"];
    let orgs = Installation::org_sinks(ids);
    let own = ids.map(|id| (Some(id.to_owned()), "soc".to_owned()));
    assert_eq!(load(Sinks::PerOrg(&orgs)), own);
    let mut both = load(Sinks::Both(&orgs));
    both.sort();
    assert_eq!(both, [vec![shared], own.to_vec()].concat());
}
