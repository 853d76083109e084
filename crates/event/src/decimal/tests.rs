use proptest::prelude::*;

use super::*;

fn pushed(number: u64) -> String {
    let mut out = b"x".to_vec();
    push(number, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn around_every_power_of_ten() {
    for exponent in 0..20 {
        let power = 10u64.pow(exponent);
        for number in [power - 1, power, power + 1, power / 7 * 9, power.saturating_mul(9)] {
            assert_eq!(pushed(number), format!("x{number}"));
        }
    }
    assert_eq!(pushed(u64::MAX), format!("x{}", u64::MAX));
}

#[test]
fn every_half() {
    for half in 0..10_000 {
        assert_eq!(pushed(half), format!("x{half}"));
        assert_eq!(pushed(half * 10_000 + 9_999), format!("x{half}9999").replace("x0", "x"));
        assert_eq!(pushed(12_340_000 + half), format!("x{}", 12_340_000 + half));
    }
}

proptest! {
    #[test]
    fn as_the_standard_library_writes_them(number: u64, shift in 0..64u32, signed: i64) {
        prop_assert_eq!(pushed(number >> shift), format!("x{}", number >> shift));
        let mut out = Vec::new();
        push_signed(signed >> shift, &mut out);
        prop_assert_eq!(String::from_utf8(out).unwrap(), (signed >> shift).to_string());
    }
}
