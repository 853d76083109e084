use futures_util::FutureExt;

use super::*;

#[test]
fn a_tenant_holds_a_quarter_and_the_others_go_on() {
    let caps = Caps::new(8);
    let host = Host::Name("hec.example".into());
    let acme = caps.share(&host, 443, &Arc::from("acme"));
    let held: Vec<_> = (0..2).map(|_| acme.slot().now_or_never().unwrap()).collect();
    assert!(acme.slot().now_or_never().is_none(), "the third waits");
    assert!(
        caps.share(&host, 443, &Arc::from("acme")).slot().now_or_never().is_none(),
        "whatever the endpoint"
    );
    let others: Vec<_> = (0..3)
        .flat_map(|n| [n, n])
        .map(|n| caps.share(&host, 443, &Arc::from(format!("org{n}").as_str())))
        .collect();
    let more: Vec<_> = others.iter().map(|share| share.slot().now_or_never().unwrap()).collect();
    let late = caps.share(&host, 443, &Arc::from("late"));
    assert!(late.slot().now_or_never().is_none(), "all eight are taken");
    assert!(caps.share(&host, 8088, &Arc::from("late")).slot().now_or_never().is_some(), "another port");
    drop((held, more));
    assert!(late.slot().now_or_never().is_some());
}

#[test]
fn an_exempt_destination_has_no_cap_and_unused_ones_are_forgotten() {
    let caps = Caps::new(4);
    let host = Host::Name("hec.example".into());
    let share = caps.share(&host, 443, &Arc::from("acme"));
    share.set_exempt(true);
    let held: Vec<_> = (0..100).map(|_| share.slot().now_or_never().unwrap()).collect();
    caps.sweep();
    assert_eq!(caps.destinations.lock().len(), 1);
    drop((held, share));
    caps.sweep();
    assert_eq!(caps.destinations.lock().len(), 0);
}
