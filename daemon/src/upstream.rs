//! The HTTP client. It sends and returns; what an answer means is decided elsewhere.
//!
//! No redirect is followed, no proxy is taken from the environment, every wait has an end, and every body a
//! bound. The hosts it calls come from the store's file and from metadata that was vetted against it.

pub(crate) mod again;
pub(crate) mod answer;
mod client;
mod failure;
mod signed;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use counterfoil_protocol::UnixTime;
use hyper::{HeaderMap, Method, header::HeaderValue};
use tokio::time::{sleep, timeout};
use url::Url;

pub(crate) use self::{
    again::{Again, Refused},
    answer::Answer,
    client::{are_certificates, probe},
    failure::of as failure,
    signed::{Previous, Proof, Signed, authorization},
};
use crate::{
    clock::{Clock, Entropy},
    config::Config,
    events,
    key::{Home, Keyring},
    metrics::METRICS,
    session::ServerHealth,
    trouble::Code,
};

/// The longest body taken in answer to the daemon's own calls, in bytes.
const MAX_BODY: usize = 256 * 1_024;

/// How long the server may take for one of the daemon's own calls.
const TIMEOUT: Duration = Duration::from_secs(20);

/// How long the server may be silent, before and in the middle of any answer.
pub(crate) const SILENCE: Duration = Duration::from_secs(20);

/// The header by which a server hands out nonces (RFC 9449 §8).
pub(crate) const NONCE: &str = "dpop-nonce";

/// There is no answer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Unanswered {
    /// Nothing came back, or not all of it: which trouble of the way that is, and why.
    #[error("the server cannot be reached: {1}")]
    Network(Code, String),
    /// The answer is longer than one of ours can be.
    #[error("the server's answer is too long")]
    TooLong,
    /// The server's certificate is not one that can be trusted.
    #[error("the server's certificate is not trusted: {1}")]
    Untrusted(Code, String),
    /// The proxy did not let the call through.
    #[error("the proxy did not let the call through: {0}")]
    Proxy(String),
    /// The key did not sign.
    #[error("the key does not sign")]
    KeySilent,
    /// It cannot be put into a signed request.
    #[error("no request can be made of it")]
    Unsigned,
}

impl Unanswered {
    /// Nothing came for too long.
    pub(crate) fn late() -> Self {
        Self::Network(Code::ServerAnswerTimeout, "no answer in time".to_owned())
    }

    /// What it is called; an answer that is too long has a name by whose answer it is.
    pub(crate) fn code(&self, too_long: Code) -> Code {
        match self {
            Self::Network(code, _) | Self::Untrusted(code, _) => *code,
            Self::Proxy(_) => Code::ProxyRefused,
            Self::TooLong => too_long,
            Self::KeySilent => Code::KeyUnavailable,
            Self::Unsigned => Code::Internal,
        }
    }

    /// What it is called where the server, or the way to it, is to blame; `None` where it did answer.
    fn silence(&self) -> Option<Code> {
        Some(self.code(Code::ServerUnacceptable)).filter(|code| Code::SILENCES.contains(code))
    }
}

/// The way to the server, and what is remembered of it.
pub(crate) struct Upstream {
    client: reqwest::Client,
    keys: Arc<Keyring>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// The newest nonce of each origin.
    nonces: HashMap<String, HeaderValue>,
    /// Seconds to add to our clock to have the server's.
    clock_offset: i64,
    health: ServerHealth,
}

