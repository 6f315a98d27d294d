//! The store's file: read once, checked whole, immutable afterwards.

mod calls;
mod limits;
mod network;

use std::{
    fmt, fs, io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use counterfoil_protocol::{
    callback::{LocalHosts, SiteUrl, is_loopback},
    uri::HttpUri,
};
use serde::Deserialize;
use url::Url;

pub(crate) use self::calls::OwnCall;
pub(crate) use self::limits::Limits;
pub(crate) use self::network::{Network, Proxy};
use crate::{
    files::{self, Distrust},
    key::KeySettings,
    platform::Platform,
};

/// The issuer whose API's audience is its apex name, as its own documentation prints it.
const APEX_AUDIENCE: (&str, &str) =
    ("https://www.makecrypto.io", "https://makecrypto.io/api/partner/v1");

/// Why a store's file is not used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file, or a directory above it, can be changed by others.
    #[error(transparent)]
    Distrusted(#[from] Distrust),
    /// There is nothing in it: somebody has begun to write it.
    #[error("the store's file is empty")]
    Empty,
    /// A setting has a value that cannot be.
    #[error("{name} in the store's file: {why}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// What is wrong with it and what would be right.
        why: String,
    },
    /// Not TOML, a key is missing, or there is a key that nobody knows.
    #[error("the store's file cannot be understood: line {line}: {why}")]
    Syntax {
        /// Where, counted from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// The file cannot be read.
    #[error("cannot read the store's file {}: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        why: io::Error,
    },
}

/// One store, as its file describes it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Config {
    /// The platform's name.
    pub(crate) platform_name: String,
    /// What is particular to that platform.
    pub(crate) platform: Platform,
    /// The store's URL, as it is registered.
    pub(crate) site_url: String,
    /// The exact callback.
    pub(crate) redirect_uri: String,
    /// Where the platform's notifications shall go.
    pub(crate) webhook_url: Option<String>,
    /// The version that registrations name for the plugin.
    pub(crate) plugin_version: String,
    /// The version that registrations name for the platform.
    pub(crate) platform_version: String,
    /// The authorization server.
    pub(crate) issuer: String,
    /// Whether what the issuer's host says can be trusted to come from it: TLS, or this very machine.
    pub(crate) issuer_is_loopback: bool,
    /// Where forwarded calls go.
    pub(crate) api_base: String,
    /// The resource that tokens are for.
    pub(crate) audience: String,
    /// Where the key lives.
    pub(crate) key: KeySettings,
    /// How the server is reached.
    pub(crate) network: Network,
    /// The local interface.
    pub(crate) local: Local,
    /// How a calling site is known.
    pub(crate) site: SiteChecks,
}

/// How a calling site is known.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SiteChecks {
    /// Whether a site in another directory is another site.
    pub(crate) check_path: bool,
}

impl Default for SiteChecks {
    fn default() -> Self {
        Self { check_path: true }
    }
}

/// The local interface and who may use it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Local {
    /// The socket for plugins.
    pub(crate) socket: Option<PathBuf>,
    /// A loopback address to listen on as well.
    pub(crate) tcp: Option<SocketAddr>,
    /// Users who may call, by name or number.
    pub(crate) allow_users: Vec<Account>,
    /// Groups whose members may call, by name or number.
    pub(crate) allow_groups: Vec<Account>,
    /// Users who may connect and disconnect; if any is named, no other guest may.
    pub(crate) admin_users: Vec<Account>,
    /// What plugins may have forwarded beside the usual calls.
    pub(crate) calls: Vec<OwnCall>,
    /// Whether `/v1/proofs` signs for plugins.
    pub(crate) proofs: bool,
    /// Where the bearer tokens for callers over TCP are kept.
    pub(crate) tcp_token_file: Option<PathBuf>,
    /// How much one caller may ask.
    pub(crate) limits: Limits,
    /// Where metrics are read.
    pub(crate) metrics_listen: Option<MetricsListen>,
}

/// Where metrics are read.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(untagged)]
pub(crate) enum MetricsListen {
    /// An address, which may be one that other machines reach.
    Address(SocketAddr),
    /// A port of this machine alone.
    Port(u16),
}

