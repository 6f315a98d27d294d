//! The server's settings: a TOML file, the environment, and arguments, in that order of weight from the lightest.

mod check;
mod load;
mod mail;
mod oidc;
mod outbound;
mod retention;
mod upstream;
mod webhooks;

use std::{net::SocketAddr, path::PathBuf};

use counterfoil_protocol::callback::LocalHosts;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::oauth::scopes;

pub use self::{
    load::{Overrides, SERVED_ISSUER, load, served_issuer},
    mail::{Mail, MailTls},
    oidc::Oidc,
    outbound::Outbound,
    retention::Retention,
    upstream::{Rule, Upstream},
    webhooks::{Engine, Webhooks},
};

/// Every setting, with its default in [`Config::default`].
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The public origin of this server: `https://pay.example`. Everything it says of itself begins with it.
    pub issuer: String,
    /// The public origin of the pages on which developers manage applications, a host of its own:
    /// `https://apps.pay.example`. By default they are at the issuer.
    pub portal_origin: Option<String>,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where Prometheus finds the metrics, at `/metrics`: a listener of its own, without TLS and without
    /// authentication. By default there is none.
    pub metrics_listen: Option<SocketAddr>,
    /// Where everything it keeps lives: a directory that only the server's user may enter.
    pub data_dir: PathBuf,
    /// What is logged, as tracing's filters are written: `info`, `warn`, `info,counterfoil_server=debug`.
    pub log: String,
    /// How it is logged.
    pub log_format: LogFormat,
    /// Proxies whose `X-Forwarded-For` is believed, as networks: `10.0.0.0/8`, `127.0.0.1/32`.
    pub trusted_proxies: Vec<IpNet>,
    /// Certificate chain (PEM) for TLS of its own.
    pub tls_certificate: Option<PathBuf>,
    /// Private key (PEM) for TLS of its own.
    pub tls_key: Option<PathBuf>,
    /// Whether stores on this machine and on private networks may register. Always so when the issuer is loopback.
    pub allow_local_sites: bool,
    /// What a payment link's public URL begins with; by default the issuer.
    pub checkout_base: Option<String>,
    /// What can be paid with, as far as companies may switch it on and off.
    pub payment_methods: Vec<String>,
    /// Further profiles, one TOML file each; a file replaces the built-in profile of the same platform.
    pub profiles_dir: Option<PathBuf>,
    /// The brand that people see.
    pub brand: Brand,
    /// Whether people sign in with passwords. Without them, [`Config::oidc`] is the only way in.
    pub passwords: bool,
    /// External OpenID providers that people sign in through.
    pub oidc: Vec<Oidc>,
    /// How mail leaves the server.
    pub mail: Mail,
    /// How long things live, in seconds.
    pub lifetimes: Lifetimes,
    /// How long what is over is kept.
    pub retention: Retention,
    /// How much of anything is taken.
    pub limits: Limits,
    /// How notifications are sent.
    pub webhooks: Webhooks,
    /// The platform's own payment engine.
    pub engine: Engine,
    /// Which addresses that others gave us are called, and how patiently.
    pub outbound: Outbound,
    /// The platform's own APIs behind the guard.
    pub upstream: Vec<Upstream>,
    /// Variables that look like settings and set nothing: told when the server starts, never a reason not to.
    #[serde(skip)]
    pub ignored_variables: Vec<String>,
    /// The file that was read, if one was.
    #[serde(skip)]
    pub file: Option<PathBuf>,
    /// The variables that set something.
    #[serde(skip)]
    pub variables: Vec<String>,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The brand that people see.
#[derive(Clone, Debug, Deserialize, Serialize)]
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
#[derive(Clone, Debug, Deserialize, Serialize)]
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
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Connections at a time.
    pub connections: usize,
    /// Bytes of a request body.
    pub body: usize,
    /// Bytes of a request's head.
    pub head: usize,
    /// Seconds for a request's head to arrive, and for an idle connection to send another.
    pub head_seconds: u64,
    /// Seconds for a request's body to arrive.
    pub body_seconds: u64,
    /// Seconds for a client to take the next piece of an answer.
    pub write_seconds: u64,
    /// Seconds that requests under way are given when the server stops.
    pub shutdown_seconds: u64,
    /// Failed sign-ins a minute, per account and per address.
    pub sign_in_failures_per_minute: u32,
    /// Registrations a minute, per address.
    pub registrations_per_minute: u32,
    /// Token requests a minute, per client.
    pub token_requests_per_minute: u32,
    /// Pushed requests a minute, per client.
    pub pushed_requests_per_minute: u32,
    /// Introspections a minute, per client.
    pub introspections_per_minute: u32,
    /// Requests to the partner API a minute, per client.
    pub partner_requests_per_minute: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            issuer: "http://127.0.0.1:8480".to_owned(),
            portal_origin: None,
            listen: SocketAddr::from(([127, 0, 0, 1], 8480)),
            metrics_listen: None,
            data_dir: PathBuf::from("counterfoil-data"),
            log: "info".to_owned(),
            log_format: LogFormat::Text,
            trusted_proxies: Vec::new(),
            tls_certificate: None,
            tls_key: None,
            allow_local_sites: false,
            checkout_base: None,
            payment_methods: ["BTC.BTC", "ETH.ETH", "ETH.USDC", "ETH.USDT"]
                .map(str::to_owned)
                .to_vec(),
            profiles_dir: None,
            brand: Brand::default(),
            passwords: true,
            oidc: Vec::new(),
            mail: Mail::default(),
            lifetimes: Lifetimes::default(),
            retention: Retention::default(),
            limits: Limits::default(),
            webhooks: Webhooks::default(),
            engine: Engine::default(),
            outbound: Outbound::default(),
            upstream: Vec::new(),
            ignored_variables: Vec::new(),
            file: None,
            variables: Vec::new(),
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
            head: 32 * 1024,
            head_seconds: 10,
            body_seconds: 20,
            write_seconds: 20,
            shutdown_seconds: 10,
            sign_in_failures_per_minute: 10,
            registrations_per_minute: 150,
            token_requests_per_minute: 3_000,
            pushed_requests_per_minute: 600,
            introspections_per_minute: 6_000,
            partner_requests_per_minute: 6_000,
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

    /// What a scope allows, in words; its name when nobody has words for it.
    #[must_use]
    pub fn in_words<'a>(&'a self, scope: &'a str) -> &'a str {
        let own = self.upstream.iter().find_map(|upstream| upstream.scopes.get(scope));
        own.map_or_else(|| scopes::in_words(scope), String::as_str)
    }

    /// The scopes of the platform's own APIs.
    pub fn upstream_scopes(&self) -> impl Iterator<Item = &str> {
        self.upstream.iter().flat_map(|upstream| upstream.scopes.keys().map(String::as_str))
    }

    /// What the public addresses of payment links begin with.
    #[must_use]
    pub fn checkout_base(&self) -> &str {
        self.checkout_base.as_deref().unwrap_or(&self.issuer).trim_end_matches('/')
    }

    /// The resource identifier of the partner API (RFC 8707).
    #[must_use]
    pub fn resource(&self) -> String {
        format!("{}/api/partner/v1", self.issuer)
    }
}
