//! The HTTP client: by which way and by which certificates it goes. Nothing of the environment is taken over
//! unless the store's file says so.

use std::time::Duration;

use reqwest::{Certificate, Client, ClientBuilder, NoProxy, redirect::Policy};

use super::{Unanswered, failure};
use crate::config::{Config, Network, Proxy};

/// How long it may take until there is a connection, all addresses of the name tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection is kept for the next call, and how many at most. Shorter than any usual server keeps it: a call
/// that meets the server's end of a connection is lost, and nobody knows whether it was heard.
const IDLE: (Duration, usize) = (Duration::from_secs(4), 8);

/// After how long a silent connection is probed, and after how long one that does not take what is sent is given up.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The client of a store.
pub(super) fn of(config: &Config) -> reqwest::Result<Client> {
    builder(config, |name| std::env::var(name).ok())?.build()
}

/// A client that goes the same way and also tells what certificate it met.
pub(crate) fn probe(config: &Config) -> Result<Client, Unanswered> {
    let builder = builder(config, |name| std::env::var(name).ok());
    let client = builder.and_then(|builder| builder.tls_info(true).build());
    client.map_err(|error| failure::of(&error))
}

/// The client before it is made; `variable` is the environment.
fn builder(
    config: &Config,
    variable: impl Fn(&str) -> Option<String>,
) -> reqwest::Result<ClientBuilder> {
    let builder = Client::builder()
        .user_agent(concat!("counterfoild/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE.0)
        .pool_max_idle_per_host(IDLE.1)
        .tcp_keepalive(KEEP_ALIVE)
        .tcp_keepalive_interval(KEEP_ALIVE)
        .tcp_user_timeout(super::SILENCE);
    let builder = by_proxy(builder, &config.network, variable)?;
    by_certificates(builder, config)
}

/// Whether this is PEM with certificates, each of which can be an authority's.
pub(crate) fn are_certificates(pem: &[u8]) -> bool {
    match Certificate::from_pem_bundle(pem) {
        Ok(certificates) if !certificates.is_empty() => {
            Client::builder().no_proxy().tls_certs_only(certificates).build().is_ok()
        }
        _ => false,
    }
}

fn by_proxy(
    builder: ClientBuilder,
    network: &Network,
    variable: impl Fn(&str) -> Option<String>,
) -> reqwest::Result<ClientBuilder> {
    // Proxies of the environment are out of the question even where the library looks for them.
    let builder = builder.no_proxy();
    let variable = |names: [&str; 2]| names.into_iter().find_map(&variable);
    match &network.proxy {
        Proxy::None => Ok(builder),
        Proxy::Url(url) => {
            let mut proxy = reqwest::Proxy::all(url)?;
            let credentials = network.proxy_credentials.as_ref();
            if let Some(content) = credentials.and_then(|named| named.content.as_ref())
                && let Some((user, password)) = content.expose().split_once(':')
            {
                proxy = proxy.basic_auth(user, password);
            }
            Ok(builder.proxy(proxy))
        }
        Proxy::System => {
            let url = variable(["HTTPS_PROXY", "https_proxy"]).filter(|url| !url.is_empty());
            let Some(url) = url else { return Ok(builder) };
            let except = variable(["NO_PROXY", "no_proxy"]);
            let except = except.as_deref().and_then(NoProxy::from_string);
            Ok(builder.proxy(reqwest::Proxy::https(url)?.no_proxy(except)))
        }
    }
}

fn by_certificates(builder: ClientBuilder, config: &Config) -> reqwest::Result<ClientBuilder> {
    let plain = [&config.issuer, &config.api_base].iter().all(|url| url.starts_with("http:"));
    if plain {
        // A machine without any certificates can still talk to itself.
        return Ok(builder.tls_certs_only([]));
    }
    let pem = config.network.ca.as_ref().and_then(|named| named.content.as_deref());
    let Some(pem) = pem else { return Ok(builder) };
    let certificates = Certificate::from_pem_bundle(pem)?;
    Ok(if config.network.ca_only {
        builder.tls_certs_only(certificates)
    } else {
        builder.tls_certs_merge(certificates)
    })
}

#[cfg(test)]
mod tests;
