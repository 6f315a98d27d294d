//! The platform as this machine sees it: name, way, certificate, its description of itself.

use std::time::Duration;

use counterfoil_protocol::UnixTime;
use reqwest::tls::TlsInfo;
use serde_json::{Map, Value};
use url::{Host, Url};

use super::{Finding, ago, certificate::Certificate};
use crate::{
    clock::Clock,
    config::{Config, Proxy},
    conversation,
    upstream::{self, Unanswered},
};

/// How long a name, and the whole of an exchange, may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A name that takes longer holds up every new connection.
const SLOW_NAME: Duration = Duration::from_secs(2);

/// A certificate that ends sooner should have been renewed by now, in seconds.
const ENDS_SOON: i64 = 7 * 24 * 3_600;

/// The longest description that is read, in bytes.
const MAX_BODY: usize = 256 * 1_024;

/// Variables of the environment by which other programs find a proxy.
const PROXY_VARIABLES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// What was seen of the platform.
pub(super) struct Seen {
    name: Option<Name>,
    exchange: Result<Exchange, Unanswered>,
    proxy_in_environment: Option<&'static str>,
}

/// How a name was resolved.
struct Name {
    host: String,
    addresses: Result<(usize, usize), String>,
    took: Duration,
}

/// An answer of the platform.
struct Exchange {
    status: u16,
    location: Option<String>,
    certificate: Option<Certificate>,
    metadata: Option<Map<String, Value>>,
    /// Seconds that its clock is ahead.
    offset: Option<i64>,
    took: Duration,
}

impl Seen {
    /// Seconds that the platform's clock is ahead, if it told.
    pub(super) fn offset(&self) -> Option<i64> {
        self.exchange.as_ref().ok()?.offset
    }
}

/// Looks at the platform: one name, one request, nothing that changes anything there.
pub(super) async fn look(config: &Config, clock: &dyn Clock) -> Seen {
    let set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    Seen {
        name: resolve(&config.issuer, clock).await,
        exchange: exchange(config, clock).await,
        proxy_in_environment: PROXY_VARIABLES.into_iter().find(set),
    }
}

async fn resolve(issuer: &str, clock: &dyn Clock) -> Option<Name> {
    let url = Url::parse(issuer).ok()?;
    let Some(Host::Domain(host)) = url.host() else { return None };
    let begun = clock.ticks();
    let port = url.port_or_known_default().unwrap_or(443);
    let found = tokio::time::timeout(PATIENCE, tokio::net::lookup_host((host, port))).await;
    let addresses = match found {
        Ok(Ok(addresses)) => {
            let (four, six): (Vec<_>, Vec<_>) = addresses.partition(std::net::SocketAddr::is_ipv4);
            Ok((four.len(), six.len()))
        }
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("no answer in time".to_owned()),
    };
    Some(Name { host: host.to_owned(), addresses, took: clock.ticks().saturating_sub(begun) })
}

async fn exchange(config: &Config, clock: &dyn Clock) -> Result<Exchange, Unanswered> {
    let client = upstream::probe(config)?;
    let url = format!("{}/.well-known/oauth-authorization-server", config.issuer);
    let begun = clock.ticks();
    let response = client.get(url).timeout(PATIENCE).send().await;
    let response = response.map_err(|error| upstream::failure(&error))?;
    let took = clock.ticks().saturating_sub(begun);
    let now = clock.now();
    let header = |name| response.headers().get(name)?.to_str().ok().map(str::to_owned);
    let certificate = response.extensions().get::<TlsInfo>().and_then(TlsInfo::peer_certificate);
    let mut exchange = Exchange {
        status: response.status().as_u16(),
        location: header("location"),
        certificate: certificate.and_then(Certificate::read),
        metadata: None,
        // Its clock was read somewhere within the exchange.
        offset: upstream::answer::date(response.headers())
            .map(|date| date.since(now))
            .filter(|_| took < Duration::from_secs(5)),
        took,
    };
    exchange.metadata = upstream::read_whole(response, MAX_BODY).await?.json();
    Ok(exchange)
}

/// Judges what was seen.
pub(super) fn judge(
    seen: &Seen,
    config: &Config,
    live: Option<&Value>,
    now: UnixTime,
) -> Vec<Finding> {
    let mut findings = Vec::from_iter(seen.name.as_ref().map(judge_name));
    match &seen.exchange {
        Err(why) => findings.push(unreachable(why, config, seen.proxy_in_environment)),
        Ok(exchange) => {
            findings.extend(exchange.certificate.as_ref().map(|it| judge_certificate(it, now)));
            findings.push(judge_description(exchange, config));
            findings.extend(judge_proofs(exchange, live));
        }
    }
    findings
}

