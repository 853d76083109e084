use super::*;

#[test]
fn names() {
    assert!(Grant::unlimited("gateway-1.eu_west").is_ok());
    for bad in ["", "a b", "a\"", "é", &"x".repeat(41)] {
        assert_eq!(Grant::unlimited(bad), Err(BadProducer), "{bad}");
    }
}

#[test]
fn limits() {
    let org = OrgId::new("acme").unwrap();
    let grant = Grant::new(
        "p",
        Allowed::only([org]),
        Allowed::only([Kind::ApiCall]),
        Allowed::only(["a".to_owned(), "k".to_owned()]),
    )
    .unwrap();
    assert!(grant.allows_org("acme") && !grant.allows_org("acm"));
    assert!(grant.allows_kind(Kind::ApiCall) && !grant.allows_kind(Kind::Lifecycle));
    assert!(grant.allows_app(b"a", b"") && grant.allows_app(b"", b"k") && grant.allows_app(b"a", b"k"));
    assert!(!grant.allows_app(b"", b"") && !grant.allows_app(b"x", b"k") && !grant.allows_app(b"a", b"x"));
    let all = Grant::unlimited("p").unwrap();
    assert!(all.allows_org("x") && all.allows_kind(Kind::AuditEvent) && all.allows_app(b"", b""));
}
