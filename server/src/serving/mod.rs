//! HTTP/1.1 over TCP, bounded in every direction: connections, heads, bodies, waiting.
//!
//! axum's own server has no time limit for a request's head, so connections are served through hyper.

mod body;
pub mod descriptors;
pub mod tls;

use std::{future::Future, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Router, extract::ConnectInfo};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    time::{sleep, timeout},
};
use tokio_io_timeout::TimeoutWriter;
use tower::ServiceExt as _;

pub use self::body::TooSlow;
use self::{body::WithDeadline, tls::Tls};
use crate::config;

/// How long to wait before accepting again when the system is out of files or memory.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// How much of connections is taken.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    connections: usize,
    head: usize,
    head_time: Duration,
    body_time: Duration,
    write_time: Duration,
    shutdown_time: Duration,
}

impl Limits {
    /// The limits in the settings.
    #[must_use]
    pub fn new(limits: &config::Limits) -> Self {
        Self {
            connections: limits.connections,
            head: limits.head,
            head_time: Duration::from_secs(limits.head_seconds),
            body_time: Duration::from_secs(limits.body_seconds),
            write_time: Duration::from_secs(limits.write_seconds),
            shutdown_time: Duration::from_secs(limits.shutdown_seconds),
        }
    }

    /// The same limits with no more connections than fit beside `calls` to others, where `files` can be open at a time.
    #[must_use]
    pub fn within(self, files: u64, calls: usize) -> Self {
        let connections = descriptors::fitting(files, self.connections, calls);
        if connections < self.connections {
            tracing::warn!(
                files,
                connections,
                "fewer connections are taken than limits.connections says: raise the limit of open files (LimitNOFILE)"
            );
        }
        Self { connections, ..self }
    }
}

/// What every connection is given.
#[derive(Clone)]
struct Service {
    app: Router,
    limits: Limits,
    tls: Option<Arc<Tls>>,
    stopping: watch::Receiver<()>,
}

/// Serves until `shutdown`; then lets requests under way finish, as long as the limits say.
pub async fn run(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    app: Router,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) {
    let slots = Arc::new(Semaphore::new(limits.connections));
    let (stop, stopping) = watch::channel(());
    let service = Service { app, limits, tls, stopping };
    let mut shutdown = pin!(shutdown);
    loop {
        // A slot first: connections beyond the limit wait in the system's queue.
        let accepted = async {
            let slot = Arc::clone(&slots).acquire_owned().await;
            (slot, listener.accept().await)
        };
        let (slot, accepted) = tokio::select! {
            () = &mut shutdown => break,
            accepted = accepted => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let service = service.clone();
                tokio::spawn(async move {
                    service.accept(stream, peer).await;
                    drop(slot);
                });
            }
            Err(error) => pause_after(&error).await,
        }
    }
    drop((listener, service));
    let _ = stop.send(());
    if timeout(limits.shutdown_time, stop.closed()).await.is_err() {
        tracing::warn!("some requests were still under way");
    }
}

/// A failed accept is the fault of one connection, or of a system that is out of something for a while. Never ours to
/// end for.
async fn pause_after(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        tracing::warn!(%error, "cannot accept connections");
        sleep(ACCEPT_BACKOFF).await;
    }
}

impl Service {
    async fn accept(mut self, stream: TcpStream, peer: SocketAddr) {
        // Answers are small and written at once; waiting for more would only delay them.
        let _ = stream.set_nodelay(true);
        let Some(tls) = self.tls.take() else { return self.serve(stream, peer).await };
        match timeout(self.limits.head_time, tls.acceptor().accept(stream)).await {
            Ok(Ok(stream)) => self.serve(stream, peer).await,
            Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake failed"),
            Err(_) => tracing::debug!(%peer, "TLS handshake took too long"),
        }
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin, peer: SocketAddr) {
        let Self { app, limits, mut stopping, .. } = self;
        let answer = service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(|body| WithDeadline::new(body, limits.body_time));
            request.extensions_mut().insert(ConnectInfo(peer));
            app.clone().oneshot(request)
        });
        let mut stream = TimeoutWriter::new(stream);
        stream.set_timeout(Some(limits.write_time));
        let stream = pin!(stream);
        // The time for a head runs from the answer before, so it bounds idle connections as well.
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head_time)
            .max_buf_size(limits.head)
            .serve_connection(TokioIo::new(stream), answer);
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = &mut connection => ended,
            _ = stopping.changed() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, "connection ended");
        }
    }
}

#[cfg(test)]
mod tests;
