//! The client against real sockets.

mod proxy;
mod unfinished;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinSet,
};
use tokio_rustls::{TlsAcceptor, rustls};

use super::*;
use crate::clock::fixed::FixedClock;

/// Names, each with the addresses of its first resolution, of its second, and so on.
#[derive(Default)]
struct Names {
    known: HashMap<&'static str, Vec<Vec<&'static str>>>,
    asked: AtomicUsize,
}

#[async_trait]
impl Resolve for Names {
    async fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let turn = self.asked.fetch_add(1, Ordering::SeqCst);
        let turns = self.known.get(name).ok_or_else(|| io::Error::other("no such name"))?;
        let addresses = &turns[turn.min(turns.len() - 1)];
        Ok(addresses.iter().map(|text| text.parse().expect("an address")).collect())
    }
}

fn client(change: impl FnOnce(&mut Config), names: Arc<Names>) -> Outbound {
    let mut config = Config::default();
    change(&mut config);
    Outbound::new(&config, names, Arc::new(FixedClock::at(0))).expect("a client")
}

/// A client of a server on loopback, which may call loopback.
fn trying() -> Outbound {
    client(|_| (), Arc::default())
}

fn get(url: String) -> Request {
    let headers = HeaderMap::new();
    Request {
        method: Method::GET,
        url,
        headers,
        body: Bytes::new(),
        keep: 1_000,
        status_suffices: false,
    }
}

/// Reads a request to the end of its head.
async fn head(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => read.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(read).expect("text")
}

/// A host that answers every request with the same bytes, and hangs up.
async fn host(answer: impl Into<Vec<u8>>) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let address = listener.local_addr().expect("an address");
    let answer = answer.into();
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            head(&mut stream).await;
            // The client may have heard enough.
            let _ = stream.write_all(&answer).await;
        }
    });
    (address, serving)
}

/// A port that refuses: it is taken, so that nobody else is given it, and nobody listens.
fn refusing() -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    socket
}

#[tokio::test]
async fn an_answer_is_read_as_far_as_it_is_wanted() {
    let ok = "HTTP/1.1 200 OK\r\nretry-after: 7\r\ncontent-length: 5\r\n\r\nhello";
    let (address, _serving) = host(ok).await;
    for (keep, body, truncated) in [(1_000, "hello", false), (5, "hello", false), (4, "hell", true)]
    {
        let request = Request { keep, ..get(format!("http://{address}/")) };
        let answer = trying().send(request).await.expect("an answer");
        assert_eq!(answer.status, 200);
        assert_eq!(answer.headers["retry-after"], "7");
        assert_eq!((answer.body.as_slice(), answer.truncated), (body.as_bytes(), truncated));
    }
}

#[tokio::test]
async fn the_request_is_what_was_asked_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let address = listener.local_addr().expect("an address");
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "application/json".parse().expect("a value"));
    headers.insert("host", "elsewhere.example".parse().expect("a value"));
    headers.insert("content-length", "999".parse().expect("a value"));
    let (method, body) = (Method::POST, Bytes::from_static(b"{}"));
    let url = format!("http://{address}/hooks?x=1");
    let client = trying();
    let sending =
        client.send(Request { method, url, headers, body, keep: 0, status_suffices: false });
    let serving = async {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let head = head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.expect("writes");
        head
    };
    let (answer, head) = tokio::join!(sending, serving);
    assert_eq!(answer.expect("an answer").status, 204);
    assert!(head.starts_with("POST /hooks?x=1 HTTP/1.1\r\n"), "{head}");
    let mut lines: Vec<_> = head.trim().lines().skip(1).collect();
    lines.sort_unstable();
    let host = format!("host: {address}");
    let json = "content-type: application/json";
    assert_eq!(lines, ["connection: close", "content-length: 2", json, host.as_str()]);
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_nothing_more() {
    let (inside, _inside) = host("HTTP/1.1 200 OK\r\n\r\nsecret").await;
    let redirect = format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: http://{inside}/\r\n\r\n");
    let (address, _serving) = host(redirect).await;
    let answer = trying().send(get(format!("http://{address}/"))).await.expect("an answer");
    assert_eq!((answer.status.as_u16(), answer.body.len()), (307, 0));
}

#[tokio::test]
async fn a_megabyte_is_not_read() {
    let mut answer = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    answer.resize(1 << 20, b'x');
    let (address, _serving) = host(answer).await;
    let answer = trying().send(get(format!("http://{address}/"))).await.expect("an answer");
    assert_eq!((answer.body.len(), answer.truncated), (1_000, true));
}

#[tokio::test]
async fn what_is_no_answer() {
    let heads = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(65));
    let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(20_000));
    for text in
        ["", "SSH-2.0-x\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx", &heads, &long]
    {
        let (address, _serving) = host(text).await;
        let failure =
            trying().send(get(format!("http://{address}/"))).await.expect_err("no answer");
        assert_eq!(failure.code(), "answer_broken", "{text:.40}");
    }
}

#[tokio::test]
async fn nobody_listens() {
    let socket = refusing();
    let url = format!("http://{}/", socket.local_addr().expect("an address"));
    assert_eq!(trying().send(get(url)).await.expect_err("no answer").code(), "connection_failed");
}

