//! Refusals on the wire: one shape, the RFC's code, a sentence to act on, and the cause kept for the log.

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use counterfoil_protocol::{error::ErrorBody, proof::ProofRefusal};

use crate::{keys::KeyError, limits::RetryAfter, store::StoreError};

/// The header that carries a nonce (RFC 9449 §8).
pub const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// A refusal, ready to be sent.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The status.
    pub status: StatusCode,
    /// The code on the wire.
    pub code: String,
    /// The sentence on the wire.
    pub description: Option<String>,
    /// The member or parameter that is wrong. Boxed: a refusal is handed about by value.
    pub field: Option<Box<str>>,
    /// The cause in the log; what is on the wire when there is nothing more precise.
    pub cause: Option<String>,
    /// Further headers.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// The cause of a refusal, handed to the edge, which logs it once.
#[derive(Clone, Debug)]
pub struct Cause {
    /// The code on the wire.
    pub code: String,
    /// What happened.
    pub text: String,
}

impl Refusal {
    /// A refusal with a code and a sentence.
    #[must_use]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "callers give a literal, a text or an error, as they have it"
    )]
    pub fn new(status: StatusCode, code: impl Into<String>, description: impl ToString) -> Self {
        let description = Some(description.to_string());
        Self {
            status,
            code: code.into(),
            description,
            field: None,
            cause: None,
            headers: Vec::new(),
        }
    }

    /// 400 with a code and a sentence: most of OAuth.
    #[must_use]
    pub fn bad_request(code: impl Into<String>, description: impl ToString) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, description)
    }

    /// 400 `invalid_request` (RFC 6749 §5.2).
    #[must_use]
    pub fn invalid_request(description: impl ToString) -> Self {
        Self::bad_request("invalid_request", description)
    }

    /// 400 `invalid_grant` (RFC 6749 §5.2). The wire hears no more than that it is not good; the log hears why.
    #[must_use]
    pub fn invalid_grant(cause: impl ToString) -> Self {
        Self::bad_request(
            "invalid_grant",
            "The code or refresh token is not valid, has expired, or was used before.",
        )
        .caused_by(cause)
    }

    /// Adds what the log shall say.
    #[must_use]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "callers give a literal, a text or an error, as they have it"
    )]
    pub fn caused_by(mut self, cause: impl ToString) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    /// Names the member or parameter that is wrong.
    #[must_use]
    pub fn of_field(mut self, field: impl Into<Box<str>>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    /// Refuses a proof at an OAuth endpoint: 400 `invalid_dpop_proof`, or `use_dpop_nonce` with the new nonce
    /// (RFC 9449 §5, §8).
    #[must_use]
    pub fn proof(refusal: &ProofRefusal, new_nonce: impl FnOnce() -> String) -> Self {
        match refusal {
            ProofRefusal::Nonce => {
                Self::bad_request("use_dpop_nonce", refusal).with_header(DPOP_NONCE, &new_nonce())
            }
            other => Self::bad_request("invalid_dpop_proof", other),
        }
    }

    /// 503: the caller may try again, and hears nothing of the cause.
    #[must_use]
    pub fn server_error(cause: impl ToString) -> Self {
        let sentence = "The server could not do this now. Nothing was changed; try again.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", sentence)
            .with_header(header::RETRY_AFTER, "1")
            .caused_by(cause)
    }
}

/// 429, and when to try again.
impl From<RetryAfter> for Refusal {
    fn from(limit: RetryAfter) -> Self {
        let sentence = format!("There were too many requests. Try again in {} s.", limit.seconds);
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", sentence)
            .with_header(header::RETRY_AFTER, &limit.seconds.to_string())
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::server_error(error)
    }
}

impl From<KeyError> for Refusal {
    fn from(error: KeyError) -> Self {
        Self::server_error(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let cause = self.cause.or_else(|| self.description.clone()).unwrap_or_default();
        let Self { code, description: error_description, field, .. } = self;
        let field = field.map(String::from);
        let body = ErrorBody { error: code.clone(), error_description, field };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        for (name, value) in self.headers {
            headers.append(name, value);
        }
        response.extensions_mut().insert(Cause { code, text: cause });
        response
    }
}
