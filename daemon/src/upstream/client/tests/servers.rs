//! Servers that answer `ok`, and a proxy.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

/// How many connections a server has taken.
#[derive(Clone, Default)]
pub(super) struct Count(Arc<AtomicUsize>);

impl Count {
    pub(super) fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Serves plain HTTP for ever.
pub(super) async fn serve_plain(listener: TcpListener, count: Count) {
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        count.0.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(answer(stream));
    }
}

/// Serves HTTP over TLS for ever.
pub(super) async fn serve_tls(listener: TcpListener, config: ServerConfig) {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            // A client that does not trust us hangs up.
            if let Ok(stream) = acceptor.accept(stream).await {
                answer(stream).await;
            }
        });
    }
}

/// Answers `ok` to every request of a connection.
async fn answer<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    while head(&mut stream).await.is_some() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        if stream.write_all(answer).await.is_err() {
            return;
        }
    }
}

/// The head of the next request.
async fn head<S: AsyncRead + Unpin>(stream: &mut S) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

/// What a proxy was asked, head by head.
pub(super) type Heads = Arc<Mutex<Vec<String>>>;

/// A proxy for `CONNECT`, and for plain requests, which it answers itself. Without `wanted` in the head it refuses.
pub(super) async fn serve_proxy(listener: TcpListener, wanted: &'static str, heads: Heads) {
    loop {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let heads = Arc::clone(&heads);
        tokio::spawn(async move {
            let Some(head) = head(&mut stream).await else { return };
            let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
            let (connects, admitted) = (head.starts_with("CONNECT "), head.contains(wanted));
            heads.lock().expect("unbroken").push(head);
            let refusal =
                b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
            if !admitted {
                return drop(stream.write_all(refusal).await);
            }
            if !connects {
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                return drop(stream.write_all(answer).await);
            }
            let mut server = TcpStream::connect(target).await.expect("a server");
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.expect("told");
            let _ = copy_bidirectional(&mut stream, &mut server).await;
        });
    }
}
