//! The server's description of itself (RFC 8414), and what of it is taken.

use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use counterfoil_protocol::token::INSTALLATION_KEY;
use hyper::Method;
use serde_json::{Map, Value};
use url::Url;

use super::{Conversation, accept_json, passing, unanswered};
use crate::trouble::{Code, Trouble};

/// Where the server takes what.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Endpoints {
    pub(super) authorization: String,
    pub(super) token: String,
    pub(super) jwks: String,
    pub(super) installations: String,
    pub(super) pushed_request: Option<String>,
    pub(super) revocation: Option<String>,
    /// Where a store changes its key without the merchant.
    pub(super) key: Option<String>,
    /// A lost token family can be replaced by a proof of the key.
    pub(super) recovery: bool,
}

/// Why a metadata document is not acted upon.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum MetadataRefusal {
    /// An endpoint is absent, of another origin, or has user, query or fragment.
    #[error("{0} is absent or not a plain address of the issuer's own origin")]
    Endpoint(&'static str),
    /// `issuer` is not the configured one, byte for byte.
    #[error("issuer is not the configured one")]
    Issuer,
    /// `iss` in callbacks is not promised (RFC 9207 §3).
    #[error("authorization_response_iss_parameter_supported is not true")]
    IssParameter,
}

impl Endpoints {
    /// Takes the endpoints from a metadata document. Nothing but what the contract promises is required.
    pub(super) fn vet(
        metadata: &Map<String, Value>,
        issuer: &str,
    ) -> Result<Self, MetadataRefusal> {
        if metadata.get("issuer").and_then(Value::as_str) != Some(issuer) {
            return Err(MetadataRefusal::Issuer);
        }
        if metadata.get("authorization_response_iss_parameter_supported")
            != Some(&Value::Bool(true))
        {
            return Err(MetadataRefusal::IssParameter);
        }
        let optional = |name: &str| {
            let text = metadata.get(name).and_then(Value::as_str)?;
            is_own_endpoint(text, issuer).then(|| text.to_owned())
        };
        let required = |name| optional(name).ok_or(MetadataRefusal::Endpoint(name));
        Ok(Self {
            authorization: required("authorization_endpoint")?,
            token: required("token_endpoint")?,
            jwks: required("jwks_uri")?,
            installations: required("native_installation_endpoint")?,
            pushed_request: optional("pushed_authorization_request_endpoint"),
            revocation: optional("revocation_endpoint"),
            key: optional("native_installation_key_endpoint"),
            recovery: metadata
                .get("grant_types_supported")
                .and_then(Value::as_array)
                .is_some_and(|types| types.iter().any(|name| name == INSTALLATION_KEY)),
        })
    }
}

/// Why a metadata document is not acted upon; `None` for one that is.
pub(crate) fn why_unacceptable(metadata: &Map<String, Value>, issuer: &str) -> Option<String> {
    Endpoints::vet(metadata, issuer).err().map(|refusal| refusal.to_string())
}

impl Conversation {
    /// Asks the server anew where it takes what.
    pub(super) async fn discover(&self) -> Result<Arc<Endpoints>, Trouble> {
        self.forget_endpoints();
        let issuer = &self.config.issuer;
        let url = format!("{issuer}/.well-known/oauth-authorization-server");
        let answer = self.upstream.send(Method::GET, &url, accept_json(), Bytes::new()).await;
        let answer = answer.map_err(|reason| unanswered(&reason))?;
        if answer.may_pass() {
            return Err(passing(&answer));
        }
        let unacceptable = |why: String| {
            tracing::warn!(%why, "the server's metadata is not acceptable");
            Trouble::new(
                Code::ServerUnacceptable,
                format!("The payment platform's description of itself is not acceptable: {why}."),
            )
        };
        if !answer.status.is_success() {
            return Err(unacceptable(format!("HTTP {} at {url}", answer.status.as_u16())));
        }
        let metadata = answer.json().ok_or_else(|| unacceptable("it is not JSON".to_owned()))?;
        let endpoints = Endpoints::vet(&metadata, issuer)
            .map_err(|refusal| unacceptable(refusal.to_string()))?;
        let endpoints = Arc::new(endpoints);
        let mut known = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some(Arc::clone(&endpoints));
        Ok(endpoints)
    }

