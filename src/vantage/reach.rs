//! Which addresses a vantage connects to: others name them, and it may stand in a network where
//! more is reached than the open net.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Which addresses are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Those of the open net.
    Public,
    /// Any, this machine's included: for machines of the vantage's own network.
    Any,
}

impl Reach {
    /// Whether an address is tried.
    pub fn may(self, address: IpAddr) -> bool {
        match (self, address) {
            (Self::Any, _) => true,
            (Self::Public, IpAddr::V4(address)) => is_public(address),
            (Self::Public, IpAddr::V6(address)) => match address.to_ipv4_mapped() {
                Some(address) => is_public(address),
                None => is_public_6(address),
            },
        }
    }
}

/// What IANA's registry of special addresses does not list as other than global.
fn is_public(address: Ipv4Addr) -> bool {
    let special = match address.octets() {
        [0 | 10 | 127 | 240..=255, ..] => true,
        [100, second, ..] => second & 0xc0 == 64,
        [172, second, ..] => second & 0xf0 == 16,
        [192, 0, 0 | 2, _] | [192, 88, 99, _] => true,
        [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] => true,
        _ => false,
    };
    !(special || address.is_private() || address.is_link_local() || address.is_multicast())
}

/// The global unicast addresses, without those that stand for others or for none.
fn is_public_6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    let stands_for_others = first == 0x2002 || first == 0x2001 && second < 0x200;
    first & 0xe000 == 0x2000 && !stands_for_others && (first, second) != (0x2001, 0xdb8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_open_net_is_tried_unless_more_is_said() {
        let may = |text: &str, reach: Reach| reach.may(text.parse().expect("an address"));
        for open in [
            "1.1.1.1",
            "198.20.0.1",
            "172.32.0.1",
            "100.128.0.1",
            "2400:3200::1",
        ] {
            assert!(may(open, Reach::Public), "{open}");
        }
        for inside in [
            "0.0.0.0",
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "192.0.0.8",
            "198.18.0.1",
            "203.0.113.9",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
            "64:ff9b::7f00:1",
        ] {
            assert!(!may(inside, Reach::Public), "{inside}");
            assert!(may(inside, Reach::Any), "{inside}");
        }
    }
}