impl MetricsListen {
    /// The address to listen on.
    pub(crate) fn address(self) -> SocketAddr {
        match self {
            Self::Address(address) => address,
            Self::Port(port) => SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        }
    }
}

/// A user or a group.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(untagged)]
pub(crate) enum Account {
    /// By number.
    Id(u32),
    /// By name, as `/etc/passwd` or `/etc/group` has it; a number in quotes is a number.
    Name(String),
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl Config {
    /// Reads the file at `path`, which nobody else may be able to change.
    pub(crate) fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path)
            .map_err(|why| ConfigError::Unreadable { path: path.to_owned(), why })?;
        files::check_trusted(path)?;
        if text.trim().is_empty() {
            return Err(ConfigError::Empty);
        }
        let mut config = Self::parse(&text)?;
        config.network.load()?;
        Ok(config)
    }

    /// What the file at `path` says about the plugins' socket. What its settings mean is the daemon's to say.
    pub(crate) fn socket_in(path: &Path) -> Result<Option<PathBuf>, ConfigError> {
        let text = fs::read_to_string(path)
            .map_err(|why| ConfigError::Unreadable { path: path.to_owned(), why })?;
        files::check_trusted(path)?;
        let table: toml::Table = toml::from_str(&text).map_err(|error| syntax(&text, &error))?;
        let socket = table.get("local").and_then(|local| local.get("socket"));
        Ok(socket.and_then(toml::Value::as_str).map(PathBuf::from))
    }

    /// Understands the text of a store's file.
    pub(crate) fn parse(text: &str) -> Result<Self, ConfigError> {
        let file: StoreFile = toml::from_str(text).map_err(|error| syntax(text, &error))?;
        let (issuer, issuer_is_loopback) = issuer(&file.issuer)?;
        let api_base = match file.api_base {
            Some(base) => api_base(&base)?,
            None => format!("{issuer}/api/partner/v1"),
        };
        let audience = file.audience.unwrap_or_else(|| match APEX_AUDIENCE {
            (www, apex) if issuer == www => apex.to_owned(),
            _ => format!("{issuer}/api/partner/v1"),
        });
        let site = SiteUrl::parse(&file.site_url, LocalHosts::Accepted, true).map_err(|refusal| {
            setting("site_url", format!("{refusal}; write it as https://shop.example or https://shop.example/path, without a final slash"))
        })?;
        below_site("redirect_uri", &file.redirect_uri, &site)?;
        let platform = Platform::named(&file.platform);
        if let Some(url) = &file.webhook_url {
            below_site("webhook_url", url, &site)?;
        }
        local(&file.local)?;
        let https = [&issuer, &api_base].iter().any(|url| url.starts_with("https:"));
        let network = Network::parse(
            file.proxy,
            file.proxy_credentials_file,
            file.ca_file,
            file.ca_only,
            https,
        )?;
        file.key.check().map_err(|(name, why)| setting(name, why))?;
        Ok(Self {
            platform,
            platform_name: platform_name(file.platform)?,
            site_url: file.site_url,
            redirect_uri: file.redirect_uri,
            webhook_url: file.webhook_url,
            plugin_version: version("plugin_version", file.plugin_version, crate::VERSION)?,
            platform_version: version("platform_version", file.platform_version, "unknown")?,
            issuer,
            issuer_is_loopback,
            api_base,
            audience,
            key: file.key,
            network,
            local: file.local,
            site: file.site,
        })
    }
}

/// The file, key by key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoreFile {
    platform: String,
    site_url: String,
    redirect_uri: String,
    webhook_url: Option<String>,
    plugin_version: Option<String>,
    platform_version: Option<String>,
    issuer: String,
    api_base: Option<String>,
    audience: Option<String>,
    proxy: Option<String>,
    proxy_credentials_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    #[serde(default)]
    ca_only: bool,
    #[serde(default)]
    key: KeySettings,
    #[serde(default)]
    local: Local,
    #[serde(default)]
    site: SiteChecks,
}

/// Where it is wrong, and how. The error's own words would show the whole line: nobody knows what stands in it.
fn syntax(text: &str, error: &toml::de::Error) -> ConfigError {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    ConfigError::Syntax { line, why: error.message().replace('\n', " ") }
}

fn setting(name: &'static str, why: impl Into<String>) -> ConfigError {
    ConfigError::Setting { name, why: why.into() }
}

