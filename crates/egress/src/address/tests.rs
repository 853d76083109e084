use proptest::prelude::*;

use super::*;

fn judge(text: &str) -> Result<Permit, Forbidden> {
    Guard::default().judge(text.parse().unwrap())
}

#[test]
fn public_addresses_are_permitted_for_tls_only() {
    for text in [
        "1.1.1.1",
        "8.8.8.8",
        "172.15.255.255",
        "172.32.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "168.63.129.15",
        "169.253.255.255",
        "192.0.1.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2606:4700::1111",
        "2001:200::",
        "2001:db7:ffff::1",
        "2003::1",
        "64:ff9b::808:808",
        "::ffff:8.8.8.8",
    ] {
        assert_eq!(judge(text), Ok(Permit::Public), "{text}");
    }
    assert!(!Permit::Public.plaintext());
}

#[test]
fn special_addresses_are_refused_at_both_ends_of_their_block() {
    for (net, len, sort) in V4 {
        let first = net.to_bits();
        let last = first | u32::MAX.checked_shr(*len).unwrap_or(0);
        for bits in [first, last] {
            assert!(
                judge(&Ipv4Addr::from_bits(bits).to_string()).is_err(),
                "{sort}: {}",
                Ipv4Addr::from_bits(bits)
            );
        }
    }
    for (net, len, sort) in V6 {
        let first = net.to_bits();
        let last = first | u128::MAX.checked_shr(*len).unwrap_or(0);
        for bits in [first, last] {
            assert!(
                judge(&Ipv6Addr::from_bits(bits).to_string()).is_err(),
                "{sort}: {}",
                Ipv6Addr::from_bits(bits)
            );
        }
    }
}

#[test]
fn metadata_services_and_carriers_of_inner_addresses_are_refused() {
    for text in [
        "169.254.169.254",
        "169.254.170.2",
        "fd00:ec2::254",
        "100.100.100.200",
        "192.0.0.192",
        "168.63.129.16",
        "255.255.255.255",
        "0.0.0.0",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "2002:7f00:1::1",
        "2001:0:1::1",
        "::7f00:1",
        "::ffff:0:7f00:1",
        "fec0::1",
        "fe80::1",
        "fc00::1",
        "ff02::1",
        "100::1",
        "5f00::1",
        "3fff::1",
        "2001:db8::1",
        "4000::1",
    ] {
        assert!(judge(text).is_err(), "{text}");
    }
}

#[test]
fn the_operator_can_allow_and_only_plaintext_entries_permit_http() {
    let guard = Guard::new(vec![
        Allow { net: "127.0.0.0/8".parse().unwrap(), plaintext: true },
        Allow { net: "10.1.0.0/16".parse().unwrap(), plaintext: false },
        Allow { net: "fd00::/8".parse().unwrap(), plaintext: false },
    ]);
    let judge = |text: &str| guard.judge(text.parse().unwrap());
    assert_eq!(judge("127.0.0.1"), Ok(Permit::Operator { plaintext: true }));
    assert_eq!(judge("::ffff:127.0.0.1"), Ok(Permit::Operator { plaintext: true }));
    assert_eq!(judge("10.1.2.3"), Ok(Permit::Operator { plaintext: false }));
    assert_eq!(judge("fd12::1"), Ok(Permit::Operator { plaintext: false }));
    assert!(judge("10.2.0.0").is_err());
    assert!(judge("64:ff9b::7f00:1").is_err(), "an entry for an address does not open its carriers");
}

proptest! {
    /// Whatever the standard library calls special is refused, whole blocks over.
    #[test]
    fn nothing_that_the_standard_library_knows_as_special_passes(bits: u32) {
        let v4 = Ipv4Addr::from_bits(bits);
        let special = v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast()
            || v4.is_broadcast() || v4.is_documentation() || v4.is_unspecified();
        let guard = Guard::default();
        let plain = guard.judge(IpAddr::V4(v4));
        prop_assert!(!special || plain.is_err());
        // The carriers agree with what they carry, or refuse everything.
        prop_assert_eq!(guard.judge(IpAddr::V6(v4.to_ipv6_mapped())), plain);
        let nat64 = Ipv6Addr::from_bits((0x0064_ff9b_u128 << 96) | u128::from(bits));
        prop_assert_eq!(guard.judge(IpAddr::V6(nat64)), plain);
        let six_to_four = Ipv6Addr::from_bits((0x2002_u128 << 112) | (u128::from(bits) << 80));
        prop_assert!(guard.judge(IpAddr::V6(six_to_four)).is_err());
    }

    #[test]
    fn outside_2000_slash_3_only_nat64_can_pass(bits: u128) {
        let v6 = Ipv6Addr::from_bits(bits);
        if Guard::default().judge(IpAddr::V6(v6)).is_ok() {
            prop_assert_eq!(bits >> 125, 1);
        }
    }
}
