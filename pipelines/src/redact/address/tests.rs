use std::net::IpAddr;

use proptest::prelude::*;

use super::*;

#[test]
fn addresses() {
    for good in
        ["203.0.113.7", "0.0.0.0", "255.255.255.255", "::1", "2001:db8:d645:213c::3a7", "::ffff:192.0.2.1"]
    {
        assert!(is_ip(good.as_bytes()), "{good}");
    }
    for bad in [
        "",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.256",
        "1.2.3.04",
        "1.2.3.4:80",
        "fe80::1%eth0",
        "[::1]",
        "zelda",
        "1.2.3.",
        ".1.2.3",
        "10.0.0.0/8",
    ] {
        assert!(!is_ip(bad.as_bytes()), "{bad}");
    }
}

proptest! {
    #[test]
    fn agrees_with_the_standard_library(text in "[0-9.:a-f]{0,20}", four: [u8; 4]) {
        prop_assert_eq!(is_ip(text.as_bytes()), text.parse::<IpAddr>().is_ok());
        let text = IpAddr::from(four).to_string();
        prop_assert!(is_ip(text.as_bytes()));
    }
}
