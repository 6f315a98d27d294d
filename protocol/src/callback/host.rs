//! Which hosts a URI may name.

use std::net::{Ipv4Addr, Ipv6Addr};

use url::Host;

/// Whether a host is this machine itself: `localhost` and loopback addresses.
#[must_use]
pub fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

/// Whether a host is this machine, a private network, or an address that no server on the Internet has.
pub(super) fn is_local(host: &Host<&str>) -> bool {
    let private = match host {
        Host::Domain(_) => false,
        Host::Ipv4(address) => is_special_v4(*address),
        Host::Ipv6(address) => is_special_v6(*address),
    };
    private || is_loopback(host)
}

/// Whether a name is labels of letters, digits, `-` and `_`. A browser's parser takes `;`, `,` or `*` in names as well,
/// and a host is written into policies and shown to people.
pub(super) fn is_plain(host: &Host<&str>) -> bool {
    let Host::Domain(name) = host else { return true };
    name.split('.').all(|label| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    })
}

/// Addresses that are not globally reachable (RFC 6890), documentation left out: private, shared, loopback, link-local,
/// "this network", protocol assignments, benchmarks, multicast, reserved.
fn is_special_v4(address: Ipv4Addr) -> bool {
    match address.octets() {
        [0 | 10 | 127 | 224..=255, ..] | [169, 254, ..] | [192, 168, ..] | [192, 0, 0, _] => true,
        [100, second, ..] => (64..128).contains(&second),
        [172, second, ..] => (16..32).contains(&second),
        [198, second, ..] => second == 18 || second == 19,
        _ => false,
    }
}

/// Likewise, and every IPv6 address that stands for such an IPv4 address: mapped, compatible, NAT64, 6to4.
fn is_special_v6(address: Ipv6Addr) -> bool {
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_special_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        // `::` and `::1` are here as 0.0.0.0 and 0.0.0.1.
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            embedded(high, low)
        }
        [0x2002, high, low, ..] => embedded(high, low),
        // Unique local, link-local and site-local, multicast.
        [first, ..] => first & 0xfe00 == 0xfc00 || first & 0xff80 == 0xfe80 || first >= 0xff00,
    }
}
