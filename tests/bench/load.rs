//! The load: every client waits for its answer before it asks again.

use std::{
    fmt,
    io::Read as _,
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, body::Bytes, client::conn::http1::SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use world::{Store, Tokens};

/// Whether a client keeps its connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Connections {
    Kept,
    PerRequest,
}

impl fmt::Display for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kept => "connection kept",
            Self::PerRequest => "connection per request",
        })
    }
}

/// What was measured.
#[derive(Default)]
pub struct Measured {
    pub latencies: Vec<Duration>,
    pub wall: Duration,
}

impl Measured {
    /// The middle latency, in microseconds.
    pub fn middle_us(&self) -> f64 {
        let mut latencies = self.latencies.clone();
        latencies.sort_unstable();
        latencies.get(latencies.len() / 2).copied().unwrap_or_default().as_secs_f64() * 1e6
    }

    pub fn count(&self) -> f64 {
        f64::from(u32::try_from(self.latencies.len()).unwrap_or(u32::MAX))
    }
}

type Sender = SendRequest<Full<Bytes>>;

/// Refreshes every store's token again and again, all stores side by side.
pub async fn refreshes(
    issuer: &str,
    stores: &mut Vec<(Store, String)>,
    connections: Connections,
    each: usize,
) -> Result<Measured> {
    let address = issuer.trim_start_matches("http://").to_owned();
    let start = now();
    let tasks: Vec<_> = std::mem::take(stores)
        .into_iter()
        .map(|(store, token)| {
            tokio::spawn(refresh_one(address.clone(), store, token, connections, each))
        })
        .collect();
    let mut measured = Measured::default();
    for task in tasks {
        let (store, token, latencies) = task.await??;
        stores.push((store, token));
        measured.latencies.extend(latencies);
    }
    measured.wall = start.elapsed();
    Ok(measured)
}

async fn refresh_one(
    address: String,
    store: Store,
    mut token: String,
    connections: Connections,
    each: usize,
) -> Result<(Store, String, Vec<Duration>)> {
    let mut latencies = Vec::with_capacity(each);
    let mut kept: Option<Sender> = None;
    for _ in 0..each {
        let request = refresh_request(&address, &store, &token)?;
        let start = now();
        let mut sender = match kept.take() {
            Some(sender) => sender,
            None => connect(TcpStream::connect(&address).await?).await?,
        };
        let body = send(&mut sender, request).await?;
        latencies.push(start.elapsed());
        if connections == Connections::Kept {
            kept = Some(sender);
        }
        let tokens: Tokens = serde_json::from_slice(&body)?;
        let next = tokens.refresh_token.context("a refresh token")?;
        next.expose().clone_into(&mut token);
    }
    Ok((store, token, latencies))
}

fn refresh_request(address: &str, store: &Store, token: &str) -> Result<Request<Full<Bytes>>> {
    let url = format!("http://{address}/oauth/token");
    let resource = store.resource().replace(':', "%3A").replace('/', "%2F");
    let form = format!(
        "grant_type=refresh_token&client_id={}&resource={resource}&refresh_token={token}",
        store.client_id
    );
    Ok(Request::post("/oauth/token")
        .header("host", address)
        .header("dpop", store.key.proof("POST", &url, None)?)
        .header("idempotency-key", format!("wordpress-token-{}", world::random_name()))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Full::new(form.into()))?)
}

/// Calls a path again and again with each store's token and proof, all stores side by side.
pub async fn calls(
    issuer: &str,
    stores: &mut Vec<(Store, String)>,
    path: &'static str,
    each: usize,
) -> Result<Measured> {
    let address = issuer.trim_start_matches("http://").to_owned();
    let start = now();
    let tasks: Vec<_> = std::mem::take(stores)
        .into_iter()
        .map(|(store, token)| tokio::spawn(call_one(address.clone(), store, token, path, each)))
        .collect();
    let mut measured = Measured::default();
    for task in tasks {
        let (store, token, latencies) = task.await??;
        stores.push((store, token));
        measured.latencies.extend(latencies);
    }
    measured.wall = start.elapsed();
    Ok(measured)
}

async fn call_one(
    address: String,
    store: Store,
    token: String,
    path: &'static str,
    each: usize,
) -> Result<(Store, String, Vec<Duration>)> {
    let mut latencies = Vec::with_capacity(each);
    let mut sender = connect(TcpStream::connect(&address).await?).await?;
    let url = format!("http://{address}{path}");
    for _ in 0..each {
        let request = Request::get(path)
            .header("host", &address)
            .header("authorization", format!("DPoP {token}"))
            .header("dpop", store.key.proof("GET", &url, Some(&token))?)
            .body(Full::new(Bytes::new()))?;
        let start = now();
        send(&mut sender, request).await?;
        latencies.push(start.elapsed());
    }
    Ok((store, token, latencies))
}

/// Asks one thing after another: blocking, without a runtime of its own.
pub fn measure<S>(
    connections: Connections,
    count: usize,
    connect: impl Fn() -> Result<S>,
    mut ask: impl FnMut(&mut S) -> Result<()>,
) -> Result<Measured> {
    let mut measured = Measured::default();
    let mut kept: Option<S> = None;
    let begun = now();
    for _ in 0..count {
        let start = now();
        let mut stream = match kept.take() {
            Some(stream) => stream,
            None => connect()?,
        };
        ask(&mut stream)?;
        measured.latencies.push(start.elapsed());
        if connections == Connections::Kept {
            kept = Some(stream);
        }
    }
    measured.wall = begun.elapsed();
    Ok(measured)
}

/// Reads one answer: its head, and as much body as the head says.
pub fn read_answer(stream: &mut UnixStream) -> Result<String> {
    let mut answer = Vec::with_capacity(4_096);
    let mut part = [0; 4_096];
    loop {
        let length = stream.read(&mut part)?;
        ensure!(length > 0, "the answer broke off");
        answer.extend_from_slice(&part[..length]);
        let text = String::from_utf8_lossy(&answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let head = head.to_ascii_lowercase();
        let expected = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
        let expected: usize = expected.context("a content-length")?.trim().parse()?;
        if body.len() >= expected {
            return Ok(text.into_owned());
        }
    }
}

async fn connect(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Result<Sender> {
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn send(sender: &mut Sender, request: Request<Full<Bytes>>) -> Result<Bytes> {
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    ensure!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
    Ok(body)
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
pub fn now() -> Instant {
    Instant::now()
}