fn platform_name(name: String) -> Result<String, ConfigError> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let good = (1..=40).contains(&name.len())
        && name.bytes().all(plain)
        && name.starts_with(|first: char| first.is_ascii_lowercase());
    good.then_some(name)
        .ok_or_else(|| setting("platform", "a name such as wordpress, medusa or btcpay-server"))
}

fn version(
    name: &'static str,
    given: Option<String>,
    default: &str,
) -> Result<String, ConfigError> {
    let version = given.unwrap_or_else(|| default.to_owned());
    let good = (1..=64).contains(&version.len()) && version.bytes().all(|b| b.is_ascii_graphic());
    good.then_some(version).ok_or_else(|| {
        setting(name, "a version of 1 to 64 characters without spaces, such as 1.0.0")
    })
}

/// An issuer is an origin: https, or http on this machine.
fn issuer(text: &str) -> Result<(String, bool), ConfigError> {
    let wrong = |why: &str| setting("issuer", why);
    let url = Url::parse(text).map_err(|_| wrong("an address such as https://pay.example"))?;
    let host = url.host().ok_or_else(|| wrong("the address has no host"))?;
    let loopback = is_loopback(&host);
    if url.scheme() != "https" && !(url.scheme() == "http" && loopback) {
        return Err(wrong("must begin with https:// (http:// only for this machine itself)"));
    }
    if url.origin().ascii_serialization() != text {
        return Err(wrong(
            "must be scheme, host and port alone, in lower case, without path or final slash",
        ));
    }
    Ok((text.to_owned(), loopback))
}

fn api_base(text: &str) -> Result<String, ConfigError> {
    let wrong = |why: &str| setting("api_base", why);
    let url =
        Url::parse(text).map_err(|_| wrong("an address such as https://pay.example/api/v1"))?;
    let loopback = url.host().is_some_and(|host| is_loopback(&host));
    if url.scheme() != "https" && !(url.scheme() == "http" && loopback) {
        return Err(wrong("must begin with https:// (http:// only for this machine itself)"));
    }
    let base = text.strip_suffix('/').unwrap_or(text);
    let canonical = HttpUri::parse(base)
        .is_ok_and(|uri| uri.as_str().trim_end_matches('/') == base)
        && url.as_str().trim_end_matches('/') == base
        && !url.path().contains("//")
        && !text.contains('%');
    canonical.then(|| base.to_owned()).ok_or_else(|| {
        wrong("must be a plain address in lower case without user, query, fragment or dot segments")
    })
}

/// An address that the plugin answers.
fn below_site(name: &'static str, text: &str, site: &SiteUrl) -> Result<(), ConfigError> {
    let wrong = |why: &str| setting(name, why);
    let url =
        Url::parse(text).map_err(|_| wrong("an address below site_url that the plugin answers"))?;
    let loopback = url.host().is_some_and(|host| is_loopback(&host));
    if url.scheme() != "https" && !(url.scheme() == "http" && loopback) {
        return Err(wrong("must begin with https:// (http:// only for this machine itself)"));
    }
    let plain = url.as_str() == text && url.fragment().is_none() && url.username().is_empty();
    if !plain || url.password().is_some() {
        return Err(wrong("must be written plainly, without user and fragment"));
    }
    let below = text.strip_prefix(site.as_str()).is_some_and(|rest| rest.starts_with('/'));
    below.then_some(()).ok_or_else(|| wrong("must begin with site_url and a slash"))
}

fn local(local: &Local) -> Result<(), ConfigError> {
    local.limits.check()?;
    calls::check(&local.calls)?;
    if let Some(tcp) = local.tcp
        && !tcp.ip().is_loopback()
    {
        return Err(setting(
            "local.tcp",
            "must be an address of this machine alone, such as 127.0.0.1:8787",
        ));
    }
    if local.tcp.is_none() && local.tcp_token_file.is_some() {
        return Err(setting("local.tcp_token_file", "has no effect without local.tcp"));
    }
    for (name, path) in
        [("local.socket", &local.socket), ("local.tcp_token_file", &local.tcp_token_file)]
    {
        if path.as_ref().is_some_and(|path| !path.is_absolute()) {
            return Err(setting(name, "must be an absolute path"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
