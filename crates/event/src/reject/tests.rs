use std::collections::BTreeSet;
use std::path::Path;

use super::*;

#[test]
fn names_are_unique_ascending_and_well_formed() {
    let names: Vec<&str> = REGISTRY.iter().map(|e| e.name).collect();
    assert!(names.windows(2).all(|w| w[0] < w[1]), "{names:?}");
    for entry in REGISTRY {
        assert_eq!(entry.name.len(), 7, "{}", entry.name);
        assert!(entry.name.strip_prefix("TW-").is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit())));
        assert_eq!(Code::from_name(entry.name), Some(entry.code));
        assert_eq!(entry.code.entry(), *entry);
        assert!(!entry.meaning.ends_with('.'));
    }
}

#[test]
fn what_is_ours_can_be_tried_again() {
    for entry in REGISTRY {
        assert!(entry.fault == Fault::Producer || entry.retry, "{}", entry.name);
        assert!(entry.http_status < 500 || entry.fault == Fault::Ours, "{}", entry.name);
    }
}

#[test]
fn every_code_has_its_page_and_every_page_its_code() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
    let mut pages = BTreeSet::new();
    for file in std::fs::read_dir(&folder).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        if let Some(code) = name.strip_suffix(".md").filter(|n| n.starts_with("TW-")) {
            pages.insert(code.to_owned());
        }
    }
    let codes: BTreeSet<String> = REGISTRY.iter().map(|e| e.name.to_owned()).collect();
    assert_eq!(pages, codes);
    for entry in REGISTRY {
        let text = std::fs::read_to_string(folder.join(format!("{}.md", entry.name))).unwrap();
        let title = format!("# {}: {}\n", entry.name, entry.meaning);
        assert!(text.starts_with(&title), "{} must begin with: {title}", entry.name);
        let fault =
            if entry.fault == Fault::Producer { "the producer's" } else { "Trailwire's or its operator's" };
        let retry = if entry.retry { "yes" } else { "no" };
        let facts = format!("| {} | {fault} | {retry} |\n", entry.http_status);
        assert!(text.contains(&facts), "{} must hold the row: {facts}", entry.name);
    }
}
