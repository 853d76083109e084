use flow::orgs::UnknownOrgs;
use proptest::prelude::*;

use super::*;

fn directory() -> Arc<Directory> {
    Directory::new(8, UnknownOrgs::Accept)
}

/// What the decoder does: ask here, else ask the directory and remember.
fn ask(known: &mut KnownOrgs, directory: &Directory, org: &str) -> OrgEntry {
    match known.find(org.as_bytes()) {
        Some(found) => found.entry,
        None => {
            let entry = directory.resolve(org).unwrap();
            known.allow(org.as_bytes(), entry);
            entry
        }
    }
}

#[test]
fn one_organisation_is_one_line() {
    assert_eq!(size_of::<Known>(), 64);
}

#[test]
fn most_of_two_thousand_organisations_are_remembered() {
    let directory = directory();
    let mut known = KnownOrgs::default();
    known.begin(&directory);
    let orgs: Vec<String> = (0..2000u64)
        .map(|n| format!("{:016x}-4dab-8a1e-{:012x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15), n * n))
        .collect();
    for org in orgs.iter().chain(&orgs) {
        assert_eq!(ask(&mut known, &directory, org), directory.resolve(org).unwrap());
    }
    let held = orgs.iter().filter(|org| known.find(org.as_bytes()).is_some()).count();
    assert!(held > 1900, "{held}");
}

#[test]
fn numbered_organisations_spread() {
    let directory = directory();
    let mut known = KnownOrgs::default();
    known.begin(&directory);
    let orgs: Vec<String> = (0..2000).map(|n| format!("org-{n}")).collect();
    for org in &orgs {
        ask(&mut known, &directory, org);
    }
    let held = orgs.iter().filter(|org| known.find(org.as_bytes()).is_some()).count();
    assert!(held > 1600, "{held}");
}

#[test]
fn what_one_request_may_the_next_must_ask_again() {
    let directory = directory();
    let entry = directory.resolve("acme").unwrap();
    let mut known = KnownOrgs::default();
    known.begin(&directory);
    known.allow(b"acme", entry);
    assert_eq!(known.find(b"acme"), Some(Found { entry, allowed: true }));
    known.begin(&directory);
    assert_eq!(known.find(b"acme"), Some(Found { entry, allowed: false }));
    // When the numbers of requests are spent, nothing of an older one is taken for one of this.
    known.allow(b"acme", entry);
    known.request = u32::MAX;
    known.begin(&directory);
    assert_eq!(known.find(b"acme"), None);
}

#[test]
fn another_directory_is_asked_itself() {
    let (one, two) = (directory(), directory());
    two.resolve("other").unwrap();
    let mut known = KnownOrgs::default();
    for directory in [&one, &two, &one] {
        known.begin(directory);
        assert_eq!(ask(&mut known, directory, "acme"), directory.resolve("acme").unwrap());
    }
}

#[test]
fn long_ids_are_not_remembered() {
    let directory = directory();
    let mut known = KnownOrgs::default();
    known.begin(&directory);
    for len in [MAX_LEN, MAX_LEN + 1, 128] {
        let org = "x".repeat(len);
        ask(&mut known, &directory, &org);
        assert_eq!(known.find(org.as_bytes()).is_some(), len <= MAX_LEN, "{len}");
    }
}

proptest! {
    /// Ids with equal ends share a place, and short ones are close together: all are told apart.
    #[test]
    fn always_what_the_directory_says(orgs in prop::collection::vec("(acme-0000)?[ab]{0,3}(-0000end)?[ab]", 1..60)) {
        let directory = directory();
        let mut known = KnownOrgs::default();
        for org in &orgs {
            known.begin(&directory);
            prop_assert_eq!(ask(&mut known, &directory, org), directory.resolve(org).unwrap());
        }
    }
}
