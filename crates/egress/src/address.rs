//! The address guard: which numeric addresses may be dialled.
//!
//! Everything that is not plainly a public unicast address is refused, unless the operator's allow list covers it.
//! The judgement is about the address that is dialled, after resolution, so no spelling of a name or literal gets
//! round it.

#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// An entry of the operator's `egress.allow`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allow {
    /// The addresses.
    pub net: IpNet,
    /// Whether `http://` (without TLS) may go there.
    pub plaintext: bool,
}

/// On what ground an address may be dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// It is public. TLS only.
    Public,
    /// The operator allows it.
    Operator {
        /// Also without TLS.
        plaintext: bool,
    },
}

impl Permit {
    /// Whether `http://` may go there.
    #[must_use]
    pub const fn plaintext(self) -> bool {
        matches!(self, Self::Operator { plaintext: true })
    }
}

/// What sort of address was refused; for the operator's log, never for a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forbidden(pub &'static str);

/// Judges addresses.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    allow: Vec<Allow>,
}

impl Guard {
    /// With the operator's allow list.
    #[must_use]
    pub fn new(allow: Vec<Allow>) -> Self {
        Self { allow }
    }

    /// Whether `address` may be dialled. An IPv4-mapped IPv6 address is judged as the IPv4 address.
    ///
    /// # Errors
    /// [`Forbidden`] with the sort of address.
    pub fn judge(&self, address: IpAddr) -> Result<Permit, Forbidden> {
        let address = address.to_canonical();
        let mut covered = false;
        let mut plaintext = false;
        for allow in self.allow.iter().filter(|allow| allow.net.contains(&address)) {
            covered = true;
            plaintext |= allow.plaintext;
        }
        if covered {
            return Ok(Permit::Operator { plaintext });
        }
        let refused = match address {
            IpAddr::V4(v4) => special_v4(v4),
            IpAddr::V6(v6) => special_v6(v6),
        };
        refused.map_or(Ok(Permit::Public), |sort| Err(Forbidden(sort)))
    }
}

type Block4 = (Ipv4Addr, u32, &'static str);

/// IANA's special-purpose registry, and the addresses at which clouds serve metadata inside public space.
const V4: &[Block4] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8, "this network"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "private"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "carrier-grade NAT"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "loopback"),
    (Ipv4Addr::new(168, 63, 129, 16), 32, "cloud metadata"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "link-local"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "private"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "protocol assignments"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "documentation"),
    (Ipv4Addr::new(192, 31, 196, 0), 24, "AS112"),
    (Ipv4Addr::new(192, 52, 193, 0), 24, "AMT"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "6to4 relay"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "private"),
    (Ipv4Addr::new(192, 175, 48, 0), 24, "AS112"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "benchmarking"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "documentation"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "documentation"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "multicast"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "reserved"),
];

type Block6 = (Ipv6Addr, u32, &'static str);

/// Inside 2000::/3, which is all that can be public.
const V6: &[Block6] = &[
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, "protocol assignments"),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, "documentation"),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, "6to4"),
    (Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48, "AS112"),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, "documentation"),
];

fn special_v4(address: Ipv4Addr) -> Option<&'static str> {
    let bits = address.to_bits();
    V4.iter().find(|(net, len, _)| (bits ^ net.to_bits()) >> (32 - len) == 0).map(|(_, _, sort)| *sort)
}

fn special_v6(address: Ipv6Addr) -> Option<&'static str> {
    // On a network with DNS64 every IPv4-only destination resolves into this prefix, so it is not refused as such.
    if let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = address.segments() {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        return special_v4(Ipv4Addr::new(a, b, c, d));
    }
    let bits = address.to_bits();
    if bits >> 125 != 1 {
        return Some("not global unicast");
    }
    V6.iter().find(|(net, len, _)| (bits ^ net.to_bits()) >> (128 - len) == 0).map(|(_, _, sort)| *sort)
}
