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

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
};

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
    let code = reason.code(Code::ServerUnacceptable);
    tracing::warn!(%reason, "no usable answer from the server");
    match reason {
        Unanswered::Proxy(why) | Unanswered::Untrusted(_, why) => {
            let said = code.words().message.trim_end_matches('.');
            Trouble::new(code, format!("{said}: {why}."))
        }
        _ => Trouble::of(code),
    }
}

/// What a refusal means, when it means nothing more particular than `otherwise`.
fn refused(answer: &Answer, otherwise: Code) -> Trouble {
    let code = answer.error_code();
    let says = said(answer);
    tracing::warn!(status = answer.status.as_u16(), error = code, says, "the server refused");
    if answer.error().is_some_and(|error| is_about_the_proof(&error) || error == "use_dpop_nonce") {
        return Trouble::of(Code::ProofRefused);
    }
    if answer.may_pass() {
        return passing(answer);
    }
    let said = otherwise.words().message;
    let mut message = match code {
        Some(code) => format!("{} ({code}).", said.trim_end_matches('.')),
        None => said.to_owned(),
    };
    if let Some(says) = says.filter(|_| TOLD.contains(&otherwise)) {
        let _ = write!(message, " It says: \"{}\".", says.trim_end_matches(['.', ' ']));
    }
    Trouble::new(otherwise, message)
}

/// Refusals of what a person has written into the store's file: the server's sentence says which line is wrong.
const TOLD: [Code; 3] =
    [Code::AuthorizationRefused, Code::RegistrationRefused, Code::WebhookRefused];

/// The server's own sentence about its refusal, for the log; for people, where they can do something about it.
///
/// It is a stranger's: short, of printable ASCII, without words that are long enough to be a secret sent back, and
/// without the mark that ends a quotation.
fn said(answer: &Answer) -> Option<String> {
    const LONGEST: usize = 200;
    const LONGEST_WORD: usize = 20;
    let body = answer.json()?;
    let sentence = body.get("error_description")?.as_str()?;
    let printable = |c: char| match c {
        '"' => '\'',
        ' ' => c,
        c if c.is_ascii_graphic() => c,
        _ => '?',
    };
    let sentence: String = sentence.chars().take(LONGEST).map(printable).collect();
    let words = sentence.split(' ').map(|word| if word.len() > LONGEST_WORD { "…" } else { word });
    Some(words.collect::<Vec<_>>().join(" ")).filter(|sentence| !sentence.is_empty())
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

#[cfg(test)]
mod tests {
    use hyper::StatusCode;

    use super::*;

    #[test]
    fn the_servers_sentence_is_bounded_and_gives_nothing_away() {
        let long = "word ".repeat(100);
        for (description, expected) in [
            (
                "redirect_uri must be on the site_url's host",
                Some("redirect_uri must be on the site_url's host"),
            ),
            (
                "the token canary-refresh-token-0123456789 is unknown",
                Some("the token … is unknown"),
            ),
            ("two\\nlines \\u001b[31mred", Some("two?lines ?[31mred")),
            (r#"it is \"quoted\""#, Some("it is 'quoted'")),
            (&long, Some(&long[..200])),
            ("", None),
        ] {
            let body =
                format!(r#"{{"error":"invalid_request","error_description":"{description}"}}"#);
            let status = StatusCode::BAD_REQUEST;
            let answer = Answer { status, headers: HeaderMap::new(), body: body.into() };
            assert_eq!(said(&answer).as_deref(), expected, "{description}");
        }
        let answer = Answer {
            status: StatusCode::BAD_GATEWAY,
            headers: HeaderMap::new(),
            body: Bytes::from_static(b"<html>"),
        };
        assert_eq!(said(&answer), None);
    }

    #[test]
    fn a_person_reads_what_the_server_says_of_the_stores_file_and_of_nothing_else() {
        let says = "redirect_uri must be on the site_url's host.";
        for (otherwise, body, expected) in [
            (
                Code::RegistrationRefused,
                format!(r#"{{"error":"invalid_redirect_uri","error_description":"{says}"}}"#),
                "The payment platform refused to register this store (invalid_redirect_uri). It says: \"redirect_uri must \
                 be on the site_url's host\".",
            ),
            (
                Code::AuthorizationRefused,
                format!(r#"{{"error_description":"{says}"}}"#),
                "The payment platform refused to begin the approval. It says: \"redirect_uri must be on the site_url's \
                 host\".",
            ),
            (
                Code::RegistrationRefused,
                r#"{"error":"invalid_redirect_uri"}"#.to_owned(),
                "The payment platform refused to register this store (invalid_redirect_uri).",
            ),
            (
                Code::RecoveryRefused,
                format!(r#"{{"error":"invalid_grant","error_description":"{says}"}}"#),
                "The connection's tokens were lost, and the payment platform gives no new ones to this store's key \
                 (invalid_grant).",
            ),
        ] {
            let status = StatusCode::BAD_REQUEST;
            let answer = Answer { status, headers: HeaderMap::new(), body: body.into() };
            assert_eq!(refused(&answer, otherwise), Trouble::new(otherwise, expected));
        }
    }
}
