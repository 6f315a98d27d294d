//! Which addresses are called.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::destination::{Destination, UrlRefusal};
use crate::config::Config;

/// What the operator decided.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Networks that are called although they are not public, at any port.
    pub allow: Vec<IpNet>,
    /// The ports that are called on the public Internet.
    pub ports: Vec<u16>,
    /// Whether this machine is called, at any port and in plain http: the server is itself on loopback alone.
    pub loopback: bool,
}

impl Rules {
    /// What the settings say.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            allow: config.outbound.allow.clone(),
            ports: config.outbound.ports.clone(),
            loopback: config.issuer_is_loopback(),
        }
    }

    /// Says whether a URL is one that could be called, as far as the URL alone tells.
    pub fn vet(&self, url: &str) -> Result<(), UrlRefusal> {
        Destination::parse(url, self).map(drop)
    }

    /// Whether `port` of `address` is called; without TLS only this machine is.
    #[must_use]
    pub fn admit(&self, address: IpAddr, port: u16, secure: bool) -> bool {
        let ourselves = self.loopback && address.is_loopback();
        let public = || is_public(address) && self.ports.contains(&port);
        ourselves || secure && (self.is_inside(address) || public())
    }

    /// Whether an address is one of those that are called although they are not public: no proxy leads there.
    #[must_use]
    pub fn is_inside(&self, address: IpAddr) -> bool {
        self.loopback && address.is_loopback()
            || self.allow.iter().any(|network| network.contains(&address))
    }

    /// Whether some host might be called at `port`, when its addresses are not known yet.
    #[must_use]
    pub fn may_admit(&self, port: u16) -> bool {
        self.loopback || !self.allow.is_empty() || self.ports.contains(&port)
    }
}

/// Whether an address is one of the public Internet, and stands for no other.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// Everything but the special-purpose registry of IANA (RFC 6890), multicast, and the one public address at which a
/// cloud keeps its metadata.
fn is_public_v4(address: Ipv4Addr) -> bool {
    match address.octets() {
        // This network, private, loopback; multicast, reserved, broadcast. Link-local, and the metadata of most clouds;
        // Azure's. Protocol assignments and Oracle's metadata; documentation; relays of 6to4; private. Benchmarks;
        // documentation.
        [0 | 10 | 127 | 224..=255, ..]
        | [169, 254, ..]
        | [168, 63, 129, 16]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [192, 168, ..]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => false,
        // Shared by carriers (RFC 6598).
        [100, second, ..] => !(64..128).contains(&second),
        [172, second, ..] => !(16..32).contains(&second),
        _ => true,
    }
}

/// Global unicast alone, less what is special in it or stands for an IPv4 address. Mapped and translated addresses
/// (`::ffff:0:0/96`, `64:ff9b::/96`), unique local, link-local and multicast ones are outside of it.
fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // Protocol assignments, with Teredo and ORCHID in them; documentation.
        [0x2001, second, ..] => second >= 0x200 && second != 0xdb8,
        // 6to4; documentation.
        [0x2002, ..] | [0x3fff, 0..=0xfff, ..] => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn public_addresses() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "168.63.129.15",
            "168.63.129.17",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.88.98.255",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "198.51.99.255",
            "203.0.112.255",
            "203.0.114.0",
            "223.255.255.255",
            "2000::1",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2001:db7:ffff::1",
            "2001:db9::1",
            "2606:4700::1111",
            "3fff:1000::1",
            "3fff:ffff::1",
        ] {
            assert!(is_public(address(text)), "{text}");
        }
    }

    #[test]
    fn every_other_address() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.100.100.200",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "168.63.129.16",
            "169.254.169.254",
            "169.254.170.2",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::2",
            "::127.0.0.1",
            "::8.8.8.8",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:8.8.8.8",
            "::ffff:0:8.8.8.8",
            "64:ff9b::7f00:1",
            "64:ff9b::808:808",
            "64:ff9b:1::a00:1",
            "100::1",
            "1fff:ffff::1",
            "2001::1",
            "2001:0:53aa:64c::1",
            "2001:10::1",
            "2001:20::1",
            "2001:1ff:ffff::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:808:808::1",
            "3fff::1",
            "3fff:fff:ffff::1",
            "4000::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(address(text)), "{text}");
        }
    }

    #[test]
    fn what_is_admitted() {
        let network = |text: &str| text.parse().expect("a network");
        let closed = Rules { allow: Vec::new(), ports: vec![443], loopback: false };
        let trying = Rules { loopback: true, ..closed.clone() };
        let open =
            Rules { allow: vec![network("10.0.0.0/8"), network("fd00::/8")], ..closed.clone() };
        for (rules, text, port, secure, expected) in [
            (&closed, "1.1.1.1", 443, true, true),
            (&closed, "1.1.1.1", 443, false, false),
            (&closed, "1.1.1.1", 22, true, false),
            (&closed, "127.0.0.1", 443, true, false),
            (&closed, "::1", 443, true, false),
            (&closed, "10.0.0.1", 443, true, false),
            (&trying, "127.0.0.1", 8088, false, true),
            (&trying, "127.9.9.9", 8088, true, true),
            (&trying, "::1", 8088, false, true),
            (&trying, "::ffff:127.0.0.1", 8088, false, false),
            (&trying, "10.0.0.1", 443, true, false),
            (&trying, "1.1.1.1", 443, false, false),
            (&open, "10.9.9.9", 8443, true, true),
            (&open, "10.9.9.9", 8443, false, false),
            (&open, "fd00::1", 22, true, true),
            (&open, "::ffff:10.9.9.9", 443, true, false),
            (&open, "192.168.0.1", 443, true, false),
            (&open, "127.0.0.1", 443, true, false),
            (&open, "1.1.1.1", 8443, true, false),
        ] {
            assert_eq!(
                rules.admit(address(text), port, secure),
                expected,
                "{text} {port} {secure}"
            );
        }
        assert!(closed.may_admit(443) && !closed.may_admit(8443));
        assert!(open.may_admit(8443) && trying.may_admit(8443));
    }
}
