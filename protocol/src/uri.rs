//! The `htu` of a proof: an http(s) URI without query and fragment, in one canonical spelling.

use std::{fmt, net::Ipv6Addr};

/// A text that is not an absolute http or https URI of plain ASCII without userinfo.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not an absolute http or https URI")]
pub struct MalformedUri;

/// An http target URI as proofs compare it (RFC 9449 §4.3 check 9).
///
/// Scheme and host in lower case, default port dropped, empty path as `/` (RFC 3986 §6.2.2 and §6.2.3), query and
/// fragment cut off. Paths are compared byte for byte: no dot segments are resolved and nothing is decoded.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct HttpUri(String);

impl HttpUri {
    /// Reads and normalises a URI.
    pub fn parse(text: &str) -> Result<Self, MalformedUri> {
        if !text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') {
            return Err(MalformedUri);
        }
        let (scheme, rest) = text.split_once("://").ok_or(MalformedUri)?;
        let default_port = match scheme.to_ascii_lowercase().as_str() {
            "http" => "80",
            "https" => "443",
            _ => return Err(MalformedUri),
        };
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let (authority, path) = rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash));
        let (host, port) = split_port(authority)?;
        let port = port.filter(|port| *port != default_port);
        let mut canonical = format!("{scheme}://{host}").to_ascii_lowercase();
        if let Some(port) = port {
            canonical.push(':');
            canonical.push_str(port);
        }
        canonical.push_str(path);
        Ok(Self(canonical))
    }

    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `text` names this URI, query and fragment aside.
    #[must_use]
    pub fn is_named_by(&self, text: &str) -> bool {
        text == self.0 || Self::parse(text).is_ok_and(|other| other == *self)
    }
}

impl fmt::Display for HttpUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn split_port(authority: &str) -> Result<(&str, Option<&str>), MalformedUri> {
    // A bracket closes an IPv6 literal; only a colon after it starts a port.
    let host_end = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    let (host, port) = match authority[host_end..].find(':') {
        Some(colon) => {
            let (host, port) = authority.split_at(host_end + colon);
            (host, Some(&port[1..]))
        }
        None => (authority, None),
    };
    let port = port.filter(|port| !port.is_empty());
    let port_is_number =
        port.is_none_or(|port| port.parse::<u16>().is_ok_and(|n| n.to_string() == port));
    let host_is_plain = if host_end > 0 {
        host.len() == host_end
            && host.starts_with('[')
            && host[1..host_end - 1].parse::<Ipv6Addr>().is_ok()
    } else {
        !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
    };
    (host_is_plain && port_is_number).then_some((host, port)).ok_or(MalformedUri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_uri() {
        let target = HttpUri::parse("https://pay.example/oauth/token").expect("a URI");
        for same in [
            "https://pay.example/oauth/token",
            "HTTPS://PAY.example/oauth/token",
            "https://pay.example:443/oauth/token",
            "https://pay.example:/oauth/token",
            "https://pay.example/oauth/token?x=1#y",
        ] {
            assert!(target.is_named_by(same), "{same}");
        }
        for other in [
            "http://pay.example/oauth/token",
            "https://pay.example:444/oauth/token",
            "https://pay.example/oauth/token/",
            "https://pay.example/oauth/Token",
            "https://pay.example/oauth/./token",
            "https://pay.example//oauth/token",
            "https://pay.example/oauth/%74oken",
            "https://pay.example.evil.example/oauth/token",
            "https://evil@pay.example/oauth/token",
            "https:/pay.example/oauth/token",
            "https:\\\\pay.example/oauth/token",
            "https://pay.example\\oauth/token",
            "https://pay.example/oauth/token\n",
            "pay.example/oauth/token",
            "",
        ] {
            assert!(!target.is_named_by(other), "{other:?}");
        }
    }

    #[test]
    fn hosts_and_ports() {
        assert_eq!(
            HttpUri::parse("http://[::1]:8080").expect("a URI").as_str(),
            "http://[::1]:8080/"
        );
        assert_eq!(
            HttpUri::parse("http://localhost:80?x").expect("a URI").as_str(),
            "http://localhost/"
        );
        for bad in [
            "http://",
            "http://:80/",
            "http://[::1/",
            "http://::1/",
            "http://a:99999/",
            "http://a:080/",
            "ftp://a/",
            "http://a]b/",
        ] {
            assert_eq!(HttpUri::parse(bad), Err(MalformedUri), "{bad}");
        }
    }
}