/// The clock stands still from the moment that the host has the connection, and then jumps to whoever waits longest: no
/// answer can be on its way meanwhile.
#[tokio::test]
async fn a_host_that_hangs_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let address = listener.local_addr().expect("an address");
    for (scheme, expected) in [("http", "answer_timed_out"), ("https", "connect_timed_out")] {
        let client = trying();
        let mut sending = Box::pin(client.send(get(format!("{scheme}://{address}/"))));
        let _held = tokio::select! {
            _ = &mut sending => panic!("nobody answered"),
            accepted = listener.accept() => accepted.expect("a connection"),
        };
        tokio::time::pause();
        assert_eq!(sending.await.expect_err("no answer").code(), expected);
        tokio::time::resume();
    }
}

#[tokio::test]
async fn a_slow_host_takes_no_more_than_its_share() {
    let (slow, quick) = (
        TcpListener::bind("127.0.0.1:0").await.expect("a socket"),
        host("HTTP/1.1 200 OK\r\n\r\n").await,
    );
    let address = slow.local_addr().expect("an address");
    let client = client(
        |config| {
            config.outbound.connections = 3;
            config.outbound.connections_per_host = 2;
        },
        Arc::default(),
    );
    let url = || format!("http://{address}/");
    let (mut one, mut two, mut three) = (
        Box::pin(client.send(get(url()))),
        Box::pin(client.send(get(url()))),
        Box::pin(client.send(get(url()))),
    );
    let mut held: Vec<TcpStream> = Vec::new();
    while held.len() < 2 {
        tokio::select! {
            // In this order, so that the third finds both places taken.
            biased;
            _ = &mut one => panic!("nobody answered"),
            _ = &mut two => panic!("nobody answered"),
            _ = &mut three => panic!("nobody answered"),
            accepted = slow.accept() => held.push(accepted.expect("a connection").0),
        }
    }
    let other = client.send(get(format!("http://{}/", quick.0))).await;
    assert_eq!(other.expect("an answer").status, 200);
    tokio::time::pause();
    assert_eq!(three.await.expect_err("no answer").code(), "busy");
    for held in [one, two] {
        assert_eq!(held.await.expect_err("no answer").code(), "answer_timed_out");
    }
}

#[tokio::test]
async fn names_that_lead_inside() {
    let known = HashMap::from([
        ("loopback.example", vec![vec!["127.0.0.1"]]),
        ("metadata.example", vec![vec!["169.254.169.254"]]),
        ("private.example", vec![vec!["fd00::1"]]),
        ("mapped.example", vec![vec!["::ffff:127.0.0.1"]]),
        ("both.example", vec![vec!["1.1.1.1", "10.0.0.1"]]),
        ("nothing.example", vec![vec![]]),
    ]);
    let names = Arc::new(Names { known, asked: AtomicUsize::new(0) });
    let client = client(|config| "https://pay.example".clone_into(&mut config.issuer), names);
    for (host, expected) in [
        ("loopback.example", "address_forbidden"),
        ("metadata.example", "address_forbidden"),
        ("private.example", "address_forbidden"),
        ("mapped.example", "address_forbidden"),
        ("both.example", "address_forbidden"),
        ("nothing.example", "name_unresolved"),
        ("unknown.example", "name_unresolved"),
        ("127.0.0.1", "url_refused"),
        ("[::ffff:7f00:1]", "url_refused"),
    ] {
        let failure = client.send(get(format!("https://{host}/"))).await.expect_err("no answer");
        assert_eq!(failure.code(), expected, "{host}: {failure}");
    }
}

/// A host that speaks TLS as shop.example, and what believes its certificate.
async fn secure_host() -> (SocketAddr, tempfile::NamedTempFile, JoinSet<()>) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["shop.example".to_owned()]).expect("a certificate");
    let authorities = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(authorities.path(), cert.pem()).expect("writes");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key =
        rustls::pki_types::PrivateKeyDer::try_from(signing_key.serialize_der()).expect("a key");
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .expect("a pair");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let address = listener.local_addr().expect("an address");
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            head(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await;
        }
    });
    (address, authorities, serving)
}

/// The name leads to the shop when it is first asked for, and inside ever after: it is asked for once.
#[tokio::test]
async fn the_connection_is_made_to_the_address_that_was_judged() {
    let (address, authorities, _serving) = secure_host().await;
    let turns = vec![vec!["127.0.0.1"], vec!["169.254.169.254"]];
    let names =
        Names { known: HashMap::from([("shop.example", turns)]), asked: AtomicUsize::new(0) };
    let names = Arc::new(names);
    let change = |config: &mut Config| {
        "https://pay.example".clone_into(&mut config.issuer);
        config.outbound.allow = vec!["127.0.0.0/8".parse().expect("a network")];
        config.outbound.certificates = Some(authorities.path().to_owned());
    };
    let client = client(change, Arc::clone(&names));
    let url = format!("https://shop.example:{}/", address.port());
    let answer = client.send(get(url.clone())).await.expect("an answer");
    assert_eq!(answer.body, b"hi");
    assert_eq!(names.asked.load(Ordering::SeqCst), 1);
    assert_eq!(client.send(get(url)).await.expect_err("no answer").code(), "address_forbidden");
}

#[tokio::test]
async fn a_certificate_must_be_for_the_name_and_of_somebody_known() {
    let (address, authorities, _serving) = secure_host().await;
    let allow = |config: &mut Config| {
        config.outbound.certificates = Some(authorities.path().to_owned());
    };
    let other = client(allow, Arc::default()).send(get(format!("https://{address}/"))).await;
    assert_eq!(
        other.expect_err("no answer").to_string(),
        "There is no secure connection: the certificate is for another name."
    );
    let unknown = trying().send(get(format!("https://{address}/"))).await;
    assert_eq!(unknown.expect_err("no answer").code(), "tls_failed");
}
