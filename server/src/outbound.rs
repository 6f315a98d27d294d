//! The HTTP client for addresses that others gave us: where notifications go, whose store it is, whose sign-in.
//!
//! Whoever names an address could name one inside our own network, so nothing here trusts a name: it is resolved once,
//! every address it has must be on the public Internet, and the connection is made to one of exactly those addresses.
//! No redirect is followed, no proxy but that of the settings is used, every answer is bounded in size and time, and one slow
//! host takes no more than its share of the connections.

mod address;
mod destination;
mod exchange;
mod proxy;
mod resolve;
mod slots;
mod tls;

use std::{io, net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use hyper::{HeaderMap, Method, StatusCode};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

pub use self::{
    address::Rules,
    destination::{Destination, UrlRefusal},
    resolve::{Resolve, System},
    slots::Slots,
};
use self::{proxy::Proxy, tls::Tls};
use crate::{clock::Clock, config::Config};

/// A request to an address that somebody gave us.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Where to, as it was given.
    pub url: String,
    /// Headers, without `Host`, `Content-Length` and `Connection`, which are ours to write.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// How many bytes of the answer's body are wanted. What is beyond them is not read.
    pub keep: usize,
    /// Whether the status is what is asked for: then a body that stalls or breaks off is one that was cut there. Else
    /// there is no answer without the body.
    pub status_suffices: bool,
}

/// An answer, whatever its status: a redirect is one too.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers: at most 64 in at most 16 KiB.
    pub headers: HeaderMap,
    /// The body's beginning.
    pub body: Vec<u8>,
    /// Whether there was more of the body, or should have been.
    pub truncated: bool,
    /// How long it took, from the name's resolution to the last byte kept.
    pub took: Duration,
}

/// Why there is no answer. The text is for whoever gave the address, and tells nothing about our network.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The URL is none that we call.
    #[error(transparent)]
    Url(#[from] UrlRefusal),
    /// The name has no address.
    #[error("The host's name cannot be resolved.")]
    Unresolved(#[source] io::Error),
    /// The name has an address inside some network.
    #[error(
        "The host has an address that is not on the public Internet, or a port that is not called there."
    )]
    Forbidden(IpAddr),
    /// Nobody took the connection.
    #[error("The host does not take connections.")]
    Unreachable(#[source] io::Error),
    /// There is no secure connection.
    #[error("There is no secure connection: {0}.")]
    Tls(String),
    /// The connection was not made in time.
    #[error("The connection was not made in time.")]
    ConnectTimeout,
    /// The proxy is not there, or does not lead to the host.
    #[error("The server's own proxy does not lead to the host.")]
    Proxy(#[source] io::Error),
    /// The answer did not come in time.
    #[error("The answer did not come in time.")]
    AnswerTimeout,
    /// What came was not an answer of HTTP, or too long a head, or ended too early.
    #[error("The answer is no HTTP answer, or its head is too long, or it broke off.")]
    Broken(#[source] hyper::Error),
    /// Too much is under way to that host.
    #[error("Too many requests to this host are under way.")]
    Busy,
}

impl OutboundError {
    /// A stable word for logs and records.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Url(_) => "url_refused",
            Self::Unresolved(_) => "name_unresolved",
            Self::Forbidden(_) => "address_forbidden",
            Self::Unreachable(_) => "connection_failed",
            Self::Tls(_) => "tls_failed",
            Self::ConnectTimeout => "connect_timed_out",
            Self::Proxy(_) => "proxy_failed",
            Self::AnswerTimeout => "answer_timed_out",
            Self::Broken(_) => "answer_broken",
            Self::Busy => "busy",
        }
    }
}

/// Why the client cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("outbound.certificates: {}: {reason}", path.display())]
pub struct CertificatesError {
    path: PathBuf,
    reason: String,
}

/// The client.
pub struct Outbound {
    rules: Rules,
    slots: Slots,
    tls: Tls,
    proxy: Option<Proxy>,
    resolver: Arc<dyn Resolve>,
    clock: Arc<dyn Clock>,
    connect_time: Duration,
    total_time: Duration,
}

impl Outbound {
    /// The client that the settings describe.
    pub fn new(
        config: &Config,
        resolver: Arc<dyn Resolve>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, CertificatesError> {
        let settings = &config.outbound;
        Ok(Self {
            rules: Rules::new(config),
            slots: Slots::new(settings.connections, settings.connections_per_host),
            tls: Tls::open(settings.certificates.as_deref())?,
            proxy: Proxy::of(settings),
            resolver,
            clock,
            connect_time: Duration::from_secs(settings.connect_seconds),
            total_time: Duration::from_secs(settings.total_seconds),
        })
    }

    /// Says whether a URL is one that could be called, as far as the URL alone tells.
    pub fn vet(&self, url: &str) -> Result<(), UrlRefusal> {
        self.rules.vet(url)
    }

    /// What makes secure connections: with the authorities of the machine and of the operator.
    #[must_use]
    pub fn tls(&self) -> TlsConnector {
        self.tls.connector()
    }

    /// Sends a request, once.
    pub async fn send(&self, request: Request) -> Result<Answer, OutboundError> {
        let destination = Destination::parse(&request.url, &self.rules)?;
        let slot = timeout(self.total_time, self.slots.take(&destination.authority)).await;
        let _slot = slot.map_err(|_| OutboundError::Busy)?;
        let begun = self.clock.monotonic();
        let (status_suffices, mut heard) = (request.status_suffices, None);
        let exchange = self.exchange(&destination, request, &mut heard);
        let ended = timeout(self.total_time, exchange).await;
        if let Err(failure) = ended.unwrap_or(Err(OutboundError::AnswerTimeout))
            && !(status_suffices && heard.is_some())
        {
            return Err(failure);
        }
        let mut answer = heard.expect("what ended well was heard");
        answer.took = self.clock.monotonic().saturating_sub(begun);
        Ok(answer)
    }
}

#[cfg(test)]
mod tests;
