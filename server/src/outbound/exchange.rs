//! One request over one connection, which is made to an address that was found good and to no other.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    body::{Body as _, Incoming},
    client::conn::http1,
    header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderValue, TRANSFER_ENCODING},
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::rustls::{self, CertificateError, pki_types::ServerName};
use url::Host;

use super::{Answer, Destination, Outbound, OutboundError, Request, UrlRefusal, proxy::Proxy};

/// The most headers of an answer, and the most bytes of its head.
pub(super) const MAX_HEADERS: usize = 64;
pub(super) const MAX_HEAD: usize = 16 * 1024;

/// The most addresses of one name that are tried.
const MAX_TRIED: usize = 4;

/// Both directions of a connection.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// One way to a host.
enum Step<'a> {
    Direct(IpAddr),
    /// Through the proxy, to a host and a port.
    Tunnel(&'a Proxy, String),
}

impl Outbound {
    /// Fills `heard` as the answer arrives, so that what has come of it stays when the rest does not.
    pub(super) async fn exchange(
        &self,
        destination: &Destination,
        request: Request,
        heard: &mut Option<Answer>,
    ) -> Result<(), OutboundError> {
        let keep = request.keep;
        let request = written(destination, request)?;
        let stream = self.connect(destination).await?;
        speak(stream, request, keep, heard).await
    }

