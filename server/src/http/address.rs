//! Where a request comes from: the peer, or what a trusted proxy says of its own peer.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{Extensions, HeaderMap, HeaderName, request::Parts},
};
use ipnet::IpNet;

use crate::app::App;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address that a request is counted and logged under. An extractor; also a request extension.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClientAddress(pub IpAddr);

impl FromRequestParts<Arc<App>> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _app: &Arc<App>) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.extensions))
    }
}

impl ClientAddress {
    /// The address that the edge found. Without a socket, as in tests, all requests come from one place.
    #[must_use]
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get().copied().unwrap_or(Self(IpAddr::V4(Ipv4Addr::UNSPECIFIED)))
    }

    /// Finds the address. `X-Forwarded-For` counts only from a trusted peer, and is read from the right: each proxy
    /// adds the address it saw, and whatever stands left of the first one we do not trust, that one made up.
    #[must_use]
    pub fn find(extensions: &Extensions, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        let Some(ConnectInfo(peer)) = extensions.get::<ConnectInfo<SocketAddr>>() else {
            return Self::of(extensions);
        };
        let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
        let mut address = peer.ip().to_canonical();
        let lines: Vec<&str> =
            headers.get_all(FORWARDED_FOR).iter().filter_map(|line| line.to_str().ok()).collect();
        let mut hops = lines.iter().rev().flat_map(|line| line.rsplit(','));
        while is_trusted(&address) {
            // What cannot be read stays with the proxy that passed it on.
            let Some(hop) = hops.next().and_then(parse) else { break };
            address = hop;
        }
        Self(address)
    }
}

/// An address, with or without port.
fn parse(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let bare = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hop);
    let address = bare.parse().or_else(|_| hop.parse::<SocketAddr>().map(|address| address.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(peer: &str, forwarded: &[&str], expected: &str) {
        let mut extensions = Extensions::new();
        extensions.insert(ConnectInfo(SocketAddr::new(peer.parse().expect("address"), 4711)));
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(FORWARDED_FOR, HeaderValue::from_str(line).expect("a value"));
        }
        let trusted = ["10.0.0.0/8", "fd00::/8", "127.0.0.1/32"].map(|n| n.parse().expect("a net"));
        let found = ClientAddress::find(&extensions, &headers, &trusted);
        assert_eq!(found, ClientAddress(expected.parse().expect("address")));
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        check("192.0.2.1", &[], "192.0.2.1");
        check("192.0.2.1", &["198.51.100.7"], "192.0.2.1");
        check("10.1.1.1", &["198.51.100.7"], "198.51.100.7");
        check("10.1.1.1", &["1.1.1.1, 198.51.100.7"], "198.51.100.7");
        check("10.1.1.1", &["1.1.1.1, 198.51.100.7, 10.2.2.2"], "198.51.100.7");
        check("10.1.1.1", &["1.1.1.1", "198.51.100.7", "10.2.2.2"], "198.51.100.7");
        check("10.1.1.1", &["10.3.3.3, 10.2.2.2"], "10.3.3.3");
        check("10.1.1.1", &[], "10.1.1.1");
    }

    #[test]
    fn every_spelling_is_one_address() {
        check("::ffff:10.1.1.1", &["::ffff:198.51.100.7"], "198.51.100.7");
        check("fd00::1", &["[2001:db8::7]:443"], "2001:db8::7");
        check("fd00::1", &["[2001:db8::7]"], "2001:db8::7");
        check("127.0.0.1", &["198.51.100.7:443"], "198.51.100.7");
    }

    #[test]
    fn what_cannot_be_read_stays_with_the_proxy() {
        for line in ["", "unknown", "1.1.1.1, _hidden", "198.51.100.7,", "1.2.3.4.5"] {
            check("10.1.1.1", &[line], "10.1.1.1");
        }
        check("10.1.1.1", &["junk, 10.2.2.2"], "10.2.2.2");
    }
}
