//! The server's settings: a TOML file, the environment, and arguments, in that order of weight from the lightest.

use std::{net::SocketAddr, path::PathBuf};

use counterfoil_protocol::callback::LocalHosts;
use ipnet::IpNet;
use serde::Deserialize;

/// Every setting, with its default in [`Config::default`].
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The public origin of this server: `https://pay.example`. Everything it says of itself begins with it.
    pub issuer: String,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where everything it keeps lives.
    pub data_dir: PathBuf,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Certificate chain (PEM) for TLS of its own.
    pub tls_certificate: Option<PathBuf>,
    /// Private key (PEM) for TLS of its own.
    pub tls_key: Option<PathBuf>,
    /// Whether stores on this machine and on private networks may register. Always so when the issuer is loopback.
    pub allow_local_sites: bool,
    /// What a payment link's public URL begins with; by default the issuer.
    pub checkout_base: Option<String>,
    /// Further profiles, one TOML file each; a file replaces the built-in profile of the same platform.
    pub profiles_dir: Option<PathBuf>,
    /// The brand that people see.
    pub brand: Brand,
    /// How long things live, in seconds.
    pub lifetimes: Lifetimes,
    /// How much of anything is taken.
    pub limits: Limits,
}

/// The brand that people see.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Brand {
    /// The platform's name.
    pub name: String,
    /// The accent colour, as CSS writes it: `#0b5fff`.
    pub color: String,
    /// Where people get help.
    pub support_url: Option<String>,
    /// The platform's privacy policy.
    pub privacy_url: Option<String>,
    /// The platform's terms.
    pub terms_url: Option<String>,
}

/// How long things live, in seconds.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lifetimes {
    /// A `request_uri` (RFC 9126).
    pub request_uri: i64,
    /// A consent page.
    pub consent: i64,
    /// An authorization code.
    pub code: i64,
    /// An access token.
    pub access_token: i64,
    /// A partner application's refresh token, unless it is used.
    pub refresh_token: i64,
    /// A browser session.
    pub session: i64,
}

/// How much of anything is taken.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Connections at a time.
    pub connections: usize,
    /// Bytes of a request body.
    pub body: usize,
    /// Failed sign-ins a minute, per account and per address.
    pub sign_in_failures_per_minute: u32,
    /// Registrations a minute, per address.
    pub registrations_per_minute: u32,
    /// Token requests a minute, per client.
    pub token_requests_per_minute: u32,
    /// Pushed requests a minute, per client.
    pub pushed_requests_per_minute: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            issuer: "http://127.0.0.1:8480".to_owned(),
            listen: SocketAddr::from(([127, 0, 0, 1], 8480)),
            data_dir: PathBuf::from("counterfoil-data"),
            trusted_proxies: Vec::new(),
            tls_certificate: None,
            tls_key: None,
            allow_local_sites: false,
            checkout_base: None,
            profiles_dir: None,
            brand: Brand::default(),
            lifetimes: Lifetimes::default(),
            limits: Limits::default(),
        }
    }
}

impl Default for Brand {
    fn default() -> Self {
        Self {
            name: "MakePay".to_owned(),
            color: "#0b5fff".to_owned(),
            support_url: None,
            privacy_url: None,
            terms_url: None,
        }
    }
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            request_uri: 300,
            consent: 600,
            code: 60,
            access_token: 3_600,
            refresh_token: 90 * 24 * 3_600,
            session: 12 * 3_600,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4_096,
            body: 64 * 1024,
            sign_in_failures_per_minute: 10,
            registrations_per_minute: 150,
            token_requests_per_minute: 3_000,
            pushed_requests_per_minute: 600,
        }
    }
}

impl Config {
    /// Whether stores on this machine may register.
    #[must_use]
    pub fn local_hosts(&self) -> LocalHosts {
        if self.allow_local_sites || self.issuer_is_loopback() {
            LocalHosts::Accepted
        } else {
            LocalHosts::Refused
        }
    }

    /// Whether this is a server for trying, on loopback.
    #[must_use]
    pub fn issuer_is_loopback(&self) -> bool {
        let url = url::Url::parse(&self.issuer).ok();
        url.as_ref()
            .and_then(url::Url::host)
            .is_some_and(|host| counterfoil_protocol::callback::is_loopback(&host))
    }

    /// The resource identifier of the partner API (RFC 8707).
    #[must_use]
    pub fn resource(&self) -> String {
        format!("{}/api/partner/v1", self.issuer)
    }
}