    async fn connect(&self, destination: &Destination) -> Result<Box<dyn Stream>, OutboundError> {
        let way = timeout(self.connect_time, self.way(destination));
        let way = way.await.map_err(|_| OutboundError::ConnectTimeout)??;
        let mut failure = OutboundError::ConnectTimeout;
        for step in way.into_iter().take(MAX_TRIED) {
            let made = match &step {
                Step::Direct(address) => self.direct(*address, destination.port).await,
                Step::Tunnel(proxy, authority) => proxy.tunnel(authority, self.connect_time).await,
            };
            match made {
                Ok(stream) => return self.secured(destination, stream).await,
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn direct(&self, address: IpAddr, port: u16) -> Result<Box<dyn Stream>, OutboundError> {
        match timeout(self.connect_time, TcpStream::connect((address, port))).await {
            Ok(Ok(stream)) => {
                let _ = stream.set_nodelay(true);
                Ok(Box::new(stream))
            }
            Ok(Err(error)) => Err(OutboundError::Unreachable(error)),
            Err(_) => Err(OutboundError::ConnectTimeout),
        }
    }

    /// What is tried, in this order: the addresses of the host, or tunnels to them where a proxy leads out.
    async fn way(&self, destination: &Destination) -> Result<Vec<Step<'_>>, OutboundError> {
        let Destination { host, port, secure, .. } = destination;
        let direct = |addresses: Vec<IpAddr>| addresses.into_iter().map(Step::Direct).collect();
        // Plain http is for this machine alone.
        let Some(proxy) = self.proxy.as_ref().filter(|_| *secure) else {
            return Ok(direct(self.addresses(destination).await?));
        };
        if let (Host::Domain(name), true) = (host, proxy.resolves) {
            return if self.rules.ports.contains(port) {
                Ok(vec![Step::Tunnel(proxy, format!("{name}:{port}"))])
            } else {
                Err(OutboundError::Url(UrlRefusal::Port(*port)))
            };
        }
        let addresses = self.addresses(destination).await?;
        let (inside, public): (Vec<_>, Vec<_>) =
            addresses.into_iter().partition(|address| self.rules.is_inside(*address));
        if !inside.is_empty() {
            return Ok(direct(inside));
        }
        let tunnel = |address| Step::Tunnel(proxy, SocketAddr::new(address, *port).to_string());
        Ok(public.into_iter().map(tunnel).collect())
    }

    /// The addresses of a host, if every one of them may be called. A name that also leads inside is a trap, or a mistake.
    async fn addresses(&self, destination: &Destination) -> Result<Vec<IpAddr>, OutboundError> {
        let addresses = match (&destination.host, destination.literal()) {
            (Host::Domain(name), _) => {
                self.resolver.resolve(name).await.map_err(OutboundError::Unresolved)?
            }
            (_, literal) => literal.into_iter().collect(),
        };
        let Destination { port, secure, .. } = *destination;
        if let Some(bad) = addresses.iter().find(|it| !self.rules.admit(**it, port, secure)) {
            return Err(OutboundError::Forbidden(*bad));
        }
        if addresses.is_empty() {
            let nothing = io::Error::new(io::ErrorKind::NotFound, "no address");
            return Err(OutboundError::Unresolved(nothing));
        }
        Ok(addresses)
    }

    async fn secured(
        &self,
        destination: &Destination,
        stream: Box<dyn Stream>,
    ) -> Result<Box<dyn Stream>, OutboundError> {
        if !destination.secure {
            return Ok(stream);
        }
        let name = match &destination.host {
            Host::Domain(name) => ServerName::try_from(name.clone())
                .map_err(|_| OutboundError::Url(UrlRefusal::Malformed))?,
            Host::Ipv4(address) => IpAddr::from(*address).into(),
            Host::Ipv6(address) => IpAddr::from(*address).into(),
        };
        let handshake = timeout(self.connect_time, self.tls.connector().connect(name, stream));
        match handshake.await {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(error)) => Err(OutboundError::Tls(tls_failure(&error).to_owned())),
            Err(_) => Err(OutboundError::ConnectTimeout),
        }
    }
}

/// The request as it goes on the wire.
fn written(
    destination: &Destination,
    request: Request,
) -> Result<hyper::Request<Full<Bytes>>, OutboundError> {
    let authority = HeaderValue::try_from(&destination.authority);
    let authority = authority.map_err(|_| OutboundError::Url(UrlRefusal::Malformed))?;
    let mut written = hyper::Request::new(Full::new(request.body));
    *written.method_mut() = request.method;
    *written.uri_mut() = destination.target.clone();
    *written.headers_mut() = request.headers;
    let headers = written.headers_mut();
    headers.remove(CONTENT_LENGTH);
    headers.remove(TRANSFER_ENCODING);
    headers.insert(HOST, authority);
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    Ok(written)
}

async fn speak(
    stream: Box<dyn Stream>,
    request: hyper::Request<Full<Bytes>>,
    keep: usize,
    heard: &mut Option<Answer>,
) -> Result<(), OutboundError> {
    let (mut sender, connection) = http1::Builder::new()
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(OutboundError::Broken)?;
    // Ends with this function, whatever becomes of it.
    let mut driving = JoinSet::new();
    driving.spawn(connection);
    let answer = sender.send_request(request).await.map_err(OutboundError::Broken)?;
    let (parts, mut body) = answer.into_parts();
    let answer = heard.insert(Answer {
        status: parts.status,
        headers: parts.headers,
        body: Vec::new(),
        truncated: true,
        took: Duration::ZERO,
    });
    answer.truncated = !read_beginning(&mut body, keep, &mut answer.body).await?;
    Ok(())
}

/// Reads the body's beginning. Says whether that was all of it.
async fn read_beginning(
    body: &mut Incoming,
    keep: usize,
    kept: &mut Vec<u8>,
) -> Result<bool, OutboundError> {
    while !body.is_end_stream() {
        let Some(frame) = body.frame().await else { break };
        let Ok(data) = frame.map_err(OutboundError::Broken)?.into_data() else { continue };
        let room = keep - kept.len();
        kept.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() > room {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What is wrong with a secure connection, in words for whoever runs the host.
fn tls_failure(error: &io::Error) -> &'static str {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(reason)) => match reason {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the certificate has expired"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the certificate is for another name"
            }
            CertificateError::UnknownIssuer => {
                "the certificate, or one between it and the root, is of no known authority"
            }
            _ => "the certificate is not valid",
        },
        Some(_) => "the host does not speak TLS 1.2 or 1.3 as it should",
        None => "the host broke off",
    }
}
