//! HTTP/1.1 over TCP, bounded in every direction: connections, heads, bodies, waiting.
//!
//! axum's own server has no time limit for a request's head, so connections are served through hyper.

mod body;
pub mod tls;

use std::{future::Future, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Router, extract::ConnectInfo};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    time::{sleep, timeout},
};
use tower::ServiceExt as _;

use self::body::WithDeadline;
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
            shutdown_time: Duration::from_secs(limits.shutdown_seconds),
        }
    }
}

/// Serves until `shutdown`; then lets requests under way finish, as long as the limits say.
pub async fn run(
    listener: TcpListener,
    app: Router,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) {
    let slots = Arc::new(Semaphore::new(limits.connections));
    let (stop, stopping) = watch::channel(());
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
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                pause_after(&error).await;
                continue;
            }
        };
        let (app, stopping) = (app.clone(), stopping.clone());
        tokio::spawn(async move {
            connection(stream, peer, app, limits, stopping).await;
            drop(slot);
        });
    }
    drop(listener);
    drop(stopping);
    let _ = stop.send(());
    if timeout(limits.shutdown_time, stop.closed()).await.is_err() {
        tracing::warn!("requests were still under way");
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

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    app: Router,
    limits: Limits,
    mut stopping: watch::Receiver<()>,
) {
    // Answers are small and written at once; waiting for more would only delay them.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(|body| WithDeadline::new(body, limits.body_time));
        request.extensions_mut().insert(ConnectInfo(peer));
        app.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_buf_size(limits.head)
        .serve_connection(TokioIo::new(stream), service);
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
