//! Connections to one upstream: to its configured origin or socket, and nowhere else.

use std::{
    io,
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use hyper::Uri;
use hyper_util::{
    client::legacy::connect::{Connected, Connection},
    rt::TokioIo,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};
use tower::Service;
use url::Host;

use super::Upstream;

/// Both directions of a connection.
trait Both: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Both for T {}

/// A connection to an upstream.
pub struct Stream(Box<dyn Both>);

/// Makes connections to one upstream, whatever a URI says.
#[derive(Clone)]
pub struct Connector(Arc<Place>);

/// Where an upstream listens.
struct Place {
    how: How,
    time: Duration,
}

enum How {
    Socket(PathBuf),
    Tcp { host: String, port: u16, tls: Option<(TlsConnector, ServerName<'static>)> },
}

impl Connector {
    /// For an upstream; `tls` is asked only if it is reached by https.
    pub fn new(upstream: &Upstream, tls: impl FnOnce() -> TlsConnector) -> Self {
        let host = upstream.base.host().expect("checked when the settings were read");
        let how = if let Some(path) = &upstream.socket {
            How::Socket(path.clone())
        } else {
            let name = match &host {
                Host::Domain(name) => ServerName::try_from((*name).to_owned()).ok(),
                Host::Ipv4(address) => Some(std::net::IpAddr::from(*address).into()),
                Host::Ipv6(address) => Some(std::net::IpAddr::from(*address).into()),
            };
            How::Tcp {
                host: host.to_string().trim_matches(['[', ']']).to_owned(),
                port: upstream.base.port_or_known_default().unwrap_or_default(),
                tls: name.filter(|_| upstream.base.scheme() == "https").map(|name| (tls(), name)),
            }
        };
        Self(Arc::new(Place { how, time: upstream.bounds.connect }))
    }
}

impl Place {
    async fn connect(&self) -> io::Result<Stream> {
        Ok(Stream(match &self.how {
            How::Socket(path) => Box::new(UnixStream::connect(path).await?),
            How::Tcp { host, port, tls } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                let _ = stream.set_nodelay(true);
                match tls {
                    Some((tls, name)) => Box::new(tls.connect(name.clone(), stream).await?),
                    None => Box::new(stream),
                }
            }
        }))
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<Stream>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let place = Arc::clone(&self.0);
        Box::pin(async move {
            let made = timeout(place.time, place.connect()).await;
            made.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map(TokioIo::new)
        })
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
