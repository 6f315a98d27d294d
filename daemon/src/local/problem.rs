//! Answers: JSON, and troubles as `application/problem+json` (RFC 9457).

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde::Serialize;

use super::{Body, Response};
use crate::{
    events,
    trouble::{Code, Trouble, Words},
};

/// A trouble on the wire.
/// What a connection is told that is one too many for its caller, before it has asked anything.
pub(super) const OVER_SHARE: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\n\
content-type: application/problem+json\r\ncache-control: no-store\r\nconnection: close\r\nretry-after: 1\r\n\
content-length: 365\r\n\r\n\
{\"type\":\"urn:counterfoil:problem:too_many_connections\",\
\"title\":\"This caller has more connections to the daemon than one may have.\",\"status\":429,\
\"code\":\"too_many_connections\",\
\"detail\":\"This caller has more connections to the daemon than one may have.\",\
\"next_step\":\"Close connections after use, or keep one and use it again; see how many processes of the store run.\"}";

#[derive(Serialize)]
pub(super) struct Problem<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    code: &'a str,
    detail: &'a str,
    next_step: &'a str,
}

/// A JSON answer.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    respond(status, "application/json", value)
}

impl<'a> Problem<'a> {
    /// What is said of `trouble`.
    pub(super) fn of(trouble: &'a Trouble) -> Self {
        let Words { status, code, message, next_step } = trouble.code.words();
        Self {
            r#type: format!("urn:counterfoil:problem:{code}"),
            title: message,
            status,
            code,
            detail: &trouble.message,
            next_step,
        }
    }
}

/// A trouble as an answer.
pub(super) fn problem(trouble: &Trouble) -> Response {
    events::told(trouble.code);
    let body = Problem::of(trouble);
    let status = StatusCode::from_u16(body.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = respond(status, "application/problem+json", &body);
    if let Some(seconds) = trouble.retry_after {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    if trouble.code == Code::TokenRequired {
        let challenge = HeaderValue::from_static("Bearer realm=\"counterfoild\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response.extensions_mut().insert(trouble.code);
    response
}

/// An answer in one word: the code of the problem, or the class of its status.
pub(super) fn outcome(response: &Response) -> &'static str {
    match (response.extensions().get::<Code>(), response.status().as_u16()) {
        (Some(code), _) => code.words().code,
        (None, 200..300) => "2xx",
        (None, 300..400) => "3xx",
        (None, 400..500) => "4xx",
        (None, _) => "5xx",
    }
}

/// A body that is whole.
pub(super) fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

fn respond(status: StatusCode, kind: &'static str, value: &impl Serialize) -> Response {
    // Serializing our own plain structures does not fail; an empty body would still be a truthful status.
    let mut response = Response::new(whole(serde_json::to_vec(value).unwrap_or_default()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_written_out_is_what_would_be_rendered() {
        let (head, body) =
            std::str::from_utf8(OVER_SHARE).expect("text").split_once("\r\n\r\n").expect("a head");
        let rendered = problem(&Trouble::of(Code::TooManyConnections).retry_after(1));
        assert!(head.starts_with(&format!("HTTP/1.1 {}", rendered.status())), "{head}");
        for (name, value) in rendered.headers() {
            let line = format!("\r\n{name}: {}", value.to_str().expect("text"));
            assert!(head.contains(&line), "{line}");
        }
        assert!(head.contains(&format!("\r\ncontent-length: {}", body.len())), "{}", body.len());
        let rendered = rendered.into_body().collect().await.expect("whole").to_bytes();
        assert_eq!(body, rendered);
    }
}