fn judge_name(Name { host, addresses, took }: &Name) -> Finding {
    let ms = took.as_millis();
    match addresses {
        Err(why) => Finding::problem(
            "dns",
            format!("The name {host} cannot be resolved: {why}."),
            format!("Look with: getent ahosts {host}; the name servers are in /etc/resolv.conf"),
        ),
        Ok((four, six)) => {
            let says =
                format!("{host} has {four} IPv4 and {six} IPv6 addresses (found in {ms} ms).");
            if *took < SLOW_NAME {
                return Finding::ok("dns", says);
            }
            let next_step = format!(
                "Find the slow name server: resolvectl query {host}; the name servers are in /etc/resolv.conf"
            );
            Finding::warning("dns", format!("{says} That is slow."), next_step)
        }
    }
}

fn unreachable(why: &Unanswered, config: &Config, proxy: Option<&str>) -> Finding {
    let issuer = &config.issuer;
    let says = format!("{issuer} gives no answer of use: {why}.");
    let uses_none = config.network.proxy == Proxy::None;
    let (check, next_step) = match (why, proxy) {
        (Unanswered::Untrusted(..), _) => ("tls", "If a proxy of this network presents certificates of its own, name its authority's file as ca_file in the store's file, then run: counterfoild reload; otherwise: apt install --reinstall ca-certificates && timedatectl status".to_owned()),
        (Unanswered::Proxy(_), _) => ("proxy", "Compare proxy and proxy_credentials_file in the store's file with what the network's administrator gave you, then run: counterfoild reload".to_owned()),
        (_, Some(name)) if uses_none => ("platform", format!("The environment names a proxy ({name}), which the daemon does not take over: set proxy in the store's file, then run: counterfoild reload. Look with: curl -I {issuer}")),
        _ => ("platform", format!("Look at network and firewall with: curl -I {issuer} (as the daemon's user); if this network needs a proxy, set proxy in the store's file")),
    };
    Finding::problem(check, says, next_step)
}

fn judge_certificate(certificate: &Certificate, now: UnixTime) -> Finding {
    let issuer = certificate.issuer.as_deref().unwrap_or("somebody without a name");
    let says = format!(
        "The platform's certificate is trusted, issued by {issuer}, and ends {}.",
        ago(certificate.ends_at, now)
    );
    if certificate.ends_at.since(now) > ENDS_SOON {
        return Finding::ok("tls", says);
    }
    let next_step = "Tell the platform's support; here nothing can be done. If the clock of this machine is wrong: timedatectl set-ntp true";
    Finding::warning("tls", says, next_step)
}

/// Whether the platform's description of itself is acceptable, and stands where the store's file says.
fn judge_description(exchange: &Exchange, config: &Config) -> Finding {
    let Exchange { status, location, metadata, took, .. } = exchange;
    let issuer = &config.issuer;
    if (300..400).contains(status) {
        let elsewhere = location.as_deref().and_then(|location| Url::parse(location).ok());
        let origin = elsewhere.map(|url| url.origin().ascii_serialization());
        let target = origin.filter(|origin| origin != issuer);
        let next_step = match &target {
            Some(origin) => format!(
                "Set issuer = \"{origin}\" in the store's file, then run: counterfoild reload"
            ),
            None => "Tell the platform's support: its description must be answered, not redirected"
                .to_owned(),
        };
        let says = format!(
            "{issuer} sends its callers to {} instead of answering: proofs made for the one are refused by the other.",
            target.as_deref().unwrap_or("another address")
        );
        return Finding::problem("htu", says, next_step);
    }
    let Some(metadata) = metadata.as_ref().filter(|_| (200..300).contains(status)) else {
        return Finding::problem(
            "discovery",
            format!("{issuer} answers, but with HTTP {status} and no description of itself."),
            format!(
                "Check issuer in the store's file; look with: curl -i {issuer}/.well-known/oauth-authorization-server"
            ),
        );
    };
    match conversation::why_unacceptable(metadata, issuer) {
        None => Finding::ok(
            "discovery",
            format!(
                "{issuer} answers in {} ms, and its description is acceptable.",
                took.as_millis()
            ),
        ),
        Some(why) => {
            let own = metadata.get("issuer").and_then(Value::as_str).filter(|own| own != issuer);
            let next_step = match own {
                Some(own) if own.len() < 256 && own.starts_with("https://") => format!(
                    "If {own} is your platform, set issuer = \"{own}\" in the store's file, then run: counterfoild reload"
                ),
                _ => {
                    "Check issuer in the store's file; if it is right, tell the platform's support"
                        .to_owned()
                }
            };
            Finding::problem(
                "discovery",
                format!("The platform's description of itself is not acceptable: {why}."),
                next_step,
            )
        }
    }
}

/// Proofs that are refused although the clocks agree are made for another address than the server sees.
fn judge_proofs(exchange: &Exchange, live: Option<&Value>) -> Option<Finding> {
    let code = live?.pointer("/last_error/code").and_then(Value::as_str)?;
    let clocks_agree = exchange.offset.is_some_and(|offset| offset.abs() <= 30);
    (code == "proof_refused" && clocks_agree).then(|| {
        Finding::problem(
            "htu",
            "The platform refuses this store's proofs although the clocks agree: it sees another address than issuer or api_base name.",
            "Compare issuer and api_base in the store's file with the platform's documentation (with or without www); a server of your own must be started with the public address as --issuer",
        )
    })
}

#[cfg(test)]
mod tests;
