//! IP addresses.

use std::net::Ipv6Addr;

/// Whether the text is an IPv4 or IPv6 address, without zone, port or prefix length.
pub(super) fn is_ip(text: &[u8]) -> bool {
    is_v4(text)
        || (memchr::memchr(b':', text).is_some()
            && std::str::from_utf8(text).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok()))
}

/// Four numbers up to 255 with dots between them and no leading zeros.
fn is_v4(text: &[u8]) -> bool {
    let (mut numbers, mut digits, mut number) = (0, 0, 0u32);
    for &byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            if digits > 0 && number == 0 {
                return false;
            }
            number = number * 10 + u32::from(digit);
            digits += 1;
            if number > 255 {
                return false;
            }
        } else if byte == b'.' && digits > 0 {
            numbers += 1;
            (digits, number) = (0, 0);
        } else {
            return false;
        }
    }
    numbers == 3 && digits > 0
}

#[cfg(test)]
mod tests;