impl Upstream {
    /// Makes the client for a store.
    pub(crate) fn new(
        config: &Config,
        keys: Arc<Keyring>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> reqwest::Result<Self> {
        Ok(Self { client: client::of(config)?, keys, clock, entropy, memory: Mutex::default() })
    }

    /// Where the key in force lives.
    pub(crate) fn key_home(&self) -> Home {
        self.keys.current().home()
    }

    /// Sends one request and reads the whole answer.
    pub(crate) async fn send(
        &self,
        method: Method,
        url: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, Unanswered> {
        let exchange = async {
            tokio::pin! { let end = sleep(TIMEOUT); }
            let response = self.begin(method, url, headers, body, &mut end).await?;
            tokio::select! {
                answer = read_whole(response, MAX_BODY) => answer,
                () = end => Err(Unanswered::late()),
            }
        };
        let answer = exchange.await;
        self.remember_health(answer.as_ref().err().and_then(Unanswered::silence));
        answer
    }

    /// Sends one request and returns when the head of the answer is there.
    ///
    /// It is given up when `patience` ends. How long the rest may take is for the caller to decide.
    pub(crate) async fn begin(
        &self,
        method: Method,
        url: &str,
        headers: HeaderMap,
        body: impl Into<reqwest::Body>,
        patience: impl Future<Output = ()>,
    ) -> Result<reqwest::Response, Unanswered> {
        let request = self.client.request(method, url).headers(headers).body(body);
        let begun = self.clock.ticks();
        let mut broken_off = false;
        let response = tokio::select! {
            response = request.send() => response.map_err(|error| {
                broken_off = failure::is_of_the_body(&error);
                failure::of(&error)
            }),
            () = patience => Err(Unanswered::late()),
        };
        METRICS.exchanged(self.clock.ticks().saturating_sub(begun), response.is_ok());
        // A body that its sender did not bring to an end says nothing of the server.
        if !broken_off {
            self.remember_health(response.as_ref().err().and_then(Unanswered::silence));
        }
        let response = response?;
        self.remember_nonce(url, response.headers());
        Ok(response)
    }

    /// The time now on the server's clock, as far as we know it.
    pub(crate) fn server_time(&self) -> UnixTime {
        let offset = self.memory().clock_offset;
        self.clock.now() + offset
    }

    /// The time now on our clock.
    pub(crate) fn now(&self) -> UnixTime {
        self.clock.now()
    }

    /// Takes over what the server's clock showed. Only after a refusal that the clocks explain.
    pub(crate) fn learn_clock(&self, offset: i64) {
        events::clock_learned(offset);
        let mut memory = self.memory();
        memory.clock_offset = offset;
        memory.health.clock_offset = Some(offset);
    }

    /// What the last exchanges showed.
    pub(crate) fn health(&self) -> ServerHealth {
        self.memory().health
    }

    /// Takes over what an earlier client on the same way to the same server knew, until there is an exchange.
    pub(crate) fn remember(&self, health: ServerHealth) {
        let mut memory = self.memory();
        if memory.health.checked_at.is_none() {
            // The clock is learnt anew.
            memory.health = ServerHealth { clock_offset: memory.health.clock_offset, ..health };
        }
    }

    /// Takes note of an exchange: why the server did not answer, or that it did.
    fn remember_health(&self, silence: Option<Code>) {
        let (now, reachable) = (self.clock.now(), silence.is_none());
        let mut memory = self.memory();
        let health = &mut memory.health;
        let unreachable_since =
            if reachable { None } else { health.unreachable_since.or(Some(now)) };
        let before = std::mem::replace(&mut health.unreachable_since, unreachable_since);
        health.reachable = Some(reachable);
        health.checked_at = Some(now);
        health.silence = silence;
        drop(memory);
        match (before, reachable) {
            (None, false) => events::server_unreachable(),
            (Some(since), true) => events::server_reachable(now.since(since).max(0)),
            _ => {}
        }
    }

    fn remember_nonce(&self, url: &str, headers: &HeaderMap) {
        /// The longest nonce that is put into proofs, in bytes.
        const MAX_NONCE: usize = 1_024;
        if let Some(nonce) = headers.get(NONCE)
            && nonce.len() <= MAX_NONCE
            && nonce.to_str().is_ok()
        {
            self.memory().nonces.insert(origin(url), nonce.clone());
        }
    }

    fn nonce(&self, url: &str) -> Option<HeaderValue> {
        let memory = self.memory();
        if memory.nonces.is_empty() { None } else { memory.nonces.get(&origin(url)).cloned() }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // What is remembered stays usable whatever happened to whoever held it.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads an answer to its end, within `limit` bytes.
pub(crate) async fn read_whole(
    mut response: reqwest::Response,
    limit: usize,
) -> Result<Answer, Unanswered> {
    let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
    let mut body = BytesMut::new();
    loop {
        let chunk = timeout(SILENCE, response.chunk()).await.map_err(|_| Unanswered::late())?;
        let Some(chunk) = chunk.map_err(|error| failure::of(&error))? else { break };
        if body.len() + chunk.len() > limit {
            return Err(Unanswered::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, headers, body: body.freeze() })
}

fn origin(url: &str) -> String {
    Url::parse(url).map_or_else(|_| String::new(), |url| url.origin().ascii_serialization())
}
