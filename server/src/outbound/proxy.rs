//! The way out through a proxy, where the server's network has no other: a tunnel (`CONNECT`, RFC 9110 §9.3.6), and in it
//! the same TLS as without.
//!
//! The tunnel leads to an address that was found good, so the proxy decides nothing. Where only the proxy knows the names
//! of the Internet it is given the name; then it must see to it that none leads inside.

use std::{io, time::Duration};

use bytes::Bytes;
use http_body_util::Empty;
use hyper::{
    Method, Request,
    client::conn::http1,
    header::{HOST, HeaderValue},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::JoinSet, time::timeout};

use super::{
    OutboundError, UrlRefusal,
    exchange::{MAX_HEAD, MAX_HEADERS, Stream},
};
use crate::config;

/// The proxy.
pub(super) struct Proxy {
    host: String,
    port: u16,
    /// Whether it is given names.
    pub(super) resolves: bool,
}

impl Proxy {
    /// The one that the settings name.
    pub(super) fn of(settings: &config::Outbound) -> Option<Self> {
        let (host, port) = settings.proxy_address()?;
        let host = host.to_string().trim_matches(['[', ']']).to_owned();
        Some(Self { host, port, resolves: settings.proxy_resolves })
    }

    /// A connection to `authority`, a host and a port.
    pub(super) async fn tunnel(
        &self,
        authority: &str,
        patience: Duration,
    ) -> Result<Box<dyn Stream>, OutboundError> {
        let tunnel = timeout(patience, self.open(authority));
        tunnel.await.unwrap_or(Err(OutboundError::ConnectTimeout))
    }

    async fn open(&self, authority: &str) -> Result<Box<dyn Stream>, OutboundError> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await;
        let stream = stream.map_err(OutboundError::Proxy)?;
        let _ = stream.set_nodelay(true);
        let broken = |error| OutboundError::Proxy(io::Error::other(error));
        let (mut sender, connection) = http1::Builder::new()
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_HEAD)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        // Ends with this function, when the connection is the caller's.
        let mut driving = JoinSet::new();
        driving.spawn(connection.with_upgrades());
        let mut request = Request::new(Empty::<Bytes>::new());
        *request.method_mut() = Method::CONNECT;
        let malformed = |_| OutboundError::Url(UrlRefusal::Malformed);
        *request.uri_mut() = authority.parse().map_err(malformed)?;
        let host = HeaderValue::try_from(authority);
        let host = host.map_err(|_| OutboundError::Url(UrlRefusal::Malformed))?;
        request.headers_mut().insert(HOST, host);
        let answer = sender.send_request(request).await.map_err(broken)?;
        if !answer.status().is_success() {
            let refused = format!("the proxy answers {}", answer.status().as_u16());
            return Err(OutboundError::Proxy(io::Error::other(refused)));
        }
        let stream = hyper::upgrade::on(answer).await.map_err(broken)?;
        Ok(Box::new(TokioIo::new(stream)))
    }
}
