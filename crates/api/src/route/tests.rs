use super::*;

#[test]
fn every_address_has_one_route_and_says_what_it_is_for() {
    for table in [INGEST, ADMIN] {
        for route in table {
            assert_eq!(table.iter().filter(|other| other.path == route.path).count(), 1, "{}", route.path);
            assert!(route.path.starts_with('/') && !route.about.is_empty());
        }
    }
}

#[test]
fn only_probes_are_open_to_everybody() {
    let open: Vec<_> = INGEST.iter().chain(ADMIN).filter(|route| route.access == Access::Anybody).collect();
    assert!(open.iter().all(|route| matches!(route.endpoint, Endpoint::Live | Endpoint::Ready)), "{open:?}");
    assert!(INGEST.iter().all(|route| route.access == Access::Producer));
}

#[test]
fn head_is_get_without_a_body_and_paths_are_exact() {
    assert_eq!(find(ADMIN, &Method::HEAD, "/livez").unwrap().endpoint, Endpoint::Live);
    for path in ["/livez/", "/LIVEZ", "//livez", "/v1", "/v1/status/x", ""] {
        let refusal = find(ADMIN, &Method::GET, path).unwrap_err();
        assert_eq!((refusal.code, refusal.routes.len()), (Code::NotFound, ADMIN.len()), "{path}");
    }
    let refusal = find(ADMIN, &Method::DELETE, "/metrics").unwrap_err();
    assert_eq!((refusal.code, refusal.allow), (Code::MethodNotAllowed, Some("GET, HEAD")));
}
