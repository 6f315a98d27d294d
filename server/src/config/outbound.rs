//! How addresses are called that others gave us.

use std::path::PathBuf;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// Calls to addresses that others gave us: notifications, and whatever else goes to hosts that are not ours.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Outbound {
    /// Networks that are called although they are not on the public Internet, at any port: `10.0.0.0/8`.
    pub allow: Vec<IpNet>,
    /// The ports that are called on the public Internet.
    pub ports: Vec<u16>,
    /// Certificate authorities (PEM) that are believed beside this machine's.
    pub certificates: Option<PathBuf>,
    /// The proxy through which the public Internet is reached: `http://proxy.example:3128`.
    pub proxy: Option<String>,
    /// Whether the proxy resolves names, and sees to it that none leads inside.
    pub proxy_resolves: bool,
    /// Seconds for a name to be resolved, for an address to take the connection, and for TLS, each.
    pub connect_seconds: u64,
    /// Seconds for all of it, to the end of the answer.
    pub total_seconds: u64,
    /// Calls at a time.
    pub connections: usize,
    /// Calls at a time to one host.
    pub connections_per_host: usize,
}

impl Outbound {
    /// Says what cannot work.
    pub(super) fn check(&self) -> Result<(), String> {
        match self.proxy_address() {
            None if self.proxy.is_none() && self.proxy_resolves => {
                Err("outbound.proxy_resolves needs outbound.proxy".to_owned())
            }
            // What was written is not repeated: it may have a password in it.
            None if self.proxy.is_some() => {
                let what = "outbound.proxy must be a host and a port, without a password: http://proxy.example:3128";
                Err(what.to_owned())
            }
            _ => Ok(()),
        }
    }

    /// The proxy's host and port.
    #[must_use]
    pub fn proxy_address(&self) -> Option<(Host<String>, u16)> {
        let url = Url::parse(self.proxy.as_deref()?).ok()?;
        let bare = url.username().is_empty() && url.password().is_none();
        let nothing_else = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let is_plain = url.scheme() == "http" && bare && nothing_else;
        let address = (url.host()?.to_owned(), url.port_or_known_default()?);
        is_plain.then_some(address)
    }
}

impl Default for Outbound {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            ports: vec![443, 8443],
            certificates: None,
            proxy: None,
            proxy_resolves: false,
            connect_seconds: 5,
            total_seconds: 15,
            connections: 64,
            connections_per_host: 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies() {
        for (proxy, expected) in [
            ("http://proxy.example:3128", Some(("proxy.example", 3128))),
            ("http://proxy.example", Some(("proxy.example", 80))),
            ("http://10.0.0.1:3128/", Some(("10.0.0.1", 3128))),
            ("http://[fd00::1]:3128", Some(("[fd00::1]", 3128))),
            ("https://proxy.example:3128", None),
            ("socks5://proxy.example:1080", None),
            ("proxy.example:3128", None),
            ("http://ada:secret@proxy.example:3128", None),
            ("http://proxy.example:3128/way", None),
            ("http://proxy.example:3128?x", None),
            ("http://proxy.example:3128#x", None),
            ("", None),
        ] {
            let settings = Outbound { proxy: Some(proxy.to_owned()), ..Outbound::default() };
            let address = settings.proxy_address().map(|(host, port)| (host.to_string(), port));
            assert_eq!(address, expected.map(|(host, port)| (host.to_owned(), port)), "{proxy}");
            assert_eq!(settings.check().is_ok(), expected.is_some(), "{proxy}");
        }
        let alone = Outbound { proxy_resolves: true, ..Outbound::default() };
        assert!(alone.check().is_err() && Outbound::default().check().is_ok());
    }
}
