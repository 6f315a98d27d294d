//! What a URL says before anything is asked of the network.

use std::net::IpAddr;

use hyper::Uri;
use url::{Host, Url};

use super::address::Rules;

/// The longest URL, in bytes.
const MAX_URL: usize = 2_048;

/// Why a URL is none that we call.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UrlRefusal {
    /// It is no URL.
    #[error("This is not a URL of at most 2,048 characters.")]
    Malformed,
    /// It is not https.
    #[error("The URL must begin with https://.")]
    Scheme,
    /// It has a user name, a password or a fragment.
    #[error("The URL must have no user name, password or fragment.")]
    ForbiddenPart,
    /// Its port is none of those that are called.
    #[error("Port {0} is not called; the usual one, 443, is.")]
    Port(u16),
    /// It names an address that is not public.
    #[error("The URL names an address that is not on the public Internet.")]
    Address,
}

/// Where a request goes.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The name, or the address.
    pub host: Host<String>,
    /// The port.
    pub port: u16,
    /// Whether through TLS.
    pub secure: bool,
    /// Host and port, as the `Host` header has them.
    pub authority: String,
    /// Path and query.
    pub target: Uri,
}

impl Destination {
    /// Reads a URL. An address in it is judged at once: no resolver will see it.
    pub fn parse(text: &str, rules: &Rules) -> Result<Self, UrlRefusal> {
        let is_plain = |b: u8| b.is_ascii_graphic() && !b"\\\"<>^`{|}".contains(&b);
        if text.len() > MAX_URL || !text.bytes().all(is_plain) {
            return Err(UrlRefusal::Malformed);
        }
        let url = Url::parse(text).map_err(|_| UrlRefusal::Malformed)?;
        let secure = match url.scheme() {
            "https" => true,
            "http" if rules.loopback => false,
            _ => return Err(UrlRefusal::Scheme),
        };
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(UrlRefusal::ForbiddenPart);
        }
        let host = url.host().ok_or(UrlRefusal::Malformed)?.to_owned();
        let port = url.port_or_known_default().ok_or(UrlRefusal::Malformed)?;
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_string(),
        };
        let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let target = target.parse().map_err(|_| UrlRefusal::Malformed)?;
        let destination = Self { host, port, secure, authority, target };
        match destination.literal() {
            Some(address) if !rules.admit(address, port, secure) => {
                Err(if rules.admit(address, 443, true) {
                    if secure { UrlRefusal::Port(port) } else { UrlRefusal::Scheme }
                } else {
                    UrlRefusal::Address
                })
            }
            None if !rules.may_admit(port) => Err(UrlRefusal::Port(port)),
            _ => Ok(destination),
        }
    }

    /// The address that stands in the URL, in place of a name.
    pub fn literal(&self) -> Option<IpAddr> {
        match self.host {
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
            Host::Domain(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let closed = Rules { allow: Vec::new(), ports: vec![443, 8443], loopback: false };
        let trying = Rules { loopback: true, ..closed.clone() };
        let open =
            Rules { allow: vec!["10.0.0.0/8".parse().expect("a network")], ..closed.clone() };
        let long = format!("https://shop.example/{}", "a".repeat(2_048));
        for (rules, text, expected) in [
            (&closed, "https://shop.example/hooks?x=1", None),
            (&closed, "https://shop.example:8443/hooks", None),
            (&closed, "https://1.1.1.1/hooks", None),
            (&closed, "https://[2606:4700::1111]/hooks", None),
            (&closed, "http://shop.example/hooks", Some(UrlRefusal::Scheme)),
            (&closed, "ftp://shop.example/hooks", Some(UrlRefusal::Scheme)),
            (&closed, "file:///etc/passwd", Some(UrlRefusal::Scheme)),
            (&closed, "unix:/run/x.sock", Some(UrlRefusal::Scheme)),
            (&closed, "https://ada@shop.example/", Some(UrlRefusal::ForbiddenPart)),
            (&closed, "https://:x@shop.example/", Some(UrlRefusal::ForbiddenPart)),
            (&closed, "https://shop.example/#x", Some(UrlRefusal::ForbiddenPart)),
            (&closed, "https://shop.example:22/", Some(UrlRefusal::Port(22))),
            (&closed, "https://1.1.1.1:22/", Some(UrlRefusal::Port(22))),
            (&closed, "https://127.0.0.1/", Some(UrlRefusal::Address)),
            (&closed, "https://2130706433/", Some(UrlRefusal::Address)),
            (&closed, "https://0x7f.1/", Some(UrlRefusal::Address)),
            (&closed, "https://0177.0.0.01/", Some(UrlRefusal::Address)),
            (&closed, "https://127.1/", Some(UrlRefusal::Address)),
            (&closed, "https://[::1]/", Some(UrlRefusal::Address)),
            (&closed, "https://[::ffff:a9fe:a9fe]/", Some(UrlRefusal::Address)),
            (&closed, "https://169.254.169.254/latest/meta-data/", Some(UrlRefusal::Address)),
            (&closed, "https://10.0.0.1/", Some(UrlRefusal::Address)),
            (&closed, "https://[fe80::1%25eth0]/", Some(UrlRefusal::Malformed)),
            (&closed, "https:// shop.example/", Some(UrlRefusal::Malformed)),
            (&closed, "https://shop.example/\r\nx: y", Some(UrlRefusal::Malformed)),
            (&closed, "shop.example", Some(UrlRefusal::Malformed)),
            (&closed, "", Some(UrlRefusal::Malformed)),
            (&closed, &long, Some(UrlRefusal::Malformed)),
            (&trying, "http://127.0.0.1:8088/hooks", None),
            (&trying, "http://[::1]:8088/hooks", None),
            (&trying, "http://localhost:8088/hooks", None),
            (&trying, "http://1.1.1.1/hooks", Some(UrlRefusal::Scheme)),
            (&trying, "http://10.0.0.1/hooks", Some(UrlRefusal::Address)),
            (&open, "https://10.0.0.1:9000/hooks", None),
            (&open, "https://shop.example:9000/hooks", None),
            (&open, "http://10.0.0.1/hooks", Some(UrlRefusal::Scheme)),
            (&open, "https://192.168.0.1/hooks", Some(UrlRefusal::Address)),
        ] {
            assert_eq!(Destination::parse(text, rules).err(), expected, "{text}");
        }
    }

    #[test]
    fn parts() {
        let rules = Rules { allow: Vec::new(), ports: vec![443, 8443], loopback: false };
        for (text, authority, target) in [
            ("https://Shop.Example", "shop.example", "/"),
            ("https://shop.example:443/a/../b?c=%20d", "shop.example", "/b?c=%20d"),
            ("https://shop.example:8443?x", "shop.example:8443", "/?x"),
            ("https://[2606:4700::1111]:8443/", "[2606:4700::1111]:8443", "/"),
        ] {
            let read = Destination::parse(text, &rules).expect("a destination");
            assert_eq!(
                (read.authority.as_str(), read.target.to_string().as_str()),
                (authority, target)
            );
        }
    }
}
