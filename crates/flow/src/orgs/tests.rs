use super::*;

fn id(text: &str) -> OrgId {
    OrgId::new(text).unwrap()
}

#[test]
fn what_is_only_seen_is_refused_like_what_was_never_seen() {
    let directory = Directory::new(4, UnknownOrgs::Refuse);
    directory.configure([&id("here")]);
    let seen = directory.recall(&id("gone"));
    assert!(directory.resolve("here").is_ok());
    assert_eq!(directory.resolve("gone"), Err(UnknownOrg::Refused));
    assert_eq!(directory.resolve("never"), Err(UnknownOrg::Refused));
    assert_eq!(directory.find("gone"), Some(seen), "its records can still be read");
}

#[test]
fn who_is_configured_changes_and_numbers_stay() {
    let directory = Directory::new(4, UnknownOrgs::Refuse);
    directory.configure([&id("a"), &id("b")]);
    let (a, before) = (directory.resolve("a").unwrap(), directory.generation());
    directory.configure([&id("b"), &id("a")]);
    assert_eq!(directory.generation(), before, "nothing has changed");
    directory.configure([&id("b"), &id("c")]);
    assert_ne!(directory.generation(), before);
    assert_eq!(directory.resolve("a"), Err(UnknownOrg::Refused));
    assert!(directory.resolve("b").is_ok() && directory.resolve("c").is_ok());
    directory.configure([&id("a")]);
    assert_eq!(directory.resolve("a"), Ok(a));
}

#[test]
fn where_unknown_ones_are_accepted_seen_ones_are_too() {
    let directory = Directory::new(4, UnknownOrgs::Accept);
    let seen = directory.recall(&id("seen"));
    assert_eq!(directory.resolve("seen"), Ok(seen));
    assert!(directory.resolve("fresh").is_ok());
}