    /// Where the server takes what, asked at most once while nothing fails.
    pub(super) async fn endpoints(&self) -> Result<Arc<Endpoints>, Trouble> {
        let known = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match known {
            Some(endpoints) => Ok(endpoints),
            None => self.discover().await,
        }
    }
}

fn is_own_endpoint(text: &str, issuer: &str) -> bool {
    // An issuer is a canonical origin, so an endpoint of that origin begins with it and a slash.
    let below = text.strip_prefix(issuer).is_some_and(|rest| rest.starts_with('/'));
    let plain = text.bytes().all(|b| b.is_ascii_graphic() && !b"\\?#@".contains(&b));
    below && plain && Url::parse(text).is_ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ISSUER: &str = "https://pay.example";

    fn metadata() -> Map<String, Value> {
        let document = json!({
            "issuer": ISSUER,
            "authorization_response_iss_parameter_supported": true,
            "authorization_endpoint": "https://pay.example/oauth/authorize",
            "token_endpoint": "https://pay.example/oauth/token",
            "jwks_uri": "https://pay.example/oauth/jwks.json",
            "native_installation_endpoint": "https://pay.example/oauth/native/installations",
        });
        document.as_object().expect("an object").clone()
    }

    #[test]
    fn the_contracts_minimum_is_enough() {
        let endpoints = Endpoints::vet(&metadata(), ISSUER).expect("acceptable");
        assert_eq!(endpoints.token, "https://pay.example/oauth/token");
        assert_eq!(endpoints.pushed_request, None);
        assert_eq!(endpoints.revocation, None);
        assert!(!endpoints.recovery);
        let mut metadata = metadata();
        metadata.insert("grant_types_supported".into(), json!(["refresh_token", INSTALLATION_KEY]));
        assert!(Endpoints::vet(&metadata, ISSUER).expect("acceptable").recovery);
    }

    #[test]
    fn another_issuer_or_no_iss_is_refused() {
        for issuer in ["https://pay.example/", "https://PAY.example", "https://www.pay.example"] {
            let mut metadata = metadata();
            metadata.insert("issuer".into(), issuer.into());
            assert_eq!(Endpoints::vet(&metadata, ISSUER), Err(MetadataRefusal::Issuer));
        }
        for promise in [json!(false), json!("true"), json!(1), Value::Null] {
            let mut metadata = metadata();
            metadata.insert("authorization_response_iss_parameter_supported".into(), promise);
            assert_eq!(Endpoints::vet(&metadata, ISSUER), Err(MetadataRefusal::IssParameter));
        }
    }

    #[test]
    fn endpoints_elsewhere_are_refused_and_optional_ones_ignored() {
        for foreign in [
            json!("https://evil.example/oauth/token"),
            json!("https://pay.example.evil.example/oauth/token"),
            json!("https://pay.example@evil.example/"),
            json!("https://u@pay.example/oauth/token"),
            json!("http://pay.example/oauth/token"),
            json!("https://pay.example:444/oauth/token"),
            json!("https://pay.example/oauth/token?x=1"),
            json!("https://pay.example/oauth/token#x"),
            json!("https://pay.example\\oauth/token"),
            json!("/oauth/token"),
            json!("https://pay.example"),
            json!(7),
            Value::Null,
        ] {
            let mut required = metadata();
            required.insert("token_endpoint".into(), foreign.clone());
            let refusal = Endpoints::vet(&required, ISSUER);
            assert_eq!(refusal, Err(MetadataRefusal::Endpoint("token_endpoint")), "{foreign}");
            let mut optional = metadata();
            optional.insert("pushed_authorization_request_endpoint".into(), foreign);
            let endpoints = Endpoints::vet(&optional, ISSUER).expect("acceptable");
            assert_eq!(endpoints.pushed_request, None);
        }
    }
}
