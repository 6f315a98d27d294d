//! What goes wrong at a provider.

use std::fmt::Display;

use openidconnect::{
    DiscoveryError, RequestTokenError, StandardErrorResponse, core::CoreErrorResponseType,
};

use super::CallError;

/// What went wrong at a provider. The texts are for the log and for `check`.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// It cannot be reached, or does not answer as an OpenID provider does.
    #[error("{0}")]
    Down(String),
    /// It does not take the code.
    #[error("the provider does not take the code: {0}")]
    Code(String),
    /// Its answer is another provider's (RFC 9207).
    #[error("the answer names another issuer, or none")]
    Issuer,
    /// Its token is not to be believed.
    #[error("the ID token is refused: {0}")]
    Token(String),
}

impl Trouble {
    /// A stable word for records.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Down(_) => "unavailable",
            Self::Code(_) => "code_refused",
            Self::Issuer => "issuer_mismatch",
            Self::Token(_) => "token_refused",
        }
    }
}

impl From<DiscoveryError<CallError>> for Trouble {
    fn from(error: DiscoveryError<CallError>) -> Self {
        let said = match error {
            DiscoveryError::Request(error) => error.to_string(),
            // Its text has the whole answer in it.
            DiscoveryError::Response(_, _, what) => what,
            DiscoveryError::Parse(error) => error.to_string(),
            other => other.to_string(),
        };
        Self::Down(format!("discovery: {said}"))
    }
}

impl From<RequestTokenError<CallError, StandardErrorResponse<CoreErrorResponseType>>> for Trouble {
    fn from(
        error: RequestTokenError<CallError, StandardErrorResponse<CoreErrorResponseType>>,
    ) -> Self {
        match error {
            RequestTokenError::ServerResponse(answer) => match answer.error() {
                CoreErrorResponseType::InvalidGrant => Self::Code("invalid_grant".to_owned()),
                // Our registration there is wrong.
                other => Self::Down(format!("token endpoint: {}", printable(other.as_ref()))),
            },
            RequestTokenError::Request(error) => Self::Down(format!("token endpoint: {error}")),
            // The answer has tokens in it, so it is not told.
            RequestTokenError::Parse(error, _) => {
                Self::Down(format!("token endpoint: the answer cannot be read at {}", error.path()))
            }
            RequestTokenError::Other(what) => Self::Down(format!("token endpoint: {what}")),
        }
    }
}

/// Something from outside, fit for a log.
pub(super) fn printable(text: impl Display) -> String {
    let text = text.to_string();
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}
