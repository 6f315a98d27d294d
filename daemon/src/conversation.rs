//! What is said to the server, step by step, and how its answers are judged.
//!
//! Each step takes an order of the session and comes back with an outcome; none changes any state. The judging
//! parts are functions of their arguments.

mod authorize;
mod discover;
mod key;
mod recover;
mod register;
mod reset;
mod token;
mod webhook;

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use counterfoil_protocol::jwk::Thumbprint;
use hyper::{
    HeaderMap, Method,
    header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue},
};

use self::discover::Endpoints;
pub(crate) use self::discover::why_unacceptable;
use crate::{
    config::Config,
    journal::Identity,
    trouble::{Code, Trouble},
    upstream::{Answer, Signed, Unanswered, Upstream, again::is_about_the_proof},
};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// One store's conversation with its server.
pub(crate) struct Conversation {
    config: Arc<Config>,
    identity: Identity,
    upstream: Arc<Upstream>,
    /// What the server said about itself; forgotten when something fails.
    endpoints: Mutex<Option<Arc<Endpoints>>>,
}

impl Conversation {
    /// Begins with nothing known about the server.
    pub(crate) fn new(config: Arc<Config>, identity: Identity, upstream: Arc<Upstream>) -> Self {
        Self { config, identity, upstream, endpoints: Mutex::default() }
    }

    /// Sends a form with a proof, and with the key by which a retry is known.
    async fn send_form(
        &self,
        url: &str,
        form: &[(&str, &str)],
        key: &Thumbprint,
        idempotency_key: Option<&str>,
    ) -> Result<Answer, Unanswered> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let mut headers = accept_json();
        headers.insert(CONTENT_TYPE, FORM);
        if let Some(key) = idempotency_key.and_then(|key| HeaderValue::from_str(key).ok()) {
            headers.insert(IDEMPOTENCY_KEY, key);
        }
        let request = Signed {
            method: Method::POST,
            url,
            headers,
            body: Bytes::from(body),
            token: None,
            key,
            previous: None,
        };
        self.upstream.send_signed(&request).await
    }

    fn forget_endpoints(&self) {
        self.endpoints.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

fn accept_json() -> HeaderMap {
    HeaderMap::from_iter([(ACCEPT, JSON)])
}

/// Nothing came back, or nothing that we read.
fn unanswered(reason: &Unanswered) -> Trouble {
    let code = match reason {
        Unanswered::Network(_) => Code::ServerUnreachable,
        Unanswered::Proxy(_) => Code::ProxyRefused,
        Unanswered::TooLong => Code::ServerUnacceptable,
        Unanswered::Untrusted(_) => Code::ServerUntrusted,
        Unanswered::KeySilent => Code::KeyUnavailable,
        Unanswered::Unsigned => Code::Internal,
    };
    tracing::warn!(%reason, "no usable answer from the server");
    match reason {
        Unanswered::Proxy(why) | Unanswered::Untrusted(why) => {
            let said = code.words().message.trim_end_matches('.');
            Trouble::new(code, format!("{said}: {why}."))
        }
        _ => Trouble::of(code),
    }
}

/// What a refusal means, when it means nothing more particular than `otherwise`.
fn refused(answer: &Answer, otherwise: Code) -> Trouble {
    let code = answer.error_code();
    tracing::warn!(status = answer.status.as_u16(), error = code, "the server refused");
    if answer.error().is_some_and(|error| is_about_the_proof(&error) || error == "use_dpop_nonce") {
        return Trouble::of(Code::ProofRefused);
    }
    if answer.may_pass() {
        return passing(answer);
    }
    match code {
        Some(code) => {
            let said = otherwise.words().message.trim_end_matches('.');
            Trouble::new(otherwise, format!("{said} ({code})."))
        }
        None => Trouble::of(otherwise),
    }
}

/// A failure of the server's that may pass.
fn passing(answer: &Answer) -> Trouble {
    let trouble = Trouble::new(
        Code::ServerUnreachable,
        format!(
            "The payment platform cannot answer at the moment (HTTP {}).",
            answer.status.as_u16()
        ),
    );
    answer.retry_after().map_or(trouble.clone(), |seconds| trouble.retry_after(seconds))
}
